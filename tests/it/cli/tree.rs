//! `tree`, `queues`, `config show`, `completions`, and colours.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use super::{code, err, out};
use crate::server::{Options, Server, callboard, run};

/// The text with each number as `N`.
fn without_numbers(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars() {
        match letter {
            '0'..='9' if shown.ends_with('N') => {}
            '0'..='9' => shown.push('N'),
            other => shown.push(other),
        }
    }
    shown
}

#[test]
fn the_tree_is_drawn_whole_or_in_part() {
    let server = Server::start(&Options::default());
    assert_eq!(code(&server.cli(&["submit", "noop", "--wait"])), 0);
    let whole = server.cli(&["tree", "--ascii", "--path", "queues"]);
    let expected = "\
queues (running)  restarts N/N
+- completer (ready)  mailbox N/N  handled N
+- reporter (ready)  mailbox N/N  handled N
+- signals (ready)  mailbox N/N  handled N
`- queue-default (running)  restarts N/N
   +- jobs (running)  restarts N/N
   `- producer (running)  mailbox N/N  handled N
";
    assert_eq!(without_numbers(&out(&whole)), expected);
    let part = server.cli(&["tree", "--path", "queues", "--depth", "1"]);
    let expected = "\
queues (running)  restarts N/N
├─ completer (ready)  mailbox N/N  handled N
├─ reporter (ready)  mailbox N/N  handled N
├─ signals (ready)  mailbox N/N  handled N
└─ queue-default (running)  restarts N/N
";
    assert_eq!(without_numbers(&out(&part)), expected);
    let json = server.json(&["tree", "--path", "edges/store", "--json"]);
    assert_eq!((&json["path"], &json["name"]), (&"edges/store".into(), &"store".into()));
    let wrong = server.cli(&["tree", "--path", "edges/stor"]);
    let said = "callboard: there is no node \"edges/stor\" in the tree; below \"edges\" there is store\n";
    assert_eq!((code(&wrong), &*err(&wrong)), (1, said));
}

#[test]
fn the_tree_is_watched_until_nobody_looks() {
    let server = Server::start(&Options::default());
    let mut command = server.command(&["tree", "--watch=100ms", "--json", "--depth", "0"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for _ in 0..3 {
        let line = lines.next().expect("another one").expect("UTF-8");
        let tree: serde_json::Value = serde_json::from_str(&line).expect("one object a line");
        assert_eq!((&tree["name"], &tree["children"]), (&"root".into(), &serde_json::Value::Null));
    }
    drop(lines);
    let output = child.wait_with_output().expect("an end");
    assert_eq!((code(&output), &*err(&output)), (0, ""));
}

#[test]
fn colours_are_for_who_wants_them() {
    let server = Server::start(&Options::default());
    let always = server.command(&["tree", "--color", "always"]).env("NO_COLOR", "1").output();
    assert!(out(&always.expect("the program starts")).contains("root (\u{1b}[32mrunning\u{1b}[0m)"));
    for arguments in [["tree", "--color=auto"], ["tree", "--color=never"], ["queues", "--color=auto"]] {
        assert!(!out(&server.cli(&arguments)).contains('\u{1b}'), "{arguments:?}");
    }
    assert!(out(&run(&["--help", "--color=always"])).contains('\u{1b}'));
    assert!(!out(&run(&["--help"])).contains('\u{1b}'));
}

#[test]
fn queues_have_their_numbers() {
    let server = Server::start(&Options::default());
    assert_eq!(code(&server.cli(&["submit", "noop", "--count", "3", "--wait"])), 0);
    let shown = out(&server.cli(&["queues"]));
    let row: Vec<&str> = shown.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!(row, ["default", "50", "0", "0", "0", "0", "0", "3", "0", "0"]);
    assert_eq!(server.json(&["queues", "--json"])[0]["completed"], 3);
}

#[test]
fn settings_are_shown_with_their_sources() {
    let output = callboard()
        .args([
            "config",
            "show",
            "--set",
            "web.workers=3",
            "--set",
            "web.token=a-long-enough-secret-for-a-test",
        ])
        .env("CALLBOARD__LOG__LEVEL", "debug")
        .output()
        .expect("the program starts");
    let shown = out(&output);
    let row = |key: &str| -> Vec<String> {
        let line = shown.lines().find(|line| line.split_whitespace().next() == Some(key));
        line.unwrap_or_else(|| panic!("{key} in {shown}")).split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(row("web.workers")[1..], ["3", "at", "a", "restart", "flag", "--set"]);
    assert!(row("log.level").join(" ").contains("CALLBOARD__LOG__LEVEL"), "{:?}", row("log.level"));
    assert!(!shown.contains("a-long-enough-secret"), "secrets are masked");
}

#[test]
fn shells_can_complete() {
    for (shell, holds) in
        [("bash", "_callboard()"), ("zsh", "#compdef callboard"), ("fish", "complete -c callboard")]
    {
        let output = run(&["completions", shell]);
        assert_eq!(code(&output), 0, "{}", err(&output));
        assert!(out(&output).contains(holds), "{shell}");
    }
}
