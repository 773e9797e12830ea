//! RabbitMQ for tests.

use std::{
    env, fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    processes::{children, freeze, signal},
    programs::{account, open_to_all},
};

/// How long a start or a stop may take. Long, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);
const SETTINGS: &str = "disk_free_limit.absolute = 1MB\nlog.console.level = warning\n";

/// Waits for the test's end, however it comes, then kills the broker and its port mapper and removes the folder. A killed test drops
/// nothing.
const WATCHER: &str = r#"
cat >/dev/null
for id in $(cat "$1/server.pid" "$1/epmd.pid" 2>/dev/null); do
    if tr '\0' '\n' <"/proc/$id/environ" 2>/dev/null | grep -qxF "HOME=$1"; then
        kill -KILL "$id" 2>/dev/null
    fi
done
rm -rf "$1"
"#;

/// The URL of the shared broker: the one that `CALLBOARD_TEST_RABBITMQ` names, or else the one at 127.0.0.1:5672. Whoever uses it
/// makes up names of his own, and deletes what he has declared.
pub fn rabbitmq_url() -> String {
    env::var("CALLBOARD_TEST_RABBITMQ").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned())
}

/// A broker with folders, ports, a port mapper (epmd) and a name of its own. Its user `guest` has the password `guest`. Dropped, it is killed
/// and its folder removed; so it is when the test is killed.
#[derive(Debug)]
pub struct PrivateRabbit {
    folder: TempDir,
    port: u16,
    encrypted_port: u16,
    distribution_port: u16,
    epmd_port: u16,
    epmd: Child,
    server: Option<Child>,
    watcher: Child,
    /// Closed by the system when this process ends.
    _alive: ChildStdin,
}

impl PrivateRabbit {
    /// A new broker, ready.
    ///
    /// # Panics
    /// If RabbitMQ is not installed, or does not start.
    pub fn start() -> PrivateRabbit {
        PrivateRabbit::started(PrivateRabbit::prepare)
    }

    /// Somebody else may be faster to take a port.
    fn started(prepare: impl Fn() -> PrivateRabbit) -> PrivateRabbit {
        let mut problem = String::new();
        for _ in 0..5 {
            let mut broker = prepare();
            match broker.begin() {
                Ok(()) => return broker,
                Err(error) => problem = error,
            }
        }
        panic!("RabbitMQ does not start: {problem}");
    }

