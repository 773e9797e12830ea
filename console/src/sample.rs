//! A model as it is after a while with a server, for tests: the same each time.

use callboard_contracts::{
    Timestamp,
    api::{EventRecord, JobList},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    doctor::{Check, Verdict},
    exchange::{Answer, Effect, Event, News, Request},
    keys::Chord,
    model::{Model, Setup},
    update::update,
};

/// When it is.
pub(crate) const NOW: &str = "2026-11-22T12:00:00Z";
/// The job that is looked at.
pub(crate) const JOB: &str = "019aab00-0000-7000-8000-000000000003";
/// The workflow that is looked at.
pub(crate) const WORKFLOW: &str = "019aab00-0000-7000-8000-0000000000f1";

pub(crate) fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

fn id(number: u32) -> String {
    format!("019aab00-0000-7000-8000-0000000000{number:02x}")
}

pub(crate) fn job(number: u32, state: &str) -> Value {
    let status = match state {
        "executing" => "EXECUTING",
        "completed" => "COMPLETED",
        "cancelled" | "discarded" => "FAILED",
        _ => "PENDING",
    };
    let (job_type, queue) =
        [("send-mail", "mail"), ("resize-image", "default"), ("make-report", "reports")][number as usize % 3];
    let mut job = json!({
        "id": id(number), "type": job_type, "queue": queue, "state": state, "status": status,
        "attempt": number % 4, "max_attempts": 4, "priority": 0, "tags": [format!("customer-{number}")],
        "created_at": format!("2026-11-22T11:{:02}:00Z", 59 - number), "scheduled_at": "2026-11-22T11:30:00Z",
    });
    if state == "discarded" {
        job["last_error"] = json!("the mail server says 550\nno such user");
        job["cause"] = json!("5f1c");
    }
    if !["pending", "scheduled", "available"].contains(&state) {
        job["started_at"] = json!("2026-11-22T11:59:50Z");
    }
    if ["completed", "cancelled", "discarded"].contains(&state) {
        job["finished_at"] = json!("2026-11-22T11:59:53.5Z");
    }
    job
}

fn actor(path: &str, kind: &str, state: &str, children: Value) -> Value {
    json!({
        "path": path, "name": path.rsplit('/').next(), "kind": kind, "actor_type": "callboard::Store<Sqlite>",
        "state": state, "generation": 1, "restarts": 0, "restarts_allowed": if kind == "actor" { 0 } else { 3 },
        "mailbox_depth": 2, "mailbox_capacity": if kind == "actor" { 64 } else { 0 }, "refused": 0, "handled": 12345,
        "crashes": 0, "children": children,
    })
}

fn tree() -> Value {
    let mut mail = actor(
        "queues/queue-mail",
        "supervisor",
        "running",
        json!([
            actor("queues/queue-mail/jobs", "dynamic_supervisor", "running", json!([])),
            actor("queues/queue-mail/producer", "actor", "backing_off", json!([])),
        ]),
    );
    mail["restarts"] = json!(2);
    mail["children"][1]["crashes"] = json!(2);
    mail["children"][1]["condition"] = json!("restarts in 400 ms");
    mail["children"][1]["last_crashes"] = json!([{
        "at": "2026-11-22T11:59:58Z", "actor": "queues/queue-mail/producer", "generation": 1,
        "message_type": "callboard::Claim", "reason": "attempt to divide by zero",
        "backtrace": "0: callboard::claim\n1: main",
    }]);
    let mut store = actor("edges/store", "actor", "running", json!([]));
    store["current_message"] = json!("callboard::store::Commit<Batch>");
    store["current_message_ms"] = json!(1250);
    actor(
        "",
        "supervisor",
        "running",
        json!([
            actor("edges", "supervisor", "running", json!([store])),
            actor("queues", "supervisor", "running", json!([mail])),
            actor("web", "supervisor", "suspended", json!([])),
        ]),
    )
}

