//! What this machine needs, whether it has it, and what is to be done if it does not.

use std::{
    env,
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use callboard_client::Client;
use callboard_contracts::Timestamp;

use crate::{config::Config, source::has_display};

/// Files that a server should be able to have open.
const FILES: u64 = 1024;
/// Free bytes of the data folder's disk below which that is doubtful.
const FREE: u64 = 1 << 30;
/// How far the clocks of this machine and of the server may be apart.
const CLOCKS_MS: i64 = 2_000;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It is there.
    Good,
    /// Something is missing without which some things do not work.
    Doubtful,
    /// It is missing.
    Bad,
}

impl Verdict {
    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Good => "good",
            Verdict::Doubtful => "warning",
            Verdict::Bad => "missing",
        }
    }
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is called.
    pub name: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// The command, or the change, that mends it.
    pub remedy: Option<String>,
    /// What it is needed for.
    pub about: &'static str,
}

/// What is looked at.
#[derive(Debug)]
pub struct Subject {
    /// The server that is talked to.
    pub client: Option<Client>,
    /// The data folder of a server here.
    pub data: Option<PathBuf>,
    /// The configuration of the console.
    pub config: Option<PathBuf>,
    /// Whether this is asked within the console, which has a terminal.
    pub in_console: bool,
}

/// Looks at everything.
pub async fn examine(subject: Subject) -> Vec<Check> {
    let Subject { client, data, config, in_console } = subject;
    let here = move || {
        let tools = Tools::find();
        let mut checks = vec![
            terminal(&tools, in_console),
            letters(&tools),
            certificates(&tools),
            browser(&tools),
            files(),
        ];
        checks.extend(data.map(|data| folder(&data)));
        checks.push(settings(config.as_deref()));
        checks
    };
    // Folders are looked at, which may take its time.
    let checks = tokio::task::spawn_blocking(here).await;
    let mut checks = checks.unwrap_or_default();
    checks.extend(server(client).await);
    checks
}

