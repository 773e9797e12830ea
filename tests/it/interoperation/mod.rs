//! Programs of others, written from the contract alone, give the real server jobs and do jobs for it, over a real broker.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    process::{Child, Command, Stdio},
};

use callboard_testsupport::PrivateRabbit;
use serde_json::{Value, json};

use crate::server::{Options, Server, eventually};

const OUTSIDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/interoperation/outsider.py");

/// A Python with pika, if there is one.
fn python() -> Option<OsString> {
    let python = std::env::var_os("CALLBOARD_TEST_PYTHON");
    if python.is_none() {
        eprintln!(
            "left out: CALLBOARD_TEST_PYTHON names no Python that has pika (`scripts/services run -- COMMAND` sets it)"
        );
    }
    python
}

fn outsider(python: &OsString, broker: &PrivateRabbit, arguments: &[&str]) -> Child {
    let mut command = Command::new(python);
    command.arg(OUTSIDER).arg(broker.url()).args(arguments).stdout(Stdio::piped());
    command.spawn().expect("Python starts")
}

/// Waits for its end, and gives what it printed.
fn said(program: Child) -> Value {
    let output = program.wait_with_output().expect("an end");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("a line of JSON")
}

fn server(broker: &PrivateRabbit, settings: &[&str]) -> Server {
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let mut options = Options::arguments(&settings.collect::<Vec<_>>());
    options.environment.push(("CALLBOARD__BUS__URL".to_owned(), broker.url()));
    Server::start(&options)
}

fn job(server: &Server, id: &str) -> Value {
    let answer = server.get(&format!("/api/v1/jobs/{id}"));
    if answer.status == 200 { answer.json() } else { Value::Null }
}

#[test]
fn a_producer_that_knows_only_the_contract_gives_jobs_once_and_gets_back_what_is_invalid() {
    let Some(python) = python() else { return };
    let broker = PrivateRabbit::start();
    let server = server(&broker, &["bus.consume=[\"jobs.created\"]"]);
    let ids = said(outsider(&python, &broker, &["produce", "20"]));
    let ids: Vec<&str> = ids.as_array().expect("ids").iter().filter_map(Value::as_str).collect();
    assert_eq!(ids.len(), 20);
    for id in &ids {
        eventually("its job is done", || job(&server, id)["state"] == "completed");
    }
    let letters = said(outsider(&python, &broker, &["letters", "2"]));
    let letters = letters.as_array().expect("letters");
    assert_eq!(letters[0]["original_event"], "{ no JSON");
    assert_eq!(letters[1]["original_event"]["producer"]["service"], "outsider");
    for letter in letters {
        for field in ["validation_error", "rejected_at", "correlation_id", "service", "service_version"] {
            assert!(letter[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {letter}");
        }
    }
    // Every event was sent twice.
    let stats = server.get("/stats").json();
    assert_eq!((&stats["totalJobs"], &stats["failedJobs"]), (&json!(20), &json!(0)));
    assert!(server.get("/metrics").body.contains("processor_jobs_validation_failed_total 2"));
}

#[test]
fn a_worker_that_knows_only_the_contract_does_jobs_and_what_it_says_twice_counts_once() {
    let Some(python) = python() else { return };
    let broker = PrivateRabbit::start();
    let server = server(
        &broker,
        &[
            "bus.consume=[\"callboard.outcomes\"]",
            "queues.sums.served_by=bus",
            "jobs.types=[{ name = \"sum\", queue = \"sums\" }]",
            "retry.min=100ms",
        ],
    );
    let submit = |payload: Value| {
        let answer = server.post("/api/v1/jobs", &json!({ "type": "sum", "payload": payload }).to_string());
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["id"].as_str().expect("an id").to_owned()
    };
    let sums: Vec<String> = (0..10).map(|number| submit(json!({ "numbers": [number, 1] }))).collect();
    let fails = submit(json!({ "numbers": [20, 22], "fails": true }));
    let queue = "callboard.jobs.sums";
    eventually("its queue is there", || broker.ctl(&["list_queues", "name"]).contains(queue));
    let done = said(outsider(&python, &broker, &["work", queue, "12"]));
    let done: BTreeSet<(String, u64)> = serde_json::from_value(done).expect("jobs and attempts");
    let first = sums.iter().map(|id| (id.clone(), 1));
    let expected: BTreeSet<(String, u64)> = first.chain([(fails.clone(), 1), (fails.clone(), 2)]).collect();
    assert_eq!(done, expected);
    for (number, id) in sums.iter().enumerate() {
        eventually("its outcome is there", || job(&server, id)["state"] == "completed");
        assert_eq!(job(&server, id)["result"], json!({ "sum": number + 1 }));
    }
    eventually("the second attempt is heard of", || job(&server, &fails)["state"] == "completed");
    let failed = job(&server, &fails);
    assert_eq!((&failed["attempt"], &failed["result"]), (&json!(2), &json!({ "sum": 42 })));
    assert_eq!(server.get("/stats").json()["totalJobs"], 11);
}