fn queue(name: &str, available: u64, paused: bool) -> Value {
    let mut queue = json!({
        "name": name, "concurrency": 4, "max_backlog": 100_000, "pending": 1, "scheduled": 2, "available": available,
        "executing": 2, "retryable": 1, "completed": 12_345, "cancelled": 6, "discarded": 3,
    });
    if available > 0 {
        queue["oldest_available_at"] = json!("2026-11-22T11:52:00Z");
    }
    if paused {
        queue["paused_at"] = json!("2026-11-22T11:50:00Z");
        queue["pause"] = json!({ "cause": "requested", "by": "ada", "reason": "the mail server is moved" });
        queue["max_running"] = json!(10);
    }
    queue
}

fn overview() -> Value {
    json!({
        "at": NOW, "node": "node-1", "version": "0.5.0", "started_at": "2026-11-22T08:00:00Z",
        "readiness": { "status": "degraded", "version": "0.5.0", "reasons": [{ "actor": "queues/queue-mail", "reason": "restarts" }] },
        "totals": { "pending": 3, "scheduled": 6, "available": 1204, "executing": 6, "retryable": 3, "completed": 37_035,
                    "cancelled": 18, "discarded": 9 },
        "rates": { "submitted": 120.4, "started": 98.0, "completed": 97.5, "failed": 0.2, "retried": 1.4, "cancelled": 0.0 },
        "wait": { "p50_ms": 12.0, "p95_ms": 80.0, "p99_ms": 450.0 }, "run": { "p50_ms": 35.0, "p95_ms": 900.0, "p99_ms": 4200.0 },
        "nodes": 2,
        "alerts": [
            { "severity": "critical", "source": "queue", "subject": "mail", "text": "is paused by ada", "since": "2026-11-22T11:50:00Z" },
            { "severity": "warning", "source": "actor", "subject": "queues/queue-mail", "text": "2 of 3 restarts are used up" },
        ],
    })
}

fn series() -> Value {
    let wave =
        |height: f64| -> Vec<f64> { (0..120).map(|step| height * f64::from(step % 12) / 11.0).collect() };
    let points: serde_json::Map<String, Value> = [
        "submitted",
        "completed",
        "failed",
        "retried",
        "executing",
        "oldest_ms",
        "wait_p99_ms",
        "run_p99_ms",
    ]
    .into_iter()
    .zip(1..)
    .map(|(name, height)| (name.to_owned(), json!(wave(f64::from(height)))))
    .collect();
    json!({ "resolution_ms": 1000, "end": NOW, "points": points })
}

fn detail() -> Value {
    let mut detail = job(3, "discarded");
    detail["id"] = json!(JOB);
    detail["payload"] = json!({ "to": "ada@example.org", "user": { "id": 7 } });
    detail["timeout_ms"] = json!(30_000);
    detail["correlation_id"] = json!(id(99));
    let attempt = |number: u32, from: &str, to: &str| {
        json!({
            "attempt": number, "outcome": "failed", "node": "node-1", "claimed_at": from, "started_at": from, "finished_at": to,
            "error": { "kind": "failed", "message": "the mail server says 550\nno such user" },
        })
    };
    detail["attempts"] = json!([
        attempt(1, "2026-11-22T11:57:00Z", "2026-11-22T11:57:01Z"),
        attempt(2, "2026-11-22T11:59:50Z", "2026-11-22T11:59:53.5Z"),
    ]);
    detail
}

fn workflow() -> Value {
    json!({
        "id": WORKFLOW, "name": "nightly", "state": "running", "steps": 4, "waiting": 1, "active": 1, "completed": 2, "failed": 0,
        "cancelled": 0, "created_at": "2026-11-22T11:00:00Z", "updated_at": NOW,
    })
}

fn graph() -> Value {
    let step = |number: u32, name: &str, state: &str, job_state: &str| {
        json!({ "number": number, "name": name, "job": id(number + 20), "type": "make-report", "state": state,
                "job_state": job_state, "on_failure": "fail", "open": 0 })
    };
    json!({
        "workflow": workflow(),
        "steps": [
            step(0, "fetch", "completed", "completed"), step(1, "count", "completed", "completed"),
            step(2, "draw", "active", "executing"), step(3, "send", "waiting", "pending"),
        ],
        "edges": [[0, 1], [0, 2], [1, 3], [2, 3]], "truncated": false,
    })
}

