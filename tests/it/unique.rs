//! Jobs that are to be the only ones of their kind, over HTTP and by the command line.

use std::thread;

use serde_json::{Value, json};

use crate::{
    cli::{code, err},
    server::{Answer, Options, Server, eventually},
};

fn submit(server: &Server, payload: Value, unique: Value) -> Answer {
    // A job that waits for an hour, so that it keeps its place for as long as the test lasts.
    let mut job = json!({ "type": "sleep", "payload": payload, "unique": unique });
    if job["unique"]["policy"] != "debounce" {
        job["scheduled_at"] = json!("2100-01-01T00:00:00Z");
    }
    server.post("/api/v1/jobs", &job.to_string())
}

fn id(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["id"].as_str().expect("an id").to_owned()
}

fn state(server: &Server, id: &str) -> Value {
    server.get(&format!("/api/v1/jobs/{id}")).json()["state"].clone()
}

#[test]
fn each_policy_answers_with_whose_place_it_was() {
    let server = Server::start(&Options::default());
    let first = id(&submit(&server, json!({"ms": 1}), json!({})));
    let refused = submit(&server, json!({"ms": 1}), json!({}));
    let problem = refused.json();
    assert_eq!(refused.status, 409, "{refused:?}");
    assert_eq!(problem["type"], "urn:callboard:problem:not-unique");
    assert_eq!(problem["job"], json!(first));
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(&first)), "{problem}");

    let kept = submit(&server, json!({"ms": 1}), json!({"policy": "keep"})).json();
    assert_eq!(
        (&kept["id"], &kept["kept"], &kept["duplicate"]),
        (&json!(first), &json!(true), &json!(false))
    );
    // Another payload is another kind, unless only a part of it counts.
    let other = id(&submit(&server, json!({"ms": 2}), json!({})));
    assert_ne!(other, first);
    let by_type = id(&submit(&server, json!({"ms": 1}), json!({"payload": []})));
    assert_eq!(submit(&server, json!({"ms": 3}), json!({"payload": []})).json()["job"], json!(by_type));

    let new = submit(&server, json!({"ms": 1}), json!({"policy": "replace"}));
    assert_eq!(new.json()["replaced"], json!(first));
    assert_eq!((state(&server, &first), state(&server, &id(&new))), (json!("cancelled"), json!("scheduled")));

    // Of those that follow each other in a batch as well.
    let line = |policy: &str| json!({ "type": "sleep", "payload": { "ms": 9 }, "scheduled_at": "2100-01-01T00:00:00Z", "unique": { "policy": policy } });
    let batch = json!({ "jobs": [line("reject"), line("reject"), line("keep"), line("replace")] });
    let answer = server.post("/api/v1/jobs/batch", &batch.to_string()).json();
    let statuses: Vec<u64> = answer["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|item| item["status"].as_u64())
        .collect();
    assert_eq!(statuses, [202, 409, 202, 202], "{answer}");
}

#[test]
fn what_is_debounced_runs_once_after_the_last_and_what_is_throttled_with_the_first() {
    let server = Server::start(&Options::default());
    let quiet = json!({ "policy": "debounce", "period_ms": 300, "payload": [] });
    let ids: Vec<String> =
        (0..3).map(|ms| id(&submit(&server, json!({ "ms": ms }), quiet.clone()))).collect();
    eventually("the last one has run", || state(&server, &ids[2]) == "completed");
    assert_eq!((state(&server, &ids[0]), state(&server, &ids[1])), (json!("cancelled"), json!("cancelled")));

    let hourly = json!({ "policy": "throttle", "period_ms": 3_600_000, "payload": ["/ms"] });
    let job = json!({ "type": "sleep", "payload": { "ms": 4 }, "unique": hourly }).to_string();
    let first = id(&server.post("/api/v1/jobs", &job));
    eventually("the first one has run", || state(&server, &first) == "completed");
    let again = server.post("/api/v1/jobs", &job).json();
    assert_eq!(
        (&again["id"], &again["kept"], &again["state"]),
        (&json!(first), &json!(true), &json!("completed"))
    );
}

