//! `edges list|trip|reset`, and the routes behind them.

use serde_json::{Value, json};

use super::{code, err, out, without_times};
use crate::server::{Answer, Options, Server, eventually};

const NEEDS: [&str; 4] = [
    "--set",
    r#"jobs.types=[{ name = "noop", max_payload = 40, needs = ["smtp"] }]"#,
    "--set",
    "system.node_name=here",
];

fn put(server: &Server, name: &str, body: &Value) -> Answer {
    let path = format!("/api/v1/edges/{name}");
    server.request("PUT", &path, &[("Content-Type", "application/json")], &body.to_string())
}

fn submitted(server: &Server) -> String {
    let answer = server.post("/api/v1/jobs", r#"{"type":"noop"}"#);
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["id"].as_str().expect("an id").to_owned()
}

#[test]
fn jobs_wait_for_an_edge_that_is_tripped_until_it_is_reset() {
    let server = Server::start(&Options::arguments(&NEEDS));
    let types = server.json(&["jobs", "types", "noop", "--json"]);
    assert_eq!((&types["needs"], &types["max_payload"]), (&json!(["smtp"]), &json!(40)));
    let tripped = server.cli(&["edges", "trip", "smtp", "--reason", "it is moved", "--for", "2h"]);
    assert_eq!(code(&tripped), 0, "{}", err(&tripped));
    let expected = "EDGE  STATE    PARKED  NEEDED BY  SINCE                        UNTIL                        SET BY  REASON\n\
                    smtp  tripped       0  noop       TIME  TIME  cli     it is moved\n";
    assert_eq!(without_times(&out(&tripped)), expected);
    let id = submitted(&server);
    eventually("it is put aside", || server.json(&["edges", "--json"])[0]["parked"] == 1);
    let shown = server.cli(&["jobs", "show", &id]);
    let shown = without_times(&out(&shown));
    assert!(shown.contains("waits for  parked: needs \"smtp\", tripped since TIME until "), "{shown}");
    assert!(shown.contains(": it is moved\n"), "{shown}");
    assert_eq!(server.json(&["queues", "--json"])[0]["available"], 1);
    // A server that is killed leaves it so.
    let (data, _folder) = server.kill();
    let server = Server::start_on(&data, &Options::arguments(&NEEDS)).expect("a server");
    let edges = server.json(&["edges", "list", "--json"]);
    assert_eq!((&edges[0]["state"], &edges[0]["parked"]), (&json!("tripped"), &json!(1)));
    let reset = server.json(&["edges", "reset", "smtp", "--json"]);
    assert_eq!((&reset[0]["state"], &reset[0]["reason"]), (&json!("ready"), &Value::Null));
    eventually("it is done", || server.json(&["jobs", "show", &id, "--json"])["state"] == "completed");
    let log = server.log();
    assert!(log.contains("the edge is ready"), "{log}");
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let server = Server::start(&Options::arguments(&NEEDS));
    for (name, body, status, pointer) in [
        ("smtp", json!({ "state": "away" }), 400, Value::Null),
        ("smtp", json!({ "state": "tripped", "until": 1 }), 400, Value::Null),
        ("smtp", json!({ "state": "tripped", "for_ms": 0 }), 422, json!("/for_ms")),
        ("smtp", json!({ "state": "ready", "reason": "x" }), 422, json!("/reason")),
        ("smtp", json!({ "state": "tripped", "reason": "x".repeat(501) }), 422, json!("/reason")),
        ("a%2Cb", json!({ "state": "tripped" }), 422, json!("/name")),
    ] {
        let answer = put(&server, name, &body);
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{answer:?}");
    }
    assert_eq!(server.post("/api/v1/edges/smtp", "{}").status, 405);
    let wrong = server.cli(&["edges", "trip", "a b"]);
    assert_eq!(code(&wrong), 2, "{}", err(&wrong));
    assert_eq!(server.json(&["edges", "--json"])[0]["set_at"], Value::Null, "nothing was changed");
    // The type's own limit on payloads.
    let payload = format!(r#"{{"type":"noop","payload":{{"text":"{}"}}}}"#, "x".repeat(40));
    let large = server.post("/api/v1/jobs", &payload);
    assert_eq!(large.status, 413, "{large:?}");
    assert!(large.body.contains("the payload has 51 bytes; 40 are allowed for job type"), "{large:?}");
}
