//! An HTTP server of the test's, which answers what the test wants, or not at all.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::JoinHandle,
};

/// What a request is answered with.
#[derive(Clone)]
pub(super) enum Says {
    /// These bytes, and then the connection is closed.
    Bytes(Vec<u8>),
    /// The beginning of an answer, and then nothing; the connection stays open.
    BeginsOnly,
    /// Nothing; the connection stays open.
    Nothing,
}

impl Says {
    pub(super) fn json(status: &str, body: &str) -> Says {
        let kind = "Content-Type: application/json";
        Says::Bytes(
            format!("HTTP/1.1 {status}\r\n{kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                .into_bytes(),
        )
    }
}

/// The server. Dropped, its port is closed.
pub(super) struct Upstream {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    stops: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    pub(super) fn start(says: Says) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (heads, stops) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (seen, ends) = (heads.clone(), stops.clone());
        let thread = std::thread::spawn(move || {
            // Those that are to stay open do so until the test ends.
            let mut open = Vec::new();
            for stream in listener.incoming() {
                if ends.load(SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let head = head(&stream);
                seen.lock().expect("no test has panicked with it").push(head);
                open.extend(answer(stream, &says));
            }
        });
        Upstream { address, heads, stops, thread: Some(thread) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of the requests so far.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no test has panicked with it").clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stops.store(true, SeqCst);
        // Wakes the thread from its wait for a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn head(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
    head
}

/// Answers, and gives the connection back if it is to stay open.
fn answer(mut stream: TcpStream, says: &Says) -> Option<TcpStream> {
    match says {
        Says::Bytes(bytes) => {
            let _ = stream.write_all(bytes);
            None
        }
        Says::BeginsOnly => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[1,");
            Some(stream)
        }
        Says::Nothing => Some(stream),
    }
}
