//! Several servers on one PostgreSQL database.

use std::collections::BTreeSet;

use callboard::{App, contracts::JobState, jobs::Noop};
use callboard_testsupport::Database;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    events::Follower,
    server::{Options, Server, eventually},
};

/// A server of this name on the database, that runs so many jobs of a queue at a time and is soon taken for dead.
pub(crate) fn node_of(database: &Database, name: &str, concurrency: u32) -> Server {
    let mut options = Options::arguments(&[
        "--set",
        "store.backend=postgres",
        "--set",
        &format!("queue_defaults.concurrency={concurrency}"),
        "--set",
        "rescuer.session_ttl=2s",
        "--set",
        "rescuer.heartbeat=300ms",
        "--set",
        "rescuer.interval=300ms",
    ]);
    options.environment.push(("CALLBOARD__STORE__URL".to_owned(), database.url().to_owned()));
    options.environment.push(("CALLBOARD__SYSTEM__NODE_NAME".to_owned(), name.to_owned()));
    Server::start(&options)
}

fn node(database: &Database, name: &str) -> Server {
    node_of(database, name, 1)
}

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
fn servers_share_the_work_and_each_sees_all_events_in_the_same_order() {
    let database = Database::create();
    let (alpha, beta) = (node(&database, "alpha"), node(&database, "beta"));
    let (mut at_alpha, _) = Follower::open(&alpha, "", Some("1-0"));
    let (mut at_beta, _) = Follower::open(&beta, "", Some("1-0"));
    let ids: BTreeSet<String> =
        (0..12).map(|_| submit(&alpha, &json!({ "type": "sleep", "payload": { "ms": 200 } }))).collect();
    let nodes: BTreeSet<String> = ids
        .iter()
        .map(|id| {
            let done = reaches(&beta, id, "completed");
            assert_eq!(done["attempt"], 1, "{done}");
            done["attempts"][0]["node"].as_str().expect("a node").to_owned()
        })
        .collect();
    assert_eq!(nodes, BTreeSet::from(["alpha".to_owned(), "beta".to_owned()]));
    // Created, validated, executed, completed.
    let events = ids.len() * 4;
    let read = |follower: &mut Follower| -> Vec<(u64, String)> {
        let frames = (0..events).map(|_| follower.frame().expect("an event"));
        frames.map(|frame| (frame.position(), frame.data.to_string())).collect()
    };
    let (seen_at_alpha, seen_at_beta) = (read(&mut at_alpha), read(&mut at_beta));
    assert_eq!(seen_at_alpha, seen_at_beta);
    assert!(seen_at_alpha.iter().map(|(position, _)| *position).eq(1..=events as u64), "{seen_at_alpha:?}");
    let totals = |server: &Server| server.get("/api/v1/queues").json();
    assert_eq!(totals(&alpha), totals(&beta));
}

#[test]
fn a_job_is_cancelled_through_the_server_that_does_not_run_it() {
    let database = Database::create();
    let alpha = node(&database, "alpha");
    let id = submit(&alpha, &json!({ "type": "sleep", "payload": { "ms": 600_000 } }));
    begun(&alpha, &id);
    let beta = node(&database, "beta");
    let answer = beta.post(&format!("/api/v1/jobs/{id}/cancel"), "{}");
    assert!((200..300).contains(&answer.status), "{answer:?}");
    let cancelled = reaches(&beta, &id, "cancelled");
    assert_eq!(cancelled["attempts"][0]["node"], "alpha", "{cancelled}");
    reaches(&alpha, &id, "cancelled");
}

#[test]
fn what_a_killed_server_ran_is_run_by_the_other() {
    let database = Database::create();
    let alpha = node(&database, "alpha");
    let id = submit(&alpha, &json!({ "type": "sleep", "payload": { "ms": 1500 } }));
    begun(&alpha, &id);
    let beta = node(&database, "beta");
    let folder = alpha.kill();
    let done = reaches(&beta, &id, "completed");
    assert_eq!(done["attempt"], 2, "{done}");
    let attempt = |number: usize| {
        (done["attempts"][number]["node"].clone(), done["attempts"][number]["outcome"].clone())
    };
    assert_eq!(attempt(0).1, "failed", "{done}");
    assert_eq!(attempt(1), (json!("beta"), json!("completed")), "{done}");
    drop(folder);
}

#[test]
fn two_servers_on_one_data_folder_are_refused() {
    let database = Database::create();
    let alpha = node(&database, "alpha");
    let mut options = Options::arguments(&["--set", "store.backend=postgres"]);
    options.environment.push(("CALLBOARD__STORE__URL".to_owned(), database.url().to_owned()));
    let refused = Server::start_on(&alpha.data, &options).err().expect("a refusal");
    let says = format!("process {} uses this folder; give each server one of its own (--data)", alpha.id());
    assert!(refused.contains(&says), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_share_a_database_too() {
    let database = Database::create();
    let folders = [TempDir::new().expect("a folder"), TempDir::new().expect("a folder")];
    let start = |folder: &TempDir| App::builder().postgres(database.url()).data_dir(folder.path()).start();
    let (one, two) = (start(&folders[0]).await.expect("an app"), start(&folders[1]).await.expect("an app"));
    let job = one.submit(&Noop::default()).await.expect("accepted");
    assert_eq!(two.wait(job.id).await.expect("the job").summary.state, JobState::Completed);
    one.stop().await;
    two.stop().await;
    let refused = App::builder()
        .postgres("mysql://me:secret@db/jobs")
        .start()
        .await
        .err()
        .expect("a refusal")
        .to_string();
    assert!(refused.starts_with("`store.url`: expected a URL such as"), "{refused}");
}
