//! What only the archive in MongoDB can get wrong, on the shared server, in a database of each test's own.

use std::time::Duration;

use callboard_actors::{
    edges::outside::Writer,
    roles::{Condition, request::RecentEvents},
};
use callboard_conformance::sink::Subject;
use callboard_contracts::{EventEnvelope, JobState, Timestamp};
use callboard_testsupport::mongodb_url;
use futures_util::TryStreamExt;
use mongodb::{
    IndexModel,
    bson::{Document, doc},
};
use serde_json::json;
use uuid::Uuid;

use super::subject::Mongodb;
use crate::pipeline::harness::{Folder, Node};

fn mongodb() -> Mongodb {
    Mongodb::with_database(&mongodb_url(), &format!("callboard_test_{}", Uuid::new_v4().simple()))
}

async fn run_jobs(node: &Node, count: usize) -> Vec<Uuid> {
    let ids = node.submit_all(vec![json!({"type": "echo", "payload": {"text": "hello"}}); count]).await;
    for id in &ids {
        node.reaches(*id, JobState::Completed).await;
    }
    ids
}

async fn archived(mongodb: &Mongodb, node: &Node) {
    node.until("an archive that is right", async || mongodb.has_just_the_log(&node.store).await.ok()).await;
}

async fn recent(node: &Node, job: Option<Uuid>) -> Vec<EventEnvelope> {
    node.handles.read_model.ask(RecentEvents { job, limit: 50 }).await.unwrap().unwrap()
}

async fn connected(node: &Node) {
    node.until("a connection", async || {
        (node.conditions.get("observers/edge-archive") == Some(Condition::Ready)).then_some(())
    })
    .await;
}

fn old_event(id: Uuid, job: Uuid, at: Timestamp) -> Document {
    doc! {
        "contractVersion": "1.0.0", "eventType": "job.created", "eventId": id.to_string(), "occurredAt": at.to_string(),
        "producer": { "service": "gateway", "instanceId": "1", "version": "0.1.0" },
        "correlationId": Uuid::nil().to_string(), "idempotencyKey": job.to_string(),
        "payload": { "id": job.to_string(), "type": "old", "status": "PENDING", "createdAt": at.to_string() },
    }
}

#[tokio::test]
async fn a_document_is_the_envelope_as_it_stands_and_the_indexes_are_there() {
    let (mongodb, folder) = (mongodb(), Folder::new());
    let node = Node::configured(&folder, |config| mongodb.configure(config)).await;
    let id = run_jobs(&node, 1).await[0];
    archived(&mongodb, &node).await;
    let log = node.store.recent_events(Some(id), 50).await.unwrap();
    let mut documents = mongodb.all().await;
    documents.reverse();
    for (mut document, envelope) in documents.into_iter().zip(&log) {
        document.remove("_id").unwrap();
        let json = serde_json::to_value(&document).unwrap();
        assert_eq!(json, serde_json::to_value(envelope).unwrap());
    }
    let indexes: Vec<IndexModel> =
        mongodb.events().await.list_indexes().await.unwrap().try_collect().await.unwrap();
    let keys: Vec<Vec<&str>> =
        indexes.iter().map(|index| index.keys.keys().map(String::as_str).collect()).collect();
    for expected in
        [vec!["eventId"], vec!["occurredAt", "eventId"], vec!["payload.id", "occurredAt", "eventId"]]
    {
        assert!(keys.contains(&expected), "{keys:?}");
    }
    let mut again = mongodb.all().await.remove(0);
    again.remove("_id").unwrap();
    mongodb.events().await.insert_one(again).await.unwrap_err();
    node.stop().await;
    mongodb.wipe().await;
}

#[tokio::test]
async fn events_that_the_log_has_not_any_more_are_found_in_the_archive() {
    let (mongodb, folder) = (mongodb(), Folder::new());
    let job = Uuid::now_v7();
    let at = Timestamp::now().saturating_sub(Duration::from_secs(3600));
    mongodb.events().await.insert_one(old_event(Uuid::now_v7(), job, at)).await.unwrap();
    let node = Node::configured(&folder, |config| mongodb.configure(config)).await;
    connected(&node).await;
    run_jobs(&node, 2).await;
    node.until("what is only in the archive", async || {
        (recent(&node, Some(job)).await.len() == 1).then_some(())
    })
    .await;
    let all = recent(&node, None).await;
    assert_eq!((all.len(), all.last().unwrap().occurred_at), (9, at));
    node.stop().await;
    mongodb.wipe().await;
}

#[tokio::test]
async fn events_that_are_too_old_are_deleted_and_younger_ones_are_not() {
    let (mut mongodb, folder) = (mongodb(), Folder::new());
    mongodb.retention = Duration::from_secs(3600);
    let hours = |hours: u64| Timestamp::now().saturating_sub(Duration::from_secs(hours * 3600));
    let old = (0..1500).map(|_| old_event(Uuid::now_v7(), Uuid::now_v7(), hours(2)));
    mongodb.events().await.insert_many(old).await.unwrap();
    let young = Uuid::now_v7();
    mongodb.events().await.insert_one(old_event(young, Uuid::now_v7(), hours(0))).await.unwrap();
    let node = Node::configured(&folder, |config| mongodb.configure(config)).await;
    node.until("the retention", async || (mongodb.all().await.len() == 1).then_some(())).await;
    assert_eq!(mongodb.all().await[0].get_str("eventId").unwrap(), young.to_string());
    node.stop().await;
    mongodb.wipe().await;
}

#[tokio::test]
async fn another_programs_archive_is_read_and_left_alone() {
    let (mongodb, folder) = (mongodb(), Folder::new());
    let (id, job) = (Uuid::new_v4(), Uuid::new_v4());
    mongodb.events().await.insert_one(old_event(id, job, Timestamp::now())).await.unwrap();
    let node = Node::configured(&folder, |config| mongodb.configure_as(config, Writer::External)).await;
    assert_eq!(node.conditions.get("observers/relay-archive"), None);
    run_jobs(&node, 1).await;
    connected(&node).await;
    let found: Vec<Uuid> = recent(&node, None).await.iter().map(|event| event.event_id).collect();
    assert_eq!(found, [id]);
    assert_eq!(recent(&node, Some(job)).await.len(), 1);
    assert_eq!(mongodb.all().await.len(), 1);
    node.stop().await;
    mongodb.wipe().await;
}
