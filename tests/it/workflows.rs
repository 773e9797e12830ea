//! Workflows over several servers, of which some are killed; and on the command line.

use std::{collections::BTreeMap, io::Write, path::Path, process::Command};

use callboard_testsupport::Database;
use serde_json::{Value, json};

use crate::{
    cli::{code, err, out},
    fleet::node_of,
    server::{Options, Server, eventually},
};

fn node(database: &Database, name: &str) -> Server {
    node_of(database, name, 8)
}

fn submit(server: &Server, workflow: &Value) -> String {
    let answer = server.post("/api/v1/workflows", &workflow.to_string());
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["id"].as_str().expect("an id").to_owned()
}

fn workflow(server: &Server, id: &str) -> Value {
    let answer = server.get(&format!("/api/v1/workflows/{id}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn ends(server: &Server, id: &str, state: &str) -> Value {
    let mut last = Value::Null;
    eventually(&format!("workflow {id} is {state}"), || {
        last = workflow(server, id);
        last["state"] == state
    });
    last
}

/// Rows of steps: each waits for two of the row before it.
fn rows(rows: usize, width: usize) -> Vec<Value> {
    let name = |row: usize, place: usize| format!("{row}/{}", place % width);
    let step = |row: usize, place: usize| {
        let after: Vec<String> =
            if row == 0 { Vec::new() } else { vec![name(row - 1, place), name(row - 1, place + 1)] };
        json!({ "name": name(row, place), "type": "sleep", "payload": { "ms": 30 }, "after": after, "max_attempts": 10 })
    };
    (0..rows).flat_map(|row| (0..width).map(move |place| step(row, place))).collect()
}

#[test]
fn a_graph_is_finished_in_its_order_though_its_leader_and_a_worker_are_killed() {
    let database = Database::create();
    // The first one leads.
    let alpha = node(&database, "alpha");
    let beta = node(&database, "beta");
    let gamma = node(&database, "gamma");
    let steps = rows(12, 20);
    let id = submit(&beta, &json!({ "name": "rows", "steps": steps, "on_end": { "type": "noop" } }));
    let done = |least: u64| {
        eventually("steps are done", || workflow(&gamma, &id)["completed"].as_u64().unwrap_or(0) >= least);
    };
    done(30);
    let folder = alpha.kill();
    done(60);
    let other = beta.kill();
    let ended = ends(&gamma, &id, "completed");
    assert_eq!((&ended["completed"], &ended["waiting"]), (&json!(240), &json!(0)), "{ended}");
    let last = ended["on_end"].as_str().expect("a job");
    eventually("it was told of", || {
        gamma.get(&format!("/api/v1/jobs/{last}")).json()["state"] == "completed"
    });

    // No step has begun before those that it waits for had ended.
    let graph = gamma.get(&format!("/api/v1/workflows/{id}/graph?limit=10000")).json();
    let jobs: BTreeMap<u64, Value> = graph["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| {
            let job = step["job"].as_str().expect("a job");
            let job = gamma.get(&format!("/api/v1/jobs/{job}")).json();
            (step["number"].as_u64().expect("a number"), job)
        })
        .collect();
    let edges = graph["edges"].as_array().expect("edges");
    assert_eq!(edges.len(), 11 * 20 * 2);
    for edge in edges {
        let of = |place: usize| &jobs[&edge[place].as_u64().expect("a number")];
        let (earlier, later) = (of(0)["finished_at"].as_str(), of(1)["attempts"][0]["claimed_at"].as_str());
        assert!(earlier.is_some() && later.is_some() && earlier <= later, "{edge}: {earlier:?} {later:?}");
    }
    for job in jobs.values() {
        let attempts = job["attempts"].as_array().expect("attempts");
        let completed = attempts.iter().filter(|attempt| attempt["outcome"] == "completed").count();
        assert_eq!(completed, 1, "{job}");
    }
    drop((folder, other));
}

/// `examples/word_count.rs` on all there is: the words of every source of this repository, by 10000 steps on three processes of which
/// two are killed.
#[test]
#[ignore = "ten thousand steps: cargo nextest run --all-features --run-ignored only -E 'test(the_words_of_the_repository)'"]
fn the_words_of_the_repository_are_counted_by_ten_thousand_steps() {
    let database = Database::create();
    let folder = tempfile::tempdir().expect("a folder");
    let program =
        Path::new(env!("CARGO_BIN_EXE_callboard")).parent().expect("a folder").join("examples/word_count");
    // With `split` and `collect` there are as many as there may be.
    let counted = Command::new(program)
        .args([
            database.url(),
            folder.path().to_str().expect("in Unicode"),
            env!("CARGO_MANIFEST_DIR"),
            "9998",
        ])
        .output()
        .expect("the program starts");
    let (said, errors) = (out(&counted), err(&counted));
    assert!(counted.status.success(), "{said}{errors}");
    print!("{said}");
    assert!(
        said.contains("with 2 workers killed") && said.contains("every word was counted once: true"),
        "{said}"
    );
    let steps: u32 =
        said.lines().find_map(|line| line.split_once(" steps in ")?.0.parse().ok()).expect("a number");
    assert!((9_000..=10_000).contains(&steps), "{said}");
}

/// A file with a workflow in it.
fn file(workflow: &Value) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(workflow.to_string().as_bytes()).expect("written");
    file
}