fn node() -> Value {
    json!({
        "name": "node-1", "session": id(50), "state": "ready", "leads": true, "version": "0.5.0", "reads": 15, "process": 4711,
        "since": "2026-11-22T08:00:00Z", "last_seen": "2026-11-22T11:59:58Z", "roles": ["gateway", "processor", "read-model", "leader"],
        "queues": [{ "name": "default", "concurrency": 4 }, { "name": "mail", "concurrency": 2 }], "labels": {}, "capacity": 6, "running": 2,
    })
}

pub(crate) fn event(number: u32, kind: &str) -> EventRecord {
    read(json!({
        "cursor": format!("1-{number}"), "queue": "mail",
        "event": {
            "contractVersion": "1.0.0", "eventType": kind, "eventId": id(number), "occurredAt": format!("2026-11-22T11:59:{number:02}.25Z"),
            "producer": { "service": "callboard", "instanceId": "node-1", "version": "0.5.0" }, "correlationId": id(99),
            "idempotencyKey": id(1),
            "payload": { "id": id(1), "type": "send-mail", "status": "FAILED", "createdAt": NOW, "error": "no such user" },
        },
    }))
}

pub(crate) fn job_types() -> Value {
    json!([{
        "type": "send-mail", "description": "Sends a mail.", "queue": "mail", "max_attempts": 4, "timeout_ms": 30_000,
        "form": { "fields": [
            { "pointer": "/to", "label": "to", "help": "Whom it is for.", "required": true, "control": "text" },
            { "pointer": "/copies", "label": "copies", "required": false, "default": 1, "control": "integer", "minimum": 1 },
            { "pointer": "/extra", "label": "extra", "required": false, "control": "json" },
        ] },
        "payload_schema": {}, "result_schema": {},
    }, {
        "type": "sleep", "description": "Waits.", "queue": "default", "max_attempts": 1, "timeout_ms": 30_000,
        "payload_schema": {}, "result_schema": {},
    }])
}

/// An answer to what a request asks for, made of what a server would have said.
pub(crate) fn answer(request: &Request) -> Option<Answer> {
    Some(match request {
        Request::Overview => Answer::Overview(read(overview())),
        Request::Series => Answer::Series(read(series())),
        Request::Queues => Answer::Queues(read(json!([
            queue("default", 1200, false),
            queue("mail", 4, true),
            queue("reports", 0, false)
        ]))),
        Request::Tree(_) => Answer::Tree(read(tree())),
        Request::Nodes => Answer::Nodes(read(json!([node()]))),
        Request::Edges => Answer::Edges(read(json!([
            { "name": "mail-server", "state": "tripped", "since": "2026-11-22T11:55:00Z", "reason": "it answers 503", "set_by": "node-1",
              "parked": 12, "needed_by": ["send-mail"] },
            { "name": "bank", "state": "ready", "parked": 0, "needed_by": ["charge-card"] },
        ]))),
        Request::Jobs(_, query) | Request::Newest(_, query) if query.cursor.is_none() => {
            let states = [
                "available",
                "executing",
                "retryable",
                "discarded",
                "completed",
                "cancelled",
                "scheduled",
                "pending",
            ];
            let jobs: Vec<Value> = (0..24).map(|number| job(number, states[number as usize % 8])).collect();
            Answer::Jobs(read::<JobList>(json!({ "jobs": jobs })))
        }
        Request::Job(_) => Answer::Job(read(detail())),
        Request::Causes => Answer::Causes(
            read(json!([{
                "cause": "5f1c", "title": "the mail server says #", "kind": "failed", "type": "send-mail", "queue": "mail", "count": 9,
                "at_least": false, "first_at": "2026-11-22T09:00:00Z", "last_at": "2026-11-22T11:59:53Z", "sample": JOB,
            }])),
            false,
        ),
        Request::Cron => Answer::Cron(read(json!([{
            "name": "nightly", "definition": { "expression": "30 2 * * *", "time_zone": "Europe/Berlin", "job": { "type": "make-report" } },
            "description": "at 02:30", "source": "configuration", "set_by": "node-1", "fires_at": "2026-11-23T01:30:00Z",
            "next_times": [{ "at": "2026-11-23T01:30:00Z", "local": "2026-11-23 02:30:00+01:00" }], "fired": 12, "skipped": 1, "missed": 0,
            "firings": [{ "due": "2026-11-22T01:30:00Z", "at": "2026-11-22T01:30:00Z", "result": "fired", "job_id": JOB }],
            "created_at": "2026-11-01T00:00:00Z", "updated_at": "2026-11-01T00:00:00Z",
        }]))),
        Request::Workflows => Answer::Workflows(read(json!([workflow()])), false),
        Request::Workflow(_) => Answer::Workflow(read(graph())),
        Request::Settings => Answer::Settings(read(json!({
            "node": "node-1",
            "settings": [
                { "key": "queues.mail.concurrency", "value": "2", "source": "callboard.toml", "live": true },
                { "key": "retention.completed", "value": "\"3d\"", "source": "a request", "live": true },
                { "key": "web.listen", "value": "\"127.0.0.1:8080\"", "source": "default", "live": false },
            ],
            "waiting": [{ "key": "web.listen", "old": "\"127.0.0.1:8080\"", "new": "\"127.0.0.1:9090\"" }],
        }))),
        Request::JobTypes => Answer::JobTypes(read(job_types())),
        _ => return None,
    })
}

