//! One node among others.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use callboard_actors::{
    edges::store::{Operation, Outcome, Wake},
    roles::Condition,
};
use callboard_contracts::JobState;
use serde_json::json;

use super::harness::{Folder, Node};

#[tokio::test]
async fn only_the_node_that_leads_does_what_is_done_once_for_all() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| {
        config.heartbeat = Duration::from_millis(10);
        config.schedule_poll = Duration::from_millis(10);
    })
    .await;
    let says = async |condition: Condition| {
        for role in ["leader", "scheduler", "pruner", "rescuer"] {
            let path = format!("observers/{role}");
            node.until(&format!("{path} is {condition}"), async || {
                (node.conditions.get(&path) == Some(condition.clone())).then_some(())
            })
            .await;
        }
    };
    says(Condition::Ready).await;
    // Refused first, told by the leader role soon after: whichever comes first, the roles stand by.
    node.trouble.led_by_another.store(true, SeqCst);
    node.until("it stands by", async || {
        let scheduler = node.conditions.get("observers/scheduler");
        (scheduler == Some(Condition::Standby)).then_some(())
    })
    .await;
    assert_eq!(node.conditions.overall(), "ready");
    let id = node.submit(json!({"type": "flaky", "payload": {"number": 1, "panics": 1}})).await.unwrap().id;
    node.reaches(id, JobState::Retryable).await;
    node.trouble.led_by_another.store(false, SeqCst);
    node.reaches(id, JobState::Completed).await;
    says(Condition::Ready).await;
    node.stop().await;
}

#[tokio::test]
async fn what_another_node_cancels_ends_whether_or_not_its_word_arrives() {
    let folder = Folder::new();
    for told in [true, false] {
        let heartbeat = if told { Duration::from_secs(3600) } else { Duration::from_millis(10) };
        let node = Node::configured(&folder, |config| {
            config.heartbeat = heartbeat;
            config.session_ttl = Duration::from_secs(2 * 3600);
        })
        .await;
        let id = node.submit(json!({"type": "hold", "payload": {"stubborn": false}})).await.unwrap().id;
        node.begun(1).await;
        // Written, and told to nobody here.
        let outcome = node.store.write(Operation::Cancel { id }).await.unwrap();
        let Outcome::CancelRequested { lease, queue, session } = outcome else { panic!("{outcome:?}") };
        if told {
            node.trouble.wakes.send(Wake::Cancel { lease, queue, session }).unwrap();
        }
        node.reaches(id, JobState::Cancelled).await;
        node.stop().await;
    }
}

#[tokio::test]
async fn jobs_that_another_node_makes_available_are_claimed_at_once() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| config.claim_poll = Duration::from_secs(3600)).await;
    // So that the producer has looked already, and found no more.
    let first = node.submit(json!({"type": "noop"})).await.unwrap().id;
    node.reaches(first, JobState::Completed).await;
    for wake in [Wake::Available("default".to_owned()), Wake::Everything] {
        let found = node.store.job(first).await.unwrap().unwrap().job;
        let replay = Operation::Retry {
            id: found.id,
            replay_id: uuid::Uuid::now_v7(),
            event_id: uuid::Uuid::now_v7(),
            max_backlog: 10,
            max_total: 10,
        };
        // Written, and told to nobody here.
        let outcome = node.store.write(replay).await.unwrap();
        let Outcome::Replayed { id, .. } = outcome else { panic!("{outcome:?}") };
        node.trouble.wakes.send(wake).unwrap();
        node.reaches(id, JobState::Completed).await;
    }
    node.stop().await;
}
