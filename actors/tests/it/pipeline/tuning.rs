//! Settings that change while the node works.

use std::time::Duration;

use callboard_actors::{
    edges::store::record::JobFilter,
    jobs::RetryPolicy,
    roles::{
        RolesConfig,
        request::{GetJobTypes, GetNodes, GetQueues, ListJobs, Refusal},
    },
};
use callboard_contracts::JobState;
use serde_json::json;

use super::harness::{Folder, Node};

/// The settings of the node, with changes.
async fn retune(node: &Node, change: impl FnOnce(&mut RolesConfig)) {
    let mut config = RolesConfig { node: "test".to_owned(), ..RolesConfig::default() };
    config.queues[0].concurrency = 3;
    change(&mut config);
    let late = node.handles.retune(&config).await.unwrap();
    assert!(late.is_empty(), "{late:?}");
}

async fn of_three(folder: &Folder) -> Node {
    Node::configured(folder, |config| {
        config.queues[0].concurrency = 3;
        config.heartbeat = Duration::from_millis(50);
    })
    .await
}

/// Jobs of the only queue that are with the node.
async fn executing(node: &Node) -> u64 {
    node.handles.read_model.ask(GetQueues).await.unwrap().unwrap().remove(0).executing
}

#[tokio::test]
async fn more_run_at_once_when_the_concurrency_is_raised() {
    let folder = Folder::new();
    let node = of_three(&folder).await;
    let ids = node.submit_all(vec![json!({"type": "hold", "payload": {}}); 9]).await;
    node.begun(3).await;
    retune(&node, |config| config.queues[0].concurrency = 7).await;
    node.begun(7).await;
    node.stage.gate.add_permits(9);
    for id in ids {
        node.reaches(id, JobState::Completed).await;
    }
    // The others hear of it.
    let heard = async || {
        let nodes = node.handles.read_model.ask(GetNodes).await.unwrap().unwrap();
        (nodes[0].capacity == 7).then_some(())
    };
    node.until("the store knows the capacity", heard).await;
    let (queue, _) = node.store.queues().await.unwrap().remove(0);
    assert_eq!(queue.concurrency, 7);
    node.stop().await;
}

#[tokio::test]
async fn with_a_lower_concurrency_what_runs_goes_on_and_nothing_begins_until_there_is_room() {
    let folder = Folder::new();
    let node = of_three(&folder).await;
    let ids = node.submit_all(vec![json!({"type": "hold", "payload": {}}); 8]).await;
    node.begun(3).await;
    retune(&node, |config| config.queues[0].concurrency = 1).await;
    // What was claimed ahead is given back, but for what is claimed ahead of one.
    node.until("it is handed back", async || (executing(&node).await <= 4).then_some(())).await;
    node.stage.gate.add_permits(2);
    let ended = async || {
        let filter = JobFilter { states: vec![JobState::Completed], ..JobFilter::default() };
        let page = node.handles.read_model.ask(ListJobs { filter, limit: 100 }).await.unwrap().unwrap();
        (page.jobs.len() == 2).then_some(())
    };
    node.until("two have ended", ended).await;
    // One still runs: there is room for no other.
    let echo = node.submit(json!({"type": "echo", "payload": {"text": ""}})).await.unwrap().id;
    assert_eq!(*node.stage.begun.borrow(), 3);
    node.stage.gate.add_permits(1);
    node.begun(4).await;
    node.stage.gate.add_permits(8);
    for id in &ids {
        let job = node.reaches(*id, JobState::Completed).await;
        assert_eq!(job.summary.attempt, 1, "handing back spends no attempt");
    }
    node.reaches(echo, JobState::Completed).await;
    node.stop().await;
}

#[tokio::test]
async fn limits_of_what_is_submitted_hold_from_the_next_one_on() {
    let folder = Folder::new();
    let node = of_three(&folder).await;
    let large = json!({"type": "echo", "payload": {"text": "x".repeat(1000)}});
    node.submit(large.clone()).await.unwrap();
    retune(&node, |config| config.max_payload = 500).await;
    assert!(matches!(node.submit(large.clone()).await, Err(Refusal::TooLarge { limit: 500, .. })));
    retune(&node, |config| config.queue_payloads = [("default".to_owned(), 900)].into()).await;
    assert!(matches!(node.submit(large.clone()).await, Err(Refusal::TooLarge { limit: 900, .. })));
    node.submit_all(vec![json!({"type": "hold", "payload": {}}); 3]).await;
    node.begun(3).await;
    retune(&node, |config| config.queues[0].max_backlog = 2).await;
    let hold = json!({"type": "hold", "payload": {}});
    let mut last = Ok(());
    // Some are claimed ahead: they do not wait.
    for _ in 0..20 {
        last = node.submit(hold.clone()).await.map(drop);
    }
    assert!(matches!(last, Err(Refusal::BacklogFull { limit: 2, .. })), "{last:?}");
    retune(&node, |_| {}).await;
    node.submit(hold).await.unwrap();
    node.stage.gate.add_permits(100);
    node.stop().await;
}

#[tokio::test]
async fn what_is_kept_is_deleted_at_once_when_it_is_kept_for_less() {
    let folder = Folder::new();
    let node = of_three(&folder).await;
    let id = node.submit(json!({"type": "noop"})).await.unwrap().id;
    node.reaches(id, JobState::Completed).await;
    retune(&node, |config| config.retention.completed = Duration::ZERO).await;
    let gone = async || {
        let filter = JobFilter::default();
        let page = node.handles.read_model.ask(ListJobs { filter, limit: 10 }).await.unwrap().unwrap();
        page.jobs.is_empty().then_some(())
    };
    node.until("the pruner has deleted it", gone).await;
    node.stop().await;
}

#[tokio::test]
async fn what_types_do_not_say_themselves_can_change() {
    let folder = Folder::new();
    let node = of_three(&folder).await;
    retune(&node, |config| {
        config.defaults.max_attempts = 2;
        config.defaults.retry =
            RetryPolicy::Exponential { first: Duration::ZERO, factor: 1.0, max: Duration::ZERO, jitter: 0.0 };
        config.max_result = 10;
    })
    .await;
    let types = node.handles.read_model.ask(GetJobTypes).await.unwrap();
    assert_eq!(types.iter().find(|view| view.job_type == "echo").unwrap().max_attempts, 2);
    let large = node.submit(json!({"type": "echo", "payload": {"text": "x".repeat(100)}})).await.unwrap().id;
    // It is final for its size; the attempts that it might have had are those of now.
    let job = node.reaches(large, JobState::Discarded).await;
    assert_eq!((job.summary.attempt, job.summary.max_attempts), (1, 2));
    node.stop().await;
}

#[tokio::test]
async fn settings_that_cannot_work_change_nothing() {
    let folder = Folder::new();
    let node = of_three(&folder).await;
    let mut config = RolesConfig::default();
    config.queues[0].concurrency = 9;
    config.max_backlog = 0;
    let error = node.handles.retune(&config).await.unwrap_err();
    assert!(error.to_string().contains("max_backlog"), "{error}");
    let ids = node.submit_all(vec![json!({"type": "hold", "payload": {}}); 5]).await;
    node.begun(3).await;
    let views = node.handles.read_model.ask(GetQueues).await.unwrap().unwrap();
    assert_eq!(views[0].concurrency, 3);
    node.stage.gate.add_permits(5);
    for id in ids {
        node.reaches(id, JobState::Completed).await;
    }
    node.stop().await;
}
