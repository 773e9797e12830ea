//! The safety of the web side: who may ask what, by what, and what of it is kept.

mod audit;
mod cross_site;
mod redaction;
mod roles;
mod security_headers;
mod sign_in;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Answer, Options, PATIENCE, Server};

/// A token for each role, from the lowest to the highest: `viewer's` and so on.
const ROLES: [&str; 3] = ["viewer", "operator", "admin"];
/// How a browser says that a page of the server itself asks.
const SAME_ORIGIN: (&str, &str) = ("Sec-Fetch-Site", "same-origin");
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// The token of a role.
fn token(role: &str) -> String {
    format!("{role}-token-5d1f7a")
}

/// A server with these tokens, and with more of a configuration.
fn server(more: &str) -> (TempDir, Server) {
    let folder = TempDir::new().expect("a folder");
    let options = options(&folder, more);
    (folder, Server::start(&options))
}

/// What such a server is started with.
fn options(folder: &TempDir, more: &str) -> Options {
    let file = folder.path().join("callboard.toml");
    let tokens: String = ROLES
        .iter()
        .map(|role| {
            let token = token(role);
            format!("[[web.tokens]]\nname = \"{role}'s\"\nrole = \"{role}\"\ntoken = \"{token}\"\n")
        })
        .collect();
    fs::write(&file, format!("{more}\n{tokens}")).expect("a file");
    Options::arguments(&["--config", file.to_str().expect("UTF-8")])
}

fn bearer(role: &str) -> String {
    format!("Bearer {}", token(role))
}

/// The answer to somebody who signs in with this token.
fn try_sign_in(server: &Server, token: &str) -> Answer {
    let body = json!({ "token": token }).to_string();
    server.request("POST", "/api/v1/session", &[JSON], &body)
}

/// Signs in as this role. What to send as `Cookie` then.
fn sign_in(server: &Server, role: &str) -> String {
    let answer = try_sign_in(server, &token(role));
    assert_eq!(answer.status, 200, "{answer:?}");
    cookie(&answer)
}

/// The cookie that an answer sets, without what it says to the browser.
fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {answer:?}"));
    set.split(';').next().expect("a first part").to_owned()
}

/// A route, as the server's document has it.
struct Operation {
    method: String,
    path: String,
    /// `none`, or the lowest role that may.
    role: String,
    /// What it takes as a body.
    media: String,
    example: Value,
}

/// Every route of a server.
fn operations(server: &Server) -> Vec<Operation> {
    let document = server.request("GET", "/openapi.json", &[("Authorization", &bearer("viewer"))], "").json();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let content = operation["requestBody"]["content"].as_object();
            let body = content.and_then(|content| content.iter().next());
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                role: operation["x-callboard-role"].as_str().unwrap_or("not declared").to_owned(),
                media: body.map_or_else(|| "application/json".to_owned(), |(media, _)| media.clone()),
                example: body.map_or_else(|| json!({}), |(_, body)| body["example"].clone()),
            });
        }
    }
    assert!(operations.len() > 60, "{} routes", operations.len());
    operations
}

impl Operation {
    fn is_unsafe(&self) -> bool {
        self.method != "GET"
    }

    /// Its path with something in the place of each parameter.
    fn real_path(&self) -> String {
        self.path.replace("{id}", "01890a5d-ac96-774b-bcce-b302099a8057").replace("{name}", "default")
    }

    /// Sends it with an empty object as its body. Of an answer without end only the head is read.
    fn send(&self, server: &Server, headers: &[(&str, &str)]) -> Answer {
        self.send_to(server, &server.address.to_string(), headers)
    }

    /// As [`send`](Self::send), to this host by name.
    fn send_to(&self, server: &Server, host: &str, headers: &[(&str, &str)]) -> Answer {
        let body = if self.is_unsafe() { "{}" } else { "" };
        let mut request =
            format!("{} {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n", self.method, self.real_path());
        if self.is_unsafe() {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
            if !headers.iter().any(|(name, _)| *name == "Content-Type") {
                request.push_str(&format!("Content-Type: {}\r\n", self.media));
            }
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        ask(server, &format!("{request}\r\n{body}"))
    }
}

/// Sends a request and reads its answer; of one without end, the head.
fn ask(server: &Server, request: &str) -> Answer {
    let mut stream = connect(server);
    // A server may refuse, and close, before it has read everything.
    let _ = stream.write_all(request.as_bytes());
    let mut read = Vec::new();
    let mut part = [0; 4096];
    loop {
        let count = stream.read(&mut part).unwrap_or(0);
        read.extend_from_slice(&part[..count]);
        if count == 0 || is_enough(&String::from_utf8_lossy(&read)) {
            return Answer::of(&read);
        }
    }
}

/// Whether this is an answer as a whole, or the head of one without end.
fn is_enough(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let whole =
        length.and_then(|length| length.parse().ok()).is_some_and(|length: usize| body.len() >= length);
    whole || head.contains("text/event-stream")
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    stream
}

/// The newest entries of the audit trail.
fn trail(server: &Server) -> Vec<Value> {
    let answer =
        server.request("GET", "/api/v1/audit?limit=1000", &[("Authorization", &bearer("viewer"))], "");
    answer.json()["entries"].as_array().expect("entries").clone()
}

/// A part of a configuration that encrypts what is secret of `command` jobs, with a key in this folder.
fn encrypted(folder: &TempDir) -> String {
    let file = folder.path().join("key");
    fs::write(&file, format!("{}\n", "5a".repeat(32))).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
    format!(
        "[command]\nprograms = [\"sha256sum\", \"false\"]\n[encryption]\nkeys = [{{ name = \"one\", file = \"{}\" }}]\n\
         current = \"one\"\ntypes = [{{ name = \"command\", fields = [\"/stdin\", \"/env/*\"], results = [\"*\"], required = true }}]\n",
        file.display()
    )
}
