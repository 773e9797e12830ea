//! Clients that are slow, that stop in the middle, or that are many.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use crate::server::{Answer, Options, PATIENCE, Server, eventually};

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    stream
}

const HEAD: &str = "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                    Content-Type: application/json\r\n";

fn stored(server: &Server) -> usize {
    server.get("/api/v1/jobs").json()["jobs"].as_array().expect("jobs").len()
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for_and_not_stored() {
    let server = Server::start(&Options::arguments(&["--set", "web.request_timeout=200ms"]));
    let mut slow = connect(&server);
    // A whole job, but not all of what was announced.
    slow.write_all(format!("{HEAD}Content-Length: 100\r\n\r\n{{\"type\":\"noop\"}}").as_bytes())
        .expect("sent");
    let answer = Answer::read(&mut slow);
    assert_eq!(answer.status, 408, "{answer:?}");
    // One that goes away in the middle.
    let mut gone = connect(&server);
    gone.write_all(format!("{HEAD}Content-Length: 100\r\n\r\n{{\"type\":\"noop\"}}").as_bytes())
        .expect("sent");
    gone.shutdown(Shutdown::Write).expect("closed");
    let mut rest = Vec::new();
    let _ = gone.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains(" 202 "), "{rest:?}");
    assert_eq!(stored(&server), 0);
}

#[test]
fn chunked_bodies_have_the_same_bound() {
    let server = Server::start(&Options::arguments(&["--set", "web.max_body=256KiB"]));
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let whole = format!(
        "{HEAD}Transfer-Encoding: chunked\r\n\r\n{}{}0\r\n\r\n",
        chunk("{\"type\":"),
        chunk("\"noop\"}")
    );
    assert_eq!(server.raw(whole.as_bytes()).status, 202);
    let mut endless = connect(&server);
    endless.write_all(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).expect("sent");
    let piece = chunk(&" ".repeat(8192));
    // The server may close before it has read everything.
    for _ in 0..64 {
        if endless.write_all(piece.as_bytes()).is_err() {
            break;
        }
    }
    let _ = endless.shutdown(Shutdown::Write);
    assert_eq!(Answer::read(&mut endless).status, 413);
    for wrong in ["zz\r\n{}\r\n0\r\n\r\n", "ffffffffffffffffff\r\n{}", "-1\r\n{}\r\n"] {
        let request = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{wrong}");
        assert_eq!(server.raw(request.as_bytes()).status, 400, "{wrong:?}");
    }
    // Two lengths that contradict each other are how requests are smuggled.
    let both = format!("{HEAD}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(server.raw(both.as_bytes()).status, 400);
    let twice = format!("{HEAD}Content-Length: 3\r\nContent-Length: 4\r\n\r\n{{}} ");
    assert_eq!(server.raw(twice.as_bytes()).status, 400);
    assert_eq!(stored(&server), 1);
}

#[test]
fn idle_connections_keep_nobody_out() {
    let server = Server::start(&Options::default());
    let before = server.resident();
    // Some say nothing, some half a line.
    let idle: Vec<TcpStream> = (0..500)
        .map(|number| {
            let mut stream = connect(&server);
            if number % 2 == 0 {
                stream.write_all(b"GET /stats HTT").expect("sent");
            }
            stream
        })
        .collect();
    assert_eq!(server.get("/stats").status, 200);
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 64 * 1024 * 1024, "500 idle connections cost {grown} bytes");
    drop(idle);
    eventually("it still serves", || server.get("/stats").status == 200);
}

#[test]
fn methods_and_paths_beside_the_usual() {
    let server = Server::start(&Options::default());
    let head = server.request("HEAD", "/stats", &[], "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let options = server.request("OPTIONS", "/api/v1/jobs", &[], "");
    let mut allowed: Vec<&str> = options.header("allow").expect("a list").split(", ").collect();
    allowed.sort_unstable();
    assert_eq!((options.status, allowed), (204, vec!["GET", "HEAD", "POST"]));
    let put = server.request("PUT", "/api/v1/jobs", &[("Content-Type", "application/json")], "{}");
    assert_eq!((put.status, put.header("allow").is_some()), (405, true), "{put:?}");
    // An encoded slash is no slash, and an encoded letter is the letter.
    assert_eq!(server.get("/api%2fv1%2fjobs").status, 404);
    assert_eq!(server.get("/api/v1/queues/%64efault").status, 200);
    for path in ["/../../etc/passwd", "//stats", "/stats/", "/STATS", "/api/v1/jobs/%00", "/%ff"] {
        let status = server.get(path).status;
        assert!([400, 404].contains(&status), "{path}: {status}");
    }
    let long = format!("/{}", "a".repeat(200_000));
    let status = server.get(&long).status;
    assert!([400, 404, 414, 431].contains(&status), "{status}");
}
