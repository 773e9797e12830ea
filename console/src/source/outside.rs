//! The machine: its clipboard, its browser, a server on it.

use std::{env, fs::File, io, path::PathBuf, process::Stdio, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

/// The longest text that is copied; terminals drop longer ones.
const MOST_COPIED: usize = 74_994;
/// How long a browser may take to be started.
const BROWSER: Duration = Duration::from_secs(5);
/// How long a server may take to be ready to listen.
const SERVER: Duration = Duration::from_secs(30);

/// What puts a text into the terminal's clipboard (OSC 52): the terminal is where the person is, wherever this program runs.
pub(crate) fn clipboard(text: &str) -> Result<String, String> {
    if text.len() > MOST_COPIED {
        return Err(format!("at most {MOST_COPIED} bytes can be copied, these are {}", text.len()));
    }
    Ok(format!("\u{1b}]52;c;{}\u{7}", STANDARD.encode(text)))
}

/// Whether a browser that is opened here would be seen by the person: there is a display, and this is no session over SSH.
pub fn has_display() -> bool {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let remote = is_set("SSH_CONNECTION") || is_set("SSH_TTY");
    let display = cfg!(target_os = "macos") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
    display && !remote
}

/// Opens an address in the browser.
pub(super) async fn open(url: &str) -> Result<String, String> {
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return Err(format!("{url} is no web address; nothing was opened"));
    }
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("{program}: {error}; the address is {url}"))?;
    match timeout(BROWSER, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(format!("opened {url}")),
        Ok(Ok(status)) => Err(format!("{program} {status}; the address is {url}")),
        Ok(Err(error)) => Err(format!("{program}: {error}; the address is {url}")),
        // A browser that stays in the foreground is open.
        Err(_) => Ok(format!("opened {url}")),
    }
}

/// The program that can be started as a server.
#[derive(Clone, Debug)]
pub struct ServerProgram {
    /// The program.
    pub program: PathBuf,
    /// What it is given.
    pub arguments: Vec<String>,
    /// Where it logs to.
    pub log: PathBuf,
}

impl ServerProgram {
    /// Starts it, in a group of processes of its own, so that it outlives the console; waits until it listens, and says where.
    pub(super) async fn start(&self) -> Result<String, String> {
        let at_log = |error: io::Error| format!("{}: {error}", self.log.display());
        if let Some(folder) = self.log.parent() {
            std::fs::create_dir_all(folder).map_err(at_log)?;
        }
        let log = File::options().create(true).append(true).open(&self.log).map_err(at_log)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0);
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", self.program.display()))?;
        let Some(stdout) = child.stdout.take() else { return Err("the server has no output".to_owned()) };
        let mut lines = BufReader::new(stdout).lines();
        let listens = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(url) = line.strip_prefix("listening on ") {
                    return Some(url.trim().to_owned());
                }
            }
            None
        };
        match timeout(SERVER, listens).await {
            Ok(Some(url)) => Ok(url),
            Ok(None) => Err(format!("the server has ended; see {}", self.log.display())),
            Err(_) => Err(format!("the server does not listen after {SERVER:?}; see {}", self.log.display())),
        }
    }
}
