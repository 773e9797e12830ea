//! Wrong usage, wrong input and servers that do not answer: each with its message and its exit code.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread,
};

use super::{code, err, out, with_input};
use crate::server::{Options, Server, callboard, run};

const UNKNOWN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[test]
fn wrong_usage_is_told_before_any_server_is_asked() {
    let one = "flags that describe one job cannot be used for jobs that are read; write them into each job";
    let cases: [(&[&str], &str); 14] = [
        (
            &["submit", "noop", "--payload", "[]"],
            "--payload: a JSON object such as {\"ms\": 250} is needed: ",
        ),
        (
            &["submit", "noop", "--metadata", "{"],
            "--metadata: a JSON object such as {\"ms\": 250} is needed: ",
        ),
        (
            &["submit", "noop", "--", "ls"],
            "a program after `--` is only for the job type command; this one is \"noop\"",
        ),
        (&["submit", "-", "--count", "3"], one),
        (&["submit", "-f", "x", "--", "ls"], one),
        (&["submit", "-f", "/nowhere/x"], "/nowhere/x: No such file or directory"),
        (&["submit", "-f", "/"], "/ is a folder; a file of jobs is needed"),
        (
            &["--url", "localhost:1", "tree"],
            "\"localhost:1\" cannot be used as the server's address: http://HOST:PORT is needed",
        ),
        (
            &["--url", "https://x", "tree"],
            "\"https://x\" cannot be used as the server's address: https is not spoken",
        ),
        (&["tree", "--token-file", "/nowhere/x"], "--token-file: /nowhere/x: No such file or directory"),
        (&["tree", "--token-file", "/dev/null"], "/dev/null: it is empty; a token is needed"),
        (&["tree", "--token-file", "Cargo.toml"], "Cargo.toml: "),
        (&["jobs", "retry", "--all", "--state", "discarded"], "--all needs --yes where nobody can be asked"),
        (&["serve", "--set", "web.workers"], "--set web.workers: KEY=VALUE is needed, such as web.workers=4"),
    ];
    for (arguments, says) in cases {
        let output = run(arguments);
        let said = err(&output);
        assert!(said.starts_with(&format!("callboard: {says}")), "{arguments:?}: {said}");
        assert_eq!((code(&output), &*out(&output)), (2, ""), "{arguments:?}: {said}");
    }
}

#[test]
fn what_the_parser_refuses_has_the_same_exit_code() {
    let cases: [(&[&str], &str); 10] = [
        (&[], "Usage: callboard"),
        (&["submit"], "<JOB_TYPE>"),
        (&["tree", "--token", "secret"], "--token-file"),
        (&["jobs", "list", "--state", "running"], "[possible values: pending, scheduled, available"),
        (&["jobs", "list", "--limit", "0"], "1.."),
        (&["jobs", "list", "--all", "--limit", "5"], "cannot be used with"),
        (&["jobs", "show", "17"], "invalid value '17' for '<ID>'"),
        (&["jobs", "cancel"], "<ID>"),
        (&["jobs", "retry", "--all"], "--state"),
        (&["submit", "noop", "--wait", "--wait-timeout", "5"], "a unit is needed, such as 5s or 5ms"),
    ];
    for (arguments, says) in cases {
        let output = run(arguments);
        assert!(err(&output).contains(says), "{arguments:?}: {}", err(&output));
        assert_eq!(code(&output), 2, "{arguments:?}");
    }
}

#[test]
fn an_absent_server_is_told_with_what_to_do() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let url = format!("http://{closed}");
    let commands: [&[&str]; 6] = [
        &["tree"],
        &["queues"],
        &["jobs", "list"],
        &["jobs", "cancel", UNKNOWN],
        &["submit", "noop"],
        &["submit", "noop", "--wait"],
    ];
    let said = format!(
        "callboard: no server answers at {url} (Connection refused (os error 111)): start one with `callboard serve`, or \
         give another address (--url or CALLBOARD_URL)"
    );
    for arguments in commands {
        let output = callboard().args(arguments).args(["--url", &url]).output().expect("the program starts");
        assert!(err(&output).starts_with(&said), "{arguments:?}: {}", err(&output));
        assert_eq!((code(&output), &*out(&output)), (3, ""), "{arguments:?}");
    }
    let output = callboard().args(["tree", "--json", "--url", &url]).output().expect("the program starts");
    let error: serde_json::Value = serde_json::from_str(&err(&output)).expect("JSON");
    assert_eq!(error["exit_code"], 3);
}

