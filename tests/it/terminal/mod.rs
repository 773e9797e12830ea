//! The web terminal: real WebSockets to the real program, whose sessions run a real shell.

mod access;
mod flood;
mod hostile;
mod json;
mod life;
mod owners;
mod page;
mod v2;

use std::{
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::{
    Error, Message, WebSocket,
    client::{IntoClientRequest, client},
    handshake::HandshakeError,
    http::{HeaderName, HeaderValue, Response},
    protocol::CloseFrame,
};

use crate::server::{Options, PATIENCE, Server};

const V2: &str = "callboard.terminal.v2";

/// A server whose terminal runs a shell.
fn shell(more: &[&str]) -> Server {
    program("/bin/sh", &[], more)
}

/// A server whose terminal runs this program.
fn program(file: &str, args: &[&str], more: &[&str]) -> Server {
    let command = format!("terminal.commands=[{{ name = \"test\", program = {file:?}, args = {args:?} }}]");
    Server::start(&settings(&[&[&command, "terminal.command=test"], more].concat()))
}

fn settings(settings: &[&str]) -> Options {
    let arguments = settings.iter().flat_map(|setting| ["--set".to_owned(), (*setting).to_owned()]);
    Options { arguments: arguments.collect(), ..Options::default() }
}

/// A client on a WebSocket.
struct Client {
    socket: WebSocket<TcpStream>,
    /// The text of all output that has come.
    output: String,
    /// The same as bytes.
    bytes: Vec<u8>,
    /// The number of the last frame, or the offset behind the last byte.
    last: u64,
    /// Whether output is acknowledged as it comes.
    acknowledges: bool,
}

/// What a server says instead of a WebSocket.
#[derive(Debug)]
struct Refused {
    status: u16,
}

impl Client {
    fn connect(at: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Client, Refused> {
        let mut request = format!("ws://{at}{path}").into_client_request().expect("a request");
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a name");
            request.headers_mut().insert(name, HeaderValue::from_str(value).expect("a value"));
        }
        let stream = TcpStream::connect(at).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        stream.set_nodelay(true).expect("an option");
        match client(request, stream) {
            Ok((socket, _)) => {
                Ok(Client { socket, output: String::new(), bytes: Vec::new(), last: 0, acknowledges: true })
            }
            Err(HandshakeError::Failure(Error::Http(answer))) => Err(Refused { status: status(&answer) }),
            Err(error) => panic!("{error}"),
        }
    }

    /// A client of the JSON protocol.
    fn json(server: &Server, path: &str) -> Client {
        Client::connect(server.address, path, &[]).expect("a WebSocket")
    }

    /// A client of ours that has shown no ticket yet.
    fn bare(server: &Server) -> Client {
        let origin = server.url();
        let headers = [("Origin", &*origin), ("Sec-WebSocket-Protocol", V2)];
        Client::connect(server.address, "/ws", &headers).expect("a WebSocket")
    }

    fn send_json(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).expect("it is sent");
    }

    fn type_json(&mut self, text: &str) {
        self.send_json(json!({ "type": "input", "data": text }));
    }

    fn send_frame(&mut self, kind: u8, rest: &[u8]) {
        self.socket.send(Message::binary([&[kind], rest].concat())).expect("it is sent");
    }

    fn type_v2(&mut self, text: &str) {
        self.send_frame(0x01, text.as_bytes());
    }

    /// The next message that is none of the WebSocket's own.
    fn next(&mut self) -> Result<Message, Option<CloseFrame>> {
        loop {
            match self.socket.read() {
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(Message::Close(frame)) => return Err(frame),
                Ok(message) => return Ok(message),
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Err(None),
                Err(error) => panic!("{error}; so far: {:?}", self.output),
            }
        }
    }

    /// The next message of the JSON protocol.
    fn next_json(&mut self) -> Value {
        match self.next() {
            Ok(Message::Text(text)) => {
                let value: Value = serde_json::from_str(&text).expect("JSON");
                if value["type"] == "output" {
                    self.output.push_str(value["data"].as_str().expect("text"));
                    let seq = value["seq"].as_u64().expect("a number");
                    assert!(seq > self.last, "{value} after {}", self.last);
                    self.last = seq;
                }
                value
            }
            other => panic!("{other:?}; so far: {:?}", self.output),
        }
    }

    /// The next frame of ours: its type and the rest.
    fn next_frame(&mut self) -> (u8, Vec<u8>) {
        match self.next() {
            Ok(Message::Binary(bytes)) => {
                let (kind, rest) = bytes.split_first().expect("a type");
                if *kind == 0x11 {
                    let offset = u64::from_be_bytes(rest[..8].try_into().expect("eight bytes"));
                    assert_eq!(offset, self.last, "no byte is missing");
                    self.last += rest.len() as u64 - 8;
                    self.bytes.extend_from_slice(&rest[8..]);
                    // What was seen long ago is not needed any more.
                    if self.bytes.len() > 1024 * 1024 {
                        self.bytes.drain(..512 * 1024);
                    }
                    if self.acknowledges {
                        self.send_frame(0x03, &self.last.to_be_bytes());
                    }
                }
                (*kind, rest.to_vec())
            }
            other => panic!("{other:?}; so far: {:?}", String::from_utf8_lossy(&self.bytes)),
        }
    }

    /// Reads until the output has this in it.
    fn until(&mut self, text: &str) {
        while !self.output.contains(text) {
            self.next_json();
        }
    }

    fn until_v2(&mut self, text: &str) {
        while !self.has_bytes(text.as_bytes()) {
            self.next_frame();
        }
    }

    fn has_bytes(&self, bytes: &[u8]) -> bool {
        self.bytes.windows(bytes.len()).any(|window| window == bytes)
    }

    /// Reads until a message of this type comes.
    fn until_type(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next_json();
            if message["type"] == kind {
                return message;
            }
        }
    }

    fn until_kind(&mut self, kind: u8) -> Vec<u8> {
        loop {
            let (found, rest) = self.next_frame();
            if found == kind {
                return rest;
            }
        }
    }

    /// Reads to the end; the code with which the connection was closed.
    fn until_closed(&mut self) -> u16 {
        loop {
            match self.next() {
                Ok(_) => {}
                Err(Some(frame)) => return frame.code.into(),
                Err(None) => panic!("closed without a word"),
            }
        }
    }
}

