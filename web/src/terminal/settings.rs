//! How the web terminal is set up.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use callboard_actors::jobs::command::TerminalProgram;
use secrecy::{ExposeSecret, SecretString};

use crate::settings::Role;

/// How the web terminal is set up.
#[derive(Clone, Debug)]
pub struct TerminalSettings {
    /// What its sessions run.
    pub command: TerminalCommand,
    /// Origins whose pages may use it besides the server's own.
    pub origins: Vec<String>,
    /// Whether nobody may do more than read.
    pub read_only: bool,
    /// How long nobody may type before a session ends.
    pub idle_timeout: Duration,
    /// How long a session lasts at most.
    pub absolute_timeout: Duration,
    /// Sessions of one client address at most.
    pub per_address: usize,
    /// Sessions at most.
    pub max_sessions: usize,
    /// How long a session outlives its connection.
    pub grace: Duration,
    /// How long a reconnect token is good after the connection that was given it.
    pub reconnect_token: Duration,
    /// How long a ticket is good.
    pub ticket: Duration,
    /// Bytes of output that are kept for a client of the JSON protocol.
    pub ring: usize,
    /// Frames of output that are kept for it.
    pub ring_frames: usize,
    /// Bytes of output that are kept for a client of `callboard.terminal.v2`.
    pub ring_v2: usize,
    /// Bytes of output that such a client may have and not have acknowledged.
    pub window: usize,
    /// Time between two pings.
    pub ping: Duration,
    /// How long nothing may be heard of a client before its connection is given up.
    pub dead_after: Duration,
    /// Time between SIGHUP and SIGKILL when a session ends before its program.
    pub kill_grace: Duration,
    /// Folder that what is shown in sessions is recorded to.
    pub recordings: Option<PathBuf>,
    /// Whether clients may ask for failures.
    pub test_mode: bool,
}

/// What sessions run. It is the operator's to choose, and no client's.
#[derive(Clone, Debug)]
pub struct TerminalCommand {
    /// What it is called.
    pub name: String,
    /// The file that is executed.
    pub file: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// What is added to them for those who may only read. With nothing to add they can only watch.
    pub read_only_args: Vec<String>,
    /// Whether it is told, by its environment, where this server is and a token for it that is good as long as the session.
    pub is_console: bool,
}

/// What a session may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    Read,
    Write,
}

impl Scope {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Write => "write",
        }
    }

    /// What somebody of this role may have at most; nobody has a role where no tokens are configured.
    pub(crate) fn of(role: Option<Role>, settings: &TerminalSettings) -> Self {
        let writes = role.is_none_or(|role| role >= Role::Operator) && !settings.read_only;
        if writes { Scope::Write } else { Scope::Read }
    }
}

/// A search path where the server itself has none.
const SAFE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl TerminalCommand {
    /// Whether keys of those who may only read reach it, since it sees to it itself that they change nothing.
    pub(super) fn can_be_read(&self) -> bool {
        !self.read_only_args.is_empty()
    }

    /// The program of a session.
    pub(super) fn program(
        &self,
        scope: Scope,
        grace: Duration,
        server: SocketAddr,
        pass: Option<&SecretString>,
    ) -> TerminalProgram {
        let kept = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let home = kept("HOME").filter(|home| std::path::Path::new(home).is_dir());
        let home = home.unwrap_or_else(|| "/".to_owned());
        let mut env = BTreeMap::from(
            [
                ("TERM", "xterm-256color".to_owned()),
                ("COLORTERM", "truecolor".to_owned()),
                ("LANG", "C.UTF-8".to_owned()),
                ("LC_ALL", "C.UTF-8".to_owned()),
                ("PATH", kept("PATH").unwrap_or_else(|| SAFE_PATH.to_owned())),
                ("HOME", home.clone()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        if self.is_console {
            let port = server.port();
            // What listens everywhere listens here, too.
            let host = match server {
                SocketAddr::V4(at) if at.ip().is_unspecified() => format!("127.0.0.1:{port}"),
                SocketAddr::V6(at) if at.ip().is_unspecified() => format!("[::1]:{port}"),
                at => at.to_string(),
            };
            env.insert("CALLBOARD_URL".to_owned(), format!("http://{host}"));
            if let Some(pass) = pass {
                env.insert("CALLBOARD_TOKEN".to_owned(), pass.expose_secret().to_owned());
            }
        }
        let mut args = self.args.clone();
        if scope == Scope::Read {
            args.extend(self.read_only_args.iter().cloned());
        }
        TerminalProgram {
            name: self.name.clone(),
            file: self.file.clone(),
            args,
            env,
            folder: PathBuf::from(home),
            grace,
        }
    }
}
