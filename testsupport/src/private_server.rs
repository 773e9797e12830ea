//! A Redis or MongoDB server of one's own, for tests of what happens when it fails.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    mongodb,
    private::{eventually, free_port},
    processes::{freeze, signal},
    redis,
};

/// How long a start may take. Long, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Waits for the test's end, however it comes, then kills the server and removes its folder. A killed test drops nothing.
const WATCHER: &str = r#"
cat >/dev/null
id=$(cat "$1/pid" 2>/dev/null)
if [ -n "$id" ] && tr '\0' ' ' <"/proc/$id/cmdline" 2>/dev/null | grep -qF "$1"; then
    kill -KILL "$id" 2>/dev/null
fi
rm -rf "$1"
"#;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Redis,
    Mongodb,
}

/// A server with a port and a folder of its own, which keeps what it has over stops. Dropped, it is killed and its folder removed; so
/// it is when the test is killed.
#[derive(Debug)]
pub struct PrivateServer {
    kind: Kind,
    folder: TempDir,
    port: u16,
    server: Option<Child>,
    /// Whether its folder is as one should be that a kill is to do no harm to.
    prepared: bool,
    watcher: Child,
    /// Closed by the system when this process ends.
    _alive: ChildStdin,
}

impl PrivateServer {
    /// A Redis server, ready.
    ///
    /// # Panics
    /// If it is not installed, or does not start.
    pub fn redis() -> PrivateServer {
        let mut server = PrivateServer::new(Kind::Redis);
        server.start();
        server
    }

    /// A Redis server that was not started yet; its port is free until then.
    ///
    /// # Panics
    /// If the system has no port for it.
    pub fn absent_redis() -> PrivateServer {
        PrivateServer::new(Kind::Redis)
    }

    /// A server that speaks MongoDB's protocol, ready.
    ///
    /// # Panics
    /// If it is not installed, or does not start.
    pub fn mongodb() -> PrivateServer {
        let mut server = PrivateServer::new(Kind::Mongodb);
        server.start();
        server
    }

    /// The same, not started yet; its port is free until then.
    ///
    /// # Panics
    /// If the system has no port for it.
    pub fn absent_mongodb() -> PrivateServer {
        PrivateServer::new(Kind::Mongodb)
    }

    fn new(kind: Kind) -> PrivateServer {
        let folder =
            tempfile::Builder::new().prefix("callboard-server-").tempdir().expect("a temporary folder");
        let mut watcher = Command::new("sh")
            .args(["-c", WATCHER, "sh"])
            .arg(folder.path())
            // An interrupt at the terminal is for the tests.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        let alive = watcher.stdin.take().expect("a pipe");
        PrivateServer {
            kind,
            folder,
            port: free_port(),
            server: None,
            prepared: false,
            watcher,
            _alive: alive,
        }
    }

    /// Its URL. The same after a restart.
    pub fn url(&self) -> String {
        match self.kind {
            Kind::Redis => format!("redis://127.0.0.1:{}", self.port),
            Kind::Mongodb => format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port),
        }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it, also again, on the same port and data, and waits until it is ready. Does nothing when it runs.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(&mut self) {
        if self.server.is_some() {
            return;
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let mut server = self.spawn();
            fs::write(self.folder.path().join("pid"), server.id().to_string()).expect("a folder of our own");
            while Instant::now() < deadline {
                // Somebody else may have the port for the moment, as the near end of a connection.
                if server.try_wait().expect("a child").is_some() {
                    break;
                }
                if self.answers() && self.prepare() {
                    self.server = Some(server);
                    return;
                }
                thread::sleep(POLL);
            }
            let _ = server.kill();
            let _ = server.wait();
        }
        panic!("{:?} does not start: {}", self.kind, self.log());
    }

    /// Stops it in good order. Does nothing when it does not run.
    ///
    /// # Panics
    /// If it does not end.
    pub fn stop(&mut self) {
        self.end(Signal::TERM);
    }

    /// Kills it. Does nothing when it does not run.
    ///
    /// # Panics
    /// If it does not end.
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Stops it where it is (SIGSTOP): connections stay open and nothing answers.
    pub fn freeze(&self) {
        if let Some(server) = &self.server {
            freeze(server.id());
        }
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        if let Some(server) = &self.server {
            signal(server.id(), Signal::CONT);
        }
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn answers(&self) -> bool {
        match self.kind {
            Kind::Redis => redis::answers(self.port),
            Kind::Mongodb => mongodb::answers(self.port),
        }
    }

    /// Whether what a server needs once is done.
    fn prepare(&mut self) -> bool {
        self.prepared |= self.kind == Kind::Redis || mongodb::prepare(self.port).is_ok();
        self.prepared
    }

    fn spawn(&self) -> Child {
        let folder: &Path = self.folder.path();
        let mut command = match self.kind {
            Kind::Redis => redis::command(folder, self.port),
            Kind::Mongodb => mongodb::command(folder, self.port),
        };
        let log = fs::File::options().create(true).append(true).open(folder.join("log")).expect("a log");
        // A group of its own: whoever interrupts the tests does not mean the server.
        command.process_group(0).stdout(log.try_clone().expect("a log")).stderr(log).stdin(Stdio::null());
        command.spawn().unwrap_or_else(|error| {
            panic!(
                "{:?}: {error}; `scripts/services run -- COMMAND` gets it on Debian",
                command.get_program()
            )
        })
    }

    fn end(&mut self, how: Signal) {
        if let Some(mut server) = self.server.take() {
            signal(server.id(), how);
            eventually("the server ends", || server.try_wait().expect("a child").is_some());
        }
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            signal(server.id(), Signal::KILL);
            let _ = server.wait();
        }
        // The folder goes with this value, so there is nothing left to watch.
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn lives_and_dies(mut server: PrivateServer) {
        assert!(!server.answers());
        server.start();
        assert!(server.answers());
        server.stop();
        assert!(!server.answers());
        server.start();
        server.kill();
        server.start();
        let (folder, port) = (server.folder.path().to_owned(), server.port());
        drop(server);
        assert!(!folder.exists());
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }

    #[test]
    fn redis_is_started_stopped_and_gone() {
        lives_and_dies(PrivateServer::absent_redis());
    }

    #[test]
    fn what_stands_in_for_mongodb_is_started_stopped_and_gone() {
        lives_and_dies(PrivateServer::absent_mongodb());
    }
}
