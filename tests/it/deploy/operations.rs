//! `docs/operations.md`: its runbooks are there, and its commands work.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Output},
};

use callboard_testsupport::Database;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::text;
use crate::server::{Options, Server, eventually, run};

const PAGE: &str = "docs/operations.md";

/// The page's headings below its sections.
pub(super) fn headings() -> Vec<String> {
    text(PAGE).lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_owned).collect()
}

/// The commands that stand behind `<!-- run: NAME -->`.
fn commands(name: &str) -> String {
    let page = text(PAGE);
    let marker = format!("<!-- run: {name} -->\n```sh\n");
    let (_, rest) = page.split_once(&marker).unwrap_or_else(|| panic!("{PAGE} has no {name}"));
    rest.split_once("```").expect("an end").0.to_owned()
}

/// A place where the page's commands run: its folders are the test's, and services are the test's to stop and start.
struct Host {
    folder: TempDir,
}

impl Host {
    fn new() -> Host {
        let folder = TempDir::new().expect("a folder");
        for name in ["bin", "backup"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        symlink(env!("CARGO_BIN_EXE_callboard"), folder.path().join("bin/callboard")).expect("a link");
        let systemctl = folder.path().join("bin/systemctl");
        fs::write(&systemctl, "#!/bin/sh\n").expect("a file");
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).expect("our file");
        Host { folder }
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// Runs what the page says, here.
    fn run(&self, name: &str, url: Option<&str>) -> String {
        let place = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let script = commands(name)
            .replace("/var/lib/callboard", &place(&self.data()))
            .replace("/backup", &place(&self.folder.path().join("backup")))
            // There is no such account here.
            .replace(" --owner callboard --group callboard", "");
        let path =
            format!("{}:{}", place(&self.folder.path().join("bin")), std::env::var("PATH").expect("a path"));
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", &script]).current_dir(self.folder.path()).env("PATH", path);
        if let Some(url) = url {
            shell.env("CALLBOARD__STORE__URL", url);
        }
        let output: Output = shell.output().expect("bash");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{name}: {script}: {said}");
        said
    }
}

fn submit(server: &Server, id: &str) {
    let answer = server.post("/api/v1/jobs", &json!({ "type": "noop", "id": id }).to_string());
    assert_eq!(answer.status, 202, "{answer:?}");
    eventually("it is done", || job(server, id)["state"] == "completed");
}

fn job(server: &Server, id: &str) -> Value {
    server.get(&format!("/api/v1/jobs/{id}")).json()
}

const BEFORE: &str = "01890a5d-ac96-774b-bcce-b302099a8001";
const AFTER: &str = "01890a5d-ac96-774b-bcce-b302099a8002";

#[test]
fn an_sqlite_store_is_copied_checked_and_restored_as_the_page_says() {
    let host = Host::new();
    let server = Server::start_on(&host.data(), &Options::default()).expect("a server");
    submit(&server, BEFORE);
    let before = job(&server, BEFORE);
    host.run("sqlite-backup", None);
    host.run("sqlite-check", None);
    submit(&server, AFTER);
    // As `systemctl stop` has it end; killed, it leaves its log of writes behind, which must not be mixed with the copy.
    server.kill();
    host.run("sqlite-restore", None);
    let server = Server::start_on(&host.data(), &Options::default()).expect("a server on the copy");
    assert_eq!(job(&server, BEFORE), before);
    assert_eq!(server.get(&format!("/api/v1/jobs/{AFTER}")).status, 404, "it came after the copy");
    submit(&server, AFTER);
}

#[test]
fn a_postgres_store_is_copied_restored_and_looked_at_as_the_page_says() {
    let (host, database) = (Host::new(), Database::create());
    let options = || {
        let mut options = Options::arguments(&["--set", "store.backend=postgres"]);
        options.environment.push(("CALLBOARD__STORE__URL".to_owned(), database.url().to_owned()));
        options
    };
    let mut server = Server::start_on(&host.data(), &options()).expect("a server");
    submit(&server, BEFORE);
    let before = job(&server, BEFORE);
    let url = Some(database.url());
    host.run("postgres-backup", url);
    submit(&server, AFTER);
    server.signal(rustix::process::Signal::TERM);
    assert!(server.wait().success(), "{}", server.log());
    host.run("postgres-restore", url);
    let server = Server::start_on(&host.data(), &options()).expect("a server on the copy");
    assert_eq!(job(&server, BEFORE), before);
    assert_eq!(server.get(&format!("/api/v1/jobs/{AFTER}")).status, 404, "it came after the copy");
    submit(&server, AFTER);

    host.run("migrate-preview", url);
    let shown = host.run("settings-preview", url);
    assert!(shown.contains("store.backend") && !shown.contains(database.url()), "{shown}");
}

#[test]
fn every_command_of_the_page_is_one_of_the_program() {
    let page = text(PAGE);
    // In lines of their own, and between backquotes.
    let lines = page.lines().filter(|line| line.starts_with("callboard ")).map(str::to_owned);
    let quoted = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|quoted| quoted.starts_with("callboard "))
        .map(str::to_owned);
    let mut commands: Vec<String> = lines.chain(quoted).collect();
    commands.sort();
    commands.dedup();
    assert!(commands.len() > 20, "{commands:?}");
    for command in commands {
        // Placeholders, with what may stand there.
        let id = |word| if word == "ID" { BEFORE } else { word };
        let mut words: Vec<&str> = command.split_whitespace().skip(1).map(id).collect();
        words.push("--help");
        let output = run(&words);
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_setting_and_file_that_the_page_names_is_there() {
    let page = text(PAGE);
    let sections: Vec<&str> = callboard::config::DEFAULT_TOML
        .lines()
        .filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'))
        .collect();
    let shown = run(&["config", "show", "--json"]);
    let known: Vec<Value> = serde_json::from_slice(&shown.stdout).expect("JSON");
    let mut settings = 0;
    for quoted in page.split('`').skip(1).step_by(2) {
        let name =
            quoted.split(['=', ' ']).next().unwrap_or_default().replace("queues.NAME", "queues.default");
        let Some((section, key)) = name.split_once('.') else { continue };
        let is_name = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || b"_.".contains(&byte))
        };
        if !sections.contains(&section) || !is_name(key) || name.ends_with(".md") {
            continue;
        }
        settings += 1;
        assert!(known.iter().any(|value| value["key"] == name), "{name}");
    }
    assert!(settings > 15, "{settings}");
    for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        if file.starts_with("https://") {
            continue;
        }
        let place = super::path("docs").join(file);
        assert!(file.is_empty() || place.exists(), "{link}");
        if !heading.is_empty() && file.is_empty() {
            let anchors = page
                .lines()
                .filter_map(|line| Some(line.trim_start_matches('#').strip_prefix(' ')?.to_lowercase()));
            assert!(anchors.map(|anchor| anchor.replace(' ', "-")).any(|anchor| anchor == heading), "{link}");
        }
    }
}
