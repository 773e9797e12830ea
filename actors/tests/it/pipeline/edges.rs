//! Jobs that wait for edges that are tripped.

use std::time::Duration;

use callboard_actors::roles::{
    RolesConfig,
    bounds::TypeBounds,
    request::{GetEdges, ListJobs, SetEdge},
};
use callboard_contracts::{
    JobState,
    api::{EdgeCondition, EdgeView, PutEdge},
};
use serde_json::json;
use uuid::Uuid;

use super::harness::{Folder, Node};

fn smtp_is_needed(config: &mut RolesConfig) {
    let bounds = TypeBounds { needs: vec!["smtp".to_owned()], ..TypeBounds::default() };
    config.job_types.insert("noop".to_owned(), bounds);
    config.schedule_poll = Duration::from_millis(20);
    config.claim_poll = Duration::from_millis(20);
}

async fn set(node: &Node, set: PutEdge) -> EdgeView {
    let request = SetEdge { edge: "smtp".to_owned(), set, by: Some("ci".to_owned()) };
    node.handles.gateway.ask(request).await.unwrap().unwrap()
}

async fn edges(node: &Node) -> Vec<EdgeView> {
    node.handles.read_model.ask(GetEdges).await.unwrap().unwrap()
}

/// Waits until so many jobs are put aside.
async fn parked(node: &Node, count: u64) {
    node.until("parked jobs", async || (edges(node).await[0].parked == count).then_some(())).await;
}

async fn waits(node: &Node, id: Uuid) -> String {
    let job = node.job(id).await;
    assert_eq!((job.summary.state, job.summary.attempt, job.attempts.len()), (JobState::Available, 0, 0));
    assert_eq!(job.waits_for, job.summary.wait_reason);
    let list = ListJobs { filter: Default::default(), limit: 100 };
    let listed = node.handles.read_model.ask(list).await.unwrap().unwrap().jobs;
    let listed = listed.into_iter().find(|listed| listed.id == id).unwrap();
    assert_eq!(listed.wait_reason, job.summary.wait_reason);
    job.waits_for.unwrap()
}

#[tokio::test]
async fn jobs_wait_while_an_edge_is_tripped_and_say_so_over_restarts() {
    let folder = Folder::new();
    let node = Node::configured(&folder, smtp_is_needed).await;
    let known = edges(&node).await;
    assert_eq!((known[0].name.as_str(), known[0].state), ("smtp", EdgeCondition::Ready));
    assert_eq!((known[0].needed_by.as_slice(), known[0].set_at), (&["noop".to_owned()][..], None));
    let tripped = set(&node, PutEdge { reason: Some("it is moved".to_owned()), ..PutEdge::tripped() }).await;
    assert_eq!((tripped.state, tripped.set_by.as_deref()), (EdgeCondition::Tripped, Some("ci")));
    let mut ids = node.submit_all(vec![json!({"type": "noop"}); 3]).await;
    let free = node.submit(json!({"type": "echo", "payload": {"text": "a"}})).await.unwrap().id;
    node.reaches(free, JobState::Completed).await;
    parked(&node, 3).await;
    let said = format!("parked: needs \"smtp\", tripped since {}: it is moved", tripped.since.unwrap());
    assert_eq!(waits(&node, ids[0]).await, said);
    assert_eq!(node.job(ids[0]).await.needs, ["smtp"]);
    node.until("metrics of the edge", async || {
        let metrics = node.handles.metrics.render();
        let said = ["callboard_edge_tripped{edge=\"smtp\"} 1", "callboard_edge_parked_jobs{edge=\"smtp\"} 3"];
        said.iter().all(|line| metrics.contains(line)).then_some(())
    })
    .await;
    node.stop().await;

    let node = Node::configured(&folder, smtp_is_needed).await;
    assert_eq!(waits(&node, ids[2]).await, said);
    ids.extend(node.submit_all(vec![json!({"type": "noop"})]).await);
    parked(&node, 4).await;
    let ready = set(&node, PutEdge::ready()).await;
    assert_eq!((ready.state, ready.since, ready.reason), (EdgeCondition::Ready, None, None));
    for id in ids {
        let job = node.reaches(id, JobState::Completed).await;
        assert_eq!((job.summary.attempt, job.attempts.len()), (1, 1));
    }
    node.stop().await;
}

#[tokio::test]
async fn an_edge_that_is_tripped_for_a_time_is_ready_after_it() {
    let folder = Folder::new();
    let node = Node::configured(&folder, smtp_is_needed).await;
    let tripped = set(&node, PutEdge { for_ms: Some(150), ..PutEdge::tripped() }).await;
    let until = tripped.until.unwrap();
    let id = node.submit(json!({"type": "noop"})).await.unwrap().id;
    let job = node.reaches(id, JobState::Completed).await;
    assert!(job.summary.started_at.unwrap() >= until, "{job:?}");
    let ready = edges(&node).await.remove(0);
    assert_eq!((ready.state, ready.until, ready.set_by.as_deref()), (EdgeCondition::Ready, None, Some("ci")));
    node.stop().await;
}
