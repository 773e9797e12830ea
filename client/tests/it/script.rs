//! A server that answers each connection as it was told to, and keeps what it was asked.

use std::{sync::Arc, time::Duration};

use callboard_client::{Client, ClientBuilder, RetryPolicy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::timeout,
};

/// How long anything may take that is not itself under test.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is done with one connection, after its request was read: the pieces are written one by one.
#[derive(Default)]
pub(crate) struct Answer {
    pieces: Vec<String>,
    hold: bool,
}

impl Answer {
    /// These very bytes, and then the connection is closed.
    pub(crate) fn raw(pieces: &[&str]) -> Answer {
        Answer { pieces: pieces.iter().map(|piece| (*piece).to_owned()).collect(), hold: false }
    }

    /// A whole answer.
    pub(crate) fn new(status: u16, headers: &str, kind: &str, body: &str) -> Answer {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n");
        Answer::raw(&[&head, headers, "Connection: close\r\n\r\n", body])
    }

    pub(crate) fn json(status: u16, body: &str) -> Answer {
        Answer::new(status, "", "application/json", body)
    }

    pub(crate) fn problem(status: u16, headers: &str) -> Answer {
        let body = format!(
            r#"{{"type":"urn:callboard:problem:x","title":"A title","status":{status},"detail":"the detail"}}"#
        );
        Answer::new(status, headers, "application/problem+json", &body)
    }

    /// The head of an event stream and then these pieces.
    pub(crate) fn stream(pieces: &[&str]) -> Answer {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
        let mut answer = Answer::raw(&[head]);
        answer.pieces.extend(pieces.iter().map(|piece| (*piece).to_owned()));
        answer
    }

    /// The connection stays open until the client closes it.
    pub(crate) fn held(mut self) -> Answer {
        self.hold = true;
        self
    }
}

pub(crate) struct Script {
    pub(crate) url: String,
    requests: mpsc::UnboundedReceiver<String>,
    closed_by_client: Arc<Notify>,
    server: JoinHandle<()>,
}

impl Script {
    /// One answer a connection; whoever comes after the last one is not let in.
    pub(crate) async fn play(answers: Vec<Answer>) -> Script {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (sender, requests) = mpsc::unbounded_channel();
        let closed_by_client = Arc::new(Notify::new());
        let closed = closed_by_client.clone();
        let server = tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                stream.set_nodelay(true).expect("a socket");
                sender.send(request(&mut stream).await).expect("the test listens");
                for piece in &answer.pieces {
                    // The client may have had enough.
                    if stream.write_all(piece.as_bytes()).await.is_err() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                if answer.hold {
                    let mut rest = [0];
                    assert!(matches!(stream.read(&mut rest).await, Ok(0) | Err(_)), "nothing more is asked");
                    closed.notify_one();
                }
            }
        });
        Script { url, requests, closed_by_client, server }
    }

    /// A client of this server, with pauses too short to be noticed.
    pub(crate) fn builder(&self) -> ClientBuilder {
        let pause = Duration::from_millis(1);
        let policy = RetryPolicy { min_backoff: pause, max_backoff: pause, ..RetryPolicy::default() };
        Client::builder(&self.url).retry(policy)
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().expect("a client")
    }

    /// What was asked; every answer must have been asked for.
    pub(crate) async fn asked(mut self) -> Vec<String> {
        timeout(PATIENCE, &mut self.server).await.expect("all of the script is played").expect("no panic");
        let mut all = Vec::new();
        while let Some(request) = self.requests.recv().await {
            all.push(request);
        }
        all
    }

    pub(crate) async fn the_client_has_closed(&self) {
        timeout(PATIENCE, self.closed_by_client.notified()).await.expect("the connection is closed");
    }
}

/// A request with its body, which must have a length or come in chunks.
async fn request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    loop {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).await.expect("a request");
        assert!(read > 0, "a whole request: {text:?}");
        text.push_str(std::str::from_utf8(&bytes[..read]).expect("ASCII"));
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if head.contains("transfer-encoding: chunked") {
            if body.ends_with("0\r\n\r\n") {
                return text;
            }
            continue;
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == length.map_or(0, |length| length.parse().expect("a length")) {
            return text;
        }
    }
}
