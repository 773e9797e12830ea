//! A fleet: servers and workers, each a process of its own, on one PostgreSQL database.

use std::collections::BTreeSet;

use callboard_testsupport::Database;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    cli::{code, err, out},
    server::{Options, Server, eventually, run},
};

/// How a process of this name is set up, that is soon taken for dead.
pub(crate) fn options(database: &Database, name: &str, arguments: &[&str]) -> Options {
    let mut options = Options::arguments(arguments);
    for setting in [
        "store.backend=postgres",
        "store.writers=2",
        "rescuer.session_ttl=2s",
        "rescuer.heartbeat=300ms",
        "rescuer.interval=300ms",
    ] {
        options.arguments.extend(["--set".to_owned(), setting.to_owned()]);
    }
    options.environment.push(("CALLBOARD__STORE__URL".to_owned(), database.url().to_owned()));
    options.environment.push(("CALLBOARD__SYSTEM__NODE_NAME".to_owned(), name.to_owned()));
    options
}

/// A server that runs no jobs.
fn server(database: &Database, name: &str) -> Server {
    Server::start(&options(database, name, &["--roles", "gateway,read-model,leader"]))
}

fn worker(database: &Database, name: &str, arguments: &[&str]) -> Server {
    Server::worker(&options(database, name, arguments))
}

fn submit(server: &Server, job: &Value) -> String {
    let answer = server.post("/api/v1/jobs", &job.to_string());
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["id"].as_str().expect("an id").to_owned()
}

