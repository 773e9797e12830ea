//! One process of the real program that may be killed, stopped and started again.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::server::{Answer, PATIENCE};

/// How long one request may take. A stopped process answers none, and whoever asked must ask again.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked whether something has happened that gives no signal to another process.
const LOOK: Duration = Duration::from_millis(5);

/// What is to happen to a process, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Kill,
    Stop,
}

impl Fault {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Fault::Kill => "kill",
            Fault::Stop => "stop",
        }
    }
}

/// Where the processes of a cluster listen, by their numbers.
#[derive(Clone, Default)]
pub(crate) struct Addresses(Arc<Mutex<Vec<Option<SocketAddr>>>>);

impl Addresses {
    fn set(&self, number: usize, address: Option<SocketAddr>) {
        let mut all = self.0.lock().expect("no panic");
        let length = all.len().max(number + 1);
        all.resize(length, None);
        all[number] = address;
    }

    pub(crate) fn of(&self, number: usize) -> Option<SocketAddr> {
        self.0.lock().expect("no panic").get(number).copied().flatten()
    }
}

/// Dropped, it is killed.
pub(crate) struct Node {
    process: Child,
    number: usize,
    addresses: Addresses,
    log: PathBuf,
}

impl Node {
    /// Starts a server or a worker as this number of a cluster. What it logs goes to `log`, beside what is there.
    pub(crate) fn start(number: usize, addresses: &Addresses, mut command: Command, log: &Path) -> Node {
        addresses.set(number, None);
        let errors = fs::File::options().create(true).append(true).open(log).expect("a log file");
        let mut process = command
            .args(["--listen", "127.0.0.1:0", "--log", "json"])
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("the program starts");
        let stdout = process.stdout.take().expect("a pipe");
        let told = addresses.clone();
        // It may be killed or stopped before it says where it listens.
        thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(stdout).read_line(&mut line);
            if let (Ok(_), Some(text)) = (read, line.trim().strip_prefix("listening on http://")) {
                told.set(number, Some(text.parse().expect("an address")));
            }
        });
        Node { process, number, addresses: addresses.clone(), log: log.to_owned() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("the process is there");
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.addresses.set(self.number, None);
    }

    /// Waits until it listens.
    pub(crate) fn serving(&mut self) -> Result<SocketAddr, String> {
        self.until("it listens", |node| match (node.addresses.of(node.number), node.ended()) {
            (Some(address), _) => Some(Ok(address)),
            (None, Some(status)) => Some(Err(format!("it ended with {status} instead of serving"))),
            (None, None) => None,
        })?
    }

    /// Waits until it was killed or stopped.
    pub(crate) fn struck(&mut self, fault: Fault) -> Result<(), String> {
        self.until("the fault", |node| match (fault, node.ended()) {
            (Fault::Kill, Some(status)) if status.signal() == Some(9) => Some(Ok(())),
            (_, Some(status)) => Some(Err(format!("it ended with {status}"))),
            (Fault::Stop, None) => node.is_stopped().then_some(Ok(())),
            (Fault::Kill, None) => None,
        })?
    }

    /// Waits until it has ended by itself.
    pub(crate) fn end(&mut self) -> Result<ExitStatus, String> {
        self.until("its end", Node::ended)
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.process.try_wait().expect("a child");
        if status.is_some() {
            self.addresses.set(self.number, None);
        }
        status
    }

    fn is_stopped(&self) -> bool {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(Pid::from_child(&self.process)), options);
        status.is_ok_and(|status| status.is_some_and(|status| status.stopped()))
    }

    fn until<T>(&mut self, what: &str, mut done: impl FnMut(&mut Node) -> Option<T>) -> Result<T, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(done) = done(self) {
                return Ok(done);
            }
            if Instant::now() > deadline {
                return Err(format!("process {}: waited {PATIENCE:?} for this: {what}", self.id()));
            }
            thread::park_timeout(LOOK);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One request. `None` when no whole answer came.
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN).ok()?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).ok()?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    Some(Answer::read(&mut stream)).filter(|answer| answer.status != 0)
}
