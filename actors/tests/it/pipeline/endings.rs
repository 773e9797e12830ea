//! Jobs that come to other ends.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use callboard_actors::roles::{
    QueueSupervision,
    request::{CancelJob, GetQueues, ListJobs, Refusal, RetryJob},
};
use callboard_contracts::{
    JobState,
    api::{AttemptOutcome, ErrorKind, JobDetail},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::harness::{Folder, Node};

/// The errors of a job's attempts that were no success.
fn errors(job: &JobDetail) -> Vec<(ErrorKind, String)> {
    let errors = job.attempts.iter().filter_map(|attempt| attempt.error.as_ref());
    errors.map(|error| (error.kind, error.message.clone())).collect()
}

async fn cancel(node: &Node, id: Uuid) -> Result<JobState, Refusal> {
    node.handles.gateway.ask(CancelJob { id }).await.unwrap().map(|cancelled| cancelled.state)
}

fn hold(stubborn: bool) -> Value {
    json!({"type": "hold", "payload": {"stubborn": stubborn}})
}

#[tokio::test]
async fn among_ten_thousand_jobs_each_panic_is_one_failed_attempt_and_nothing_else_fails() {
    const JOBS: u64 = 10_000;
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| {
        config.queues[0].concurrency = 50;
        // So many would pause the queue.
        let never = QueueSupervision { pause_after_crashes: 0, ..QueueSupervision::default() };
        config.supervision.insert("default".to_owned(), never);
    })
    .await;
    let mut jobs = Vec::new();
    for number in 0..JOBS {
        // Every third panics once, and every thirtieth in both attempts that it has.
        let panics = match number {
            number if number % 30 == 0 => 2,
            number if number % 3 == 0 => 1,
            _ => 0,
        };
        jobs.push(json!({"type": "flaky", "payload": {"number": number, "panics": panics}}));
    }
    let mut ids = Vec::new();
    for some in jobs.chunks(1000) {
        ids.extend(node.submit_all(some.to_vec()).await);
    }
    node.until("all jobs are finished", async || {
        let queue = node.handles.read_model.ask(GetQueues).await.unwrap().unwrap().remove(0);
        (queue.completed + queue.discarded == JOBS).then_some(())
    })
    .await;
    for (number, id) in (0..).zip(ids) {
        let job = node.job(id).await;
        let state = if number % 30 == 0 { JobState::Discarded } else { JobState::Completed };
        let attempts = if number % 3 == 0 { 2 } else { 1 };
        assert_eq!((job.summary.state, job.attempts.len()), (state, attempts), "{job:?}");
        let panics = attempts as u32 - u32::from(state == JobState::Completed);
        for attempt in &job.attempts[..panics as usize] {
            let error = attempt.error.as_ref().unwrap();
            assert_eq!(error.kind, ErrorKind::Panicked);
            assert_eq!(error.message, format!("number {number} in attempt {}", attempt.attempt));
            // Beyond a number of panics a second there are places without a trace.
            assert!(error.backtrace.as_ref().unwrap().contains("jobs.rs"), "{error:?}");
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn an_error_is_tried_again_later_and_later_until_the_job_is_dead() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let id = node.submit(json!({"type": "fail", "payload": {"fatal": false}})).await.unwrap().id;
    let job = node.reaches(id, JobState::Discarded).await;
    let message = "invalid digit found in string".to_owned();
    assert_eq!(errors(&job), vec![(ErrorKind::Failed, message.clone()); 3]);
    assert_eq!(job.summary.last_error, Some(message));
    let gaps: Vec<Duration> = job
        .attempts
        .windows(2)
        .map(|pair| pair[1].started_at.unwrap().saturating_since(pair[0].started_at.unwrap()))
        .collect();
    // 20 ms and 40 ms, a tenth up or down, from the end of the run, which takes no time; that it is stored may take some.
    assert!(gaps[0] >= Duration::from_millis(17) && gaps[1] >= Duration::from_millis(35), "{gaps:?}");
    node.stop().await;
}

#[tokio::test]
async fn a_final_error_is_not_tried_again_and_a_dead_job_can_be_replayed() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let id = node.submit(json!({"type": "fail", "payload": {"fatal": true}})).await.unwrap().id;
    let job = node.reaches(id, JobState::Discarded).await;
    assert_eq!(errors(&job), [(ErrorKind::Failed, "no use".to_owned())]);

    let mut dead = ListJobs { filter: Default::default(), limit: 10 };
    dead.filter.states = vec![JobState::Discarded];
    let dead = node.handles.read_model.ask(dead).await.unwrap().unwrap();
    assert_eq!(dead.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [id]);

    let retried = node.handles.gateway.ask(RetryJob { id }).await.unwrap().unwrap();
    assert_eq!(retried.replay_of, Some(id));
    let replay = node.reaches(retried.id, JobState::Discarded).await;
    assert_eq!((replay.replay_of, replay.payload), (Some(id), job.payload));
    let unknown = node.handles.gateway.ask(RetryJob { id: Uuid::nil() }).await.unwrap();
    assert_eq!(unknown, Err(Refusal::NotFound(Uuid::nil())));
    node.stop().await;
}

#[tokio::test]
async fn an_attempt_ends_with_its_time_whether_it_listens_or_not() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| config.cancel_grace = Duration::from_millis(20)).await;
    for stubborn in [false, true] {
        let mut job = hold(stubborn);
        job["timeout_ms"] = json!(30);
        job["max_attempts"] = json!(1);
        let id = node.submit(job).await.unwrap().id;
        let job = node.reaches(id, JobState::Discarded).await;
        let (kind, message) = errors(&job).remove(0);
        assert_eq!(kind, ErrorKind::TimedOut);
        assert_eq!(message.contains("was dropped"), stubborn, "{message}");
    }
    node.stop().await;
}

