//! Jobs line by line, answers line by line: in step with the slower of the two sides.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::server::{Answer, Options, PATIENCE, Server, eventually};

/// A stream of submissions that is open: its lines go out as chunks, its answers come in as chunks.
struct Stream {
    out: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Stream {
    fn open(server: &Server) -> Stream {
        Stream::to(server, "/api/v1/jobs/stream", "application/x-ndjson")
    }

    /// A request to this route whose body comes in chunks.
    fn to(server: &Server, path: &str, kind: &str) -> Stream {
        let mut out = TcpStream::connect(server.address).expect("a connection");
        out.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        out.write_all(head.as_bytes()).expect("sent");
        let answers = BufReader::new(out.try_clone().expect("the other side"));
        Stream { out, answers }
    }

    fn send(&mut self, text: &str) {
        self.try_send(text).expect("sent");
    }

    fn try_send(&mut self, text: &str) -> std::io::Result<()> {
        self.out.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())
    }

    fn finish(&mut self) {
        self.out.write_all(b"0\r\n\r\n").expect("sent");
    }

    fn head(&mut self) -> u16 {
        let mut status = 0;
        loop {
            let mut line = String::new();
            self.answers.read_line(&mut line).expect("a line of the head");
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest[..3].parse().expect("a status");
            }
            if line.trim().is_empty() {
                return status;
            }
        }
    }

    /// The lines of the next chunk; none at the end.
    fn chunk(&mut self) -> Vec<Value> {
        let mut size = String::new();
        self.answers.read_line(&mut size).expect("a size");
        let size = usize::from_str_radix(size.trim(), 16).expect("a size");
        let mut bytes = vec![0; size + 2];
        self.answers.read_exact(&mut bytes).expect("a chunk");
        let text = String::from_utf8(bytes).expect("UTF-8");
        text.lines()
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    /// All that is still answered.
    fn rest(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let chunk = self.chunk();
            if chunk.is_empty() {
                return all;
            }
            all.extend(chunk);
        }
    }
}

fn noop(number: usize) -> String {
    format!("{{\"type\":\"noop\",\"metadata\":{{\"n\":{number}}}}}\n")
}

fn statuses(answers: &[Value]) -> Vec<u64> {
    for (index, answer) in answers.iter().enumerate() {
        assert_eq!(answer["index"], index, "{answer}");
    }
    answers.iter().map(|answer| answer["status"].as_u64().expect("a status")).collect()
}

fn stored(server: &Server) -> u64 {
    let queues = server.get("/api/v1/queues").json();
    let number = |name: &str| queues[0][name].as_u64().expect("a number");
    ["pending", "scheduled", "available", "executing", "retryable", "completed"].map(number).iter().sum()
}

#[test]
fn each_line_is_answered_before_the_next_one_is_sent() {
    let server = Server::start(&Options::default());
    let mut stream = Stream::open(&server);
    assert_eq!(stream.head(), 200);
    for number in 0..5 {
        stream.send(&noop(number));
        let answers = stream.chunk();
        assert_eq!(
            (answers.len(), &answers[0]["index"], &answers[0]["status"]),
            (1, &number.into(), &202.into())
        );
        let id = answers[0]["outcome"]["id"].as_str().expect("an id");
        let job = server.get(&format!("/api/v1/jobs/{id}")).json();
        assert_eq!(job["metadata"]["n"], number, "it is stored when it is answered");
    }
    // A line in pieces, and the last one without an end.
    stream.send("{\"type\":");
    stream.send("\"noop\"}");
    stream.finish();
    let rest = stream.rest();
    assert_eq!((rest.len(), &rest[0]["status"]), (1, &202.into()));
    assert_eq!(stored(&server), 6);
}

#[test]
fn a_bad_line_costs_itself_alone() {
    let server = Server::start(&Options::arguments(&["--set", "web.max_body=256KiB"]));
    let mut stream = Stream::open(&server);
    let twice = "{\"type\":\"noop\",\"id\":\"00000000-0000-4000-8000-000000000001\"}\n";
    for line in ["\n", "{\n", &noop(0), "\r\n", "{\"type\":\"a b\"}\n", "\u{0}\n", twice, twice] {
        stream.send(line);
    }
    let long = format!("{{\"type\":\"noop\",\"payload\":{{\"x\":\"{}\"}}}}\n", "x".repeat(300 * 1024));
    for piece in long.as_bytes().chunks(50_000) {
        stream.send(std::str::from_utf8(piece).expect("ASCII"));
    }
    stream.send(&noop(1));
    stream.finish();
    assert_eq!(stream.head(), 200);
    let answers = stream.rest();
    assert_eq!(statuses(&answers), [400, 202, 422, 400, 202, 202, 413, 202], "{answers:?}");
    assert_eq!(answers[5]["outcome"]["duplicate"], true);
    assert_eq!(stored(&server), 3);
}