#[test]
fn workflows_are_submitted_shown_drawn_cancelled_and_resumed() {
    let server = Server::start(&Options::arguments(&["--allow-program", "false"]));
    let good = file(&json!({ "name": "good", "steps": [
        { "name": "a", "type": "noop" }, { "name": "b", "type": "noop", "after": ["a"] },
    ] }));
    let path = good.path().to_str().expect("in Unicode");
    let done = server.cli(&["workflows", "submit", path, "--wait"]);
    assert_eq!(code(&done), 0, "{}", err(&done));
    assert!(out(&done).contains("good  completed      2        0       0          2"), "{}", out(&done));

    let bad = file(&json!({ "name": "bad", "steps": [
        { "name": "a", "type": "command", "payload": { "program": "false" }, "max_attempts": 1 },
        { "name": "b", "type": "noop", "after": ["a"] },
    ] }));
    let failed =
        server.cli(&["workflows", "submit", bad.path().to_str().expect("in Unicode"), "--wait", "--json"]);
    assert_eq!(code(&failed), 1, "{}", err(&failed));
    let failed: Value = serde_json::from_str(&out(&failed)).expect("JSON");
    assert_eq!(
        (&failed["state"], &failed["failed"], &failed["waiting"]),
        (&json!("failed"), &json!(1), &json!(1))
    );
    let id = failed["id"].as_str().expect("an id");

    let listed = server.json(&["workflows", "list", "--state", "failed", "--json"]);
    assert_eq!(
        (listed["workflows"].as_array().map(Vec::len), &listed["workflows"][0]["id"]),
        (Some(1), &json!(id))
    );
    let shown = out(&server.cli(&["workflows", "show", id]));
    assert!(shown.contains("0  a     command  failed   discarded"), "{shown}");
    assert!(shown.contains("1  b     noop     waiting  pending"), "{shown}");
    let drawn = out(&server.cli(&["workflows", "graph", id]));
    assert!(
        drawn.starts_with("flowchart LR\n    s0[\"a\"]:::failed\n    s1[\"b\"]:::waiting\n    s0 --> s1\n"),
        "{drawn}"
    );
    let asked = server.request(
        "GET",
        &format!("/api/v1/workflows/{id}/graph"),
        &[("Accept", "text/vnd.mermaid")],
        "",
    );
    assert_eq!((asked.status, asked.body.trim_end()), (200, drawn.trim_end()));

    let resumed = server.cli(&["workflows", "resume", id]);
    assert_eq!(
        (code(&resumed), out(&resumed)),
        (0, format!("{id}: 1 steps run again\n")),
        "{}",
        err(&resumed)
    );
    ends(&server, id, "failed");
    let cancelled = server.cli(&["workflows", "cancel", id]);
    assert_eq!((code(&cancelled), out(&cancelled)), (0, format!("{id} cancelled\n")), "{}", err(&cancelled));
    let again = server.cli(&["workflows", "cancel", id]);
    assert_eq!(code(&again), 1, "{}", out(&again));
    assert!(err(&again).contains("the workflow is cancelled"), "{}", err(&again));
    let trail = server.json(&["audit", "--json"]);
    let deeds: Vec<&str> = trail["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .filter_map(|entry| entry["action"].as_str())
        .collect();
    assert_eq!(deeds, ["workflow.cancel", "workflow.cancel", "workflow.resume"], "{trail}");
}

#[test]
fn a_bad_workflow_is_refused_with_the_places_of_its_problems() {
    let server = Server::start(&Options::default());
    let refused = |workflow: Value| {
        let answer = server.post("/api/v1/workflows", &workflow.to_string());
        (answer.status, answer.json())
    };
    let (status, problem) = refused(json!({ "steps": [
        { "name": "a", "type": "sleep", "payload": { "ms": "long" } }, { "name": "b", "type": "nobody" },
    ] }));
    assert_eq!(status, 422, "{problem}");
    let pointers: Vec<&str> = problem["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .filter_map(|error| error["pointer"].as_str())
        .collect();
    assert_eq!(pointers, ["/steps/0/payload/ms", "/steps/1/type"], "{problem}");
    let (status, problem) = refused(json!({ "steps": [
        { "name": "a", "type": "noop", "after": ["b"] }, { "name": "b", "type": "noop", "after": ["a"] },
    ] }));
    assert_eq!(status, 422, "{problem}");
    assert!(problem["detail"].as_str().expect("a detail").contains("in a circle"), "{problem}");
    // A body that is larger than that of a job may be.
    let steps: Vec<Value> =
        (0..10_000).map(|number| json!({ "name": format!("step {number:0100}"), "type": "noop" })).collect();
    let id = submit(&server, &json!({ "steps": steps }));
    assert_eq!(workflow(&server, &id)["steps"], 10_000);
    let answer = server.post(&format!("/api/v1/workflows/{id}/cancel"), "{}");
    assert_eq!(answer.status, 200, "{answer:?}");
    for (path, status) in [
        ("/api/v1/workflows/x", 400),
        ("/api/v1/workflows/01890a5d-ac96-774b-bcce-b302099a8057", 404),
        ("/api/v1/workflows/01890a5d-ac96-774b-bcce-b302099a8057/steps", 404),
        ("/api/v1/workflows/01890a5d-ac96-774b-bcce-b302099a8057/graph", 404),
        ("/api/v1/jobs/01890a5d-ac96-774b-bcce-b302099a8057/inputs", 404),
        ("/api/v1/workflows?state=lost", 400),
        ("/api/v1/workflows?limit=0", 400),
        ("/api/v1/workflows?page=1", 400),
    ] {
        assert_eq!(server.get(path).status, status, "{path}");
    }
}
