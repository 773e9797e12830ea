//! Bad requests: each has its answer, and none leaves a trace.

use serde_json::Value;

use crate::server::{Options, Server, eventually};

/// Memory that answering may leave behind, in bytes: buffers of connections, not what was sent.
const SLACK: u64 = 32 * 1024 * 1024;

/// What is asked, and what must be answered: the status and a part of the body.
struct Case {
    method: &'static str,
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
    status: u16,
    says: &'static str,
}

fn post(path: &'static str, body: impl Into<String>, status: u16, says: &'static str) -> Case {
    let headers = vec![("Content-Type", "application/json".to_owned())];
    Case { method: "POST", path, headers, body: body.into(), status, says }
}

fn get(path: &'static str, status: u16, says: &'static str) -> Case {
    Case { method: "GET", path, headers: Vec::new(), body: String::new(), status, says }
}

fn with(mut case: Case, name: &'static str, value: &str) -> Case {
    case.headers.retain(|(known, _)| *known != name);
    case.headers.push((name, value.to_owned()));
    case
}

fn cases() -> Vec<Case> {
    let new = "/api/v1/jobs";
    let noop = r#"{"type":"noop"}"#;
    let deep = format!(r#"{{"type":"noop","payload":{}1{}}}"#, r#"{"a":"#.repeat(100), "}".repeat(100));
    let unknown = "/api/v1/jobs/00000000-0000-4000-8000-000000000000";
    vec![
        post(new, "", 400, "empty"),
        post(new, "   ", 400, "empty"),
        post(new, "{", 400, "line 1"),
        post(new, "{}x", 400, "trailing"),
        post(new, "\u{feff}{}", 400, "byte order mark"),
        post(new, "[]", 422, "object"),
        post(new, "null", 422, "object"),
        post(new, "17", 422, "object"),
        post(new, "{}", 422, "type"),
        post(new, r#"{"type":17}"#, 422, "type"),
        post(new, r#"{"type":"noop","type":"sleep"}"#, 400, "type"),
        post(new, r#"{"type":"a b"}"#, 422, "letters"),
        post(new, r#"{"type":""}"#, 422, "type"),
        post(new, r#"{"type":"unheard-of"}"#, 422, "noop"),
        post(new, r#"{"type":"noop","colour":"red"}"#, 422, "colour"),
        post(new, r#"{"type":"noop","payload":[]}"#, 422, "payload"),
        post(new, r#"{"type":"noop","id":"17"}"#, 422, "id"),
        post(new, r#"{"type":"noop","queue":"nowhere"}"#, 422, "default"),
        post(new, r#"{"type":"noop","max_attempts":0}"#, 422, "max_attempts"),
        post(new, r#"{"type":"noop","max_attempts":-1}"#, 422, "max_attempts"),
        post(new, r#"{"type":"noop","timeout_ms":"soon"}"#, 422, "timeout_ms"),
        post(new, r#"{"type":"sleep","payload":{"ms":"long"}}"#, 422, "ms"),
        post(new, r#"{"type":"sleep","payload":{}}"#, 422, "ms"),
        post(
            new,
            r#"{"type":"command","payload":{"program":"sh","args":["-c","id"]}}"#,
            403,
            "--allow-program",
        ),
        post(new, r#"{"type":"command","payload":{"program":"../../bin/sh"}}"#, 422, "program"),
        post(new, deep, 400, "deeper"),
        post(new, format!(r#"{{"type":"noop","metadata":{{"a":"{}"}}}}"#, "x".repeat(300_000)), 413, "bytes"),
        post(
            new,
            format!(r#"{{"type":"noop","metadata":{{"a":"{}"}}}}"#, "x".repeat(2_000_000)),
            413,
            "bytes",
        ),
        with(post(new, noop, 415, "application/json"), "Content-Type", "text/plain"),
        with(post(new, noop, 415, "application/json"), "Content-Type", "application/x-www-form-urlencoded"),
        with(post(new, noop, 403, "another site"), "Origin", "http://evil.example"),
        with(post(new, noop, 403, "another site"), "Sec-Fetch-Site", "cross-site"),
        with(post(new, noop, 403, "another site"), "Origin", "null"),
        post("/api/v1/jobs/batch", "{}", 400, "jobs"),
        post("/api/v1/jobs/batch", r#"{"jobs":{}}"#, 400, "jobs"),
        post("/api/v1/jobs/batch", format!(r#"{{"jobs":[{}1]}}"#, "1,".repeat(1000)), 413, "1000"),
        post("/api/v1/jobs/lookup", r#"{"ids":["x"]}"#, 400, "ids"),
        post("/jobs", "{}", 400, "Invalid job data"),
        post(
            "/jobs",
            r#"{"id":"x","type":"noop","status":"DONE","createdAt":"now"}"#,
            400,
            "Invalid job data",
        ),
        post("/jobs", "{", 400, "error"),
        get("/api/v1/jobs?limit=0", 400, "1 to 1000"),
        get("/api/v1/jobs?limit=many", 400, "1 to 1000"),
        get("/api/v1/jobs?state=running", 400, "executing"),
        get("/api/v1/jobs?cursor=%00", 400, "cursor"),
        get("/api/v1/jobs?colour=red", 400, "colour"),
        get("/api/v1/jobs/17", 400, "UUID"),
        get(unknown, 404, "there is no job"),
        get("/api/v1/nowhere", 404, "openapi"),
        get("/api/v1/queues/nowhere", 404, "queue"),
        get("/api/v1/events?cursor=first", 400, "cursor"),
        Case { method: "DELETE", ..post(unknown, "{}", 405, "GET") },
        post("/api/v1/tree", "{}", 405, "GET"),
        post("/api/v1/jobs/17/cancel", "{}", 400, "UUID"),
    ]
}

#[test]
fn every_bad_request_has_its_answer_and_leaves_no_trace() {
    let server = Server::start(&Options::default());
    let cases = cases();
    assert!(cases.len() >= 40);
    let before = server.resident();
    let mut wrong = Vec::new();
    for case in &cases {
        let headers: Vec<(&str, &str)> =
            case.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = server.request(case.method, case.path, &headers, &case.body);
        let shown: String = case.body.chars().take(80).collect();
        let context = format!("{} {} {shown}: {answer:?}", case.method, case.path);
        if answer.status != case.status || !answer.body.contains(case.says) {
            wrong.push(format!("{} with {:?} expected: {context}", case.status, case.says));
            continue;
        }
        if case.path.starts_with("/api/") {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{context}");
            let problem = answer.json();
            assert_eq!(problem["status"], case.status, "{context}");
            assert!(problem["type"].as_str().unwrap().starts_with("urn:callboard:problem:"), "{context}");
        }
        assert!(answer.header("x-correlation-id").is_some(), "{context}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A name that is not ours, as a page of another site would have it after rebinding.
    let foreign = server.raw(b"GET /api/v1/jobs HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!(foreign.status, 421, "{foreign:?}");
    let garbage = server.raw(b"\x16\x03\x01\x02\x00 this is no HTTP\r\n\r\n");
    assert_eq!(garbage.status, 400, "{garbage:?}");

    let list = server.json(&["jobs", "list", "--json"]);
    assert_eq!(list["jobs"], Value::Array(Vec::new()), "nothing was stored");
    assert_eq!(server.get("/stats").json()["totalJobs"], 0);
    assert_eq!(server.get("/events").body, "[]");
    let grown = server.resident().saturating_sub(before);
    assert!(grown < SLACK, "the server has grown by {grown} bytes");
}

#[test]
fn a_full_disk_refuses_new_jobs_and_lets_everything_else_go_on() {
    let mut server = Server::start(&Options::default());
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    assert_eq!(server.post("/api/v1/jobs", &format!(r#"{{"type":"noop","id":"{id}"}}"#)).status, 202);
    let folder = server.keep_folder();
    let (data, _) = server.kill();
    // No disk has so much room.
    let options = Options::arguments(&["--set", "store.min_free_space=1000000TiB"]);
    let server = Server::start_on(&data, &options).expect("a server");
    for (path, body) in [
        ("/api/v1/jobs", r#"{"type":"noop"}"#.to_owned()),
        ("/jobs", r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8058","type":"noop","status":"PENDING","createdAt":"2026-01-01T00:00:00Z"}"#.to_owned()),
    ] {
        let answer = server.post(path, &body);
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.body.contains("bytes left"), "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    let items = server.post("/api/v1/jobs/batch", r#"{"jobs":[{"type":"noop"}]}"#).json();
    assert_eq!((&items["accepted"], &items["items"][0]["status"]), (&0.into(), &503.into()), "{items}");
    // The one that was there is run all the same, and can be looked at.
    eventually("it is done", || server.get(&format!("/api/v1/jobs/{id}")).json()["state"] == "completed");
    assert_eq!(server.get("/api/v1/jobs").json()["jobs"].as_array().map(Vec::len), Some(1));
    drop(folder);
}