#[test]
fn many_lines_are_all_stored_in_bounded_memory() {
    const JOBS: usize = 30_000;
    let server = Server::start(&Options::default());
    let before = server.resident();
    let mut stream = Stream::open(&server);
    let mut out = stream.out.try_clone().expect("the other side");
    let writer = std::thread::spawn(move || {
        for first in (0..JOBS).step_by(100) {
            let text: String = (first..first + 100).map(noop).collect();
            out.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).expect("sent");
        }
        out.write_all(b"0\r\n\r\n").expect("sent");
    });
    assert_eq!(stream.head(), 200);
    let answers = stream.rest();
    writer.join().expect("all is sent");
    assert_eq!(answers.len(), JOBS);
    assert!(statuses(&answers).iter().all(|status| *status == 202));
    assert_eq!(stored(&server), JOBS as u64);
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 128 * 1024 * 1024, "{grown} bytes more");
}

#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    let settings = ["--set", "web.request_timeout=2s", "--set", "log.level=info,callboard_web=debug"];
    let server = Server::start(&Options::arguments(&settings));
    let mut stream = Stream::open(&server);
    let mut out = stream.out.try_clone().expect("the other side");
    let (sent, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (counted, told) = (sent.clone(), enough.clone());
    let writer = std::thread::spawn(move || {
        let text: String = (0..1000).map(noop).collect();
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        // More than all the buffers on the way hold.
        for _ in 0..2000 {
            if told.load(SeqCst) || out.write_all(chunk.as_bytes()).is_err() {
                break;
            }
            counted.fetch_add(1000, SeqCst);
        }
        let _ = out.shutdown(Shutdown::Write);
    });
    eventually("the server gives the stream up", || {
        server.log().contains("its client does not read the answers")
    });
    let (found, sent) = (stored(&server), sent.load(SeqCst));
    assert!(found > 0 && found <= sent + 1000, "{found} of {sent}");
    assert!(sent < 2_000_000, "it was never told to wait");
    enough.store(true, SeqCst);
    // Others are served meanwhile.
    let mut others = 0;
    eventually("somebody else is served", || {
        others += 1;
        server.post("/api/v1/jobs", "{\"type\":\"noop\"}").status == 202
    });
    // What was answered can still be read, all of it is stored, and nothing more was taken.
    assert_eq!(stream.head(), 200);
    let mut bytes = Vec::new();
    let _ = stream.answers.read_to_end(&mut bytes);
    let answered = String::from_utf8_lossy(&bytes).matches("\"status\":202").count() as u64;
    assert!(answered > 0 && answered <= found, "{answered} of {found}");
    assert!(stored(&server) <= found + others, "{found} and then {}", stored(&server));
    writer.join().expect("it ends");
}

#[test]
fn a_client_that_says_nothing_is_told_and_let_go() {
    let server = Server::start(&Options::arguments(&["--set", "web.request_timeout=300ms"]));
    let mut stream = Stream::open(&server);
    stream.send(&noop(0));
    // Half a line is no job.
    stream.send("{\"type\":\"noop\"");
    assert_eq!(stream.head(), 200);
    let answers = stream.rest();
    assert_eq!(statuses(&answers), [202, 408]);
    assert_eq!(answers[1]["outcome"]["type"], "urn:callboard:problem:timeout");
    assert_eq!(stored(&server), 1);
}

/// Sends what has no end of a line until it is cut off, and says when it is.
fn endless(stream: &Stream, piece: usize, pause: Duration) -> mpsc::Receiver<()> {
    let mut out = stream.out.try_clone().expect("the other side");
    // One that is cut off by silence, and not by an error, is not cut off.
    out.set_write_timeout(Some(2 * PATIENCE)).expect("a limit");
    let (cut_off, told) = mpsc::channel();
    std::thread::spawn(move || {
        let chunk = format!("{piece:x}\r\n{}\r\n", "x".repeat(piece));
        while out.write_all(chunk.as_bytes()).is_ok() {
            std::thread::sleep(pause);
        }
        // The test may be over.
        let _ = cut_off.send(());
    });
    told
}