#[test]
fn what_makes_no_sense_is_named() {
    let server = Server::start(&Options::default());
    let cases = [
        (json!({"policy": "first"}), "/unique/policy"),
        (json!({"by": "type"}), "/unique"),
        (json!({"policy": "debounce"}), "/unique/period_ms"),
        (json!({"period_ms": 0}), "/unique/period_ms"),
        (json!({"payload": ["ms"]}), "/unique/payload/0"),
        (json!({"states": ["executing"]}), "/unique/states"),
        (json!({"states": ["running"]}), "/unique/states/0"),
    ];
    for (unique, place) in cases {
        let answer = submit(&server, json!({"ms": 1}), unique.clone());
        assert_eq!(answer.status, 422, "{unique}: {answer:?}");
        let errors = answer.json()["errors"].clone();
        let found = errors
            .as_array()
            .expect("errors")
            .iter()
            .any(|error| error["pointer"].as_str().is_some_and(|pointer| pointer.starts_with(place)));
        assert!(found, "{unique}: {errors}");
    }
    let both = json!({
        "type": "noop", "scheduled_at": "2100-01-01T00:00:00Z",
        "unique": { "policy": "debounce", "period_ms": 5 },
    });
    let answer = server.post("/api/v1/jobs", &both.to_string());
    assert_eq!((answer.status, &answer.json()["errors"][0]["pointer"]), (422, &json!("/scheduled_at")));
}

#[test]
fn of_sixteen_that_submit_at_once_one_is_stored_also_after_a_death() {
    let mut server = Server::start(&Options::default());
    let mut kept = None;
    for round in 0..2 {
        let statuses = thread::scope(|scope| {
            let server = &server;
            let sent: Vec<_> = (0..16)
                .map(|_| scope.spawn(move || submit(server, json!({"ms": 1}), json!({})).status))
                .collect();
            sent.into_iter().map(|sent| sent.join().expect("it is answered")).collect::<Vec<_>>()
        });
        let stored = statuses.iter().filter(|status| **status == 202).count();
        assert_eq!(stored, usize::from(round == 0), "{statuses:?}");
        assert!(statuses.iter().all(|status| [202, 409].contains(status)), "{statuses:?}");
        let (data, folder) = server.kill();
        server = Server::start_on(&data, &Options::default()).expect("it starts again");
        kept = folder.or(kept);
    }
    drop(server);
    kept.expect("the folder of both").close().expect("it can be deleted");
}

#[test]
fn the_command_line_asks_for_a_place_too() {
    let server = Server::start(&Options::default());
    let submit = |more: &[&str]| {
        let mut arguments = vec!["submit", "sleep", "--payload", r#"{"ms":1}"#, "--in", "1h", "--json"];
        arguments.extend(more);
        server.cli(&arguments)
    };
    let first = submit(&["--unique"]);
    assert!(first.status.success(), "{first:?}");
    let first: Value = serde_json::from_slice(&first.stdout).expect("JSON");
    let refused = submit(&["--unique=reject"]);
    assert_eq!(code(&refused), 1, "{refused:?}");
    let told = err(&refused);
    assert!(told.contains(first["id"].as_str().expect("an id")), "{told}");
    let kept = submit(&["--unique=keep", "--unique-period", "2h"]);
    let kept: Value = serde_json::from_slice(&kept.stdout).expect("JSON");
    assert_eq!((&kept["id"], &kept["kept"]), (&first["id"], &json!(true)));
    let other = submit(&["--unique", "--unique-field", "/ms"]);
    assert!(other.status.success(), "{other:?}");
    let unknown = submit(&["--unique=first"]);
    assert_eq!(code(&unknown), 2, "{unknown:?}");
    assert_eq!(code(&submit(&["--unique-field", "/ms"])), 2);
}