fn status<T>(answer: &Response<T>) -> u16 {
    answer.status().as_u16()
}

/// A ticket, asked for with these headers.
fn ticket(server: &Server, headers: &[(&str, &str)], body: Value) -> String {
    let answer = ask_for_ticket(server, headers, &body);
    assert_eq!(answer.0, 201, "{answer:?}");
    answer.1["ticket"].as_str().expect("a ticket").to_owned()
}

fn ask_for_ticket(server: &Server, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
    let headers = [&[("Content-Type", "application/json")], headers].concat();
    let answer = server.request("POST", "/api/v1/terminal/tickets", &headers, &body.to_string());
    (answer.status, answer.json())
}

fn wanted(scope: &str) -> Value {
    json!({ "scope": scope, "cols": 80, "rows": 24 })
}

/// A session of ours, with what the server says first.
fn open(server: &Server) -> (Client, Value) {
    let ticket = ticket(server, &[], wanted("write"));
    show(server, json!({ "ticket": ticket }))
}

/// Shows a ticket.
fn show(server: &Server, open: Value) -> (Client, Value) {
    let mut client = Client::bare(server);
    client.send_frame(0x00, open.to_string().as_bytes());
    let (kind, rest) = client.next_frame();
    let said: Value = serde_json::from_slice(&rest).expect("JSON");
    assert_eq!(kind == 0x10, said["session"].is_string(), "{said}");
    (client, said)
}

/// The id of a session that is there for a while, though its client has left.
pub(crate) fn session(server: &Server, path: &str) -> String {
    let mut client = Client::json(server, path);
    let opened = client.next_json();
    opened["sessionId"].as_str().unwrap_or_else(|| panic!("{opened}")).to_owned()
}

/// The sessions as the interface lists them.
fn sessions(server: &Server) -> Vec<Value> {
    server.get("/api/v1/terminal/sessions").json().as_array().expect("a list").clone()
}

/// The number of a process that a session's shell has said.
fn process_id(text: &str, mark: &str) -> u32 {
    let (_, rest) = text.rsplit_once(mark).expect("the mark");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

/// Whether there is such a process, and it is no zombie.
fn lives(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Waits for so long; for what must not happen meanwhile.
fn stay(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}
