//! Command lines of the program, as manifests have them, given to the program itself.

use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use super::text;
use crate::server::callboard;

/// How long the tree may take to stop, beside `jobs.shutdown_grace` (`src/app.rs`).
const TREE: u64 = 15;

/// A command line with its variables, and the files that it reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Invocation {
    /// Where it stands.
    pub(super) place: String,
    /// Without the program's own name.
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    /// The path at which the command finds a file, and what is in it.
    pub(super) files: Vec<(String, String)>,
}

/// The settings that a command line comes to.
pub(super) struct Effective(Vec<(String, String)>);

impl Effective {
    /// A setting, as TOML.
    pub(super) fn get(&self, key: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == key);
        &found.unwrap_or_else(|| panic!("no setting {key}")).1
    }
}

impl Invocation {
    /// Has the program read all of it, and gives the settings that it comes to.
    pub(super) fn check(&self) -> Effective {
        let place = &self.place;
        let (folder, arguments) = self.with_files();
        let environment = self.environment.clone();
        // Behind all others, `--help` is reached only when those were understood.
        let output = callboard().args(&arguments).arg("--help").envs(environment.clone()).output();
        let output = output.expect("the program starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{place}: {arguments:?}: {said}");
        let mut shown = callboard();
        shown.args(["config", "show", "--json"]).envs(environment).current_dir(folder.path());
        if arguments[0] == "serve" {
            shown.args(&arguments[1..]);
        } else if let Some(at) = arguments.iter().position(|argument| argument == "--config") {
            shown.args(&arguments[at..at + 2]);
        }
        let output = shown.output().expect("the program starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{place}: {said}");
        let values: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
        let text = |value: &Value, key: &str| value[key].as_str().expect("a text").to_owned();
        Effective(values.iter().map(|value| (text(value, "key"), text(value, "value"))).collect())
    }

    /// The arguments with each file where it can be read.
    pub(super) fn with_files(&self) -> (TempDir, Vec<String>) {
        let folder = TempDir::new().expect("a folder");
        let place = |path: &str| folder.path().join(path.trim_start_matches('/').replace('/', "-"));
        for (path, content) in &self.files {
            fs::write(place(path), content).expect("a file");
        }
        let arguments = self.arguments.iter().map(|argument| {
            match self.files.iter().find(|(path, _)| path == argument) {
                Some((path, _)) => utf8(&place(path)),
                None => argument.clone(),
            }
        });
        let arguments = arguments.collect();
        (folder, arguments)
    }

    /// A server listens where its settings say, a worker where its flag does.
    pub(super) fn listens_at(&self, address: &str, effective: &Effective) {
        let place = &self.place;
        match &*self.arguments[0] {
            "worker" => assert_eq!(self.flag("--listen"), Some(address), "{place}"),
            _ => assert_eq!(effective.get("web.listen"), format!("\"{address}\""), "{place}"),
        }
    }

    /// What stands behind a flag.
    pub(super) fn flag(&self, name: &str) -> Option<&str> {
        self.arguments.iter().skip_while(|argument| *argument != name).nth(1).map(String::as_str)
    }

    /// The node has the time to stop that its settings promise: `given` seconds, of which `before` are spent before it is told.
    pub(super) fn has_time_to_stop(&self, given: u64, before: u64) {
        let effective = self.check();
        let grace = super::seconds(effective.get("jobs.shutdown_grace").trim_matches('"'));
        let needed = grace + TREE + before;
        assert!(given > needed, "{}: {given} s to stop, {needed} are needed", self.place);
    }
}

fn utf8(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// The settings that compose.yaml and the units have in common.
pub(super) fn shared_settings() -> (String, String) {
    ("/etc/callboard/callboard.toml".to_owned(), text("deploy/callboard.toml"))
}

#[test]
fn a_flag_and_a_setting_that_are_none_are_found() {
    let invocation = |arguments: &[&str], name: &str| Invocation {
        place: "this test".to_owned(),
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        environment: vec![(name.to_owned(), "1s".to_owned())],
        files: Vec::new(),
    };
    let passes = |invocation: Invocation| std::panic::catch_unwind(|| drop(invocation.check())).is_ok();
    assert!(passes(invocation(&["serve", "--log", "json"], "CALLBOARD__RETRY__MIN")));
    assert!(!passes(invocation(&["serve", "--logs", "json"], "CALLBOARD__RETRY__MIN")));
    assert!(!passes(invocation(&["serve", "--log", "xml"], "CALLBOARD__RETRY__MIN")));
    assert!(!passes(invocation(&["serve", "--log", "json"], "CALLBOARD__RETRY__LEAST")));
    assert!(!passes(invocation(&["server"], "CALLBOARD__RETRY__MIN")));
}
