//! `submit --wait`: outcomes, exit codes, and a server that dies in the middle.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Read},
    process::Stdio,
};

use super::{code, err, out, proxy::Proxy, with_input};
use crate::server::{Options, Server, callboard};

const FIRST: &str = "01890a5d-ac96-774b-bcce-b302099a8001";
const SECOND: &str = "01890a5d-ac96-774b-bcce-b302099a8002";

#[test]
fn outcomes_are_shown_and_set_the_exit_code() {
    let server = Server::start(&Options::arguments(&["--allow-program", "sha256sum"]));
    let good = server.cli(&["submit", "noop", "--id", FIRST, "--wait"]);
    assert_eq!(
        (code(&good), &*out(&good), &*err(&good)),
        (0, &*format!("{FIRST}  completed  attempt 1\n"), "")
    );
    // Finished long ago, so that no event tells of it.
    let again = server.cli(&["submit", "noop", "--id", FIRST, "--wait"]);
    assert_eq!((code(&again), out(&again)), (0, out(&good)));

    let arguments =
        ["submit", "command", "--id", SECOND, "--max-attempts", "1", "--wait", "--", "sha256sum", "/nowhere"];
    let bad = server.cli(&arguments);
    assert_eq!(code(&bad), 1, "{}", err(&bad));
    assert!(out(&bad).starts_with(&format!("{SECOND}  discarded  attempt 1  ")), "{}", out(&bad));
    assert!(out(&bad).contains("exit"), "it says why: {}", out(&bad));

    let json = server.json(&["submit", "noop", "--id", FIRST, "--wait", "--json"]);
    assert_eq!((&json["id"], &json["state"]), (&FIRST.into(), &"completed".into()));
}

#[test]
fn jobs_are_not_waited_for_longer_than_wanted() {
    let server = Server::start(&Options::default());
    let arguments = [
        "submit",
        "sleep",
        "--payload",
        r#"{"ms":600000}"#,
        "--wait",
        "--wait-timeout",
        "200ms",
        "--id",
        FIRST,
    ];
    let output = server.cli(&arguments);
    let said = "callboard: 1 job has not finished within 200ms; it goes on; 1 job was accepted\n";
    assert_eq!((code(&output), &*err(&output)), (1, said));
}

#[test]
fn a_server_that_is_killed_and_started_again_is_waited_for() {
    let server = Server::start(&Options::default());
    let proxy = Proxy::start(server.address);
    let mut command = callboard();
    command.args(["submit", "-", "--wait"]).env("CALLBOARD_URL", proxy.url());
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let jobs = format!(
        "{{\"type\":\"noop\",\"id\":\"{FIRST}\"}}\n{{\"type\":\"sleep\",\"id\":\"{SECOND}\",\"payload\":{{\"ms\":1000}}}}\n"
    );
    std::io::Write::write_all(&mut stdin, jobs.as_bytes()).expect("it reads");
    drop(stdin);
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let first = lines.next().expect("an outcome").expect("UTF-8");
    assert_eq!(first, format!("{FIRST}  completed  attempt 1"), "shown while the other one still runs");

    let (data, folder) = server.kill();
    let server = Server::start_on(&data, &Options::default()).expect("a server on the same folder");
    proxy.pass_to(server.address);
    let second = lines.next().expect("an outcome").expect("UTF-8");
    assert_eq!(second, format!("{SECOND}  completed  attempt 2"));
    let mut said = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("UTF-8");
    assert_eq!((child.wait().expect("an end").code(), &*said), (Some(0), "2 accepted, 2 completed\n"));
    drop((server, folder));
}

#[test]
fn a_server_that_is_killed_while_jobs_are_sent_gets_each_of_them_once() {
    const JOBS: usize = 5000;
    let server = Server::start(&Options::default());
    let proxy = Proxy::start(server.address);
    let mut command = callboard();
    command.args(["submit", "noop", "--count", &JOBS.to_string()]).env("CALLBOARD_URL", proxy.url());
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut first = String::new();
    let stdout = child.stdout.as_mut().expect("a pipe");
    // Byte by byte, so that the rest is left to be read below.
    BufReader::with_capacity(1, stdout).read_line(&mut first).expect("an id");
    let (data, folder) = server.kill();
    let server = Server::start_on(&data, &Options::default()).expect("a server on the same folder");
    proxy.pass_to(server.address);
    let output = child.wait_with_output().expect("an end");
    assert_eq!((code(&output), &*err(&output)), (0, "5000 accepted\n"));
    let rest = out(&output);
    let ids: HashSet<&str> = rest.lines().chain([first.trim()]).collect();
    assert_eq!(ids.len(), JOBS);
    let queue = server.get("/api/v1/queues/default").json();
    let states = ["available", "executing", "retryable", "completed"];
    let stored: u64 = states.iter().filter_map(|state| queue[*state].as_u64()).sum();
    assert_eq!(stored, JOBS as u64, "{queue}");
    drop((server, folder));
}

#[test]
fn without_events_lookups_do() {
    let server = Server::start(&Options::arguments(&["--set", "web.sse_max_clients=0"]));
    let jobs = "{\"type\":\"noop\"}\n".repeat(1500);
    let output = with_input(server.command(&["submit", "-", "--wait", "--quiet"]), &jobs);
    assert_eq!((code(&output), &*err(&output)), (0, ""));
    let shown = out(&output);
    assert_eq!(shown.lines().filter(|line| line.ends_with("completed  attempt 1")).count(), 1500, "{shown}");
}
