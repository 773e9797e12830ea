//! What only the counters in Redis can get wrong, on the shared server, under keys of each test's own.

use callboard_actors::{
    edges::outside::Writer,
    roles::{Condition, request::GetTotals},
};
use callboard_conformance::sink::Subject;
use callboard_contracts::{JobState, api::Totals};
use callboard_testsupport::redis_url;
use serde_json::json;
use uuid::Uuid;

use super::subject::Redis;
use crate::pipeline::harness::{Folder, Node};

const KEYS: [&str; 5] = [
    "metrics:jobs:total",
    "metrics:jobs:completed",
    "metrics:jobs:failed",
    "metrics:last_event_time",
    "callboard:counters:position",
];

fn redis() -> Redis {
    Redis::with_prefix(&redis_url(), &format!("callboard-test-{}:", Uuid::new_v4().simple()))
}

async fn clean_up(redis: &Redis) {
    let keys = KEYS.map(|key| redis.key(key));
    redis::cmd("DEL").arg(&keys).exec_async(&mut redis.connection().await).await.unwrap();
}

async fn run_jobs(node: &Node, count: usize) {
    for id in node.submit_all(vec![json!({"type": "noop"}); count]).await {
        node.reaches(id, JobState::Completed).await;
    }
}

async fn totals(node: &Node) -> Totals {
    node.handles.read_model.ask(GetTotals).await.unwrap().unwrap()
}

async fn counted(redis: &Redis, node: &Node) {
    node.until("counters that are right", async || redis.has_just_the_log(&node.store).await.ok()).await;
}

#[tokio::test]
async fn another_stores_counters_are_replaced_and_its_marks_are_not_ours() {
    let redis = redis();
    let (first, second) = (Folder::new(), Folder::new());
    for (folder, jobs) in [(&first, 5), (&second, 3), (&first, 1)] {
        let node = Node::configured(folder, |config| redis.configure(config)).await;
        // Whatever stands there, it is not told.
        assert_eq!(totals(&node).await, node.store.totals().await.unwrap());
        run_jobs(&node, jobs).await;
        counted(&redis, &node).await;
        node.stop().await;
    }
    assert_eq!(redis.get("metrics:jobs:total").await.as_deref(), Some("6"));
    clean_up(&redis).await;
}

#[tokio::test]
async fn what_somebody_has_changed_is_found_out_and_mended() {
    let redis = redis();
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| redis.configure(config)).await;
    run_jobs(&node, 2).await;
    counted(&redis, &node).await;
    for (key, value) in [
        ("metrics:jobs:total", "17"),
        ("metrics:jobs:failed", "many"),
        ("callboard:counters:position", "me 1-1"),
    ] {
        redis.set(key, value).await;
        assert_eq!(totals(&node).await, node.store.totals().await.unwrap(), "{key}");
        run_jobs(&node, 1).await;
        counted(&redis, &node).await;
    }
    node.stop().await;
    clean_up(&redis).await;
}

#[tokio::test]
async fn another_programs_counters_are_read_and_left_alone() {
    let redis = redis();
    let folder = Folder::new();
    for (key, value) in KEYS.into_iter().zip(["9", "7", "2", "2027-01-15T08:00:00Z"]) {
        redis.set(key, value).await;
    }
    let node = Node::configured(&folder, |config| redis.configure_as(config, Writer::External)).await;
    assert_eq!(node.conditions.get("observers/relay-counters"), None);
    node.until("a connection", async || {
        (node.conditions.get("observers/edge-counters") == Some(Condition::Ready)).then_some(())
    })
    .await;
    run_jobs(&node, 2).await;
    let found = totals(&node).await;
    assert_eq!((found.total_jobs, found.completed_jobs, found.failed_jobs), (9, 7, 2));
    assert_eq!(found.last_event_time.unwrap().to_string(), "2027-01-15T08:00:00.000000Z");
    assert_eq!(redis.get("callboard:counters:position").await, None);
    clean_up(&redis).await;
    assert_eq!(totals(&node).await.total_jobs, 2);
    node.stop().await;
}