#[test]
fn a_client_that_never_stops_is_told_and_cut_off() {
    let server = Server::start(&Options::arguments(&["--set", "web.request_timeout=300ms"]));
    for (piece, pause) in [(1, Duration::from_millis(20)), (64 * 1024, Duration::ZERO)] {
        let mut stream = Stream::open(&server);
        stream.send(&noop(0));
        assert_eq!(stream.head(), 200);
        assert_eq!(statuses(&stream.chunk()), [202]);
        let before = server.resident();
        let cut_off = endless(&stream, piece, pause);
        let mut answers = stream.rest();
        let last = answers.pop().expect("a last word");
        assert_eq!(last["status"], 408, "{answers:?} {last}");
        assert!(answers.iter().all(|answer| answer["status"] == 413), "{answers:?}");
        cut_off.recv_timeout(PATIENCE).expect("it is cut off");
        let grown = server.resident().saturating_sub(before);
        assert!(grown < 32 * 1024 * 1024, "{grown} bytes more");
    }
    assert_eq!(stored(&server), 2);
    assert_eq!(server.post("/api/v1/jobs", "{\"type\":\"noop\"}").status, 202);
}

#[test]
fn a_body_without_end_is_cut_off_wherever_it_is_refused() {
    let server = Server::start(&Options::arguments(&["--set", "web.request_timeout=500ms"]));
    let json = "application/json";
    let slow = (1, Duration::from_millis(20));
    for (path, kind, status, (piece, pause)) in [
        ("/api/v1/jobs", json, 413, (64 * 1024, Duration::ZERO)),
        ("/api/v1/jobs", json, 408, slow),
        ("/api/v1/jobs", "text/plain", 415, slow),
        ("/jobs", json, 408, slow),
        ("/nowhere", json, 404, slow),
        ("/api/v1/stats", json, 405, slow),
    ] {
        let mut stream = Stream::to(&server, path, kind);
        let cut_off = endless(&stream, piece, pause);
        assert_eq!(stream.head(), status, "{path}");
        cut_off.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{path} {status}: {error}"));
    }
    // Whoever has said all keeps his connection.
    let mut stream = Stream::to(&server, "/api/v1/jobs", json);
    for _ in 0..3 {
        stream.send("{\"type\":\"noop\"}");
        stream.finish();
        assert_eq!(stream.head(), 202);
        let mut body = String::new();
        while !body.ends_with('}') {
            let mut byte = [0];
            stream.answers.read_exact(&mut byte).expect("a body");
            body.push(byte[0].into());
        }
        let again = "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                     Transfer-Encoding: chunked\r\n\r\n";
        stream.out.write_all(again.as_bytes()).expect("the connection is kept");
    }
}

#[test]
fn a_client_that_goes_away_leaves_no_seat_taken_and_no_half_a_job() {
    let server = Server::start(&Options::default());
    for number in 0..100 {
        let mut stream = Stream::open(&server);
        stream.send(&noop(number));
        assert_eq!(stream.head(), 200, "number {number} finds a seat");
        assert_eq!(statuses(&stream.chunk()), [202]);
        stream.send("{\"type\":\"noop\"}");
        let how = if number % 2 == 0 { Shutdown::Both } else { Shutdown::Write };
        stream.out.shutdown(how).expect("closed");
        // The server notices by itself; until then the seat is taken.
        drop(stream);
        let after = number as u64 + 1;
        assert_eq!(stored(&server), after);
    }
}

#[test]
fn there_are_so_many_seats_and_no_more() {
    let server = Server::start(&Options::default());
    let mut open: Vec<Stream> = (0..64).map(|_| Stream::open(&server)).collect();
    for stream in &mut open {
        assert_eq!(stream.head(), 200);
    }
    let headers = [("Content-Type", "application/x-ndjson")];
    let another = server.request("POST", "/api/v1/jobs/stream", &headers, &noop(0));
    assert_eq!((another.status, another.header("retry-after")), (503, Some("1")), "{another:?}");
    open.pop();
    eventually("the seat is free", || {
        let answer: Answer = server.request("POST", "/api/v1/jobs/stream", &headers, &noop(0));
        answer.status == 200
    });
    let wrong = server.request("POST", "/api/v1/jobs/stream", &[("Content-Type", "application/json")], "{}");
    assert_eq!(wrong.status, 415, "{wrong:?}");
}

#[test]
fn a_server_that_stops_says_what_it_has_not_read() {
    let mut server = Server::start(&Options::default());
    let mut stream = Stream::open(&server);
    stream.send(&noop(0));
    assert_eq!(stream.head(), 200);
    assert_eq!(statuses(&stream.chunk()), [202]);
    server.signal(Signal::TERM);
    let last = stream.rest();
    assert_eq!((last.len(), &last[0]["index"], &last[0]["status"]), (1, &1.into(), &503.into()), "{last:?}");
    assert!(server.wait().success());
}
