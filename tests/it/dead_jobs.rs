//! Dead jobs and bulk operations on the real program: also when it is killed in the middle.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use callboard::contracts::Timestamp;
use callboard_testsupport::Database;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::server::{Options, Server, callboard, eventually};

/// Dead jobs in the store.
const DEAD: u64 = 3000;
/// Jobs that may wait, of which a bulk operation leaves a tenth to others.
const BACKLOG: u64 = 1000;

/// An export of a store with so many dead jobs and nothing else, as a program wrote it that knew no causes.
fn dead_jobs() -> Vec<u8> {
    let at = Timestamp::now();
    let header = json!({"export": {
        "format": 1, "program": "0.4.0", "backend": "sqlite", "exported_at": at, "epoch": 1, "position": 0,
        "token": DEAD, "sequence": DEAD, "events": false,
    }});
    let job = |number: u64| {
        let message = format!("no user {number}");
        json!({"job": {
            "id": Uuid::now_v7(), "sequence": number, "type": "noop", "queue": "default", "state": "discarded",
            "payload": {}, "fingerprint": "07".repeat(32), "attempt": 1, "max_attempts": 9, "timeout_us": 60_000_000,
            "token": number, "last_error": message, "correlation_id": Uuid::now_v7(),
            "created_event_id": Uuid::now_v7(), "created_at": at, "updated_at": at, "scheduled_at": at,
            "claimed_at": at, "started_at": at, "finished_at": at, "claims": 1, "was_started": true, "deaths": 0,
            "attempts": [{
                "number": 1, "token": number, "outcome": "failed", "node": "a", "claimed_at": at, "started_at": at,
                "finished_at": at, "error": {"kind": "failed", "message": message},
            }],
        }})
    };
    let end = json!({"end": {"jobs": DEAD, "attempts": DEAD, "events": 0}});
    let lines = std::iter::once(header).chain((1..=DEAD).map(job)).chain([end]);
    lines.flat_map(|line| format!("{line}\n").into_bytes()).collect()
}

fn store(arguments: &[&str], place: &[&str], database: Option<&Database>) -> Command {
    let mut command = callboard();
    command.arg("store").args(arguments).args(place);
    if let Some(database) = database {
        command.env("CALLBOARD__STORE__URL", database.url()).args(["--set", "store.backend=postgres"]);
    }
    command
}

fn import(place: &[&str], database: Option<&Database>) {
    let mut child = store(&["import", "-"], place, database)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("a pipe").write_all(&dead_jobs()).expect("it reads");
    assert!(child.wait().expect("an end").success());
}

/// Of which dead job each completed one is a replay, and how many dead ones there are.
fn replays(place: &[&str], database: Option<&Database>) -> (Vec<String>, usize) {
    let exported = store(&["export", "--without-events", "-"], place, database).output().expect("an export");
    assert!(exported.status.success(), "{exported:?}");
    let text = String::from_utf8(exported.stdout).expect("UTF-8");
    let jobs: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["job"].take())
        .filter(|job| !job.is_null())
        .collect();
    let dead = jobs.iter().filter(|job| job["state"] == "discarded").count();
    let of = |job: &Value| job["replay_of"].as_str().expect("a replay").to_owned();
    (jobs.iter().filter(|job| job["state"] == "completed").map(of).collect(), dead)
}

fn each_was_run_again_once(place: &[&str], database: Option<&Database>) {
    let (replays, dead) = replays(place, database);
    let different: BTreeSet<&String> = replays.iter().collect();
    assert_eq!((replays.len(), different.len(), dead), (DEAD as usize, DEAD as usize, DEAD as usize));
}

fn options() -> Options {
    let backlog = format!("queues.default.max_backlog={BACKLOG}");
    Options::arguments(&[
        "--set",
        &backlog,
        "--set",
        "rescuer.session_ttl=2s",
        "--set",
        "rescuer.heartbeat=300ms",
        // The same job may run at each of the kills.
        "--set",
        "rescuer.quarantine_after=0",
    ])
}

