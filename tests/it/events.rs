//! The event stream: order, resuming, resets, filters, seats, and clients that do not read.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::server::{Options, PATIENCE, Server, eventually};

/// One client of the stream.
pub(crate) struct Follower {
    stream: BufReader<TcpStream>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Frame {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) data: Value,
}

impl Frame {
    /// The number of the event in the log.
    pub(crate) fn position(&self) -> u64 {
        let (epoch, position) = self.id.split_once('-').expect("a cursor");
        assert_eq!(epoch, "1");
        position.parse().expect("a number")
    }
}

impl Follower {
    /// Asks, and gives the status with the client. In HTTP/1.0, which has no chunks.
    fn ask(server: &Server, query: &str, last: Option<&str>) -> (u16, Vec<String>, Follower) {
        Follower::ask_at(server, &format!("/api/v1/events{query}"), last)
    }

    /// The same, of any stream.
    pub(crate) fn ask_at(server: &Server, path: &str, last: Option<&str>) -> (u16, Vec<String>, Follower) {
        let mut stream = TcpStream::connect(server.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n{last}\r\n", server.address);
        stream.write_all(request.as_bytes()).expect("sent");
        let mut follower = Follower { stream: BufReader::new(stream) };
        let mut head = Vec::new();
        while let Some(line) = follower.line().filter(|line| !line.is_empty()) {
            head.push(line.to_ascii_lowercase());
        }
        let status = head.first().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
        (status, head, follower)
    }

    /// The client, and the place at which its stream begins.
    pub(crate) fn open(server: &Server, query: &str, last: Option<&str>) -> (Follower, String) {
        let (status, head, mut follower) = Follower::ask(server, query, last);
        assert_eq!(status, 200, "{head:?}");
        assert!(head.contains(&"content-type: text/event-stream".to_owned()), "{head:?}");
        let greeting = follower.frame().expect("a greeting");
        assert_eq!((greeting.event.as_str(), &greeting.data), ("", &Value::Null));
        (follower, greeting.id)
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).expect("UTF-8 within the time");
        (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// The next one that says something; `None` at the end of the stream.
    pub(crate) fn frame(&mut self) -> Option<Frame> {
        let mut frame = Frame::default();
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("id", id)) => frame.id = id.to_owned(),
                Some(("event", event)) => frame.event = event.to_owned(),
                Some(("data", data)) => frame.data = serde_json::from_str(data).expect("JSON"),
                None if line.is_empty() && frame != Frame::default() => return Some(frame),
                _ => {}
            }
        }
    }

    fn frames(&mut self, count: usize) -> Vec<Frame> {
        (0..count).map(|_| self.frame().expect("a frame")).collect()
    }
}

/// Submits so many jobs at once.
fn submit(server: &Server, jobs: usize) {
    for first in (0..jobs).step_by(1000) {
        let lines = "{\"type\":\"noop\"}\n".repeat(1000.min(jobs - first));
        let headers = [("Content-Type", "application/x-ndjson")];
        let answer = server.request("POST", "/api/v1/jobs/batch", &headers, &lines);
        assert_eq!((answer.status, answer.json()["refused"].as_u64()), (200, Some(0)), "{answer:?}");
    }
}

#[test]
fn a_lost_stream_is_resumed_without_loss_and_without_doubling() {
    let server = Server::start(&Options::default());
    let mut seen = Vec::new();
    let mut last = "1-0".to_owned();
    // Each job has four events. Half of the jobs come while the stream is followed.
    submit(&server, 250);
    let mut more = Some(250);
    while seen.len() < 2_000 {
        let (mut follower, began) = Follower::open(&server, "", Some(&last));
        assert_eq!(began, last);
        if seen.len() > 500
            && let Some(more) = more.take()
        {
            submit(&server, more);
        }
        let count = 13 + seen.len() % 83;
        for frame in follower.frames(count.min(2_000 - seen.len())) {
            last.clone_from(&frame.id);
            seen.push(frame);
        }
    }
    let positions: Vec<u64> = seen.iter().map(Frame::position).collect();
    assert_eq!(positions, (1..=2_000).collect::<Vec<_>>());
    for frame in &seen {
        assert_eq!(frame.data["cursor"], frame.id.as_str());
        assert_eq!(frame.data["event"]["eventType"], frame.event.as_str());
    }
}