fn sleeps(server: &Server, ms: u64) -> String {
    submit(server, &json!({ "type": "sleep", "payload": { "ms": ms } }))
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

/// The node of this name, as a server shows it.
fn node(server: &Server, name: &str) -> Option<Value> {
    let nodes = server.get("/api/v1/nodes").json();
    nodes.as_array().expect("an array").iter().find(|node| node["name"] == name).cloned()
}

/// The names of the actors of a process, with their paths.
fn actors(process: &Server) -> BTreeSet<String> {
    actors_of(&process.get("/api/v1/tree").json())
}

/// The paths of the actors of a tree.
pub(crate) fn actors_of(tree: &Value) -> BTreeSet<String> {
    fn walk(node: &Value, found: &mut BTreeSet<String>) {
        found.insert(node["path"].as_str().unwrap_or_default().to_owned());
        node["children"].as_array().into_iter().flatten().for_each(|child| walk(child, found));
    }
    let mut found = BTreeSet::new();
    walk(tree, &mut found);
    found
}

#[test]
fn what_cannot_be_shared_is_refused_with_the_reason() {
    let alone = run(&["worker"]);
    assert_eq!(code(&alone), 2);
    assert!(err(&alone).contains("an SQLite file is used by one"), "{}", err(&alone));
    let part = run(&["serve", "--roles", "gateway,read-model"]);
    assert_eq!(code(&part), 2);
    let said = err(&part);
    assert!(said.contains("the role processor cannot be left out") && said.contains("SQLite"), "{said}");
    let unknown = run(&["serve", "--roles", "gateway,waiter"]);
    assert_eq!(code(&unknown), 2);
    assert!(err(&unknown).contains("there is no role \"waiter\""), "{}", err(&unknown));
    let label = run(&["worker", "--labels", "gpu"]);
    assert_eq!(code(&label), 2);
    assert!(err(&label).contains("NAME=VALUE"), "{}", err(&label));
}

#[test]
fn each_process_has_the_parts_of_its_roles_and_no_others() {
    let database = Database::create();
    let server = server(&database, "front");
    let worker = worker(&database, "w1", &["--queues", "default=3,mail", "--concurrency", "2"]);
    let (front, back) = (actors(&server), actors(&worker));
    assert!(front.contains("gateway") && front.contains("observers/read-model"), "{front:?}");
    assert!(!front.iter().any(|path| path.starts_with("queues")), "{front:?}");
    assert!(back.contains("queues/queue-mail/producer") && back.contains("queues/completer"), "{back:?}");
    assert!(!back.contains("gateway") && !back.contains("observers/read-model"), "{back:?}");
    // Its own probes and metrics, and nothing else.
    eventually("the worker is ready", || worker.get("/api/v1/ready").status == 200);
    assert_eq!(worker.get("/api/v1/live").status, 200);
    assert!(worker.get("/metrics").body.contains("callboard_"));
    for (path, needed) in [("/api/v1/queues", "read-model"), ("/stats", "read-model")] {
        let elsewhere = worker.get(path);
        assert_eq!(elsewhere.status, 421, "{elsewhere:?}");
        assert!(elsewhere.body.contains(needed), "{elsewhere:?}");
    }
    let elsewhere = worker.post("/api/v1/jobs", r#"{"type":"noop"}"#);
    assert_eq!(elsewhere.status, 421, "{elsewhere:?}");
    assert_eq!(elsewhere.json()["type"], "urn:callboard:problem:not-here");
    // Both are shown, with what they are.
    let shown = node(&server, "w1").expect("the worker");
    assert_eq!(shown["roles"], json!(["processor", "leader"]));
    let queues = json!([{ "name": "default", "concurrency": 3 }, { "name": "mail", "concurrency": 2 }]);
    assert_eq!((&shown["queues"], &shown["capacity"]), (&queues, &json!(5)));
    assert_eq!((&shown["state"], &shown["version"]), (&json!("ready"), &json!(env!("CARGO_PKG_VERSION"))));
    assert_eq!(node(&server, "front").expect("the server")["leads"], true);
    let table = out(&server.cli(&["nodes"]));
    assert!(table.contains("front") && table.contains("default=3,mail=2"), "{table}");
    let id = sleeps(&server, 1);
    assert_eq!(reaches(&server, &id, "completed")["attempts"][0]["node"], "w1");
}

#[test]
fn workers_share_the_jobs_and_those_of_a_killed_one_run_elsewhere() {
    let database = Database::create();
    let server = server(&database, "front");
    let one = worker(&database, "w1", &["--concurrency", "2"]);
    let two = worker(&database, "w2", &["--concurrency", "2"]);
    eventually("all are there", || node(&server, "w1").is_some() && node(&server, "w2").is_some());
    let ids: Vec<String> = (0..12).map(|_| sleeps(&server, 200)).collect();
    let ran: BTreeSet<String> =
        ids.iter().map(|id| reaches(&server, id, "completed")["attempts"][0]["node"].to_string()).collect();
    assert_eq!(ran, BTreeSet::from(["\"w1\"".to_owned(), "\"w2\"".to_owned()]));
    let mut long: Vec<String> = (0..4).map(|_| sleeps(&server, 1000)).collect();
    let has_some = |name: &str| {
        node(&server, name).and_then(|node| node["running"].as_u64()).is_some_and(|jobs| jobs > 0)
    };
    eventually("both run some", || {
        // One of them may have claimed ahead what there was.
        long.push(sleeps(&server, 1000));
        has_some("w1") && has_some("w2")
    });
    let folder = one.kill();
    for id in &long {
        let done = reaches(&server, id, "completed");
        let attempts = done["attempts"].as_array().expect("attempts");
        let last = attempts.last().expect("one");
        assert_eq!(last["outcome"], "completed", "{done}");
        assert!(attempts.len() == 1 || last["node"] == "w2", "{done}");
    }
    assert!(long.iter().any(|id| job(&server, id)["attempt"] == 2), "those that the killed one had");
    assert!(node(&server, "w1").is_none(), "its session is ended");
    drop((folder, two));
}

#[test]
fn a_worker_is_drained_from_another_node() {
    let database = Database::create();
    let server = server(&database, "front");
    let mut one = worker(&database, "w1", &["--concurrency", "2", "--set", "jobs.shutdown_grace=200ms"]);
    let (short, long) = (sleeps(&server, 10), sleeps(&server, 4000));
    reaches(&server, &short, "completed");
    eventually("it runs", || job(&server, &long)["status"] == "EXECUTING");
    let drained = server.cli(&["nodes", "drain", "w1", "--json"]);
    assert_eq!(code(&drained), 0, "{}", err(&drained));
    let command: Value = serde_json::from_str(&out(&drained)).expect("JSON");
    assert_eq!((&command[0]["state"], &command[0]["by"]), (&json!("done"), &json!("cli")));
    assert!(one.wait().success(), "{}", one.log());
    // What did not end in time goes on elsewhere, and the attempt does not count.
    let handed_back = reaches(&server, &long, "available");
    assert_eq!(handed_back["attempt"], 0, "{handed_back}");
    let waits = handed_back["waits_for"].as_str().expect("why it waits").to_owned();
    assert!(waits.contains("a node that serves queue \"default\": none of the one node does"), "{waits}");
    let _two = worker(&database, "w2", &[]);
    let done = reaches(&server, &long, "completed");
    assert_eq!(done["attempts"].as_array().and_then(|all| all.last()).expect("one")["node"], "w2");
    // Whoever asks for a node that is not there is told so.
    let nobody = server.cli(&["nodes", "pause", "w1"]);
    assert_eq!(code(&nobody), 1);
    assert!(err(&nobody).contains("there is no node \"w1\""), "{}", err(&nobody));
    let audit = server.json(&["audit", "--json"]);
    let said: Vec<(&str, &str, &str)> = audit["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| {
            let text = |field: &str| entry[field].as_str().unwrap_or_default();
            (text("by"), text("action"), text("outcome"))
        })
        .collect();
    assert!(said.contains(&("cli", "node.drain", "ordered")), "{said:?}");
    assert!(said.contains(&("node w1", "node.drain.end", "done: under way")), "{said:?}");
}

#[test]
fn a_worker_that_is_told_to_end_hands_back_what_does_not_end() {
    let database = Database::create();
    let server = server(&database, "front");
    let mut one = worker(&database, "w1", &["--set", "jobs.shutdown_grace=2s"]);
    let long = sleeps(&server, 60_000);
    eventually("it runs", || job(&server, &long)["status"] == "EXECUTING");
    one.signal(Signal::TERM);
    // Meanwhile it is shown to be on its way out.
    eventually("it is draining", || node(&server, "w1").is_some_and(|node| node["state"] == "draining"));
    assert!(one.wait().success(), "{}", one.log());
    assert_eq!(reaches(&server, &long, "available")["attempt"], 0);
}

#[test]
fn workers_are_paused_looked_into_and_mended_through_any_server() {
    let database = Database::create();
    let server = server(&database, "front");
    let worker = worker(&database, "w1", &[]);
    eventually("it is there", || node(&server, "w1").is_some());
    let told = |arguments: &[&str]| {
        let output = server.cli(&[&["nodes", "--json"], arguments].concat());
        let said = serde_json::from_str::<Value>(&out(&output));
        (code(&output), said.unwrap_or_else(|error| panic!("{error}: {}", err(&output)))[0].take())
    };
    let (status, paused) = told(&["pause", "w1"]);
    assert_eq!((status, &paused["state"]), (0, &json!("done")), "{paused}");
    assert_eq!(node(&server, "w1").expect("it")["state"], "paused");
    let id = sleeps(&server, 1);
    let waits = job(&server, &id)["waits_for"].to_string();
    assert!(waits.contains("are paused"), "{waits}");
    assert_eq!(told(&["resume", "w1"]).0, 0);
    reaches(&server, &id, "completed");
    // An actor is restarted in place.
    let generation = || {
        let tree = worker.json(&["tree", "--path", "observers/metrics", "--json"]);
        tree["generation"].as_u64().expect("a generation")
    };
    let before = generation();
    let (status, restarted) = told(&["restart", "w1", "observers/metrics"]);
    assert_eq!((status, &restarted["state"]), (0, &json!("done")), "{restarted}");
    eventually("it has another generation", || generation() > before);
    let (status, failed) = told(&["restart", "w1", "observers/nobody"]);
    assert_eq!((status, &failed["state"]), (1, &json!("failed")), "{failed}");
    assert!(failed["outcome"].as_str().expect("why").contains("no actor"), "{failed}");
    // Its log says more, until it is told otherwise.
    assert_eq!(told(&["log-level", "w1", "callboard_web=debug"]).0, 0);
    eventually("requests are in the log", || {
        worker.get("/api/v1/live");
        worker.log().contains("/api/v1/live")
    });
    assert_eq!(told(&["log-level", "w1", "===="]).0, 1);
    let commands = server.json(&["nodes", "commands", "--json"]);
    assert_eq!(commands.as_array().map(Vec::len), Some(6), "{commands}");
    // A job that it runs is cancelled through the server.
    let long = sleeps(&server, 600_000);
    eventually("it runs", || job(&server, &long)["status"] == "EXECUTING");
    assert_eq!(code(&server.cli(&["jobs", "cancel", &long])), 0);
    reaches(&server, &long, "cancelled");
    let audit = server.get("/api/v1/audit").json();
    let cancelled = audit["entries"].as_array().expect("entries").iter().any(|entry| {
        entry["action"] == "job.cancel"
            && entry["target"] == long.as_str()
            && entry["outcome"] == "told to end"
    });
    assert!(cancelled, "{audit}");
}

#[test]
fn jobs_go_to_the_workers_that_have_what_their_queue_asks_for() {
    let database = Database::create();
    let front = options(
        &database,
        "front",
        &["--roles", "gateway,read-model,leader", "--set", "queues.train.labels=gpu=yes,zone=eu"],
    );
    let server = Server::start(&front);
    let _plain = worker(&database, "plain", &["--queues", "default,train", "--labels", "gpu=no,zone=eu"]);
    eventually("it is there", || node(&server, "plain").is_some());
    let train = json!({ "type": "sleep", "payload": { "ms": 1 }, "queue": "train" });
    let waiting = submit(&server, &train);
    // It runs what asks for nothing, so it had its chance.
    let done = sleeps(&server, 1);
    assert_eq!(reaches(&server, &done, "completed")["attempts"][0]["node"], "plain");
    let waits = job(&server, &waiting)["waits_for"].as_str().expect("why it waits").to_owned();
    assert_eq!(
        waits,
        "a node with the labels gpu=yes,zone=eu: none of the one node that serves queue \"train\" has them"
    );
    let _gpu = worker(&database, "gpu", &["--queues", "train", "--labels", "gpu=yes,zone=eu,disk=ssd"]);
    assert_eq!(reaches(&server, &waiting, "completed")["attempts"][0]["node"], "gpu");
    for _ in 0..5 {
        let id = submit(&server, &train);
        assert_eq!(reaches(&server, &id, "completed")["attempts"][0]["node"], "gpu");
    }
    let labels = &node(&server, "gpu").expect("it")["labels"];
    assert_eq!(labels, &json!({ "disk": "ssd", "gpu": "yes", "zone": "eu" }));
    // What a queue asks for is changed for all nodes at once.
    let shown = server.json(&["queues", "label", "train", "gpu=no", "--json"]);
    assert_eq!(shown[0]["labels"], json!({ "gpu": "no" }));
    let id = submit(&server, &train);
    assert_eq!(reaches(&server, &id, "completed")["attempts"][0]["node"], "plain");
    assert_eq!(server.json(&["queues", "label", "train", "none", "--json"])[0].get("labels"), None);
}

#[test]
fn the_leader_is_shown_and_another_one_takes_over() {
    let database = Database::create();
    let front = server(&database, "front");
    eventually("it leads", || node(&front, "front").is_some_and(|node| node["leads"] == true));
    let back = server(&database, "back");
    let worker = worker(&database, "w1", &[]);
    eventually("all are there", || node(&back, "w1").is_some() && node(&back, "back").is_some());
    let leaders = |server: &Server| -> Vec<String> {
        let nodes = server.get("/api/v1/nodes").json();
        let leads = nodes.as_array().expect("an array").iter().filter(|node| node["leads"] == true);
        leads.map(|node| node["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(leaders(&back), ["front"]);
    let folder = front.kill();
    eventually("another one leads", || leaders(&back).iter().any(|name| name != "front"));
    // What only a leader does goes on: the job of a time is made due.
    let answer = back
        .post("/api/v1/jobs", &json!({ "type": "noop", "scheduled_at": "2020-01-01T00:00:00Z" }).to_string());
    assert_eq!(answer.status, 202, "{answer:?}");
    reaches(&back, answer.json()["id"].as_str().expect("an id"), "completed");
    eventually("the dead one is gone", || node(&back, "front").is_none());
    drop((folder, worker));
}

#[test]
fn a_node_that_the_store_has_outgrown_is_not_ready_and_the_others_go_on() {
    let database = Database::create();
    let server = server(&database, "front");
    let worker = worker(&database, "w1", &[]);
    let first = sleeps(&server, 1);
    reaches(&server, &first, "completed");
    // As a newer program leaves it.
    database.psql("INSERT INTO callboard.settings (key, value) VALUES ('min_reader', '7')");
    let mut said = String::new();
    eventually("the worker is not ready", || {
        let ready = worker.get("/api/v1/ready");
        said.clone_from(&ready.body);
        ready.status == 503
    });
    assert!(said.contains("reader 7 is needed, and this is 1"), "{said}");
    let waits = sleeps(&server, 1);
    eventually("it is shown", || node(&server, "w1").is_some_and(|node| node["state"] == "too_old"));
    assert_eq!(job(&server, &waits)["state"], "available");
    database.psql("DELETE FROM callboard.settings WHERE key = 'min_reader'");
    reaches(&server, &waits, "completed");
    eventually("the worker is ready", || worker.get("/api/v1/ready").status == 200);
}
