//! Requests with an `Idempotency-Key`: carried out once, however often and whenever they are sent.

use std::{collections::BTreeSet, thread};

use serde_json::{Value, json};

use crate::server::{Answer, Options, Server};

const ROUTES: [&str; 3] = ["/api/v1/jobs", "/api/v1/jobs/batch", "/jobs"];

fn send(server: &Server, path: &str, key: &str, body: &str) -> Answer {
    server.request("POST", path, &[("Content-Type", "application/json"), ("Idempotency-Key", key)], body)
}

fn body(path: &str, number: u32) -> String {
    let old = format!("00000000-0000-4000-8000-{number:012}");
    match path {
        "/jobs" => json!({
            "id": old, "type": "noop", "status": "PENDING", "createdAt": "2026-01-01T00:00:00Z",
        }),
        "/api/v1/jobs" => json!({ "type": "noop", "metadata": { "n": number } }),
        _ => {
            json!({ "jobs": [{ "type": "unheard-of" }, { "type": "noop", "metadata": { "n": number } }, 17] })
        }
    }
    .to_string()
}

fn stored(server: &Server) -> usize {
    server.get("/api/v1/jobs?limit=1000").json()["jobs"].as_array().expect("jobs").len()
}

#[test]
fn the_same_request_is_given_the_first_answer_and_another_one_is_refused() {
    let server = Server::start(&Options::default());
    for (number, path) in ROUTES.into_iter().enumerate() {
        let first = send(&server, path, "a-key", &body(path, 1));
        assert!(first.status == 202 || first.status == 200, "{first:?}");
        assert_eq!(first.header("idempotent-replayed"), None);
        assert_eq!(stored(&server), number + 1);
        for key in ["a-key", "\"a-key\""] {
            let again = send(&server, path, key, &body(path, 1));
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{path}");
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
            assert_eq!(again.header("location"), first.header("location"));
        }
        let other = send(&server, path, "a-key", &body(path, 2));
        assert_eq!(other.status, 422, "{other:?}");
        assert!(other.body.contains("another request was made under this key"), "{other:?}");
        assert_eq!(stored(&server), number + 1);
    }
    // Without a key, and under another one, it is a new request.
    assert_eq!(server.post("/api/v1/jobs", &body("/api/v1/jobs", 1)).status, 202);
    assert_eq!(send(&server, "/api/v1/jobs", "A-key", &body("/api/v1/jobs", 1)).status, 202);
    assert_eq!(stored(&server), 5);
}

#[test]
fn what_stores_nothing_may_be_mended_under_its_key() {
    let server = Server::start(&Options::default());
    for path in ["/api/v1/jobs", "/jobs"] {
        let wrong = body(path, 1).replace("noop", "a b");
        for _ in 0..2 {
            let answer = send(&server, path, "k", &wrong);
            assert_eq!(
                (answer.status, answer.header("idempotent-replayed")),
                (if path == "/jobs" { 400 } else { 422 }, None)
            );
        }
        let mended = send(&server, path, "k", &body(path, 1));
        assert_eq!((mended.status, mended.header("idempotent-replayed")), (202, None), "{mended:?}");
    }
    assert_eq!(stored(&server), 2);
}

#[test]
fn what_is_no_key_is_refused_before_anything_is_stored() {
    let server = Server::start(&Options::default());
    let long = "k".repeat(256);
    for key in ["", "\"\"", "a b", "\"open", "\"a\\b\"", &long] {
        for path in ROUTES {
            let answer = send(&server, path, key, &body(path, 1));
            assert_eq!(answer.status, 400, "{key:?} {answer:?}");
            assert!(answer.body.contains("Idempotency-Key"), "{answer:?}");
        }
    }
    let headers = [("Content-Type", "application/x-ndjson"), ("Idempotency-Key", "k")];
    let stream = server.request("POST", "/api/v1/jobs/stream", &headers, "{\"type\":\"noop\"}\n");
    assert_eq!(stream.status, 400, "{stream:?}");
    assert_eq!(stored(&server), 0);
}

#[test]
fn keys_are_their_callers_own() {
    let tokens = "web.tokens=[{name=\"a\",role=\"operator\",token=\"first-secret-0123456789\"},{name=\"b\",role=\"admin\",token=\"second-secret-0123456789\"}]";
    let server = Server::start(&Options::arguments(&["--set", tokens]));
    let mut ids = BTreeSet::new();
    for secret in ["first-secret-0123456789", "second-secret-0123456789", "first-secret-0123456789"] {
        let bearer = format!("Bearer {secret}");
        let headers = [
            ("Content-Type", "application/json"),
            ("Idempotency-Key", "k"),
            ("Authorization", bearer.as_str()),
        ];
        let answer = server.request("POST", "/api/v1/jobs", &headers, "{\"type\":\"noop\"}");
        assert_eq!(answer.status, 202, "{answer:?}");
        ids.insert(answer.json()["id"].to_string());
    }
    assert_eq!(ids.len(), 2);
}

