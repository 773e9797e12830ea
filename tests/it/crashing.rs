//! A part of the shipped tree that never starts: the rest works, and what is wrong can be seen.

use std::{io::Write, net::TcpStream, time::Duration};

use callboard::{Actor, App, ChildSpec, Context, Message, PlainHandler, StartError, jobs::Noop};
use serde_json::Value;
use tempfile::TempDir;

use crate::server::{Answer, PATIENCE};

/// Panics at every start.
struct Broken;

impl Actor for Broken {
    type Args = ();

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        panic!("it never starts")
    }
}

/// Does its work beside it, and starts after it.
struct Steady;

impl Actor for Steady {
    type Args = ();

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Steady)
    }
}

#[derive(Message)]
#[message(reply = u64)]
struct Generation;

impl PlainHandler<Generation> for Steady {
    type Reply = u64;
    fn handle(&mut self, _: Generation, cx: &mut Context<Self>) -> u64 {
        cx.generation()
    }
}

fn get(app: &App, path: &str) -> Answer {
    let address = app.address().expect("it serves the web");
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it listens");
    Answer::read(&mut stream)
}

/// The node at this path of the tree that the interface shows.
fn node(tree: &Value, path: &str) -> Value {
    let mut node = tree;
    for name in path.split('/') {
        let children = node["children"].as_array().expect("children");
        node = children.iter().find(|child| child["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    }
    node.clone()
}

async fn eventually_unready(app: &App) -> Value {
    let seen = async {
        loop {
            let answer = get(app, "/api/v1/ready");
            if answer.status == 503 {
                return answer.json();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.expect("the readiness tells of it")
}

#[test]
fn a_child_that_never_starts_leaves_the_rest_working_and_is_shown() {
    let folder = TempDir::new().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let steady = ChildSpec::<Steady>::new("steady", ());
        let address = steady.actor_ref();
        let app = App::builder()
            .data_dir(folder.path())
            .configure(|settings| settings.web.listen = ([127, 0, 0, 1], 0).into())
            .actor(ChildSpec::<Broken>::new("broken", ()))
            .actor(steady)
            .web()
            .start()
            .await
            .expect("the process lives");

        // What is wrong is said, and where.
        let unready = eventually_unready(&app).await;
        assert_eq!(unready["status"], "degraded", "{unready}");
        let reasons = unready["reasons"].as_array().expect("reasons");
        let named = |path: &str| reasons.iter().find(|reason| reason["actor"] == path);
        let reason = named("application/broken").expect("the actor that crashes is named");
        assert!(reason["reason"].as_str().is_some_and(|text| text.contains("it never starts")), "{reason}");
        assert!(named("application/steady").is_none(), "{unready}");
        let tree = get(&app, "/api/v1/tree").json();
        let broken = node(&tree, "application/broken");
        assert!(broken["crashes"].as_u64() >= Some(1), "{broken}");
        let said = &broken["last_crashes"][0]["reason"];
        assert!(said.as_str().is_some_and(|text| text.contains("it never starts")), "{broken}");

        // The rest works.
        for probe in ["/readyz", "/healthz", "/api/v1/live"] {
            assert_eq!(get(&app, probe).status, 200, "{probe}: the process lives");
        }
        assert_eq!(address.ask(Generation).await, Ok(0), "its sibling has never been restarted");
        let submitted = app.submit(&Noop {}).await.expect("jobs are taken");
        let done = tokio::time::timeout(PATIENCE, app.wait(submitted.id)).await.expect("in time");
        assert_eq!(done.expect("it is known").summary.state, callboard::contracts::JobState::Completed);
        assert_eq!(node(&tree, "application/steady")["state"], "running");

        let report = app.stop().await;
        assert!(report.tree.is_clean(), "{:?}", report.tree);
    });
}
