//! What jobs say while they run: seen by people and programs, over deaths, and by clients that do not read.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
};

use serde_json::{Value, json};

use crate::{
    events::Follower,
    server::{Options, Server, eventually},
};

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8001";

fn options() -> Options {
    Options::arguments(&["--allow-program", "sh", "--set", "retry.min=1ms"])
}

/// Submits a shell script.
fn submit(server: &Server, script: &str, arguments: &[&str]) {
    let args: Vec<&str> = ["-c", script, "sh"].into_iter().chain(arguments.iter().copied()).collect();
    let job = json!({ "type": "command", "id": ID, "payload": { "program": "sh", "args": args } });
    let answer = server.post("/api/v1/jobs", &job.to_string());
    assert_eq!(answer.status, 202, "{answer:?}");
}

/// A script that says something, waits for a file, and says something more.
const WAITING: &str = r#"echo "attempt $CALLBOARD_ATTEMPT begins"; printf 'on stderr\n' >&2
    while ! test -e "$1"; do sleep 0.02; done; printf '10%%\r100%%\nbad \377\nno end'"#;

fn log(server: &Server, query: &str) -> Value {
    let answer = server.get(&format!("/api/v1/jobs/{ID}/logs{query}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn texts(log: &Value) -> Vec<String> {
    let lines = log["lines"].as_array().expect("lines");
    let mut texts: Vec<String> =
        lines.iter().map(|line| line["text"].as_str().expect("a text").to_owned()).collect();
    // The two streams of a program have no common order.
    texts.sort();
    texts
}

fn state(server: &Server) -> Value {
    server.get(&format!("/api/v1/jobs/{ID}")).json()["state"].clone()
}

fn touch(path: &Path) {
    fs::write(path, "").expect("written");
}

#[test]
fn a_program_is_followed_while_it_runs_until_its_end() {
    let server = Server::start(&options());
    let gate = server.data.join("gate");
    submit(&server, WAITING, &[gate.to_str().expect("UTF-8")]);
    let mut follower = server.command(&["jobs", "logs", ID, "--follow"]);
    let mut follower =
        follower.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut lines = BufReader::new(follower.stdout.take().expect("a pipe")).lines();
    let mut first: Vec<String> = lines.by_ref().take(2).map(|line| line.expect("a line")).collect();
    first.sort_by_key(|line| line.contains("stderr"));
    assert!(first[0].ends_with("  stdout  attempt 1 begins"), "{first:?}");
    assert!(first[1].ends_with("  stderr  on stderr"), "{first:?}");
    assert_eq!(state(&server), "executing", "it is seen before the end");
    touch(&gate);
    let rest: Vec<String> = lines.map(|line| line.expect("a line")).collect();
    for (line, text) in rest.iter().zip(["100%", "bad \u{fffd}", "no end"]) {
        assert!(line.ends_with(&format!("  stdout  {text}")), "{rest:?}");
    }
    assert_eq!(rest.len(), 3, "{rest:?}");
    let ended = follower.wait_with_output().expect("an end");
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "the end: the job is completed\n");
    // The same afterwards, also as JSON, and from the middle on.
    let shown = server.cli(&["jobs", "logs", ID]);
    let shown = String::from_utf8(shown.stdout).expect("UTF-8");
    assert_eq!(shown.lines().count(), 5, "{shown}");
    let json = server.cli(&["jobs", "logs", ID, "--json"]);
    let json = String::from_utf8(json.stdout).expect("UTF-8");
    let json: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let whole = log(&server, "");
    assert_eq!(whole["lines"], Value::Array(json.clone()));
    assert_eq!((&whole["ended"], &whole["more"]), (&json!(true), &json!(false)));
    let second = json[1]["position"].as_str().expect("a place");
    let page = log(&server, &format!("?after={second}&limit=2"));
    assert_eq!((&page["lines"], &page["more"]), (&json!(json[2..4]), &json!(true)));
    assert!(log(&server, "?attempt=2")["lines"].as_array().expect("lines").is_empty());
    // The result is what it was without a log.
    let job = server.get(&format!("/api/v1/jobs/{ID}")).json();
    assert_eq!(job["result"]["stdout"], "attempt 1 begins\n10%\r100%\nbad \u{fffd}\nno end");
}

#[test]
fn after_a_death_the_next_attempt_has_a_log_of_its_own() {
    let server = Server::start(&options());
    let folder = tempfile::TempDir::new().expect("a folder");
    let gate = folder.path().join("gate");
    submit(&server, WAITING, &[gate.to_str().expect("UTF-8")]);
    eventually("its first lines", || log(&server, "")["lines"].as_array().expect("lines").len() == 2);
    let (data, kept) = server.kill();
    let server = Server::start_on(&data, &options()).expect("a server on the same folder");
    eventually("the lines of the second", || texts(&log(&server, "?attempt=2")).len() == 2);
    assert_eq!(log(&server, "?attempt=1")["ended"], true);
    touch(&gate);
    eventually("its end", || state(&server) == "completed");
    assert_eq!(texts(&log(&server, "?attempt=1")), ["attempt 1 begins", "on stderr"]);
    let second = ["100%", "attempt 2 begins", "bad \u{fffd}", "no end", "on stderr"];
    assert_eq!(texts(&log(&server, "?attempt=2")), second);
    drop((server, kept));
}

#[test]
fn a_stream_is_resumed_and_ends_with_its_attempt() {
    let server = Server::start(&options());
    let path = format!("/api/v1/jobs/{ID}/logs/stream");
    assert_eq!(Follower::ask_at(&server, &path, None).0, 404);
    assert_eq!(server.get(&format!("/api/v1/jobs/{ID}/logs")).status, 404);
    submit(&server, "seq 1 7", &[]);
    eventually("its end", || state(&server) == "completed");
    let follow = |query: &str, last: Option<&str>| {
        let (status, head, mut follower) = Follower::ask_at(&server, &format!("{path}{query}"), last);
        assert_eq!(status, 200, "{head:?}");
        std::iter::from_fn(move || follower.frame()).collect::<Vec<_>>()
    };
    let all = follow("", None);
    let texts: Vec<&str> = all.iter().filter_map(|frame| frame.data["text"].as_str()).collect();
    assert_eq!(texts, ["1", "2", "3", "4", "5", "6", "7"]);
    let end = all.last().expect("an end");
    assert_eq!((&*end.event, &end.data), ("end", &json!({ "state": "completed" })));
    assert_eq!(follow("", Some(&all[3].id)), all[4..]);
    assert_eq!(follow(&format!("?after={}", all[1].id), Some(&all[3].id)), all[4..]);
    assert_eq!(follow("?attempt=1", None), all);
    assert_eq!(follow("?attempt=2", None), all[7..]);
    for query in
        ["?attempt=0", "?attempt=x", "?after=1", "?after=1-x", "?colour=red", "?limit=0", "?limit=1001"]
    {
        assert_eq!(server.get(&format!("/api/v1/jobs/{ID}/logs{query}")).status, 400, "{query}");
    }
    assert_eq!(Follower::ask_at(&server, &path, Some("nowhere")).0, 400);
    assert_eq!(Follower::ask_at(&server, &format!("{path}?limit=3"), None).0, 400);
}

#[test]
fn of_a_flood_the_ends_are_kept_and_who_does_not_read_delays_nobody() {
    let server = Server::start(&options());
    let gate = server.data.join("gate");
    let flood = r#"seq 1 200000; while ! test -e "$1"; do sleep 0.02; done; head -c 100000 /dev/zero | tr '\0' x; echo"#;
    submit(&server, flood, &[gate.to_str().expect("UTF-8")]);
    let path = format!("/api/v1/jobs/{ID}/logs/stream");
    // These never read.
    let idle: Vec<Follower> = (0..20).map(|_| Follower::ask_at(&server, &path, None).2).collect();
    eventually("the last line of the flood", || {
        log(&server, "?limit=1000")["lines"]
            .as_array()
            .expect("lines")
            .last()
            .is_some_and(|line| line["text"] == "200000")
    });
    touch(&gate);
    eventually("its end", || state(&server) == "completed");
    let kept = log(&server, "?limit=1000");
    let lines = kept["lines"].as_array().expect("lines");
    assert!(lines.len() <= 1000, "{}", lines.len());
    assert_eq!((&lines[0]["text"], &lines[499]["text"]), (&json!("1"), &json!("500")));
    let dropped: u64 = lines.iter().filter_map(|line| line["dropped_before"].as_u64()).sum();
    assert_eq!(dropped + lines.len() as u64, 200_001);
    let last = lines.last().expect("a line")["text"].as_str().expect("a text");
    assert!(last.len() <= 8192 && last.ends_with("x… (100000 bytes in all)"), "{}", last.len());
    let metrics = server.get("/metrics").body;
    let count = "callboard_log_lines_total{queue=\"default\",type=\"command\"} 200001";
    assert!(metrics.contains(count), "{metrics}");
    drop(idle);
}