fn look(server: &Server, id: &str) -> Value {
    let answer = server.get(&format!("/api/v1/bulk/{id}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn dealt_with(server: &Server, id: &str) -> u64 {
    look(server, id)["dealt_with"].as_u64().expect("a number")
}

/// All dead jobs have one cause, once it is found out; what it is.
fn cause(server: &Server) -> String {
    let mut cause = String::new();
    eventually("the causes are found out", || {
        let found = server.get("/api/v1/dead-jobs/causes").json();
        let groups = found["causes"].as_array().expect("causes");
        assert!(groups.len() <= 1, "{groups:?}");
        groups.first().is_some_and(|group| {
            cause = group["cause"].as_str().expect("a cause").to_owned();
            assert_eq!(group["title"], "no user #");
            group["count"] == DEAD
        })
    });
    cause
}

/// Begins to run all of them again; gives the operation's id. It stands still where the backlog is full.
fn begin(server: &Server) -> String {
    assert_eq!(server.post("/api/v1/queues/default/pause", "{}").status, 200);
    let filter = json!({"cause": cause(server)});
    let dry = json!({"action": "retry", "filter": filter, "dry_run": true}).to_string();
    let preview = server.post("/api/v1/bulk", &dry);
    assert_eq!((preview.status, &preview.json()["matched"]), (200, &json!(DEAD)), "{preview:?}");
    let begun = server.post("/api/v1/bulk", &json!({"action": "retry", "filter": filter}).to_string());
    assert_eq!(begun.status, 202, "{begun:?}");
    let id = begun.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(begun.header("location"), Some(&*format!("/api/v1/bulk/{id}")));
    eventually("there is no room", || look(server, &id)["waits_for"].is_string());
    assert_eq!(dealt_with(server, &id), BACKLOG * 9 / 10);
    id
}

fn is_done(server: &Server, id: &str) {
    eventually("it is done", || look(server, id)["state"] == "done");
    assert_eq!(look(server, id)["outcomes"], json!({"replayed": DEAD}));
    eventually("all have run", || server.get("/api/v1/queues/default").json()["completed"] == DEAD);
}

#[test]
fn a_bulk_replay_that_is_killed_again_and_again_runs_each_job_once() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("data");
    let place = ["--data", data.to_str().expect("UTF-8")];
    import(&place, None);
    let start = || Server::start_on(Path::new(&data), &options()).expect("a server");
    let server = start();
    let id = begin(&server);
    server.kill();
    let mut server = start();
    // It is where it was, and goes on when there is room.
    assert_eq!(dealt_with(&server, &id), BACKLOG * 9 / 10);
    assert_eq!(server.post("/api/v1/queues/default/resume", "{}").status, 200);
    // Killed in the middle of it, as often as it can be: it is over in a second or so.
    let mut kills = 0;
    while kills < 5 {
        let before = dealt_with(&server, &id);
        let is_over = |server: &Server| look(server, &id)["state"] == "done";
        eventually("it goes on", || dealt_with(&server, &id) > before || is_over(&server));
        if is_over(&server) {
            break;
        }
        server.kill();
        kills += 1;
        server = start();
    }
    assert!(kills > 0, "it was done before it could be killed");
    is_done(&server, &id);
    // Nothing is left to be done with it.
    let stopped = server.post(&format!("/api/v1/bulk/{id}/stop"), "{}").json();
    assert_eq!(stopped["state"], "done");
    drop(server);
    each_was_run_again_once(&place, None);
    let checked = store(&["check"], &place, None).output().expect("the program starts");
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn another_server_goes_on_with_a_bulk_replay_when_its_leader_is_killed() {
    let database = Database::create();
    import(&[], Some(&database));
    let node = |name: &str| {
        let mut options = options();
        options.arguments.extend(["--set", "store.backend=postgres"].map(str::to_owned));
        options.environment.push(("CALLBOARD__STORE__URL".to_owned(), database.url().to_owned()));
        options.environment.push(("CALLBOARD__SYSTEM__NODE_NAME".to_owned(), name.to_owned()));
        Server::start(&options)
    };
    let alpha = node("alpha");
    let leads = |server: &Server, name: &str| {
        let nodes = server.get("/api/v1/nodes").json();
        let nodes = nodes.as_array().cloned().unwrap_or_default();
        nodes.iter().any(|node| node["name"] == name && node["leads"] == true)
    };
    eventually("alpha leads", || leads(&alpha, "alpha"));
    let beta = node("beta");
    let id = begin(&beta);
    assert_eq!(beta.post("/api/v1/queues/default/resume", "{}").status, 200);
    eventually("it goes on", || dealt_with(&beta, &id) > BACKLOG * 9 / 10);
    let _folder = alpha.kill();
    eventually("beta leads", || leads(&beta, "beta"));
    is_done(&beta, &id);
    drop(beta);
    each_was_run_again_once(&[], Some(&database));
}

#[test]
fn dead_jobs_are_seen_compared_and_run_again_on_the_command_line() {
    let server =
        Server::start(&Options::arguments(&["--allow-program", "sha256sum", "--allow-program", "true"]));
    let submit = |arguments: &[&str]| {
        let flags = ["submit", "command", "--max-attempts", "1", "--wait", "--quiet", "--"];
        server.cli(&[&flags, arguments].concat());
    };
    let file = server.data.with_extension("txt");
    fs::write(&file, "text").expect("a file");
    submit(&["sha256sum", file.to_str().expect("UTF-8")]);
    submit(&["sha256sum", "/nowhere/1"]);
    submit(&["sha256sum", "/nowhere/2"]);
    let causes = server.json(&["dead", "--json"]);
    let group = &causes["causes"][0];
    assert_eq!(
        (&group["count"], causes["causes"].as_array().map(Vec::len)),
        (&json!(2), Some(1)),
        "{causes}"
    );
    let (cause, sample) =
        (group["cause"].as_str().expect("a cause"), group["sample"].as_str().expect("an id"));
    let listed = server.json(&["dead", "list", "--cause", cause, "--json"]);
    assert_eq!(listed["jobs"].as_array().map(Vec::len), Some(2));
    let none = server.json(&["dead", "list", "--cause", "0000000000000000", "--json"]);
    assert_eq!(none["jobs"].as_array().map(Vec::len), Some(0));
    let compared = server.json(&["dead", "compare", sample, "--json"]);
    assert_eq!(compared["differences"][0]["pointer"], "/args/0", "{compared}");
    let table = server.cli(&["dead", "compare", sample]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("/args/0  other") && table.contains("LAST SUCCESS"), "{table}");

    let patch = json!({"args": [file]}).to_string();
    let replayed = server.json(&["dead", "replay", sample, "--patch", &patch, "--reason", "moved", "--json"]);
    let id = replayed["id"].as_str().expect("an id");
    eventually("it is done", || server.json(&["jobs", "show", id, "--json"])["state"] == "completed");
    let shown = String::from_utf8_lossy(&server.cli(&["jobs", "show", id]).stdout).into_owned();
    assert!(
        shown.contains(&format!("edited     from {sample} by cli at ")) && shown.contains(": moved"),
        "{shown}"
    );
    let refused = server.cli(&["dead", "replay", sample, "--payload", "{\"args\": []}"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("program"), "{refused:?}");
    let no_object = server.cli(&["dead", "replay", sample, "--patch", "[]"]);
    assert_eq!(no_object.status.code(), Some(2), "{no_object:?}");

    let dry = server.cli(&["jobs", "retry", "--all", "--state", "discarded", "--cause", cause, "--dry-run"]);
    assert!(String::from_utf8_lossy(&dry.stdout).starts_with("2 jobs would be run again\n"), "{dry:?}");
    let nobody = server.cli(&["bulk", "retry", "--cause", cause]);
    assert_eq!(nobody.status.code(), Some(2), "{nobody:?}");
    let bulk = ["bulk", "retry", "--cause", cause, "--patch", &patch, "--yes", "--wait", "--json"];
    let done = server.json(&bulk);
    assert_eq!((&done["state"], &done["outcomes"]), (&json!("done"), &json!({"replayed": 2})), "{done}");
    let id = done["id"].as_str().expect("an id");
    assert_eq!(server.json(&["bulk", "--json"])[0]["id"], *id);
    let shown = server.cli(&["bulk", "show", id, "--wait"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("replayed 2"), "{shown:?}");
    assert_eq!(server.cli(&["bulk", "stop", id]).status.code(), Some(0));
    refusals(&server);
    it_moves_to_another_store(server);
}

/// What is kept of dead jobs, edits and bulk operations is the same in an export of the other store.
fn it_moves_to_another_store(server: Server) {
    let (data, _folder) = server.kill();
    let place = ["--data", data.to_str().expect("UTF-8")];
    let database = Database::create();
    let kept = |exported: &str| -> Vec<Value> {
        let lines = exported.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let about = |line: &Value| {
            let cause = line["job"]["cause"].is_string();
            cause || line["edit"].is_object() || line["bulk"].is_object()
        };
        lines.filter(about).collect()
    };
    let exported = store(&["export", "-"], &place, None).output().expect("an export");
    let exported = String::from_utf8(exported.stdout).expect("UTF-8");
    // Two dead jobs, three edits, one operation.
    assert_eq!(kept(&exported).len(), 6, "{:#?}", kept(&exported));
    let mut child = store(&["import", "-"], &[], Some(&database))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("a pipe").write_all(exported.as_bytes()).expect("it reads");
    assert!(child.wait().expect("an end").success());
    let again = store(&["export", "-"], &[], Some(&database)).output().expect("an export");
    assert_eq!(kept(&String::from_utf8(again.stdout).expect("UTF-8")), kept(&exported));
    let checked = store(&["check"], &[], Some(&database)).output().expect("the program starts");
    assert!(checked.status.success(), "{checked:?}");
    // And back again.
    let folder = TempDir::new().expect("a folder");
    let place = ["--data", folder.path().to_str().expect("UTF-8")];
    let unknown = exported.replace("\"bulk\":{\"record\":{", "\"bulk\":{\"record\":{\"phase\":1,");
    for (text, works) in [(&unknown, false), (&exported, true)] {
        let mut child = store(&["import", "-"], &place, None)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        // What is refused is not read to its end.
        let _ = child.stdin.take().expect("a pipe").write_all(text.as_bytes());
        assert_eq!(child.wait().expect("an end").success(), works);
    }
    let again = store(&["export", "-"], &place, None).output().expect("an export");
    assert_eq!(kept(&String::from_utf8(again.stdout).expect("UTF-8")), kept(&exported));
}

/// What cannot be done says what would be right.
fn refusals(server: &Server) {
    let wrong = server.post("/api/v1/bulk", r#"{"action":"retry","filter":{"queue":"default"}}"#);
    assert_eq!((wrong.status, &wrong.json()["errors"][0]["pointer"]), (422, &json!("/filter")), "{wrong:?}");
    for (path, body) in [("/api/v1/bulk", "{}"), ("/api/v1/bulk", r#"{"action":"delete","filter":{}}"#)] {
        assert_eq!(server.post(path, body).status, 400);
    }
    for path in ["/api/v1/dead-jobs/causes?limit=0", "/api/v1/dead-jobs/causes?cursor=x", "/api/v1/bulk/x"] {
        assert_eq!(server.get(path).status, 400, "{path}");
    }
}
