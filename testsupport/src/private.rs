//! A PostgreSQL server of one's own, for tests of what happens when it fails.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    Database,
    processes::{children, freeze, is_alive, signal},
    programs::{open_to_all, program, psql, unprivileged_account},
};

/// How long a start or a stop may take. Long, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Waits for the test's end, however it comes, then kills the server and removes its folder. A killed test drops nothing.
const WATCHER: &str = r#"
cat >/dev/null
id=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$id" ] && tr '\0' ' ' <"/proc/$id/cmdline" 2>/dev/null | grep -qF "$1/data"; then
    kill -KILL $(cat "/proc/$id/task/"*/children 2>/dev/null) "$id" 2>/dev/null
fi
rm -rf "$1"
"#;

/// A server with a data folder, a port and a socket of its own, durable as a real one (`fsync` is on). Its superuser
/// `callboard` needs no password. Dropped, it is killed and its folder removed; so it is when the test is killed.
#[derive(Debug)]
pub struct PrivatePostgres {
    folder: TempDir,
    port: u16,
    settings: Vec<(String, String)>,
    server: Option<Child>,
    watcher: Child,
    /// Closed by the system when this process ends.
    _alive: ChildStdin,
}

impl PrivatePostgres {
    /// A new server, ready.
    ///
    /// # Panics
    /// If PostgreSQL is not installed, or does not start.
    pub fn start() -> PrivatePostgres {
        PrivatePostgres::start_with(&[])
    }

    /// A new server with settings of `postgresql.conf`, ready.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_with(settings: &[(&str, &str)]) -> PrivatePostgres {
        let folder = folder();
        let mut watcher = Command::new("sh")
            .args(["-c", WATCHER, "sh"])
            .arg(folder.path())
            // Whoever kills the test's group means the test.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        let alive = watcher.stdin.take().expect("a pipe");
        initialise(folder.path());
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut postgres = PrivatePostgres {
            folder,
            port: 0,
            settings: settings.collect(),
            server: None,
            watcher,
            _alive: alive,
        };
        postgres.begin();
        postgres
    }

    /// The URL of its database `postgres`, over TCP. The same after a restart.
    pub fn url(&self) -> String {
        format!("postgres://callboard@127.0.0.1:{}/postgres", self.port)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its socket, for `host=`.
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has logged so far.
    ///
    /// # Panics
    /// If the log cannot be read.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).expect("a log")
    }

    /// An empty database on this server.
    ///
    /// # Panics
    /// If the server does not answer.
    pub fn database(&self) -> Database {
        Database::create_on(&self.url())
            .unwrap_or_else(|error| panic!("no database: {error}; {}", self.log()))
    }

    /// Runs statements in its database `postgres`, as [`Database::psql`].
    ///
    /// # Panics
    /// If a statement fails.
    pub fn psql(&self, statements: &str) -> String {
        psql(&self.url(), statements).unwrap_or_else(|error| panic!("{statements}: {error}"))
    }

    /// Stops it in good order: it ends its connections, and writes what it holds. Does nothing when it does not run.
    ///
    /// # Panics
    /// If it does not end.
    pub fn stop(&mut self) {
        if let Some(server) = &self.server {
            signal(server.id(), Signal::INT);
            self.ended();
        }
    }

    /// Kills it and all its processes at once, as a power cut would. Does nothing when it does not run.
    ///
    /// # Panics
    /// If it does not end.
    pub fn kill(&mut self) {
        let Some(server) = &self.server else { return };
        // Stopped first, so that it starts no more processes while they are counted.
        signal(server.id(), Signal::STOP);
        let mut processes = children(server.id());
        processes.push(server.id());
        for id in &processes {
            signal(*id, Signal::KILL);
        }
        self.ended();
        eventually("the server's processes end", || !processes.iter().any(|id| is_alive(*id)));
    }

    /// Starts it again, on the same port and data, and waits until it is ready. Does nothing when it runs.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_again(&mut self) {
        if self.server.is_none() {
            self.begin();
        }
    }

    /// Stops all its processes where they are (SIGSTOP): connections stay open and nothing answers.
    pub fn freeze(&self) {
        if let Some(server) = &self.server {
            freeze(server.id());
            children(server.id()).into_iter().for_each(freeze);
        }
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        if let Some(server) = &self.server {
            for id in children(server.id()) {
                signal(id, Signal::CONT);
            }
            signal(server.id(), Signal::CONT);
        }
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn ended(&mut self) {
        if let Some(mut server) = self.server.take() {
            eventually("the server ends", || server.try_wait().expect("a child").is_some());
        }
    }

    /// Starts the server. The first time it chooses the port, and another one if somebody else was faster.
    fn begin(&mut self) {
        let chosen = self.port;
        for _ in 0..5 {
            if chosen == 0 {
                self.port = free_port();
            }
            let mut server = self.spawn();
            let deadline = Instant::now() + PATIENCE;
            while Instant::now() < deadline {
                if server.try_wait().expect("a child").is_some() {
                    break;
                }
                if psql(&self.url(), "SELECT 1").is_ok() {
                    self.server = Some(server);
                    return;
                }
                thread::sleep(POLL);
            }
            let _ = server.kill();
            let _ = server.wait();
        }
        panic!("PostgreSQL does not start: {}", self.log());
    }

    fn spawn(&self) -> Child {
        let log = fs::File::options().create(true).append(true).open(self.log_path()).expect("a log");
        let mut command = unprivileged("postgres");
        command.arg("-D").arg(self.folder.path().join("data")).arg("-k").arg(self.folder.path());
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        for (name, value) in &self.settings {
            command.args(["-c", &format!("{name}={value}")]);
        }
        // A group of its own: whoever interrupts the tests does not mean the server.
        command.process_group(0).stdout(log.try_clone().expect("a log")).stderr(log).stdin(Stdio::null());
        command.spawn().expect("postgres starts")
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            for id in children(server.id()).into_iter().chain([server.id()]) {
                signal(id, Signal::KILL);
            }
        }
        if let Some(mut server) = self.server.take() {
            let _ = server.wait();
        }
        // The folder goes with this value, so there is nothing left to watch.
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
    }
}

