//! `queues limit`, and what becomes of jobs with keys.

use serde_json::{Value, json};

use super::{code, err, out};
use crate::server::{Options, Server, eventually};

fn submit(server: &Server, key: &str, ms: u64) -> String {
    let job = json!({ "type": "sleep", "payload": { "ms": ms }, "partition_key": key });
    let answer = server.post("/api/v1/jobs", &job.to_string());
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["id"].as_str().expect("an id").to_owned()
}

fn job(server: &Server, id: &str) -> Value {
    server.get(&format!("/api/v1/jobs/{id}")).json()
}

#[test]
fn limits_are_set_shown_and_taken_away_one_by_one() {
    let server = Server::start(&Options::default());
    let limit = |arguments: &[&str]| server.cli(&[&["queues", "limit", "default"], arguments].concat());
    let set =
        limit(&["--running", "5", "--running-per-key", "2", "--rate", "100/60s", "--rate-per-key", "7/1d"]);
    assert_eq!(code(&set), 0, "{}", err(&set));
    assert!(out(&set).contains("  5, 2 a key, 100/1m, 7/1d a key"), "{}", out(&set));
    let queue = server.json(&["queues", "limit", "default", "--rate", "none", "--json"]);
    let limits = |queue: &Value| {
        ["max_running", "max_running_per_key", "rate", "rate_per_key"].map(|name| queue[name].clone())
    };
    assert_eq!(limits(&queue[0]), [json!(5), json!(2), json!(null), json!("7/1d")]);
    let post = |body: &str| server.post("/api/v1/queues/default/limit", body);
    let changed = post("{\"max_running_per_key\":null,\"rate\":\"3/1h\"}").json();
    assert_eq!(limits(&changed), [json!(5), json!(null), json!("3/1h"), json!("7/1d")]);
    for wrong in [&["--running", "0"][..], &["--rate", "5"], &["--rate-per-key", "0/1m"], &[]] {
        let refused = limit(wrong);
        assert_eq!(code(&refused), 2, "{wrong:?}: {}", err(&refused));
    }
    for (body, status) in [
        ("{\"rate\":\"5 a minute\"}", 400),
        ("{\"max_running\":-1}", 400),
        ("{\"most\":1}", 400),
        ("{\"max_running_per_key\":0,\"max_running\":0}", 422),
    ] {
        let refused = post(body);
        assert_eq!(refused.status, status, "{body}: {refused:?}");
    }
    assert_eq!(post("{\"max_running\":0}").json()["errors"][0]["pointer"], "/max_running");
    assert_eq!(server.post("/api/v1/queues/nowhere/limit", "{}").status, 404);
    assert_eq!(limits(&server.get("/api/v1/queues/default").json()), limits(&changed), "nothing has changed");
}

#[test]
fn a_key_at_its_limit_waits_and_says_so_while_others_run() {
    let server = Server::start(&Options::default());
    assert_eq!(code(&server.cli(&["queues", "limit", "default", "--running-per-key", "1"])), 0);
    let (first, second) = (submit(&server, "a", 60_000), submit(&server, "a", 0));
    eventually("the first one runs", || job(&server, &first)["state"] == "executing");
    let other = submit(&server, "b", 0);
    eventually("another key goes on", || job(&server, &other)["state"] == "completed");
    let waits = job(&server, &second);
    let said = "a free place of its key \"a\": queue \"default\" may have 1 of a key at once, and has 1";
    assert_eq!((&waits["waits_for"], &waits["partition_key"]), (&json!(said), &json!("a")));
    let shown = out(&server.cli(&["jobs", "show", &second]));
    assert!(shown.contains(said) && shown.contains("key        a\n"), "{shown}");
    let listed = server.get("/api/v1/jobs?limit=1").json();
    assert_eq!(listed["jobs"][0]["partition_key"], "b");
    assert_eq!(code(&server.cli(&["jobs", "cancel", &first])), 0);
    eventually("its place is free", || job(&server, &second)["state"] == "completed");
}

#[test]
fn a_rate_lets_the_next_job_go_at_its_time() {
    let server = Server::start(&Options::default());
    assert_eq!(
        code(&server.cli(&["queues", "limit", "default", "--rate-per-key", "2/2s", "--rate", "1000/1s"])),
        0
    );
    let ids: Vec<String> = (0..5).map(|_| submit(&server, "a", 0)).collect();
    eventually("the last one says when", || {
        let waits = job(&server, &ids[4])["waits_for"].as_str().unwrap_or_default().to_owned();
        waits.starts_with("its time by the rate of its key \"a\": queue \"default\" may claim 2/2s of a key, the next one at")
    });
    eventually("all are done", || ids.iter().all(|id| job(&server, id)["state"] == "completed"));
    let mut starts: Vec<String> = ids
        .iter()
        .map(|id| job(&server, id)["attempts"][0]["claimed_at"].as_str().expect("a time").to_owned())
        .collect();
    starts.sort();
    let at = |text: &String| text.parse::<callboard::contracts::Timestamp>().expect("a time");
    let third = at(&starts[2]).saturating_since(at(&starts[0]));
    assert!(third >= std::time::Duration::from_secs(2), "{starts:?}");
}

#[test]
fn a_key_is_text_of_some_bytes() {
    let server = Server::start(&Options::default());
    for bad in [json!(""), json!("x".repeat(201)), json!("a\nb"), json!("\u{0}"), json!(7)] {
        let job = json!({ "type": "noop", "partition_key": bad });
        let refused = server.post("/api/v1/jobs", &job.to_string());
        assert_eq!(refused.status, 422, "{bad}: {refused:?}");
        assert_eq!(refused.json()["errors"][0]["pointer"], "/partition_key", "{refused:?}");
    }
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let send = |key: &str| {
        server.post("/api/v1/jobs", &json!({ "type": "noop", "id": id, "partition_key": key }).to_string())
    };
    assert_eq!(send("ä 1").status, 202);
    assert_eq!(send("ä 1").json()["duplicate"], true);
    assert_eq!(send("ä 2").status, 409, "it is part of the job");
    eventually("it is done", || job(&server, id)["state"] == "completed");
    let again = server.post(&format!("/api/v1/jobs/{id}/retry"), "{}").json();
    assert_eq!(job(&server, again["id"].as_str().expect("an id"))["partition_key"], "ä 1");
}