/// Answers what is asked, and what is asked because of that.
pub(crate) fn serve(model: &mut Model, effects: Vec<Effect>) {
    let mut open = effects;
    while let Some(effect) = open.pop() {
        if let Effect::Ask(request) = effect
            && let Some(answer) = answer(&request)
        {
            open.extend(update(model, Event::Answered(Box::new(request), Box::new(Ok(answer)))));
        }
    }
    while model.has_work() {
        model.work();
    }
}

/// Presses keys, and lets the server answer.
pub(crate) fn press(model: &mut Model, keys: &str) {
    for letter in keys.chars() {
        let chord = match letter {
            '\n' => Chord::Enter,
            '\u{1b}' => Chord::Esc,
            '\t' => Chord::Tab,
            letter => Chord::Char(letter),
        };
        let effects = update(model, Event::Key(chord));
        serve(model, effects);
    }
}

/// A console of this size that has been with a server for a while.
pub(crate) fn model(size: (u16, u16)) -> Model {
    let now: Timestamp = NOW.parse().unwrap();
    let setup = Setup { can_start: true, ..Setup::default() };
    let mut model = Model::new(setup, now, size);
    let effects = update(&mut model, Event::Connected("http://127.0.0.1:8080".to_owned()));
    serve(&mut model, effects);
    let effects = update(&mut model, Event::Tick(now));
    serve(&mut model, effects);
    press(&mut model, "1");
    let events = vec![event(1, "job.created"), event(2, "job.executed"), event(3, "job.failed")];
    update(&mut model, Event::News(News::Events(events)));
    let check = |name, verdict, remedy: Option<&str>| Check {
        name,
        verdict,
        found: "as it was found".to_owned(),
        remedy: remedy.map(str::to_owned),
        about: "What it is for.",
    };
    let checks = vec![
        check("terminal", Verdict::Good, None),
        check("certificates", Verdict::Doubtful, Some("sudo apt-get install -y ca-certificates")),
        check("server", Verdict::Bad, Some("callboard serve")),
    ];
    update(&mut model, Event::Checked(checks));
    model
}

/// Goes to one of the views that are about one thing.
pub(crate) fn look_at(model: &mut Model, command: &str) {
    press(model, &format!(":{command}\n"));
}

/// The id that a text names.
pub(crate) fn uuid(text: &str) -> Uuid {
    text.parse().unwrap()
}
