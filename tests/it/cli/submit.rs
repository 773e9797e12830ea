//! `submit`: files, pipes, bounds, interruption.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{code, err, out, with_input};
use crate::server::{Options, Server};

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8001";

fn available_or_finished(server: &Server) -> u64 {
    let queue = &server.get("/api/v1/queues/default").json();
    ["available", "executing", "completed"].iter().filter_map(|state| queue[*state].as_u64()).sum()
}

#[test]
fn a_file_may_be_lines_or_an_array_and_sent_twice() {
    let server = Server::start(&Options::default());
    let file = server.data.with_extension("json");
    let name = file.to_str().expect("UTF-8");
    fs::write(&file, format!("[{{\"type\":\"noop\",\"id\":\"{ID}\"}}]\n")).expect("a file");
    let first = server.json(&["submit", "--file", name, "--json"]);
    assert_eq!((&first["id"], &first["duplicate"]), (&ID.into(), &false.into()));
    fs::write(&file, format!("{{\"id\":\"{ID}\",\"type\":\"noop\"}}\n")).expect("a file");
    let second = server.json(&["submit", "-f", name, "--json"]);
    assert_eq!((&second["event_id"], &second["duplicate"]), (&first["event_id"], &true.into()));
    let input = format!("\n{{\"type\":\"noop\",\"id\":\"{ID}\"}}\n");
    for arguments in [["submit", "--json", "-"], ["submit", "--json", "--file=-"]] {
        let third = with_input(server.command(&arguments), &input);
        let third: Value = serde_json::from_str(&out(&third)).expect("JSON");
        assert_eq!(third["duplicate"], true);
    }
}

#[test]
fn wrong_lines_are_named_and_the_others_are_sent() {
    let server = Server::start(&Options::default());
    let file = server.data.with_extension("ndjson");
    let name = file.to_str().expect("UTF-8");
    let lines = "{\"type\":\"noop\"}\n\n{\"type\":\"nope\"}\n{\"type\":\"sleep\"}\n{\"type\":\"noop\"}\n";
    fs::write(&file, lines).expect("a file");
    let output = server.cli(&["submit", "--file", name]);
    let said = format!(
        "callboard: {name}:3: Nobody handles this job type: no handler for job type \"nope\"; there are command, noop, \
         sleep\n\
         callboard: {name}:4: The request does not fit its schema: /payload: \"ms\" is a required property\n\
         2 accepted, 2 refused\n"
    );
    assert_eq!((code(&output), err(&output), out(&output).lines().count()), (1, said, 2));

    fs::write(&file, "{\"type\":\"noop\"}\n{\"type\":\n{\"type\":\"noop\"}\n").expect("a file");
    let output = server.cli(&["submit", "--file", name, "--json"]);
    let error: Value = serde_json::from_str(&err(&output)).expect("one object");
    assert_eq!(error["exit_code"], 2);
    assert!(
        error["error"].as_str().expect("a text").starts_with(&format!("{name}:2:0: a JSON object is needed"))
    );
    assert_eq!((code(&output), out(&output).lines().count()), (2, 2));
}

#[test]
fn jobs_that_one_request_cannot_hold_are_sent_in_smaller_ones() {
    let server = Server::start(&Options::arguments(&[
        "--set",
        "web.max_body=16KiB",
        "--set",
        "web.max_batch=7",
        "--set",
        "jobs.max_payload=16KiB",
    ]));
    let small = "{\"type\":\"noop\",\"metadata\":{\"a\":\"b\"}}\n".repeat(100);
    let large = format!("{{\"type\":\"noop\",\"metadata\":{{\"a\":\"{}\"}}}}\n", "x".repeat(20_000));
    let output = with_input(server.command(&["submit", "-"]), &format!("{small}{large}{small}"));
    let said = err(&output);
    assert!(said.starts_with("callboard: standard input:101: The request is too large: "), "{said}");
    assert!(said.ends_with("\n200 accepted, 1 refused\n"), "{said}");
    assert_eq!((code(&output), available_or_finished(&server)), (1, 200));
}

#[test]
fn a_full_queue_is_waited_for() {
    let server = Server::start(&Options::arguments(&["--set", "queue_defaults.max_backlog=20"]));
    let output = server.cli(&["submit", "sleep", "--payload", r#"{"ms":5}"#, "--count", "200", "--quiet"]);
    assert_eq!((code(&output), &*err(&output), out(&output).lines().count()), (0, "", 200));
}

#[test]
fn a_reader_that_goes_away_does_not_halve_a_submission() {
    let server = Server::start(&Options::default());
    let mut command = server.command(&["submit", "noop", "--count", "2500"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut line = String::new();
    BufReader::with_capacity(1, child.stdout.take().expect("a pipe")).read_line(&mut line).expect("an id");
    let output = child.wait_with_output().expect("an end");
    assert_eq!((code(&output), &*err(&output)), (0, "2500 accepted\n"));
    assert_eq!(available_or_finished(&server), 2500);

    let mut command = server.command(&["jobs", "list", "--all"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    BufReader::with_capacity(1, child.stdout.take().expect("a pipe"))
        .read_line(&mut line)
        .expect("a heading");
    let output = child.wait_with_output().expect("an end");
    assert_eq!((code(&output), &*err(&output)), (0, ""), "a listing ends quietly");
}

#[test]
fn an_interrupted_submission_says_what_was_accepted() {
    let server = Server::start(&Options::default());
    for wait in [false, true] {
        let mut command = server.command(&["submit", "-"]);
        if wait {
            command.arg("--wait");
        }
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(b"{\"type\":\"noop\"}\n").expect("it reads");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("a line");
        kill_process(Pid::from_child(&child), Signal::INT).expect("it is there");
        let mut said = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("UTF-8");
        let more = if wait { "; 1 completed; they go on without this command" } else { "" };
        let expected = format!(
            "callboard: interrupted; 1 job was accepted, the last answer was for standard input:1{more}\n"
        );
        assert_eq!((child.wait().expect("an end").code(), said), (Some(130), expected));
        drop(stdin);
    }
}