#[test]
fn what_a_stream_begins_with() {
    let server = Server::start(&Options::default());
    submit(&server, 3);
    eventually("they are done", || server.get("/stats").json()["completedJobs"] == 3);
    // Without a place: now. The greeting says where that is.
    let (mut now, began) = Follower::open(&server, "", None);
    assert_eq!(began, "1-12");
    submit(&server, 1);
    assert_eq!(now.frame().expect("an event").id, "1-13");
    // From the beginning, which nobody has missed.
    let (mut all, _) = Follower::open(&server, "?cursor=1-0", None);
    assert_eq!(all.frame().expect("an event").id, "1-1");
    // The query stands above the header.
    let (mut both, began) = Follower::open(&server, "?cursor=1-5", Some("1-9"));
    assert_eq!((began.as_str(), both.frame().expect("an event").position()), ("1-5", 6));
    // A place of another log, and one that is not there yet: a reset, once, and then what there is.
    for strange in ["7-3", "0-3", "1-999999"] {
        let (mut follower, _) = Follower::open(&server, "", Some(strange));
        let frames = follower.frames(3);
        let events: Vec<&str> = frames.iter().map(|frame| frame.event.as_str()).collect();
        assert_eq!(events[0], "reset", "{strange}");
        assert_eq!((frames[1].position(), frames[2].position()), (1, 2), "{strange}");
        // What comes later comes without another reset.
        let mut last = 2;
        submit(&server, 1);
        while last < 17 {
            let frame = follower.frame().expect("an event");
            assert_eq!((frame.event != "reset", frame.position()), (true, last + 1), "{strange}");
            last += 1;
        }
    }
    for wrong in ["?cursor=x", "?cursor=1", "?cursor=1-x", "?cursor=-1-1", "?job=17", "?from=1-1"] {
        assert_eq!(Follower::ask(&server, wrong, None).0, 400, "{wrong}");
    }
}

#[test]
fn whoever_was_away_for_too_long_is_told() {
    let server = Server::start(&Options::arguments(&[
        "--set",
        "retention.events_max=10",
        "--set",
        "retention.interval=100ms",
    ]));
    submit(&server, 50);
    let begins_at = || {
        let (mut follower, _) = Follower::open(&server, "?cursor=1-1", None);
        let first = follower.frame().expect("a frame");
        (first.event == "reset").then(|| follower.frame().expect("an event").position())
    };
    eventually("old events are deleted", || begins_at().is_some_and(|position| position > 150));
}

#[test]
fn one_job_can_be_followed_alone() {
    let server = Server::start(&Options::default());
    submit(&server, 100);
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let (mut follower, _) = Follower::open(&server, &format!("?cursor=1-0&job={id}"), None);
    server.post("/api/v1/jobs", &format!("{{\"type\":\"noop\",\"id\":\"{id}\"}}"));
    submit(&server, 100);
    let frames = follower.frames(4);
    let events: Vec<&str> = frames.iter().map(|frame| frame.event.as_str()).collect();
    assert_eq!(events, ["job.created", "job.validated", "job.executed", "job.completed"]);
    assert!(frames.iter().all(|frame| frame.data["event"]["payload"]["id"] == id), "{frames:?}");
}

#[test]
fn seats_are_few_and_free_again_when_their_clients_leave() {
    let server = Server::start(&Options::arguments(&["--set", "web.sse_max_clients=2"]));
    let first = Follower::open(&server, "", None);
    let second = Follower::open(&server, "", None);
    let (status, head, _) = Follower::ask(&server, "", None);
    assert_eq!(status, 503);
    assert!(head.iter().any(|line| line.starts_with("retry-after: ")), "{head:?}");
    drop(first);
    // A connection that was closed is noticed when something is written to it.
    eventually("the seat is free", || {
        submit(&server, 1);
        Follower::ask(&server, "", None).0 == 200
    });
    drop(second);
}

#[test]
fn a_client_that_does_not_read_delays_nobody_and_costs_no_memory() {
    const JOBS: usize = 10_000;
    let server = Server::start(&Options::default());
    let (mut stopped, _) = Follower::open(&server, "?cursor=1-0", None);
    let before = server.resident();
    submit(&server, JOBS);
    eventually("they are done", || server.get("/stats").json()["completedJobs"] == JOBS);
    // Its events are some 20 MB, of which the server holds a page.
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 64 * 1024 * 1024, "the server has grown by {grown} bytes");
    // It reads on at last, and has missed nothing.
    for position in 1..=(JOBS as u64) * 4 {
        assert_eq!(stopped.frame().expect("an event").position(), position);
    }
}

#[test]
fn a_server_that_stops_ends_its_streams() {
    let mut server = Server::start(&Options::default());
    let (mut follower, _) = Follower::open(&server, "", None);
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    assert_eq!(follower.frame(), None);
}

#[test]
fn a_stream_goes_on_where_it_was_when_the_server_comes_back() {
    let mut server = Server::start(&Options::default());
    submit(&server, 5);
    let (mut follower, _) = Follower::open(&server, "", Some("1-0"));
    let seen = follower.frames(20);
    let last = seen[12].id.clone();
    // Neither the server nor the client had time to say goodbye.
    let kept = server.keep_folder();
    let (data, _) = server.kill();
    drop(follower);
    let server = Server::start_on(&data, &Options::default()).expect("it comes back");
    submit(&server, 1);
    let (mut follower, began) = Follower::open(&server, "", Some(&last));
    assert_eq!(began, last);
    let positions: Vec<u64> = follower.frames(11).iter().map(Frame::position).collect();
    assert_eq!(positions, (14..=24).collect::<Vec<_>>());
    drop((server, kept));
}

#[test]
fn a_quiet_stream_says_that_it_is_there() {
    let server = Server::start(&Options::default());
    let (mut follower, _) = Follower::open(&server, "", None);
    // A comment, of which nobody takes notice but whoever waits for the connection to break.
    while follower.line().expect("the stream has no end") != ": still here" {}
    submit(&server, 1);
    assert_eq!(follower.frames(1)[0].event, "job.created");
}
