//! Clients that do not read, type into nothing, or hold places that they have no right to.

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Client, ask_for_ticket, open, process_id, program, sessions, shell, show};
use crate::server::{PATIENCE, Server, eventually};

/// What takes no input, whatever comes.
const DEAF: &str = "stty raw -echo; echo p$((1))=$$=; exec sleep 600";
/// What writes without end.
const FLOOD: &str = "yes 'the quick brown fox jumps over the lazy dog'";

/// As much input as a message may have.
fn much() -> String {
    "x".repeat(1000 * 1024)
}

/// Waits until nothing moves any more: all that is between the program and a client that does not read is full.
fn fill(server: &Server) {
    let written =
        || sessions(server).iter().filter_map(|session| session["output_bytes"].as_u64()).sum::<u64>();
    let (mut last, mut still) = (0, Instant::now());
    while last == 0 || still.elapsed() < Duration::from_secs(1) {
        let now = written();
        if now != last {
            (last, still) = (now, Instant::now());
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn kill(server: &Server, session: &Value) {
    let path = format!("/api/v1/terminal/sessions/{}", session.as_str().expect("an id"));
    let answer = server.request("DELETE", &path, &[("Content-Type", "application/json")], "");
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn input_that_waits_for_a_program_that_is_killed_goes_with_it() {
    let server = program("/bin/sh", &["-c", DEAF], &[]);
    // One that wedges its thread leaves none for a few others.
    for _ in 0..4 {
        let (mut client, _) = open(&server);
        client.until_v2("p1=");
        while !client.bytes.ends_with(b"=\n") && !client.bytes.ends_with(b"=\r\n") {
            client.next_frame();
        }
        client.type_v2(&much());
        client.send_frame(0x06, b"ping");
        client.until_kind(0x14);
        let process = process_id(&String::from_utf8_lossy(&client.bytes), "p1=");
        let process = Pid::from_raw(process.try_into().expect("a process")).expect("a process");
        kill_process(process, Signal::KILL).expect("it is killed");
        assert_eq!(client.until_closed(), 4256 + 9);
    }
    eventually("all are gone", || sessions(&server).is_empty());
}

#[test]
fn input_that_waits_for_a_program_that_ends_goes_with_it() {
    let script = "stty raw -echo; echo ready; head -c 1 > /dev/null";
    let server = program("/bin/sh", &["-c", script], &[]);
    for _ in 0..4 {
        let (mut client, _) = open(&server);
        client.until_v2("ready");
        client.type_v2(&much());
        assert_eq!(client.until_closed(), 4000);
    }
    eventually("all are gone", || sessions(&server).is_empty());
}

#[test]
fn input_of_an_old_client_waits_and_is_not_lost() {
    let script = "stty raw -echo; echo ready; sleep 1; echo =$(head -c 1228800 | wc -c)=; read wait";
    let server = program("/bin/sh", &["-c", script], &[]);
    let mut client = Client::json(&server, "/ws");
    client.until("ready");
    for _ in 0..2 {
        client.type_json(&"x".repeat(600 * 1024));
    }
    client.until("=1228800=");
}

#[test]
fn an_old_client_that_goes_while_its_input_waits_is_missed() {
    let server = program("/bin/sh", &["-c", DEAF], &["terminal.grace=300ms"]);
    let mut client = Client::json(&server, "/ws");
    client.until("p1=");
    for _ in 0..3 {
        client.type_json(&much());
    }
    drop(client);
    eventually("its session is gone", || sessions(&server).is_empty());
}

#[test]
fn a_client_that_does_not_read_loses_its_seat_with_its_session() {
    let server = program("/bin/sh", &["-c", FLOOD], &["terminal.max_sessions=1", "terminal.per_address=1"]);
    // There are two seats.
    let mut deaf = Vec::new();
    for _ in 0..2 {
        let mut client = Client::json(&server, "/ws");
        let opened = client.next_json();
        fill(&server);
        kill(&server, &opened["sessionId"]);
        eventually("its session is gone", || sessions(&server).is_empty());
        deaf.push(client);
    }
    eventually("there is a seat", || Client::connect(server.address, "/ws", &[]).is_ok());
    drop(deaf);
}

#[test]
fn a_client_that_does_not_read_is_told_that_another_one_has_its_session() {
    let server = program("/bin/sh", &["-c", FLOOD], &[]);
    let mut client = Client::json(&server, "/ws");
    let opened = client.next_json();
    fill(&server);
    let text = |key: &str| opened[key].as_str().expect("text").to_owned();
    let path = format!("/ws?session={}&token={}", text("sessionId"), text("reconnectToken"));
    let mut other = Client::json(&server, &path);
    assert_eq!(other.next_json()["type"], "reconnected");
    assert_eq!(client.until_type("notice")["message"], "another connection has taken the session over");
    assert_eq!(client.until_closed(), 1000);
}

#[test]
fn a_session_whose_program_has_ended_is_not_kept_by_coming_back() {
    // It is not known to have been seen, and so kept for a while.
    let script = "head -c 40000 /dev/zero | tr '\\0' x";
    let server = program("/bin/sh", &["-c", script], &["terminal.window=32KiB", "terminal.grace=2s"]);
    let (mut client, mut opened) = open(&server);
    client.acknowledges = false;
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until, "it is kept for ever");
        std::thread::park_timeout(Duration::from_millis(500));
        let wanted = json!({ "scope": "write", "cols": 80, "rows": 24, "session": opened["session"] });
        let (status, answer) = ask_for_ticket(&server, &[], &wanted);
        if status != 201 {
            break;
        }
        let token = &opened["resume_token"];
        let (mut back, said) =
            show(&server, json!({ "ticket": answer["ticket"], "resume_token": token, "offset": 0 }));
        back.acknowledges = false;
        if !said["session"].is_string() {
            break;
        }
        (client, opened) = (back, said);
    }
    drop(client);
    eventually("it is gone", || sessions(&server).is_empty());
}

/// Sends pings without reading an answer, until nobody takes them.
fn ping_without_end(stream: &mut TcpStream) {
    stream.set_write_timeout(Some(Duration::from_secs(1))).expect("a limit");
    let ping = [&[0x89, 0x80 | 125, 0, 0, 0, 0][..], &[7; 125]].concat();
    let pings = ping.repeat(500);
    while stream.write_all(&pings).is_ok() {}
}

#[test]
fn clients_without_a_ticket_have_few_places_and_not_for_long() {
    let server = shell(&[]);
    let mut waiting: Vec<Client> = (0..10).map(|_| Client::bare(&server)).collect();
    let origin = server.url();
    let headers = [("Origin", &*origin), ("Sec-WebSocket-Protocol", super::V2)];
    let connect = || Client::connect(server.address, "/ws", &headers);
    assert_eq!(connect().err().map(|refused| refused.status), Some(503));
    // Who is known has a seat all the same.
    let mut known = Client::json(&server, "/ws");
    assert_eq!(known.next_json()["type"], "session");
    std::thread::scope(|scope| {
        for client in &mut waiting {
            scope.spawn(|| ping_without_end(client.socket.get_mut()));
        }
    });
    eventually("there is a place", || connect().is_ok());
}
