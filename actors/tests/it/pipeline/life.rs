//! Stops, crashes and outages.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use callboard_actors::{
    edges::store::Operation,
    roles::request::{GetQueues, Refusal},
};
use callboard_contracts::{
    JobState,
    api::{AttemptError, AttemptOutcome, ErrorKind, JobDetail},
};
use serde_json::{Value, json};

use super::harness::{Folder, Node, PATIENCE};

fn hold(stubborn: bool) -> Value {
    json!({"type": "hold", "payload": {"stubborn": stubborn}})
}

fn outcomes(job: &JobDetail) -> Vec<AttemptOutcome> {
    job.attempts.iter().map(|attempt| attempt.outcome).collect()
}

#[tokio::test]
async fn a_drain_lets_running_jobs_finish_and_hands_the_others_back() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| config.queues[0].concurrency = 2).await;
    let ids = node.submit_all(vec![hold(false); 4]).await;
    node.begun(2).await;
    let drain = node.handles.drain.clone();
    let drain = tokio::spawn(async move { drain.run(PATIENCE).await });
    node.until("jobs are refused", async || {
        (node.submit(json!({"type": "noop"})).await == Err(Refusal::Stopping)).then_some(())
    })
    .await;
    node.stage.gate.add_permits(4);
    let report = drain.await.unwrap();
    assert_eq!((report.finished, report.lost), (2, 0), "{report:?}");
    assert_eq!(*node.stage.begun.borrow(), 2);
    node.stop().await;

    let node = Node::start(&folder).await;
    node.stage.gate.add_permits(4);
    for id in ids {
        let job = node.reaches(id, JobState::Completed).await;
        assert_eq!(job.summary.attempt, 1, "{job:?}");
    }
    assert_eq!(*node.stage.begun.borrow(), 2);
    node.stop().await;
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_handed_back_and_the_attempt_does_not_count() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| config.cancel_grace = Duration::from_millis(20)).await;
    let ids = node.submit_all(vec![hold(false), hold(true)]).await;
    node.begun(2).await;
    let report = node.handles.drain.run(Duration::from_millis(10)).await;
    assert_eq!((report.finished, report.handed_back, report.lost), (0, 2, 0));
    node.stop().await;

    let node = Node::start(&folder).await;
    node.stage.gate.add_permits(2);
    for id in ids {
        let job = node.reaches(id, JobState::Completed).await;
        assert_eq!(job.summary.attempt, 1);
        assert_eq!(outcomes(&job), [AttemptOutcome::Released, AttemptOutcome::Completed]);
    }
    node.stop().await;
}

#[tokio::test]
async fn after_a_crash_the_attempts_of_the_dead_node_become_the_next_ones() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let again = node.submit(hold(false)).await.unwrap().id;
    let mut last = hold(false);
    last["max_attempts"] = json!(1);
    let last = node.submit(last).await.unwrap().id;
    node.begun(2).await;
    let done = node.submit(json!({"type": "noop"})).await.unwrap().id;
    node.reaches(done, JobState::Completed).await;
    node.crash().await;

    let node = Node::start(&folder).await;
    node.stage.gate.add_permits(2);
    let job = node.reaches(again, JobState::Completed).await;
    assert_eq!(outcomes(&job), [AttemptOutcome::Failed, AttemptOutcome::Completed]);
    assert_eq!(job.attempts[0].error.as_ref().unwrap().kind, ErrorKind::Lost);
    let job = node.reaches(last, JobState::Discarded).await;
    assert_eq!(job.attempts[0].error.as_ref().unwrap().kind, ErrorKind::Lost);
    assert_eq!(node.job(done).await.attempts.len(), 1);
    node.until("the rescue is counted", async || {
        node.handles.metrics.render().contains("callboard_attempts_rescued_total 2").then_some(())
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn an_outage_of_the_store_loses_nothing_and_runs_nothing_twice() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let ids = node.submit_all(vec![hold(true); 30]).await;
    node.begun(30).await;
    node.trouble.outage.store(true, SeqCst);
    node.stage.gate.add_permits(1000);
    let refusal = node.submit(hold(true)).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Unavailable(_)), "{refusal:?}");
    node.until("the outage is seen", async || (node.conditions.overall() == "degraded").then_some(())).await;
    node.trouble.outage.store(false, SeqCst);
    for id in ids {
        let job = node.reaches(id, JobState::Completed).await;
        assert_eq!(outcomes(&job), [AttemptOutcome::Completed]);
    }
    assert_eq!(*node.stage.begun.borrow(), 30);
    node.until("all is well again", async || (node.conditions.overall() == "ready").then_some(())).await;
    node.stop().await;
}