    /// A new broker that speaks TLS, too, with the files `ca.pem`, `server.pem` and `server.key` of this folder, ready.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_with_tls(files: &Path) -> PrivateRabbit {
        PrivateRabbit::started(|| PrivateRabbit::prepare_tls(files))
    }

    fn prepare_tls(files: &Path) -> PrivateRabbit {
        let broker = PrivateRabbit::prepare();
        let folder = broker.folder.path();
        for name in ["ca.pem", "server.pem", "server.key"] {
            fs::copy(files.join(name), folder.join(name)).expect("a file of TLS");
            give(&folder.join(name));
        }
        let of = |name: &str| folder.join(name).display().to_string();
        let (certificate, key, authorities) = (of("server.pem"), of("server.key"), of("ca.pem"));
        let settings = format!(
            "{SETTINGS}listeners.ssl.1 = 127.0.0.1:{}\nssl_options.certfile = {certificate}\n\
             ssl_options.keyfile = {key}\nssl_options.cacertfile = {authorities}\n",
            broker.encrypted_port
        );
        write(&folder.join("rabbitmq.conf"), &settings);
        broker
    }

    /// A new broker that does not run yet; its port is chosen already.
    ///
    /// # Panics
    /// If RabbitMQ is not installed.
    pub fn prepare() -> PrivateRabbit {
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
        let cookie = Uuid::new_v4().simple().to_string();
        for (name, text) in
            [("rabbitmq.conf", SETTINGS), ("enabled_plugins", "[].\n"), (".erlang.cookie", &cookie)]
        {
            write(&folder.path().join(name), text);
        }
        let [port, encrypted_port, distribution_port, epmd_port] = free_ports();
        let mut command = unprivileged(Path::new("epmd"), folder.path(), epmd_port);
        let epmd = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let epmd = epmd.expect("epmd, which comes with Erlang, starts");
        let server = None;
        let broker = PrivateRabbit {
            folder,
            port,
            encrypted_port,
            distribution_port,
            epmd_port,
            epmd,
            server,
            watcher,
            _alive: alive,
        };
        broker.note("epmd.pid", broker.epmd.id());
        broker
    }

    /// The URL of its default virtual host. The same after a restart.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// The URL of the same over TLS, of one that was [started with it](Self::start_with_tls).
    pub fn encrypted_url(&self) -> String {
        format!("amqps://guest:guest@localhost:{}/%2f", self.encrypted_port)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Calls `rabbitmqctl` about it, and gives what that prints.
    ///
    /// # Panics
    /// If it fails.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let mut command = unprivileged(&program("rabbitmqctl"), self.folder.path(), self.epmd_port);
        command.args(["--quiet", "--node", &self.node()]).args(arguments).stdin(Stdio::null());
        let output = command.output().expect("rabbitmqctl starts");
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        assert!(
            output.status.success(),
            "rabbitmqctl {arguments:?}: {} {}",
            said(&output.stdout),
            said(&output.stderr)
        );
        said(&output.stdout)
    }

    /// Stops it in good order. Does nothing when it does not run.
    ///
    /// # Panics
    /// If it does not end.
    pub fn stop(&mut self) {
        if let Some(server) = &self.server {
            signal(server.id(), Signal::TERM);
            self.ended();
        }
    }

    /// Kills it at once, as a power cut would. Does nothing when it does not run.
    ///
    /// # Panics
    /// If it does not end.
    pub fn kill(&mut self) {
        if let Some(server) = &self.server {
            signal(server.id(), Signal::KILL);
            self.ended();
        }
    }

    /// Starts it again, on the same port and data, and waits until it is ready. Does nothing when it runs.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_again(&mut self) {
        if self.server.is_none()
            && let Err(error) = self.begin()
        {
            panic!("RabbitMQ does not start: {error}");
        }
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

    fn node(&self) -> String {
        format!("callboard-{}@localhost", self.port)
    }

    fn note(&self, file: &str, process: u32) {
        fs::write(self.folder.path().join(file), format!("{process}\n")).expect("our folder");
    }

    fn ended(&mut self) {
        if let Some(mut server) = self.server.take() {
            eventually("the broker ends", || server.try_wait().expect("a child").is_some());
        }
    }

    /// Starts the broker, or says why it did not start.
    fn begin(&mut self) -> Result<(), String> {
        let server = self.spawn();
        self.note("server.pid", server.id());
        let server = self.server.insert(server);
        let deadline = Instant::now() + PATIENCE;
        while !answers(self.port) {
            let ended = server.try_wait().expect("a child").is_some();
            if ended || Instant::now() >= deadline {
                return Err(self.log());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    fn spawn(&self) -> Child {
        let folder = self.folder.path();
        let log = fs::File::options().create(true).append(true).open(folder.join("log")).expect("a log");
        let mut command = unprivileged(&program("rabbitmq-server"), folder, self.epmd_port);
        let file = |name: &str| folder.join(name);
        command
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            // Without a shell between us and the broker.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .env("RABBITMQ_NODENAME", self.node())
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_MNESIA_BASE", file("mnesia"))
            .env("RABBITMQ_LOG_BASE", file("logs"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", file("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", file("enabled_plugins"))
            .env("RABBITMQ_PID_FILE", file("rabbitmq.pid"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2 -kernel inet_dist_use_interface {127,0,0,1}");
        // A group of its own: whoever interrupts the tests does not mean the broker.
        command.process_group(0).stdout(log.try_clone().expect("a log")).stderr(log).stdin(Stdio::null());
        command.spawn().expect("rabbitmq-server starts")
    }
}

impl Drop for PrivateRabbit {
    fn drop(&mut self) {
        for process in self.server.iter_mut().chain([&mut self.epmd, &mut self.watcher]) {
            for id in children(process.id()).into_iter().chain([process.id()]) {
                signal(id, Signal::KILL);
            }
            let _ = process.wait();
        }
    }
}

/// Whether a broker answers there: to the protocol's header with its first frame.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let limit = Some(Duration::from_secs(5));
    if stream.set_read_timeout(limit).is_err() || stream.write_all(b"AMQP\x00\x00\x09\x01").is_err() {
        return false;
    }
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).is_ok() && answer[0] == 1
}

/// One of RabbitMQ's programs; what Debian has in the path runs as its own account only.
fn program(name: &str) -> PathBuf {
    let named = env::var_os("CALLBOARD_TEST_RABBITMQ_BIN").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let folders =
        named.into_iter().chain([PathBuf::from("/usr/lib/rabbitmq/bin")]).chain(env::split_paths(&path));
    let found = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| {
        panic!("RabbitMQ's {name} is not installed; `scripts/services run -- COMMAND` installs it on Debian")
    })
}

/// A program, run by an account that owns nothing but the folder.
fn unprivileged(program: &Path, home: &Path, epmd_port: u16) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("LANG", "C.UTF-8")
        .env("ERL_EPMD_PORT", epmd_port.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .current_dir("/");
    if let Some((user, group)) = account("rabbitmq") {
        command.uid(user).gid(group);
    }
    command
}

fn folder() -> TempDir {
    let usual = env::temp_dir();
    let parent =
        if account("rabbitmq").is_some() && !open_to_all(&usual) { PathBuf::from("/tmp") } else { usual };
    let folder =
        tempfile::Builder::new().prefix("callboard-mq-").tempdir_in(parent).expect("a temporary folder");
    give(folder.path());
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("our folder");
    folder
}

/// A file that the broker's account alone can read.
fn write(path: &Path, text: &str) {
    let _ = fs::remove_file(path);
    fs::write(path, text).expect("our folder");
    fs::set_permissions(path, fs::Permissions::from_mode(0o400)).expect("our file");
    give(path);
}

fn give(path: &Path) {
    if let Some((user, group)) = account("rabbitmq") {
        chown(path, Some(user), Some(group)).expect("root may give things away");
    }
}

/// Different ones, of those that the system does not give to outgoing connections: a broker takes seconds to start, and its port must be free
/// again after a stop.
fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    let mut listeners: Vec<TcpListener> = Vec::new();
    while listeners.len() < COUNT {
        let [high, low, ..] = Uuid::new_v4().into_bytes();
        let port = 15_000 + u16::from_be_bytes([high, low]) % 17_000;
        listeners.extend(TcpListener::bind(("127.0.0.1", port)));
    }
    let ports: Vec<u16> =
        listeners.iter().map(|listener| listener.local_addr().expect("an address").port()).collect();
    ports.try_into().expect("as many")
}

fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for this: {what}");
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::is_alive;

    #[test]
    fn a_broker_comes_back_after_a_stop_and_a_kill_and_leaves_nothing() {
        let mut broker = PrivateRabbit::start();
        assert!(answers(broker.port()));
        broker.ctl(&["add_vhost", "kept"]);
        broker.stop();
        assert!(!answers(broker.port()));
        broker.start_again();
        assert!(broker.ctl(&["list_vhosts"]).lines().any(|name| name == "kept"));
        broker.kill();
        broker.start_again();
        let (folder, server, epmd) =
            (broker.folder.path().to_owned(), broker.server.as_ref().unwrap().id(), broker.epmd.id());
        drop(broker);
        assert!(!is_alive(server) && !is_alive(epmd) && !folder.exists());
    }
}
