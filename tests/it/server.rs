//! A server of one's own: the real program, on a port and a folder of the system's choice.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take that is not itself under test. Long, because the machine may be busy; a test that
/// fails waits this long once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test.
pub(crate) fn callboard() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
    // Nothing of the developer's own settings may reach a test.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CALLBOARD_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    callboard().args(arguments).output().expect("the program starts")
}

/// How a server is to be started.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
}

impl Options {
    pub(crate) fn arguments(arguments: &[&str]) -> Self {
        Options {
            arguments: arguments.iter().map(|argument| argument.to_string()).collect(),
            ..Self::default()
        }
    }
}

/// A running server. Dropped, it is killed and its folder removed.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) data: PathBuf,
    process: Child,
    folder: Option<TempDir>,
}

impl Server {
    /// Starts a server on a new folder.
    pub(crate) fn start(options: &Options) -> Server {
        let folder = TempDir::new().expect("a temporary folder");
        let data = folder.path().join("data");
        let mut server = Server::start_on(&data, options).unwrap_or_else(|said| panic!("no server: {said}"));
        server.folder = Some(folder);
        server
    }

    /// Starts a server on a folder that is there already, or says what it said instead of serving.
    pub(crate) fn start_on(data: &Path, options: &Options) -> Result<Server, String> {
        Server::start_as("serve", data, options)
    }

    /// Starts a worker on a new folder.
    pub(crate) fn worker(options: &Options) -> Server {
        let folder = TempDir::new().expect("a temporary folder");
        let data = folder.path().join("data");
        let mut server =
            Server::start_as("worker", &data, options).unwrap_or_else(|said| panic!("no worker: {said}"));
        server.folder = Some(folder);
        server
    }

    /// The same with another command, which says as `serve` does where it listens.
    pub(crate) fn start_as(command: &str, data: &Path, options: &Options) -> Result<Server, String> {
        let log = data.with_extension("log");
        fs::create_dir_all(data.parent().expect("a folder in a folder")).expect("a folder");
        let errors = fs::File::options().create(true).append(true).open(&log).expect("a log file");
        let mut process = callboard()
            .args([command, "--listen", "127.0.0.1:0", "--log", "json", "--data"])
            .arg(data)
            .args(&options.arguments)
            .envs(options.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line, or the end");
        let Some(address) = line.trim().strip_prefix("listening on http://") else {
            let status = process.wait().expect("an end");
            return Err(format!(
                "{status}; stdout {line:?}; log: {}",
                fs::read_to_string(log).unwrap_or_default()
            ));
        };
        let address = address.parse().expect("an address");
        Ok(Server { address, data: data.to_owned(), process, folder: None })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the server has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.data.with_extension("log")).expect("a log")
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = Pid::from_child(&self.process);
        kill_process(id, signal).expect("the process is there");
    }

    /// Kills the server as a power cut would, and gives its folder to the next one.
    pub(crate) fn kill(mut self) -> (PathBuf, Option<TempDir>) {
        self.process.kill().expect("the process is there");
        self.process.wait().expect("an end");
        (self.data.clone(), self.folder.take())
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the server ends", || {
            status = self.process.try_wait().expect("a child");
            status.is_some()
        });
        status.expect("it has ended")
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.try_wait().expect("a child").is_some()
    }

    /// Takes the folder out, so that it outlives this server.
    pub(crate) fn keep_folder(&mut self) -> Option<TempDir> {
        self.folder.take()
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("a process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
        let kilobytes = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
        kilobytes.expect("a number") * 1024
    }

    /// Runs the command line against this server.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = callboard();
        command.args(arguments).env("CALLBOARD_URL", self.url());
        command
    }

    /// Runs the command line and reads the JSON that it prints.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.cli(arguments);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{arguments:?}: {error}: {text:?}; stderr {:?}", String::from_utf8_lossy(&output.stderr))
        })
    }

    /// Sends raw bytes and reads the answer up to the end of its body.
    pub(crate) fn raw(&self, request: &[u8]) -> Answer {
        raw_at(self.address, request)
    }

    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        request_at(self.address, method, path, headers, body)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], "")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.request("POST", path, &[("Content-Type", "application/json")], body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends raw bytes there and reads the answer up to the end of its body.
pub(crate) fn raw_at(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    // A server may refuse, and close, before it has read everything.
    let _ = stream.write_all(request);
    Answer::read(&mut stream)
}

pub(crate) fn request_at(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method != "GET" {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body);
    raw_at(address, request.as_bytes())
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn read(stream: &mut TcpStream) -> Answer {
        let mut bytes = Vec::new();
        // A reset after the answer is no news.
        let _ = stream.read_to_end(&mut bytes);
        Answer::of(&bytes)
    }

    /// What these bytes say.
    pub(crate) fn of(bytes: &[u8]) -> Answer {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let body = if chunked { dechunk(body) } else { body.to_owned() };
        Answer { status: status.unwrap_or(0), headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn dechunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || rest.len() < size {
            break;
        }
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}

/// Polls until `done`, for what gives no signal to another process. Fails the test after [`PATIENCE`].
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for this: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
