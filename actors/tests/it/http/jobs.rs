//! `http` jobs from their submission to their end.

use std::{
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

use callboard_actors::{
    jobs::http::{HttpClient, HttpRequest},
    roles::request::{CancelJob, Refusal},
};
use callboard_contracts::JobState;
use serde_json::json;
use tokio::time::timeout;

use super::{
    SECRET, client_of,
    server::{Server, answer},
};
use crate::pipeline::harness::{Folder, Node, PATIENCE};

async fn node(folder: &Folder, client: HttpClient) -> Node {
    Node::with_types(folder, |types| types.register::<HttpRequest>().state(client)).await
}

#[tokio::test]
async fn a_job_comes_again_when_the_server_says_so_and_is_recognised() {
    let tries = AtomicU32::new(0);
    let mut server = Server::start(move |_| match tries.fetch_add(1, SeqCst) {
        0 => answer(503, "retry-after: 0\r\n", "not yet"),
        1 => answer(429, "retry-after: 3600\r\n", "too much"),
        _ => answer(200, "", ""),
    })
    .await;
    let folder = Folder::new();
    let node = node(&folder, client_of(&server)).await;
    let payload = json!({
        "url": server.url("/"), "method": "POST", "headers": {"authorization": {"secret": "partner"}},
    });
    let id = node.submit_all(vec![json!({"type": "http", "payload": payload})]).await[0];
    // The first answer's wait is none, though the policy's would be a second; the second one's is an hour.
    let job = node
        .until("the second attempt failed", async || {
            let job = node.job(id).await;
            (job.summary.state == JobState::Retryable && job.attempts.len() == 2).then_some(job)
        })
        .await;
    let waits = job.summary.scheduled_at.saturating_since(job.attempts[1].finished_at);
    assert!((Duration::from_secs(3590)..=Duration::from_secs(3610)).contains(&waits), "{waits:?}");
    assert!(!serde_json::to_string(&job).unwrap().contains(SECRET));
    let (first, second) = (server.asked.recv().await.unwrap(), server.asked.recv().await.unwrap());
    assert_eq!(first.header("idempotency-key"), Some(format!("\"{id}\"").as_str()));
    assert_eq!(first.header("idempotency-key"), second.header("idempotency-key"));
    node.stop().await;
}

#[tokio::test]
async fn a_final_answer_ends_the_job_and_an_expected_one_is_its_result() {
    let server = Server::start(|asked| {
        let status = if asked.line().contains("/gone") { 410 } else { 200 };
        answer(status, "content-type: application/json\r\n", r#"{"ok":true}"#)
    })
    .await;
    let folder = Folder::new();
    let node = node(&folder, client_of(&server)).await;
    let job = |path: &str| json!({"type": "http", "payload": {"url": server.url(path)}});
    let ids = node.submit_all(vec![job("/gone"), job("/")]).await;
    let gone = node.reaches(ids[0], JobState::Discarded).await;
    assert_eq!(gone.attempts.len(), 1, "{gone:?}");
    let done = node.reaches(ids[1], JobState::Completed).await;
    assert_eq!(done.result.unwrap()["json"], json!({"ok": true}));
    node.stop().await;
}

#[tokio::test]
async fn a_job_that_is_not_allowed_is_refused_at_the_gate() {
    let folder = Folder::new();
    let node = node(&folder, HttpClient::new(None).unwrap()).await;
    let refused = node.submit(json!({"type": "http", "payload": {"url": "https://a.example/"}})).await;
    assert!(
        matches!(&refused, Err(Refusal::Forbidden(why)) if why.contains("--set http.allow=https://a.example")),
        "{refused:?}"
    );
    let payload = json!({"url": "https://a.example/", "headers": {"Authorization": "Bearer x"}});
    let refused = node.submit(json!({"type": "http", "payload": payload})).await;
    assert!(
        matches!(&refused, Err(Refusal::Invalid(errors)) if errors[0].pointer == "/payload/headers/Authorization"),
        "{refused:?}"
    );
    node.stop().await;
}

#[tokio::test]
async fn a_cancelled_job_gives_its_request_up() {
    let mut server = Server::start(|_| None).await;
    let folder = Folder::new();
    let node = node(&folder, client_of(&server)).await;
    let id = node.submit_all(vec![json!({"type": "http", "payload": {"url": server.url("/")}})]).await[0];
    timeout(PATIENCE, server.asked.recv()).await.unwrap().unwrap();
    node.handles.gateway.ask(CancelJob { id }).await.unwrap().unwrap();
    node.reaches(id, JobState::Cancelled).await;
    timeout(PATIENCE, server.left.recv()).await.unwrap().unwrap();
    node.stop().await;
}
