//! The units in `deploy/systemd/`.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use super::{
    commands::{Invocation, shared_settings},
    seconds, text,
};

const UNITS: [(&str, &str); 2] =
    [("callboard.service", "callboard.service"), ("callboard-worker@.service", "callboard-worker@1.service")];
/// Where the units find the program.
const PROGRAM: &str = "/usr/bin/callboard";
/// `systemd-analyze security` gives 0 (nothing is allowed) to 100, in tenths of what it shows.
const MOST_EXPOSED: u32 = 20;

/// The values of a key of `[Service]`, with the instance's name in place of `%i`.
fn values(unit: &str, key: &str) -> Vec<String> {
    let text = text(&format!("deploy/systemd/{unit}"));
    let service =
        text.split_once("[Service]\n").expect("a section").1.split("\n[").next().expect("a section");
    let values = service.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    values.map(|value| value.replace("%i", "1")).collect()
}

fn value(unit: &str, key: &str) -> String {
    let values = values(unit, key);
    assert_eq!(values.len(), 1, "{unit}: {key}");
    values.into_iter().next().expect("one")
}

fn invocation(unit: &str) -> Invocation {
    let command = value(unit, "ExecStart");
    let mut words = command.split_whitespace().map(str::to_owned);
    assert_eq!(words.next().as_deref(), Some(PROGRAM), "{unit}");
    Invocation {
        place: unit.to_owned(),
        arguments: words.collect(),
        environment: vec![
            ("CALLBOARD__STORE__URL".to_owned(), "postgres://callboard@db/callboard".to_owned()),
            ("CALLBOARD__WEB__TOKEN".to_owned(), "token".to_owned()),
        ],
        files: vec![shared_settings()],
    }
}

/// A folder with the units as they would be installed, but for the program's place.
fn installed() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for (unit, _) in UNITS {
        let unit_text =
            text(&format!("deploy/systemd/{unit}")).replace(PROGRAM, env!("CARGO_BIN_EXE_callboard"));
        fs::write(folder.path().join(unit), unit_text).expect("a file");
    }
    folder
}

/// systemd's checker, where there is one.
fn analyze(arguments: &[&str], unit: &Path) -> Option<(bool, String)> {
    let output = Command::new("systemd-analyze").args(arguments).arg(unit).output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn systemd_understands_every_line() {
    let folder = installed();
    for (unit, instance) in UNITS {
        // An instance is a template by another name.
        let place = folder.path().join(instance);
        if unit != instance {
            fs::copy(folder.path().join(unit), &place).expect("a file");
        }
        let Some((passed, said)) = analyze(&["verify", "--man=no"], &place) else {
            eprintln!("left out: there is no systemd-analyze");
            return;
        };
        // What it says of other units of this machine is none of ours.
        let ours: Vec<&str> = said.lines().filter(|line| line.contains("callboard")).collect();
        assert!(passed && ours.is_empty(), "{unit}: {said}");
    }
    let broken = folder.path().join("callboard-broken.service");
    let unit = text("deploy/systemd/callboard.service").replace("KillMode=mixed", "KillModes=mixed");
    fs::write(&broken, unit.replace(PROGRAM, env!("CARGO_BIN_EXE_callboard"))).expect("a file");
    let (_, said) = analyze(&["verify", "--man=no"], &broken).expect("it was there before");
    assert!(said.contains("KillModes"), "a misspelled key is told: {said}");
}

#[test]
fn the_units_are_allowed_little() {
    let folder = installed();
    for (unit, _) in UNITS {
        let threshold = format!("--threshold={MOST_EXPOSED}");
        let arguments = ["security", "--offline=true", "--no-pager", &threshold];
        let Some((passed, said)) = analyze(&arguments, &folder.path().join(unit)) else {
            eprintln!("left out: there is no systemd-analyze");
            return;
        };
        assert!(passed, "{unit}: {said}");
    }
}

#[test]
fn every_command_flag_and_setting_is_one_of_the_program() {
    for (unit, _) in UNITS {
        let invocation = invocation(unit);
        invocation.check();
        invocation.has_time_to_stop(seconds(&value(unit, "TimeoutStopSec")), 0);
        assert_eq!(value(unit, "KillMode"), "mixed", "the server stops its programs itself");
        // A usage error of the program, which the next start would end with as well.
        assert_eq!(
            (value(unit, "Restart"), value(unit, "RestartPreventExitStatus")),
            ("always".into(), "2".into())
        );
    }
    assert_eq!(invocation("callboard.service").arguments[0], "serve");
    assert_eq!(invocation("callboard-worker@.service").arguments[0], "worker");
}

#[test]
fn each_node_has_a_folder_and_the_account_of_its_own() {
    let mut folders = Vec::new();
    for (unit, _) in UNITS {
        let arguments = invocation(unit).arguments;
        let data =
            arguments.iter().skip_while(|argument| *argument != "--data").nth(1).expect("--data").clone();
        assert_eq!(data, format!("/var/lib/{}", value(unit, "StateDirectory")), "{unit}");
        assert_eq!(data, value(unit, "WorkingDirectory"), "{unit}");
        folders.push(data);
        let account = format!("u {} ", value(unit, "User"));
        let accounts = text("deploy/systemd/callboard.sysusers");
        assert!(accounts.lines().any(|line| line.starts_with(&account)), "{unit}: {account}");
        assert_eq!(values(unit, "EnvironmentFile")[0], "-/etc/callboard/callboard.env", "{unit}");
    }
    assert_ne!(folders[0], folders[1]);
}
