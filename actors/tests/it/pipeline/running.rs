//! Jobs that run.

use std::time::Duration;

use callboard_actors::{
    edges::store::{Operation, queue_pause::QueueOperation},
    roles::request::{GetQueues, GetTotals, LimitQueue, ListJobs, PauseQueue, ReadLog, Refusal},
};
use callboard_contracts::{
    EventType, JobState,
    api::{LogCursor, PauseCause, QueueLimits, QueuePause},
};
use serde_json::json;

use super::harness::{Folder, Node};

#[tokio::test]
async fn a_job_goes_from_the_gateway_through_the_store_to_an_actor_and_back() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let submitted = node.submit(json!({"type": "noop"})).await.unwrap();
    assert!(!submitted.duplicate);
    let job = node.reaches(submitted.id, JobState::Completed).await;
    assert_eq!((job.summary.attempt, job.result, job.attempts.len()), (1, None, 1));
    assert!(job.summary.started_at.is_some() && job.summary.finished_at.is_some());

    let log = ReadLog { after: LogCursor { epoch: 1, position: 0 }, job: Some(submitted.id), limit: 100 };
    let log = node.handles.read_model.ask(log).await.unwrap().unwrap();
    let types: Vec<EventType> = log.events.iter().map(|logged| logged.event.event_type).collect();
    assert_eq!(types, [EventType::Created, EventType::Validated, EventType::Executed, EventType::Completed]);
    assert!(log.events.iter().all(|logged| logged.event.correlation_id == job.correlation_id));
    assert_eq!(log.events[0].event.event_id, submitted.event_id);
    node.stop().await;
}

#[tokio::test]
async fn a_job_knows_who_it_is_and_its_result_is_kept() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let payload = json!({"text": "ä \u{0} \"quoted\""});
    let job = json!({"type": "echo", "payload": payload, "max_attempts": 7, "metadata": {"by": "me"}});
    let submitted = node.submit(job).await.unwrap();
    let job = node.reaches(submitted.id, JobState::Completed).await;
    let expected = json!({
        "text": payload["text"], "id": submitted.id, "attempt": 1, "max_attempts": 7, "queue": "default",
        "correlation_id": job.correlation_id, "node": "test",
    });
    assert_eq!(job.result, Some(expected));
    assert_eq!(serde_json::to_value(&job.payload).unwrap(), payload);
    assert_eq!(serde_json::to_value(&job.metadata).unwrap(), json!({"by": "me"}));
    node.stop().await;
}

#[tokio::test]
async fn no_more_jobs_run_at_once_than_the_queue_allows_and_they_run_in_their_order() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| config.queues[0].concurrency = 3).await;
    let holds = node.submit_all(vec![json!({"type": "hold", "payload": {}}); 7]).await;
    node.begun(3).await;
    let views = node.handles.read_model.ask(GetQueues).await.unwrap().unwrap();
    assert_eq!((views.len(), &*views[0].name, views[0].concurrency), (1, "default", 3));
    let echoes = node.submit_all(vec![json!({"type": "echo", "payload": {"text": ""}}); 5]).await;
    assert_eq!(*node.stage.begun.borrow(), 3);
    node.stage.gate.add_permits(7);
    for id in holds.iter().chain(&echoes) {
        node.reaches(*id, JobState::Completed).await;
    }
    assert_eq!(*node.stage.begun.borrow(), 7);
    let totals = node.handles.read_model.ask(GetTotals).await.unwrap().unwrap();
    assert_eq!((totals.total_jobs, totals.completed_jobs, totals.failed_jobs), (12, 12, 0));
    node.stop().await;
}

#[tokio::test]
async fn lists_are_paged_from_the_newest_to_the_oldest() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let ids = node.submit_all(vec![json!({"type": "noop"}); 5]).await;
    let mut seen = Vec::new();
    let mut list = ListJobs { filter: Default::default(), limit: 2 };
    loop {
        let page = node.handles.read_model.ask(list.clone()).await.unwrap().unwrap();
        seen.extend(page.jobs.iter().map(|job| job.id));
        let Some(cursor) = page.next_cursor else { break };
        assert_eq!(page.jobs.len(), 2);
        list.filter.before = Some(cursor.parse().unwrap());
    }
    seen.reverse();
    assert_eq!(seen, ids);
    node.stop().await;
}

