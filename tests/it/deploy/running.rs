//! The nodes of the manifests, started as they stand there, on a real PostgreSQL.

use std::path::Path;

use callboard_testsupport::Database;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{commands::Invocation, compose, kubernetes};
use crate::server::{Options, Server, eventually};

/// Starts a node as the manifest does, but for the database, its folder and where it listens.
fn start(node: &Invocation, database: &Database, data: &Path) -> Server {
    let (files, arguments) = node.with_files();
    let environment = node.environment.iter().map(|(name, value)| {
        let value = if name == "CALLBOARD__STORE__URL" { database.url() } else { value };
        (name.clone(), value.to_owned())
    });
    // The test's own way to start gives the command, the address and the folder.
    let mut rest = arguments[1..].to_vec();
    if let Some(at) = rest.iter().position(|argument| argument == "--listen") {
        rest.drain(at..at + 2);
    }
    let options = Options { arguments: rest, environment: environment.collect() };
    let server = Server::start_as(&arguments[0], data, &options)
        .unwrap_or_else(|said| panic!("{}: {said}", node.place));
    drop(files);
    server
}

fn token<'a>(node: &'a Invocation, role: &str) -> &'a str {
    let tokens =
        &node.environment.iter().find(|(name, _)| name == "CALLBOARD__WEB__TOKENS").expect("tokens").1;
    let (_, rest) =
        tokens.split_once(&format!("role = \"{role}\", token = \"")).expect("a token of the role");
    rest.split('"').next().expect("a closing quote")
}

#[test]
fn the_nodes_of_each_manifest_run_jobs_together() {
    for nodes in [compose::nodes(), kubernetes::nodes()] {
        let (database, folder) = (Database::create(), TempDir::new().expect("a folder"));
        let servers: Vec<Server> = nodes
            .iter()
            .enumerate()
            .map(|(number, node)| start(node, &database, &folder.path().join(format!("{number}/data"))))
            .collect();
        let (admin, viewer) = (token(&nodes[0], "admin"), token(&nodes[0], "viewer"));
        let ask = |server: &Server, method: &str, path: &str, token: &str, body: &str| {
            let bearer = format!("Bearer {token}");
            let headers = [("Authorization", &*bearer), ("Content-Type", "application/json")];
            server.request(method, path, &headers, body)
        };
        let submitted = ask(&servers[0], "POST", "/api/v1/jobs", admin, r#"{"type":"noop"}"#);
        assert_eq!(submitted.status, 202, "{submitted:?}");
        let id = submitted.json()["id"].as_str().expect("an id").to_owned();
        let mut job = Value::Null;
        eventually("the job is done", || {
            job = ask(&servers[0], "GET", &format!("/api/v1/jobs/{id}"), viewer, "").json();
            job["state"] == "completed"
        });
        for (node, server) in nodes.iter().zip(&servers) {
            for probe in ["/api/v1/live", "/api/v1/ready"] {
                eventually("it is ready", || server.get(probe).status == 200);
            }
            let scraped = ask(server, "GET", "/metrics", viewer, "");
            assert_eq!(scraped.status, 200, "{}", node.place);
            assert!(scraped.body.contains("callboard_leader "), "{}", node.place);
            // A node that takes no jobs says so to everybody.
            let refused = ask(server, "POST", "/api/v1/jobs", viewer, "{}").status;
            assert!([403, 421].contains(&refused), "{}: {refused}", node.place);
            assert_eq!(server.get("/metrics").status, 401, "{}", node.place);
        }
        assert_eq!(job["attempt"], json!(1), "{job}");
    }
}