#[test]
fn of_the_same_request_many_times_at_once_one_is_carried_out() {
    let server = Server::start(&Options::default());
    for round in 0..8 {
        let key = format!("round-{round}");
        let answers: Vec<Answer> = thread::scope(|scope| {
            let threads: Vec<_> = (0..16)
                .map(|_| {
                    scope.spawn(|| send(&server, "/api/v1/jobs/batch", &key, &body("/api/v1/jobs/batch", 1)))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
        });
        let mut bodies = BTreeSet::new();
        let mut first = 0;
        for answer in &answers {
            match answer.status {
                200 => {
                    bodies.insert(answer.body.clone());
                    first += usize::from(answer.header("idempotent-replayed").is_none());
                }
                // The first one is not answered yet.
                409 => assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}"),
                _ => panic!("{answer:?}"),
            }
        }
        assert_eq!((bodies.len(), first), (1, 1), "{answers:?}");
        let after = send(&server, "/api/v1/jobs/batch", &key, &body("/api/v1/jobs/batch", 1));
        assert!(bodies.contains(&after.body));
        assert_eq!(stored(&server), round + 1);
    }
}

/// The server dies when the jobs are stored and nobody knows it yet.
#[cfg(feature = "failpoints")]
#[test]
fn a_request_whose_answer_was_lost_with_the_server_is_answered_by_the_next_one() {
    for path in ROUTES {
        let folder = tempfile::TempDir::new().expect("a folder");
        let (data, log) = (folder.path().join("data"), folder.path().join("failpoints"));
        let environment = [
            ("CALLBOARD_FAILPOINTS", "submit.answer.before=kill@1"),
            ("CALLBOARD_FAILPOINT_LOG", log.to_str().expect("UTF-8")),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mut killed =
            Server::start_on(&data, &Options { environment, ..Options::default() }).expect("a server");
        let lost = send(&killed, path, "k", &body(path, 1));
        assert_eq!(lost.status, 0, "{lost:?}");
        assert!(!killed.wait().success());
        assert!(std::fs::read_to_string(&log).expect("a log").contains("submit.answer.before"));

        let mut answers: Vec<(u16, Value)> = Vec::new();
        for _ in 0..2 {
            let server = Server::start_on(&data, &Options::default()).expect("a server");
            assert_eq!(stored(&server), 1);
            let answer = send(&server, path, "k", &body(path, 1));
            assert_eq!(answer.header("idempotent-replayed"), Some("true"), "{answer:?}");
            answers.push((answer.status, answer.json()));
            assert_eq!(send(&server, path, "k", &body(path, 2)).status, 422);
            assert_eq!(stored(&server), 1);
            server.kill();
        }
        assert_eq!(answers[0], answers[1]);
        assert!(
            !answers[0].1.to_string().contains("\"duplicate\":true"),
            "it is the first answer: {answers:?}"
        );
    }
}

/// One of several servers dies over a request with a key, before or after it is committed; another one is asked again.
#[cfg(feature = "failpoints")]
#[test]
fn a_request_whose_server_on_postgresql_was_killed_is_carried_out_once_by_another() {
    for (place, was_stored) in [("enqueue.commit.before", false), ("submit.answer.before", true)] {
        let database = callboard_testsupport::Database::create();
        let node = |name: &str, failpoints: Option<&str>| {
            let mut options = Options::arguments(&["--set", "store.backend=postgres"]);
            let mut set =
                |name: &str, value: &str| options.environment.push((name.to_owned(), value.to_owned()));
            set("CALLBOARD__STORE__URL", database.url());
            set("CALLBOARD__SYSTEM__NODE_NAME", name);
            if let Some(failpoints) = failpoints {
                set("CALLBOARD_FAILPOINTS", failpoints);
            }
            Server::start(&options)
        };
        let (mut killed, other) = (node("alpha", Some(&format!("{place}=kill@1"))), node("beta", None));
        for (number, path) in ROUTES.into_iter().enumerate() {
            let (server, dies) = if number == 0 { (&killed, true) } else { (&other, false) };
            let lost = send(server, path, "k", &body(path, 1));
            if dies {
                assert_eq!(lost.status, 0, "{lost:?}");
                assert!(!killed.wait().success());
                assert_eq!(stored(&other), usize::from(was_stored), "{place}");
            }
            let first = send(&other, path, "k", &body(path, 1));
            let replayed = first.header("idempotent-replayed").is_some();
            assert_eq!(replayed, !dies || was_stored, "{place}: {first:?}");
            let again = send(&other, path, "k", &body(path, 1));
            assert_eq!((again.status, again.body), (first.status, first.body), "{place}");
            assert_eq!(send(&other, path, "k", &body(path, 2)).status, 422);
            assert_eq!(stored(&other), number + 1, "{place}");
        }
    }
}