/// A folder that the server's account can reach and owns.
fn folder() -> TempDir {
    let make = |parent: &Path| tempfile::Builder::new().prefix("callboard-pg-").tempdir_in(parent);
    let usual = std::env::temp_dir();
    let parent = match unprivileged_account() {
        Some(_) if !open_to_all(&usual) => Path::new("/tmp"),
        // A socket's path has little room.
        _ if usual.as_os_str().len() > 60 => Path::new("/tmp"),
        _ => &usual,
    };
    let folder = make(parent).expect("a temporary folder");
    if let Some((user, group)) = unprivileged_account() {
        std::os::unix::fs::chown(folder.path(), Some(user), Some(group)).expect("root may give folders away");
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("our folder");
    folder
}

fn initialise(folder: &Path) {
    let output = unprivileged("initdb")
        .arg("-D")
        .arg(folder.join("data"))
        .args([
            "-U",
            "callboard",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ])
        .stdin(Stdio::null())
        .output()
        .expect("initdb starts");
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
}

/// One of PostgreSQL's programs, run by an account that may run it.
fn unprivileged(name: &str) -> Command {
    let mut command = Command::new(program(name));
    // Nothing of the caller's settings, such as PGDATA, may reach it; and it need not be able to read his folder.
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir("/");
    if let Some((user, group)) = unprivileged_account() {
        command.uid(user).gid(group);
    }
    command
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for this: {what}");
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_committed_survives_a_stop_and_a_kill() {
        let mut postgres = PrivatePostgres::start_with(&[("max_connections", "17")]);
        assert_eq!(postgres.psql("SHOW fsync"), "on");
        assert_eq!(postgres.psql("SHOW max_connections"), "17");
        postgres.psql("CREATE TABLE things (id int)");
        let url = postgres.url();
        postgres.stop();
        psql(&url, "SELECT 1").unwrap_err();
        postgres.start_again();
        postgres.psql("INSERT INTO things VALUES (1)");
        postgres.kill();
        psql(&url, "SELECT 1").unwrap_err();
        postgres.start_again();
        assert_eq!(postgres.psql("SELECT count(*) FROM things"), "1");
    }

    #[test]
    fn a_frozen_server_answers_nothing_until_it_is_thawed() {
        let postgres = PrivatePostgres::start();
        let database = postgres.database();
        let processes = children(postgres.server.as_ref().unwrap().id());
        assert!(!processes.is_empty());
        postgres.freeze();
        for id in &processes {
            eventually("the process stands still or has ended", || {
                matches!(state(*id), Some('T' | 'Z') | None)
            });
        }
        postgres.thaw();
        assert_eq!(database.psql("SELECT 1"), "1");
    }

    fn state(id: u32) -> Option<char> {
        let status = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        status.rsplit_once(") ")?.1.chars().next()
    }

    #[test]
    fn a_dropped_server_leaves_nothing() {
        let postgres = PrivatePostgres::start();
        let (folder, server) = (postgres.folder.path().to_owned(), postgres.server.as_ref().unwrap().id());
        drop(postgres);
        assert!(!is_alive(server));
        assert!(!folder.exists());
    }
}