#[test]
fn what_is_no_callboard_server_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let request = BufReader::new(stream.try_clone().expect("a socket"));
        assert!(request.lines().any(|line| line.expect("ASCII").is_empty()), "a whole request");
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>")
            .expect("an answer");
    });
    let output = run(&["queues", "--url", &url]);
    server.join().expect("no panic");
    let said = format!(
        "callboard: the server's answer cannot be used: it is \"text/html\", not application/json; is that at {url} a \
         Callboard server?\n"
    );
    assert_eq!((code(&output), err(&output)), (4, said));
}

#[test]
fn a_server_that_is_not_ready_is_asked_a_few_times() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = thread::spawn(move || {
        for _ in 0..4 {
            let (mut stream, _) = listener.accept().expect("a connection");
            let request = BufReader::new(stream.try_clone().expect("a socket"));
            assert!(request.lines().any(|line| line.expect("ASCII").is_empty()), "a whole request");
            let body =
                r#"{"type":"x","title":"This cannot be done now","status":503,"detail":"the disk is full"}"#;
            let length = body.len();
            let head = "HTTP/1.1 503 X\r\nContent-Type: application/problem+json\r\nConnection: close";
            write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{body}").expect("an answer");
        }
    });
    let output = run(&["queues", "--url", &url]);
    server.join().expect("no panic");
    assert_eq!(
        (code(&output), &*err(&output)),
        (4, "callboard: This cannot be done now: the disk is full\n")
    );
}

#[test]
fn tokens_come_from_a_file_or_the_environment() {
    let server = Server::start(&Options::arguments(&["--set", "web.token=a-long-enough-secret-for-a-test"]));
    let without = server.cli(&["queues"]);
    assert_eq!(code(&without), 4);
    let said = format!(
        "callboard: {} asks for a token: its token is the server's setting web.token; ",
        server.url()
    );
    assert!(err(&without).starts_with(&said), "{}", err(&without));
    assert!(err(&without).contains("CALLBOARD_TOKEN or with --token-file"), "{}", err(&without));

    let submitted = server.cli(&["submit", "noop"]);
    assert_eq!(code(&submitted), 4, "{}", err(&submitted));
    assert!(err(&submitted).ends_with("; no job was accepted\n"), "{}", err(&submitted));

    let wrong =
        server.command(&["queues"]).env("CALLBOARD_TOKEN", "wrong").output().expect("the program starts");
    assert_eq!(code(&wrong), 4);
    assert!(err(&wrong).contains("does not know this token"), "{}", err(&wrong));

    let file = server.data.with_extension("token");
    fs::write(&file, "a-long-enough-secret-for-a-test\n").expect("a file");
    let name = file.to_str().expect("UTF-8");
    let right = server
        .command(&["submit", "noop", "--wait", "--token-file", name])
        .env("CALLBOARD_TOKEN", "wrong")
        .output();
    let right = right.expect("the program starts");
    assert_eq!(code(&right), 0, "the file stands above the variable: {}", err(&right));
}

#[test]
fn what_is_wrong_with_one_job_does_not_keep_the_others() {
    let server = Server::start(&Options::default());
    let known = "01890a5d-ac96-774b-bcce-b302099a8001";
    assert_eq!(code(&server.cli(&["submit", "noop", "--id", known, "--wait"])), 0);
    let output = server.cli(&["jobs", "cancel", UNKNOWN, known]);
    let said = format!(
        "callboard: There is nothing here: there is no job {UNKNOWN}\n\
         callboard: {known}: The job's state does not allow this: the job is completed: only a job that is not finished \
         can be cancelled\n"
    );
    assert_eq!((code(&output), err(&output)), (1, said));
    let output = server.cli(&["jobs", "show", UNKNOWN]);
    assert_eq!(
        (code(&output), err(&output)),
        (1, format!("callboard: There is nothing here: there is no job {UNKNOWN}\n"))
    );
    let output = server.cli(&["jobs", "list", "--cursor", "x"]);
    assert_eq!(code(&output), 2, "{}", err(&output));
    let output = server.cli(&["submit", "noop", "--queue", "nowhere"]);
    assert_eq!(code(&output), 1, "{}", err(&output));
    assert!(
        err(&output).ends_with("/queue: there is no queue \"nowhere\"; there are: default\n"),
        "{}",
        err(&output)
    );
}

#[test]
fn what_cannot_be_read_ends_a_submission_with_an_account() {
    let server = Server::start(&Options::default());
    let output = with_input(server.command(&["submit", "-"]), "[{\"type\":\"noop\"},\n{\"type\"]");
    let said = "callboard: standard input: an array of jobs, [{…}, …], is needed: expected `:` at line 2 column 8; 1 job was \
                accepted, the last answer was for standard input: job 1\n";
    assert_eq!((code(&output), &*err(&output)), (2, said));
}
