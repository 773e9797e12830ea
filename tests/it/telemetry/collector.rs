//! A collector that others have made.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Instant,
};

use serde_json::json;

use super::{TRACE, finished, options, spans, submit};
use crate::server::{PATIENCE, Server, eventually};

/// Rotel (streamfold/rotel), which writes what it gets to its log. Dropped, it is killed.
struct Rotel {
    process: Child,
    lines: Receiver<String>,
    endpoint: String,
}

impl Rotel {
    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/collector");
        let found = Command::new(script).stderr(Stdio::inherit()).output().expect("bash");
        assert!(found.status.success(), "scripts/collector found no collector: {}", found.status);
        let program = String::from_utf8(found.stdout).expect("a path");
        let port = || TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
        let (http, grpc) = (port(), port());
        let mut process = Command::new(program.trim())
            .args(["start", "--exporter", "blackhole", "--debug-log", "traces"])
            .args(["--debug-log-verbosity", "detailed"])
            .args(["--otlp-http-endpoint", &http.to_string(), "--otlp-grpc-endpoint", &grpc.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let said = BufReader::new(process.stdout.take().expect("a pipe"));
        let (to, lines) = channel();
        std::thread::spawn(move || {
            said.lines()
                .map_while(Result::ok)
                .take_while(|line| to.send(line.clone()).is_ok())
                .for_each(drop);
        });
        Rotel { process, lines, endpoint: format!("http://{http}") }
    }

    /// Reads its log until all these are in it.
    fn says(&self, wanted: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        let mut log = String::new();
        while !wanted.iter().all(|text| log.contains(text)) {
            let line = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            log.push_str(&line.unwrap_or_else(|_| panic!("{wanted:?} are not all in {log}")));
            log.push('\n');
        }
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_collector_of_others_understands_every_span() {
    let rotel = Rotel::start();
    let server = Server::start(&options(&rotel.endpoint, &["telemetry.sample_ratio=0"]));
    let job = submit(&server, Some("01"), &json!({ "type": "noop" }));
    let id = job["id"].as_str().expect("an id");
    finished(&server, &job["id"]);
    rotel.says(&[TRACE, "POST /api/v1/jobs", "submit noop", "store jobs", "run noop", id, "service.name"]);
    eventually("all are taken", || spans(&server, "exported") == 4);
    assert_eq!(spans(&server, "rejected"), 0);
}
