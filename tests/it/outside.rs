//! Servers outside that are away, come, and go again: the real program does its work all the while.

use std::process::Command;

use callboard_testsupport::{Database, PrivateServer};
use serde_json::{Value, json};

use crate::server::{Options, Server, eventually};

/// Submits jobs whose ids are given, so that they are known whatever becomes of the answer.
fn submit(server: &Server, count: usize) -> Vec<String> {
    let ids: Vec<String> = (0..count).map(|_| uuid::Uuid::now_v7().to_string()).collect();
    let jobs: Vec<Value> = ids.iter().map(|id| json!({"type": "noop", "id": id})).collect();
    let answer = server.post("/api/v1/jobs/batch", &json!({ "jobs": jobs }).to_string());
    assert_eq!((answer.status, &answer.json()["refused"]), (200, &json!(0)), "{answer:?}");
    ids
}

fn finish(server: &Server, count: usize) {
    for id in submit(server, count) {
        eventually("the job is completed", || {
            server.get(&format!("/api/v1/jobs/{id}")).json()["state"] == "completed"
        });
    }
}

/// Whom the readiness names, and whether it is ready all the same.
fn named(server: &Server) -> (u16, Vec<String>) {
    let answer = server.get("/api/v1/ready");
    let body = answer.json();
    let reasons = body["reasons"].as_array().expect("reasons").iter();
    let actors = reasons.map(|reason| reason["actor"].as_str().expect("an actor").to_owned()).collect();
    assert_eq!(body["status"] == "ready", answer.status == 200, "{body}");
    (answer.status, actors)
}

fn total(redis: &PrivateServer) -> u64 {
    let port = redis.port().to_string();
    let output = Command::new("redis-cli").args(["-p", &port, "get", "metrics:jobs:total"]).output();
    let output = output.expect("redis-cli starts");
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(0)
}

#[test]
fn a_server_starts_and_works_without_redis_and_mongodb_and_fills_them_when_they_come() {
    let (mut redis, mut mongodb) = (PrivateServer::absent_redis(), PrivateServer::absent_mongodb());
    let options = Options {
        environment: vec![
            ("CALLBOARD__COUNTERS__URL".to_owned(), redis.url()),
            ("CALLBOARD__ARCHIVE__URL".to_owned(), mongodb.url()),
        ],
        ..Options::arguments(&["--set", "counters.timeout=500ms", "--set", "archive.timeout=2s"])
    };
    let server = Server::start(&options);
    let edges = ["observers/edge-archive", "observers/edge-counters"];
    eventually("both are named", || edges.iter().all(|edge| named(&server).1.contains(&(*edge).to_owned())));
    assert_eq!(named(&server).0, 200);
    finish(&server, 5);
    let stats = || server.get("/stats").json();
    let events = || server.get("/events").json().as_array().expect("events").len();
    assert_eq!((&stats()["totalJobs"], events()), (&json!(5), 20));
    let tree = server.get("/api/v1/tree").json();
    let found = find(&tree, "edge-counters").expect("the edge is in the tree");
    let condition = found["condition"].as_str().expect("a condition");
    assert!(["connecting", "tripped"].iter().any(|word| condition.starts_with(word)), "{condition}");

    redis.start();
    mongodb.start();
    eventually("nobody is named", || named(&server) == (200, Vec::new()));
    eventually("the counters are filled", || total(&redis) == 5);
    finish(&server, 3);
    eventually("the counters follow", || total(&redis) == 8);
    assert_eq!((&stats()["totalJobs"], events()), (&json!(8), 32));

    redis.kill();
    mongodb.kill();
    finish(&server, 1);
    assert_eq!((&stats()["totalJobs"], events()), (&json!(9), 36));
    assert_eq!(named(&server).0, 200);
}

fn find(node: &Value, name: &str) -> Option<Value> {
    if node["name"] == name {
        return Some(node.clone());
    }
    node["children"].as_array()?.iter().find_map(|child| find(child, name))
}

#[test]
fn counters_are_right_after_each_leader_was_killed() {
    let (database, redis) = (Database::create(), PrivateServer::redis());
    let node = |number: usize| {
        let mut options = Options::arguments(&[
            "--set",
            "store.backend=postgres",
            "--set",
            "rescuer.session_ttl=2s",
            "--set",
            "rescuer.heartbeat=300ms",
            "--set",
            "rescuer.interval=300ms",
        ]);
        for (key, value) in [
            ("CALLBOARD__STORE__URL", database.url().to_owned()),
            ("CALLBOARD__COUNTERS__URL", redis.url()),
            ("CALLBOARD__SYSTEM__NODE_NAME", format!("node-{number}")),
        ] {
            options.environment.push((key.to_owned(), value));
        }
        Server::start(&options)
    };
    let mut before = node(0);
    let mut jobs = 0;
    for number in 1..4 {
        let after = node(number);
        finish(&before, 20);
        let left = submit(&before, 20);
        drop(before);
        for id in left {
            eventually("the job is completed", || {
                after.get(&format!("/api/v1/jobs/{id}")).json()["state"] == "completed"
            });
        }
        jobs += 40;
        eventually("each job is counted once", || total(&redis) == jobs);
        assert_eq!(after.get("/stats").json()["totalJobs"], jobs);
        before = after;
    }
}

#[test]
fn urls_that_are_none_are_told_without_what_they_hold() {
    for (key, url) in [("COUNTERS", "http://secret"), ("ARCHIVE", "mongodb://me:secret@@:x/?a")] {
        let mut command = crate::server::callboard();
        let folder = tempfile::TempDir::new().expect("a folder");
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path());
        let output = command.env(format!("CALLBOARD__{key}__URL"), url).output().expect("the program starts");
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("{}.url", key.to_lowercase())) && !said.contains("secret"), "{said}");
    }
}