/// What software is installed with here.
struct Tools(Option<&'static str>);

impl Tools {
    fn find() -> Tools {
        let all = ["apt-get", "dnf", "apk", "pacman", "zypper", "brew"];
        Tools(all.into_iter().find(|program| is_installed(program)))
    }

    /// The command that installs a package, which has a name in each of the systems: those of Debian, Fedora, Alpine, Arch, SUSE
    /// and Homebrew.
    fn install(&self, names: [&str; 6]) -> String {
        let [debian, fedora, alpine, arch, suse, brew] = names;
        match self.0 {
            Some("apt-get") => format!("sudo apt-get install -y {debian}"),
            Some("dnf") => format!("sudo dnf install -y {fedora}"),
            Some("apk") => format!("sudo apk add {alpine}"),
            Some("pacman") => format!("sudo pacman -S --noconfirm {arch}"),
            Some("zypper") => format!("sudo zypper install -y {suse}"),
            Some(_) => format!("brew install {brew}"),
            None => format!("install {debian} with your system's package manager"),
        }
    }
}

fn is_installed(program: &str) -> bool {
    let paths = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

fn is_set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Why the console cannot be drawn on the terminal that `TERM` names, and the command that mends it.
pub fn unfit_terminal(term: &str) -> Option<(String, String)> {
    let unfit = term.is_empty() || term == "dumb";
    unfit.then(|| (format!("TERM is {term:?}"), "export TERM=xterm-256color".to_owned()))
}

fn terminal(tools: &Tools, in_console: bool) -> Check {
    let about = "The console draws on a terminal that can move its cursor.";
    let name = "terminal";
    let term = is_set("TERM").unwrap_or_default();
    let check = |verdict, found: String, remedy| Check { name, verdict, found, remedy, about };
    if let Some((found, remedy)) = unfit_terminal(&term) {
        return check(Verdict::Bad, found, Some(remedy));
    }
    let first = term.chars().next().unwrap_or('x');
    let places = [
        "/etc/terminfo",
        "/lib/terminfo",
        "/usr/share/terminfo",
        "/usr/lib/terminfo",
        "/usr/local/share/terminfo",
    ];
    let own = is_set("TERMINFO").map(PathBuf::from);
    let home = is_set("HOME").map(|home| PathBuf::from(home).join(".terminfo"));
    let mut places = places.iter().map(PathBuf::from).chain(own).chain(home);
    let known = places.any(|place| {
        place.join(first.to_string()).join(&term).exists()
            || place.join(format!("{:x}", u32::from(first))).join(&term).exists()
    });
    if !known && !in_console {
        let names = ["ncurses-term", "ncurses-term", "ncurses-terminfo", "ncurses", "terminfo", "ncurses"];
        let found = format!("TERM is {term}, which this system has no description of");
        return check(Verdict::Doubtful, found, Some(tools.install(names)));
    }
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col > 0 && (size.ws_col < 80 || size.ws_row < 24) => {
            let found = format!("{term}, {}x{}", size.ws_col, size.ws_row);
            check(Verdict::Doubtful, found, Some("make the terminal 80x24 or larger".to_owned()))
        }
        Ok(size) => check(Verdict::Good, format!("{term}, {}x{}", size.ws_col, size.ws_row), None),
        Err(_) => check(Verdict::Good, format!("{term}; the output is no terminal now"), None),
    }
}

fn letters(tools: &Tools) -> Check {
    let about =
        "Bars and lines are drawn with letters of Unicode; without, the console draws them with ASCII.";
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(is_set).unwrap_or_default();
    if is_utf8(&locale) {
        return Check { name: "letters", verdict: Verdict::Good, found: locale, remedy: None, about };
    }
    let found =
        if locale.is_empty() { "no locale is set".to_owned() } else { format!("{locale} is not UTF-8") };
    let names = ["locales", "glibc-langpack-en", "musl-locales", "glibc", "glibc-locale", "gettext"];
    let remedy = Some(format!("export LC_ALL=C.UTF-8\n(if it is not known here: {})", tools.install(names)));
    Check { name: "letters", verdict: Verdict::Doubtful, found, remedy, about }
}

/// Whether a locale is one of UTF-8.
pub fn is_utf8(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

fn certificates(tools: &Tools) -> Check {
    let about = "Jobs of the type http, and brokers and databases over TLS, need the system's certificates.";
    let places = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ];
    let own = is_set("SSL_CERT_FILE").map(PathBuf::from);
    let mut found = own.into_iter().chain(places.iter().map(PathBuf::from)).filter(|path| path.is_file());
    match found.next() {
        Some(path) => {
            let found = path.display().to_string();
            Check { name: "certificates", verdict: Verdict::Good, found, remedy: None, about }
        }
        None => Check {
            name: "certificates",
            verdict: Verdict::Doubtful,
            found: "no bundle of certificates is here".to_owned(),
            remedy: Some(tools.install(["ca-certificates"; 6])),
            about,
        },
    }
}

fn browser(tools: &Tools) -> Check {
    let about = "U opens web interfaces in a browser; without one, and over SSH, it prints their addresses.";
    let check = |verdict, found: &str, remedy| Check {
        name: "browser",
        verdict,
        found: found.to_owned(),
        remedy,
        about,
    };
    if !has_display() {
        return check(Verdict::Good, "no display, or over SSH: addresses are printed", None);
    }
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    if is_installed(program) {
        return check(Verdict::Good, program, None);
    }
    check(Verdict::Doubtful, "xdg-open is not installed", Some(tools.install(["xdg-utils"; 6])))
}

fn files() -> Check {
    let about = "Each connection to a server is an open file.";
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let name = "open files";
    match limit {
        Some(limit) if limit < FILES => Check {
            name,
            verdict: Verdict::Doubtful,
            found: format!("at most {limit}"),
            remedy: Some(format!("ulimit -n {FILES}")),
            about,
        },
        limit => {
            let found = limit.map_or("no limit".to_owned(), |limit| format!("at most {limit}"));
            Check { name, verdict: Verdict::Good, found, remedy: None, about }
        }
    }
}

fn folder(data: &Path) -> Check {
    let about = "A server keeps its jobs there, if it is one with the embedded store.";
    let name = "data folder";
    let at = data.display();
    let check = |verdict, found: String, remedy| Check { name, verdict, found, remedy, about };
    // A folder that is not there yet is made in the first one above it that is.
    let Some(there) = data
        .ancestors()
        .map(|path| if path.as_os_str().is_empty() { Path::new(".") } else { path })
        .find(|path| path.exists())
    else {
        return check(Verdict::Bad, format!("{at}: there is no such place"), Some(format!("mkdir -p {at}")));
    };
    let probe = there.join(format!(".callboard-doctor-{}", std::process::id()));
    let written =
        File::options().write(true).create_new(true).open(&probe).and_then(|mut file| file.write_all(b"x"));
    let removed = fs::remove_file(&probe);
    if let Err(error) = written {
        let remedy = match error.kind() {
            ErrorKind::PermissionDenied => Some(format!("sudo chown -R \"$(id -un)\" {}", there.display())),
            ErrorKind::StorageFull => Some(format!("make room on the disk of {}", there.display())),
            _ => None,
        };
        return check(Verdict::Bad, format!("{at}: {error}"), remedy);
    }
    if let Err(error) = removed {
        tracing::warn!(%error, "the doctor's file cannot be removed");
    }
    match rustix::fs::statvfs(there) {
        Ok(disk) if disk.f_bavail.saturating_mul(disk.f_frsize) < FREE => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize) >> 20;
            let remedy = format!("make room on the disk of {}", there.display());
            check(Verdict::Doubtful, format!("{at} can be written, {free} MiB are free"), Some(remedy))
        }
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize) >> 30;
            check(Verdict::Good, format!("{at} can be written, {free} GiB are free"), None)
        }
        Err(error) => check(Verdict::Doubtful, format!("{at} can be written; its disk: {error}"), None),
    }
}