#[tokio::test]
async fn metrics_count_what_has_happened() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    node.submit(json!({"type": "noop"})).await.unwrap();
    node.submit(json!({"type": "fail", "payload": {"fatal": true}})).await.unwrap();
    node.submit(json!({"type": "unheard-of"})).await.unwrap_err();
    let expected = [
        "gateway_jobs_submitted_total{type=\"noop\"} 1",
        "gateway_jobs_submitted_total{type=\"other\"} 1",
        "gateway_jobs_accepted_total 2",
        "processor_jobs_processed_total 2",
        "processor_jobs_completed_total 1",
        "processor_jobs_failed_total 1",
        "processor_job_processing_seconds_count 2",
        "callboard_attempts_failed_total{type=\"fail\"} 1",
    ];
    node.until("the metrics say so", async || {
        let text = node.handles.metrics.render();
        expected.iter().all(|line| text.lines().any(|found| found == *line)).then_some(())
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn a_paused_queue_starts_nothing_on_any_node_until_it_goes_on() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| config.queues[0].concurrency = 1).await;
    let pause = async |queue: &str, paused| {
        node.handles.gateway.ask(PauseQueue { queue: queue.to_owned(), paused, reason: None }).await.unwrap()
    };
    assert_eq!(pause("nowhere", true).await, Err(Refusal::NoSuchQueue("nowhere".to_owned())));
    let hold = json!({"type": "hold", "payload": {}});
    let ids = node.submit_all(vec![hold; 3]).await;
    node.begun(1).await;
    node.until("it waits for nothing", async || node.job(ids[0]).await.waits_for.is_none().then_some(()))
        .await;
    let waits = node.job(ids[2]).await.waits_for.unwrap();
    assert!(waits.starts_with("its turn: queue \"default\" has ") || waits.contains("free place"), "{waits}");
    pause("default", true).await.unwrap();
    node.stage.gate.add_permits(1);
    node.reaches(ids[0], JobState::Completed).await;
    let waits = node.until("it says why", async || node.job(ids[1]).await.waits_for);
    let waits = waits.await;
    assert!(
        waits.starts_with("queue \"default\", which is paused since ") || waits.contains("free place"),
        "{waits}"
    );
    assert_eq!(*node.stage.begun.borrow(), 1);
    pause("default", false).await.unwrap();
    node.stage.gate.add_permits(1);
    node.reaches(ids[1], JobState::Completed).await;
    // Another node says it, of which this one hears from the store.
    let paused = Operation::Queue(QueueOperation::Pause {
        queue: "default".to_owned(),
        pause: Box::new(QueuePause {
            cause: PauseCause::Requested,
            by: "another".to_owned(),
            reason: None,
            crashes: None,
        }),
    });
    node.store.write(paused.clone()).await.unwrap();
    let halted = async || {
        let queue = node.handles.read_model.ask(GetQueues).await.unwrap().unwrap().remove(0);
        (queue.paused_at.is_some() && queue.executing <= 1).then_some(())
    };
    node.until("the queue is shown as paused", halted).await;
    node.store.write(Operation::Queue(QueueOperation::Resume { queue: "default".to_owned() })).await.unwrap();
    node.stage.gate.add_permits(1);
    node.reaches(ids[2], JobState::Completed).await;
    node.stop().await;
}

#[tokio::test]
async fn a_limit_over_all_nodes_holds_also_where_a_node_has_places() {
    let folder = Folder::new();
    // Whoever waits for the next look waits for ever: each end makes room that is used at once.
    let node = Node::configured(&folder, |config| config.claim_poll = Duration::from_secs(3600)).await;
    let limit = async |max_running| {
        let limits = QueueLimits { max_running: Some(max_running), ..QueueLimits::default() };
        let request = LimitQueue { queue: "default".to_owned(), limits };
        node.handles.gateway.ask(request).await.unwrap()
    };
    assert!(matches!(limit(Some(0)).await, Err(Refusal::Invalid(_))));
    node.until("the queue is known", async || limit(Some(2)).await.ok()).await;
    let ids = node.submit_all(vec![json!({"type": "hold", "payload": {}}); 6]).await;
    node.begun(2).await;
    node.until("it says why", async || {
        let waits = node.job(ids[5]).await.waits_for?;
        (waits == "a free place: queue \"default\" may have 2 at once on all nodes, and has 2").then_some(())
    })
    .await;
    assert_eq!(*node.stage.begun.borrow(), 2);
    node.stage.gate.add_permits(6);
    for id in ids {
        node.reaches(id, JobState::Completed).await;
    }
    node.stop().await;
}

#[tokio::test]
async fn a_queue_with_a_rate_goes_on_at_the_time_it_is_told() {
    let folder = Folder::new();
    // Whoever waits for the next look waits for ever: the store says when it gives more.
    let node = Node::configured(&folder, |config| config.claim_poll = Duration::from_secs(3600)).await;
    let limits = QueueLimits {
        rate: Some("3/1s".parse().ok()),
        rate_per_key: Some("1/1s".parse().ok()),
        ..QueueLimits::default()
    };
    let request = LimitQueue { queue: "default".to_owned(), limits };
    let limited = async || node.handles.gateway.ask(request.clone()).await.unwrap().ok();
    node.until("the queue is known", limited).await;
    let key = |number: usize| ["a", "b", "c", "d"][number % 4];
    let job = |number| json!({"type": "noop", "payload": {}, "partition_key": key(number)});
    let ids = node.submit_all((0..8).map(job).collect()).await;
    for id in ids {
        node.reaches(id, JobState::Completed).await;
    }
    node.stop().await;
}
