//! An address that stays while the servers behind it come and go.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
};

/// Passes connections on to a server that can be changed. Dropped, it takes no more.
pub(super) struct Proxy {
    address: SocketAddr,
    server: Arc<Mutex<SocketAddr>>,
    stop: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    pub(super) fn start(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = Arc::new(Mutex::new(server));
        let stop = Arc::new(AtomicBool::new(false));
        let (target, stopped) = (server.clone(), stop.clone());
        let acceptor = thread::spawn(move || {
            for client in listener.incoming() {
                if stopped.load(SeqCst) {
                    return;
                }
                let target = *target.lock().expect("no panic");
                // A client of a server that is not there sees its connection close.
                if let (Ok(client), Ok(server)) = (client, TcpStream::connect(target)) {
                    pass_on(&client, &server);
                    pass_on(&server, &client);
                }
            }
        });
        Proxy { address, server, stop, acceptor: Some(acceptor) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn pass_to(&self, server: SocketAddr) {
        *self.server.lock().expect("no panic") = server;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        // Wakes it.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// A server of before, that has no streams: it answers for them with this status, and is the real one in all else. Dropped, it
/// takes no more.
pub(super) struct WithoutStreams {
    address: SocketAddr,
    /// Streams that were refused.
    refused: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl WithoutStreams {
    pub(super) fn start(server: SocketAddr, status: u16) -> WithoutStreams {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (refused, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, stopped) = (refused.clone(), stop.clone());
        let acceptor = thread::spawn(move || {
            for client in listener.incoming() {
                if stopped.load(SeqCst) {
                    return;
                }
                let Ok(mut client) = client else { continue };
                let mut begun = [0; 8192];
                let read = client.read(&mut begun).unwrap_or(0);
                if begun.starts_with(b"POST /api/v1/jobs/stream ") {
                    counted.fetch_add(1, SeqCst);
                    let answer =
                        format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                    // It may still be sending.
                    let _ = client.write_all(answer.as_bytes());
                    continue;
                }
                // So that each request has a connection of its own, and is seen.
                let begun = String::from_utf8_lossy(&begun[..read]);
                let alone = begun.replacen("\r\n", "\r\nConnection: close\r\n", 1);
                if let Ok(mut server) = TcpStream::connect(server)
                    && server.write_all(alone.as_bytes()).is_ok()
                {
                    pass_on(&client, &server);
                    pass_on(&server, &client);
                }
            }
        });
        WithoutStreams { address, refused, stop, acceptor: Some(acceptor) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn refused(&self) -> usize {
        self.refused.load(SeqCst)
    }
}

impl Drop for WithoutStreams {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        // Wakes it.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// Passes on what comes until one of the two is closed; then both are.
fn pass_on(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
    thread::spawn(move || {
        let mut bytes = [0; 8192];
        let mut pass = || -> io::Result<usize> {
            let read = from.read(&mut bytes)?;
            to.write_all(&bytes[..read])?;
            Ok(read)
        };
        while pass().is_ok_and(|read| read > 0) {}
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}