#[tokio::test]
async fn a_running_job_can_be_cancelled_whether_it_listens_or_not() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| config.cancel_grace = Duration::from_millis(20)).await;
    for (stubborn, message) in [(false, "told to end"), (true, "was dropped")] {
        let id = node.submit(hold(stubborn)).await.unwrap().id;
        node.begun(1 + u64::from(stubborn)).await;
        assert_eq!(cancel(&node, id).await, Ok(JobState::Executing));
        let job = node.reaches(id, JobState::Cancelled).await;
        let (kind, said) = errors(&job).remove(0);
        assert!(kind == ErrorKind::Cancelled && said.contains(message), "{said}");
        assert!(job.cancel_requested_at.is_some());
        assert!(matches!(
            cancel(&node, id).await,
            Err(Refusal::WrongState { state: JobState::Cancelled, .. })
        ));
    }
    assert_eq!(cancel(&node, Uuid::nil()).await, Err(Refusal::NotFound(Uuid::nil())));
    node.stop().await;
}

#[tokio::test]
async fn a_waiting_job_can_be_cancelled_and_never_runs() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| config.queues[0].concurrency = 1).await;
    let first = node.submit(hold(false)).await.unwrap().id;
    node.begun(1).await;
    let second = node.submit(hold(false)).await.unwrap().id;
    // It waits in the store, or was claimed ahead; in both cases it comes to the same end.
    cancel(&node, second).await.unwrap();
    let job = node.reaches(second, JobState::Cancelled).await;
    assert_eq!(job.summary.started_at, None);
    node.stage.gate.add_permits(2);
    node.reaches(first, JobState::Completed).await;
    assert_eq!(*node.stage.begun.borrow(), 1);
    node.stop().await;
}

#[tokio::test]
async fn a_job_that_finishes_in_spite_of_being_cancelled_has_finished() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let id = node.submit(hold(true)).await.unwrap().id;
    node.begun(1).await;
    cancel(&node, id).await.unwrap();
    node.stage.gate.add_permits(1);
    let job = node.reaches(id, JobState::Completed).await;
    assert_eq!(job.result, Some(json!(1)));
    node.stop().await;
}

#[tokio::test]
async fn a_result_that_is_too_large_fails_the_job_for_good() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| config.max_result = 1000).await;
    let fits = node.submit(json!({"type": "big", "payload": {"bytes": 998}})).await.unwrap().id;
    let large = node.submit(json!({"type": "big", "payload": {"bytes": 999}})).await.unwrap().id;
    node.reaches(fits, JobState::Completed).await;
    let job = node.reaches(large, JobState::Discarded).await;
    assert_eq!(errors(&job), [(ErrorKind::Failed, "the result has 1001 bytes; 1000 are allowed".to_owned())]);
    assert_eq!(job.attempts[0].outcome, AttemptOutcome::Failed);
    node.stop().await;
}

#[tokio::test]
async fn a_result_that_pretends_to_be_encrypted_or_hidden_fails_the_job_for_good() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let forge = |result: &str| json!({"type": "forge", "payload": {"json": result}});
    for (result, place) in [
        (r#"{"$encrypted": "v1.a.b.c.d"}"#, "/$encrypted"),
        (r#"{"list": [1, {"\u0024redacted": true}]}"#, "/list/1/$redacted"),
    ] {
        let id = node.submit(forge(result)).await.unwrap().id;
        let job = node.reaches(id, JobState::Discarded).await;
        let message =
            format!("the result: {place}: fields of the names $encrypted and $redacted are the server's own");
        assert_eq!((errors(&job), job.result), (vec![(ErrorKind::Failed, message)], None));
    }
    let text = r#"{"said": "{\"$encrypted\":\"v1.a.b.c.d\"}"}"#;
    let id = node.submit(forge(text)).await.unwrap().id;
    let job = node.reaches(id, JobState::Completed).await;
    assert_eq!(job.result, Some(serde_json::from_str::<Value>(text).unwrap()));
    node.stop().await;
}

#[tokio::test]
async fn a_job_that_is_not_ready_is_continued_later_and_spends_no_attempt() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let id = node.submit(json!({"type": "patient", "payload": {"runs": 3}})).await.unwrap().id;
    let job = node.reaches(id, JobState::Completed).await;
    assert_eq!((job.result, job.summary.attempt, job.attempts.len()), (Some(json!(1)), 1, 1));
    assert_eq!(node.stage.runs.load(SeqCst), 3);
    node.stop().await;
}
