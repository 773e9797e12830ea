//! `callboard demo`: within moments a newcomer sees jobs that succeed, fail, wait for another attempt and panic, steps, and cron.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    cli::{code, err},
    server::{callboard, eventually, request_at, run},
};

struct Demo {
    process: Child,
    address: SocketAddr,
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Demo {
    /// Its temporary files are in `folder`.
    fn start(folder: &TempDir) -> Demo {
        let mut command = callboard();
        command.args(["demo", "--listen", "127.0.0.1:0"]).env("TMPDIR", folder.path());
        let mut process =
            command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("the program starts");
        let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let listens = |line: std::io::Result<String>| {
            line.expect("text").strip_prefix("listening on http://").map(str::to_owned)
        };
        let address = lines.find_map(listens).expect("it says where it listens");
        Demo { process, address: address.parse().expect("an address") }
    }

    fn get(&self, path: &str) -> Value {
        request_at(self.address, "GET", path, &[], "").json()
    }

    fn jobs(&self, filter: &str) -> usize {
        self.get(&format!("/api/v1/jobs?{filter}"))["jobs"].as_array().expect("a list").len()
    }
}

#[test]
fn the_demonstration_shows_something_of_everything_and_leaves_nothing() {
    let folder = TempDir::new().expect("a folder");
    let mut demo = Demo::start(&folder);
    for filter in [
        "state=completed&type=welcome-mail",
        "state=completed&type=scale-picture",
        "state=discarded&type=charge-card",
    ] {
        eventually(filter, || demo.jobs(filter) > 0);
    }
    eventually("a job comes at its time", || demo.jobs("state=completed&tag=cron:sync-stock") > 0);
    eventually("a job has panicked, and is dead", || {
        let causes = demo.get("/api/v1/dead-jobs/causes");
        let causes = causes["causes"].as_array().expect("a list");
        causes.iter().any(|cause| cause["kind"] == "panicked" && cause["type"] == "read-upload")
    });
    eventually("a report is written of what its steps gave", || {
        let reports = demo.get("/api/v1/jobs?state=completed&type=write-report");
        let Some(id) = reports["jobs"][0]["id"].as_str() else { return false };
        demo.get(&format!("/api/v1/jobs/{id}"))["result"] == "22212 sold in 3 regions"
    });
    kill_process(Pid::from_child(&demo.process), Signal::TERM).expect("it runs");
    assert!(demo.process.wait().expect("an end").success());
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing is left");
}

#[test]
fn the_demonstration_is_for_this_machine_alone() {
    for (listen, problem) in
        [("0.0.0.0:0", "listen on loopback"), ("here", "\"here\" is no address and port")]
    {
        let output = run(&["demo", "--listen", listen]);
        assert_eq!(code(&output), 2);
        assert!(err(&output).contains(problem), "{}", err(&output));
    }
}
