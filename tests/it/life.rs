//! Life and death of the server: orderly stops, forced ones, kills, and two at once.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::server::{Options, Server, eventually, run};

fn submit(server: &Server, job: &Value) -> String {
    let answer = server.post("/api/v1/jobs", &job.to_string());
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["id"].as_str().expect("an id").to_owned()
}

fn job(server: &Server, id: &str) -> Value {
    let answer = server.get(&format!("/api/v1/jobs/{id}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn reaches(server: &Server, id: &str, state: &str) -> Value {
    let mut last = Value::Null;
    eventually(&format!("job {id} is {state}"), || {
        last = job(server, id);
        last["state"] == state
    });
    last
}

fn begun(server: &Server, id: &str) {
    eventually("the run begins", || job(server, id)["status"] == "EXECUTING");
}

#[test]
fn a_running_job_may_finish_before_an_orderly_stop() {
    let mut server = Server::start(&Options::default());
    let id = submit(&server, &json!({ "type": "sleep", "payload": { "ms": 1500 } }));
    begun(&server, &id);
    server.signal(Signal::TERM);
    let status = server.wait();
    assert!(status.success(), "{status}; {}", server.log());
    let folder = server.keep_folder();
    let again = Server::start_on(&server.data, &Options::default()).expect("a server on the same folder");
    let done = job(&again, &id);
    assert_eq!((&done["state"], &done["attempt"]), (&json!("completed"), &json!(1)), "{done}");
    drop((again, folder));
}

#[test]
fn a_job_that_does_not_finish_in_time_is_handed_back_without_counting() {
    let options =
        Options::arguments(&["--set", "jobs.shutdown_grace=100ms", "--set", "jobs.cancel_grace=100ms"]);
    let mut server = Server::start(&options);
    let id = submit(&server, &json!({ "type": "sleep", "payload": { "ms": 600_000 } }));
    begun(&server, &id);
    server.signal(Signal::INT);
    let status = server.wait();
    assert!(status.success(), "{status}; {}", server.log());
    assert!(server.log().contains("handed_back"), "the stop is reported: {}", server.log());
    let folder = server.keep_folder();
    // A server that runs nothing of this queue shows what was left behind.
    let again = Server::start_on(&server.data, &Options::default()).expect("a server on the same folder");
    begun(&again, &id);
    let seen = job(&again, &id);
    assert_eq!(seen["attempt"], 1, "handing back does not count: {seen}");
    assert_eq!(seen["attempts"][0]["outcome"], "released", "{seen}");
    drop((again, folder));
}

#[test]
fn a_second_interrupt_forces_the_end() {
    let options = Options::arguments(&["--set", "jobs.shutdown_grace=1h"]);
    let mut server = Server::start(&options);
    let id = submit(&server, &json!({ "type": "sleep", "payload": { "ms": 600_000 } }));
    begun(&server, &id);
    server.signal(Signal::INT);
    eventually("the stop begins", || server.log().contains("once more to force"));
    assert!(!server.has_ended());
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(130), "{}", server.log());
}

#[test]
fn a_killed_server_loses_nothing_and_the_running_attempt_becomes_the_next() {
    let server = Server::start(&Options::default());
    let done = submit(&server, &json!({ "type": "noop" }));
    let before = reaches(&server, &done, "completed");
    let running = submit(&server, &json!({ "type": "sleep", "payload": { "ms": 600_000 } }));
    begun(&server, &running);
    let (data, folder) = server.kill();

    let again = Server::start_on(&data, &Options::default()).expect("a server on the same folder");
    eventually("the next attempt runs", || {
        let seen = job(&again, &running);
        seen["attempt"] == 2 && seen["status"] == "EXECUTING"
    });
    let seen = job(&again, &running);
    assert_eq!(seen["attempts"][0]["error"]["kind"], "lost", "{seen}");
    assert_eq!(job(&again, &done), before, "what was completed stays as it was");
    let cancelled = again.post(&format!("/api/v1/jobs/{running}/cancel"), "{}");
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    reaches(&again, &running, "cancelled");
    drop((again, folder));
}

#[test]
fn a_second_server_on_the_same_folder_is_told_who_has_it() {
    let server = Server::start(&Options::default());
    let refused = Server::start_on(&server.data, &Options::default()).err().expect("no second server");
    assert!(refused.contains(&server.id().to_string()), "names the process that has it: {refused}");
    assert!(refused.contains("in use"), "{refused}");
    // The first one is none the worse for it.
    let id = submit(&server, &json!({ "type": "noop" }));
    reaches(&server, &id, "completed");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let file = data.join("callboard.db");
    let garbage = "this is no database, and nothing may touch it\n".repeat(200);
    std::fs::write(&file, &garbage).expect("a file");
    let refused = Server::start_on(&data, &Options::default()).err().expect("no server");
    assert!(refused.contains("callboard.db"), "{refused}");
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), garbage);
}

#[test]
fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let folder = tempfile::TempDir::new().expect("a folder");
    let data = folder.path().join("data");
    let output = run(&["serve", "--listen", &address, "--data", data.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains(&address), "{said}");
}

#[test]
fn an_address_for_everybody_needs_a_token() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let data = folder.path().join("data");
    let output = run(&["serve", "--listen", "0.0.0.0:0", "--data", data.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("token"), "{said}");
    assert!(!data.exists(), "refused before anything was made");
}

#[test]
fn a_wrong_setting_is_named_with_its_nearest_neighbour() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("callboard.toml");
    std::fs::write(&file, "[web]\nlisten = \"127.0.0.1:0\"\nmax_bodyy = \"1MiB\"\n").expect("a file");
    let output = run(&["serve", "--config", file.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for word in ["max_bodyy", "callboard.toml:3", "max_body"] {
        assert!(said.contains(word), "{word} in {said}");
    }
}
