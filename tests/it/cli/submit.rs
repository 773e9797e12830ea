//! `submit`: files, pipes, bounds, interruption.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{code, err, out, proxy::WithoutStreams, with_input};
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
        "callboard: {name}:3: Nobody handles this job type: no handler for job type \"nope\"; there are command, http, \
         noop, sleep\n\
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
fn a_server_without_streams_is_sent_batches() {
    const JOBS: usize = 1200;
    let lines: String = (0..JOBS).map(|_| "{\"type\":\"noop\"}\n").collect();
    for status in [404, 405, 503] {
        let server = Server::start(&Options::default());
        let old = WithoutStreams::start(server.address, status);
        let mut command = server.command(&["submit", "-"]);
        command.env("CALLBOARD_URL", old.url());
        let output = with_input(command, &lines);
        assert_eq!((code(&output), &*err(&output)), (0, "1200 accepted\n"), "{status}");
        assert_eq!(out(&output).lines().count(), JOBS);
        assert_eq!(available_or_finished(&server), JOBS as u64);
        assert_eq!(old.refused(), 1, "it is asked once");
    }
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

#[test]
fn a_time_a_priority_tags_and_a_key_are_the_jobs() {
    let server = Server::start(&Options::default());
    let arguments = [
        "submit",
        "noop",
        "--in",
        "1h",
        "--priority=-7",
        "--tag",
        "a",
        "--tag",
        "b:1",
        "--partition-key",
        "customer 42",
        "--json",
    ];
    let first = server.json(&arguments);
    assert_eq!(first["state"], "scheduled");
    let at = ["submit", "noop", "--at", "2100-01-01T01:00:00+01:00", "--tag", "b:1", "--json"];
    let second = server.json(&at);
    let job = server.json(&["jobs", "show", second["id"].as_str().expect("an id"), "--json"]);
    assert_eq!((&job["scheduled_at"], &job["priority"]), (&"2100-01-01T00:00:00.000000Z".into(), &0.into()));
    let listed = |tag: &str| {
        let list = server.json(&["jobs", "list", "--tag", tag, "--json"]);
        list["jobs"].as_array().expect("jobs").iter().map(|job| job["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(listed("b:1"), [second["id"].clone(), first["id"].clone()]);
    assert_eq!(listed("a"), [first["id"].clone()]);
    let shown = out(&server.cli(&["jobs", "show", first["id"].as_str().expect("an id")]));
    assert!(shown.contains("priority   -7\n") && shown.contains("tags       a b:1\n"), "{shown}");
    assert!(shown.contains("key        customer 42\n"), "{shown}");
    // A time that has passed is now.
    let past = ["submit", "noop", "--at", "2000-01-01T00:00:00Z", "--wait"];
    assert_eq!(code(&server.cli(&past)), 0);
    for wrong in [
        vec!["--at", "tomorrow"],
        vec!["--in", "5"],
        vec!["--priority", "high"],
        vec!["--tag", "a b"],
        vec!["--partition-key", "a\nb"],
    ] {
        let output = server.cli(&[vec!["submit", "noop"], wrong.clone()].concat());
        assert_ne!(code(&output), 0, "{wrong:?}");
    }
}

#[test]
fn a_command_with_a_key_submits_once() {
    let server = Server::start(&Options::default());
    let command = |ms: &str| {
        let payload = format!("{{\"ms\":{ms}}}");
        server.cli(&[
            "submit",
            "sleep",
            "--payload",
            &payload,
            "--idempotency-key",
            "nightly",
            "--wait",
            "--json",
        ])
    };
    let first = command("1");
    assert_eq!(code(&first), 0, "{}", err(&first));
    let again = command("1");
    let id = |output: &std::process::Output| {
        serde_json::from_str::<Value>(out(output).lines().next().expect("a line")).expect("JSON")["id"]
            .clone()
    };
    assert_eq!((code(&again), id(&again)), (0, id(&first)));
    let other = command("2");
    assert_eq!(code(&other), 1);
    assert!(err(&other).contains("another request was made under this key"), "{}", err(&other));
    assert_eq!(available_or_finished(&server), 1);
}

#[test]
fn a_pipe_is_submitted_as_it_comes() {
    let server = Server::start(&Options::default());
    let mut command = server.command(&["submit", "-", "--json"]);
    let mut running =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut input = running.stdin.take().expect("a pipe");
    let mut output = BufReader::new(running.stdout.take().expect("a pipe"));
    for _ in 0..3 {
        input.write_all(b"{\"type\":\"noop\"}\n").expect("it reads");
        let mut line = String::new();
        output.read_line(&mut line).expect("an answer before the next job");
        assert_eq!(serde_json::from_str::<Value>(&line).expect("JSON")["duplicate"], false);
    }
    drop(input);
    assert!(running.wait().expect("an end").success());
    assert_eq!(available_or_finished(&server), 3);
}

#[test]
fn the_fields_of_a_type_make_a_payload() {
    let server = Server::start(&Options::default());
    let shown = out(&server.cli(&["jobs", "types", "sleep"]));
    assert!(shown.contains("/ms    a whole number from 0"), "{shown}");
    let done = server.json(&["submit", "sleep", "--field", "ms=7", "--wait", "--json"]);
    assert_eq!(done["state"], "completed");
    let id = done["id"].as_str().expect("an id");
    assert_eq!(server.get(&format!("/api/v1/jobs/{id}")).json()["payload"], serde_json::json!({"ms": 7}));

    let refused = |arguments: &[&str]| {
        let output = server.cli(&[&["submit"], arguments].concat());
        (code(&output), err(&output).trim_end().to_owned())
    };
    let (exit, said) = refused(&["sleep", "--field", "ms=long", "--field", "how=x"]);
    assert_eq!(exit, 2);
    assert!(
        said.starts_with("callboard: --field: /how: there is no such field; there are /ms; /ms: a whole"),
        "{said}"
    );
    let (exit, said) = refused(&["nope", "--field", "ms=1"]);
    assert_eq!(exit, 2);
    assert!(said.contains("no job type \"nope\"; there are command, http, noop, sleep"), "{said}");
    assert_eq!(available_or_finished(&server), 1, "nothing else was submitted");
}
