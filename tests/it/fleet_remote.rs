//! Nodes that ask each other over RabbitMQ.

use std::collections::BTreeSet;

use callboard_testsupport::{Database, rabbitmq_url};
use rustix::process::Signal;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    cli::{code, err, out},
    fleet_nodes::{actors_of, options},
    server::{Options, Server, eventually},
};

/// A name that no other node at the broker of all has.
fn unique(name: &str) -> String {
    format!("{name}-{}", Uuid::new_v4().simple())
}

fn on_the_bus(database: &Database, name: &str, arguments: &[&str]) -> Options {
    let mut options = options(database, name, arguments);
    options.arguments.extend(["--set".to_owned(), "bus.events=false".to_owned()]);
    options.environment.push(("CALLBOARD__BUS__URL".to_owned(), rabbitmq_url()));
    options
}

const SERVER: [&str; 2] = ["--roles", "gateway,read-model,leader"];

fn tree_of(server: &Server, node: &str, timeout_ms: u64) -> (u16, Value) {
    let answer = server.get(&format!("/api/v1/nodes/{node}/tree?timeout_ms={timeout_ms}"));
    (answer.status, answer.json())
}

#[test]
fn the_tree_of_another_process_is_asked_for_over_the_bus() {
    let database = Database::create();
    let [front, back, plain] = ["front", "back", "plain"].map(unique);
    let server = Server::start(&on_the_bus(&database, &front, &SERVER));
    let worker = Server::worker(&on_the_bus(&database, &back, &[]));
    eventually("the worker shows its tree", || tree_of(&server, &back, 5000).0 == 200);
    let (_, tree) = tree_of(&server, &back, 5000);
    let own = actors_of(&worker.get("/api/v1/tree").json());
    assert_eq!(actors_of(&tree), own);
    let is_there = |path: &str| own.contains(path);
    assert!(is_there("queues/completer") && is_there("edges/inspector") && !is_there("gateway"), "{own:?}");
    let drawn = out(&server.cli(&["tree", "--node", &back, "--path", "edges/bus"]));
    assert!(drawn.contains("remote") && drawn.contains("publisher"), "{drawn}");
    // Its own, and those whom nobody knows.
    let own: BTreeSet<String> = actors_of(&server.get("/api/v1/tree").json());
    assert_eq!(actors_of(&tree_of(&server, &front, 5000).1), own);
    let (status, problem) = tree_of(&server, "nobody", 5000);
    let detail = problem["detail"].as_str().unwrap();
    assert_eq!((status, &problem["type"]), (404, &json!("urn:callboard:problem:not-found")));
    assert!(detail.contains("no node \"nobody\"") && detail.contains(&front), "{detail}");
    let wrong = server.get(&format!("/api/v1/nodes/{back}/tree?timeout_ms=0"));
    assert_eq!(wrong.status, 400, "{wrong:?}");

    // One that stands still, or is not on the bus, is told apart.
    worker.signal(Signal::STOP);
    let (status, problem) = tree_of(&server, &back, 300);
    assert_eq!((status, &problem["type"]), (504, &json!("urn:callboard:problem:node-timeout")), "{problem}");
    worker.signal(Signal::CONT);
    eventually("the worker shows its tree again", || tree_of(&server, &back, 5000).0 == 200);
    let without_bus = Server::start(&options(&database, &plain, &SERVER));
    eventually("it is known", || tree_of(&server, &plain, 5000).0 != 404);
    let (status, problem) = tree_of(&server, &plain, 5000);
    assert_eq!((status, &problem["type"]), (503, &json!("urn:callboard:problem:node-away")), "{problem}");
    let (status, problem) = tree_of(&without_bus, &back, 5000);
    assert_eq!((status, &problem["type"]), (503, &json!("urn:callboard:problem:no-bus")), "{problem}");
    assert_eq!(tree_of(&without_bus, &plain, 5000).0, 200, "its own it knows without a bus");
    let failed = without_bus.cli(&["tree", "--node", &back, "--answer-within", "2s"]);
    assert_eq!(code(&failed), 4);
    assert!(err(&failed).contains("`bus.url` is not set"), "{}", err(&failed));
}