#[tokio::test]
async fn jobs_of_a_claim_whose_answer_was_lost_run_all_the_same_and_once() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    node.trouble.lost_claims.store(2, SeqCst);
    let mut ids = node.submit_all(vec![hold(true); 5]).await;
    ids.extend(node.submit_all(vec![hold(true); 30]).await);
    node.begun(35).await;
    // What is known is not claimed again, be it running or about to be told.
    node.stage.gate.add_permits(1000);
    for id in ids {
        let job = node.reaches(id, JobState::Completed).await;
        assert_eq!((job.summary.attempt, outcomes(&job)), (1, vec![AttemptOutcome::Completed]));
    }
    assert_eq!((*node.stage.begun.borrow(), node.trouble.lost_claims.load(SeqCst)), (35, 0));
    node.stop().await;
}

#[tokio::test]
async fn crashes_of_the_roles_lose_nothing_and_run_nothing_twice() {
    const JOBS: usize = 2000;
    // Fewer than would exhaust the restarts of a subtree, so that nobody waits for the longest backoff.
    const CRASHES: usize = 6;
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| config.claim_poll = Duration::from_millis(50)).await;
    let mut ids = Vec::new();
    for _ in 0..CRASHES {
        node.trouble.panics.fetch_add(1, SeqCst);
        ids.extend(
            node.submit_all(vec![json!({"type": "echo", "payload": {"text": ""}}); JOBS / CRASHES]).await,
        );
    }
    for id in ids {
        let job = node.reaches(id, JobState::Completed).await;
        assert_eq!(outcomes(&job), [AttemptOutcome::Completed]);
    }
    assert_eq!(node.stage.order.lock().unwrap().len(), JOBS / CRASHES * CRASHES);
    node.until("every role was crashed that was to be", async || {
        (node.trouble.panics.load(SeqCst) == 0).then_some(())
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn a_node_that_was_taken_for_dead_ends_its_attempts_and_begins_anew() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| {
        config.heartbeat = Duration::from_millis(20);
        config.session_ttl = Duration::from_millis(100);
    })
    .await;
    let id = node.submit(hold(true)).await.unwrap().id;
    node.begun(1).await;
    let session = node.store.open_sessions().await.unwrap().remove(0).id;
    let error = AttemptError {
        kind: ErrorKind::Lost,
        message: "taken for dead".into(),
        backtrace: None,
        is_final: false,
    };
    let dead =
        Operation::Rescue { session, error, limit: 10, idle_for: None, leader: None, quarantine_after: 0 };
    node.store.write(dead).await.unwrap();
    node.begun(2).await;
    let sessions = node.store.open_sessions().await.unwrap();
    assert!(sessions.len() == 1 && sessions[0].id != session, "{sessions:?}");
    // The first attempt is gone: the one permit is the second one's.
    node.stage.gate.add_permits(1);
    let job = node.reaches(id, JobState::Completed).await;
    assert_eq!(job.result, Some(json!(2)));
    let queue = node.handles.read_model.ask(GetQueues).await.unwrap().unwrap().remove(0);
    assert_eq!((queue.executing, queue.completed), (0, 1));
    node.stop().await;
}