fn settings(path: Option<&Path>) -> Check {
    let about = "Keys and colours of the console.";
    let name = "console.toml";
    match path {
        None => Check {
            name,
            verdict: Verdict::Good,
            found: "no folder for it is known".to_owned(),
            remedy: None,
            about,
        },
        Some(path) => match Config::read(path) {
            Ok(None) => {
                let found = format!("{} is not there; the defaults hold", path.display());
                Check { name, verdict: Verdict::Good, found, remedy: None, about }
            }
            Ok(Some(_)) => {
                Check { name, verdict: Verdict::Good, found: path.display().to_string(), remedy: None, about }
            }
            Err(error) => Check {
                name,
                verdict: Verdict::Bad,
                found: error.to_string(),
                remedy: Some(format!("edit {}", path.display())),
                about,
            },
        },
    }
}

async fn server(client: Option<Client>) -> Vec<Check> {
    let about = "The console and the command line talk to a server over HTTP.";
    let name = "server";
    let Some(client) = client else {
        let remedy = Some("callboard serve".to_owned());
        let found = "no server was found".to_owned();
        return vec![Check { name, verdict: Verdict::Bad, found, remedy, about }];
    };
    let ready = match client.ready().await {
        Ok(ready) => ready,
        Err(error) => {
            let remedy = Some("callboard serve".to_owned());
            return vec![Check { name, verdict: Verdict::Bad, found: error.to_string(), remedy, about }];
        }
    };
    let mut checks = Vec::new();
    let reasons: Vec<String> =
        ready.reasons.iter().map(|reason| format!("{}: {}", reason.actor, reason.reason)).collect();
    let found = format!("{} is {}, version {}", client.url(), ready.status, ready.version);
    let (verdict, remedy) = match ready.status.as_str() {
        "ready" => (Verdict::Good, None),
        _ => (Verdict::Doubtful, Some(format!("see the tree: {}", reasons.join("; ")))),
    };
    checks.push(Check { name, verdict, found, remedy, about });
    let own = env!("CARGO_PKG_VERSION");
    if ready.version != own {
        checks.push(Check {
            name: "version",
            verdict: Verdict::Doubtful,
            found: format!("the server is {}, this program {own}", ready.version),
            remedy: Some("use the same version of both".to_owned()),
            about: "Programs of different versions may not know all of each other's answers.",
        });
    }
    match client.nodes().await {
        Ok(nodes) => {
            // Whoever was seen last was seen a heartbeat ago at most.
            let newest = nodes.iter().map(|node| node.last_seen).max();
            let ahead = newest.map(|seen| (seen.as_micros() - Timestamp::now().as_micros()) / 1000);
            if let Some(ahead) = ahead.filter(|ahead| *ahead > CLOCKS_MS) {
                checks.push(Check {
                    name: "clock",
                    verdict: Verdict::Doubtful,
                    found: format!("the server's clock is {ahead} ms ahead of this one"),
                    remedy: Some("sudo timedatectl set-ntp true".to_owned()),
                    about: "Ages are shown by the clock of this machine.",
                });
            }
        }
        Err(error) => checks.push(Check {
            name: "token",
            verdict: Verdict::Bad,
            found: error.to_string(),
            remedy: Some("export CALLBOARD_TOKEN=…".to_owned()),
            about: "A server with tokens answers those who have one.",
        }),
    }
    checks
}
