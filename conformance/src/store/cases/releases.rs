//! What each release left, opened with today's code.

use std::{fs, path::Path};

use callboard_actors::edges::store::{
    Operation, Outcome,
    dead_jobs::{DeadJobsOperation, DeadJobsOutcome},
    record::{JobFilter, JobWithAttempts, NewJob},
};
use callboard_contracts::{
    JobState,
    api::{EventRecord, JobDetail, JobTypeView, QueueView, Totals},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::store::{
    backend::{Backend, Releases},
    stage::{Stage, run, run_on_release},
    words::{DAY, completed, enqueue, in_state, job, lease, release, rescue, retry},
};

pub async fn what_a_release_left_is_opened_without_loss<B: Releases>() {
    let mut schema = Vec::new();
    run::<B>(async |stage| schema = stage.schema().await).await;
    let folders = B::left();
    assert!(!folders.is_empty(), "there is a release to begin with");
    for left in folders {
        println!("{}", left.display());
        run_on_release::<B>(&left, async |stage| {
            nothing_is_lost(stage, &left).await;
            stage.check().await;
            let brought_forward = stage.schema().await;
            let only_in = |these: &[String], those: &[String]| -> Vec<String> {
                these.iter().filter(|line| !those.contains(line)).cloned().collect()
            };
            let gone = only_in(&schema, &brought_forward);
            let left_over = only_in(&brought_forward, &schema);
            assert!(
                brought_forward == schema,
                "not as if it had been made today: without {gone:#?}, with {left_over:#?}"
            );
            // Also once more: what was brought forward is opened as it is.
            stage.reopen().await;
            nothing_is_lost(stage, &left).await;
            causes_are_found_out(stage).await;
            all_can_be_worked_on(stage).await;
        })
        .await;
    }
}

fn read<T: DeserializeOwned>(left: &Path, name: &str) -> T {
    serde_json::from_slice(&fs::read(left.join(name)).unwrap()).unwrap()
}

fn lines<T: DeserializeOwned>(left: &Path, name: &str) -> Vec<T> {
    let text = fs::read_to_string(left.join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What the release itself said of its store is what there is to read now.
async fn nothing_is_lost<B: Backend>(stage: &Stage<B>, left: &Path) {
    let told: Vec<JobDetail> = lines(left, "jobs.ndjson");
    let listed = stage.list(JobFilter::default()).await;
    assert!(listed.iter().map(|job| job.id).eq(told.iter().map(|job| job.summary.id)), "in their order");
    for told in &told {
        compare(&stage.store.job(told.summary.id).await.unwrap().unwrap(), told);
    }
    let told: Vec<EventRecord> = lines(left, "events.ndjson");
    let log = stage.log().await;
    assert_eq!(log.len(), told.len());
    for (logged, told) in log.iter().zip(&told) {
        assert_eq!((logged.cursor.to_string(), &logged.queue), (told.cursor.clone(), &told.queue));
        assert_eq!(logged.event, told.event);
    }
    assert_eq!(stage.store.totals().await.unwrap(), read::<Totals>(left, "stats.json"));
    let queues = stage.store.queues().await.unwrap();
    let told: Vec<QueueView> = read(left, "queues.json");
    assert_eq!(queues.len(), told.len());
    for ((settings, totals), told) in queues.iter().zip(&told) {
        assert_eq!((&settings.name, settings.concurrency), (&told.name, told.concurrency));
        assert_eq!(settings.max_backlog, told.max_backlog);
        let counts = [
            told.pending,
            told.scheduled,
            told.available,
            told.executing,
            told.retryable,
            told.completed,
            told.cancelled,
            told.discarded,
        ];
        assert_eq!(totals.counts, counts);
        assert_eq!(totals.oldest_available_at, told.oldest_available_at);
    }
    let told: Vec<JobTypeView> = read(left, "job-types.json");
    let types = stage.store.job_types().await.unwrap();
    let names = types.iter().map(|job_type| (&job_type.job_type, &job_type.queue, job_type.max_attempts));
    assert!(names.eq(told.iter().map(|told| (&told.job_type, &told.queue, told.max_attempts))));
}

fn compare(found: &JobWithAttempts, told: &JobDetail) {
    let (JobWithAttempts { job, attempts, progress: _, published: _ }, summary) = (found, &told.summary);
    assert_eq!((&job.job_type, &job.queue, job.state), (&summary.job_type, &summary.queue, summary.state));
    assert_eq!((job.attempt, job.max_attempts), (summary.attempt, summary.max_attempts));
    assert_eq!((job.created_at, job.scheduled_at), (summary.created_at, summary.scheduled_at));
    assert_eq!((job.started_at, job.finished_at), (summary.started_at, summary.finished_at));
    assert_eq!((&job.wait_reason, &job.last_error), (&summary.wait_reason, &summary.last_error));
    let object = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
    assert_eq!(object(&job.payload), told.payload);
    assert_eq!(job.metadata.as_deref().map(object), told.metadata);
    let result: Option<Value> = job.result.as_deref().map(|text| serde_json::from_str(text).unwrap());
    assert_eq!(result, told.result);
    assert_eq!(job.timeout.as_millis(), u128::from(told.timeout_ms));
    assert_eq!((job.correlation_id, job.replay_of), (told.correlation_id, told.replay_of));
    assert_eq!(job.cancel_requested_at, told.cancel_requested_at);
    assert_eq!(*attempts, told.attempts);
}

/// What dead jobs died of is found out, a bounded number at a time. Releases from 0.5.0 on know it of all of theirs.
async fn causes_are_found_out<B: Backend>(stage: &Stage<B>) {
    let dead = stage.list(in_state(JobState::Discarded)).await;
    let unknown = dead.iter().filter(|job| job.cause.is_none()).count();
    assert!(!dead.is_empty() && (unknown == 0 || unknown == dead.len()), "{unknown} of {}", dead.len());
    let fill = || Operation::DeadJobs(DeadJobsOperation::FillCauses { limit: 1, leader: stage.leader });
    for count in (0..unknown).map(|_| 1).chain([0]) {
        let filled = Outcome::DeadJobs(DeadJobsOutcome::CausesFilled { count });
        assert_eq!(stage.one(fill()).await, filled);
    }
    for job in dead {
        let found = stage.record(job.id).await;
        let by_cause = JobFilter { cause: found.cause.clone(), ..JobFilter::default() };
        assert!(found.cause.is_some() && stage.list(by_cause).await.iter().any(|other| other.id == job.id));
        assert_eq!(found.updated_at, job.updated_at, "nothing has happened to it");
    }
}

/// Every job can be brought to its end, and new ones come beside them.
async fn all_can_be_worked_on<B: Backend>(stage: &Stage<B>) {
    let known = stage.list(JobFilter::default()).await;
    // All nodes of that time are dead.
    for session in stage.store.open_sessions().await.unwrap() {
        if session.id != stage.leading {
            let moved = stage.one(rescue(session.id, 1000)).await;
            assert!(matches!(moved, Outcome::Moved { .. }), "{moved:?}");
        }
    }
    stage.pass(36_500 * DAY);
    stage.promote(1000).await;
    let types: Vec<&str> = known.iter().map(|job| &*job.job_type).collect();
    stage.one(release(&types, 1000)).await;
    // What is in quarantine goes on when somebody says so.
    for held in stage.list(in_state(JobState::Pending)).await {
        let queue = held.queue;
        assert_eq!(stage.one(retry(held.id)).await, Outcome::MadeAvailable { queue });
    }
    let new = NewJob { queue: known[0].queue.clone(), ..job() };
    stage.one(enqueue(&new)).await;
    let session = stage.session().await;
    for (queue, _) in stage.store.queues().await.unwrap() {
        for claimed in stage.claim(&queue.name, 1000, session).await {
            assert_eq!(stage.finish(lease(&claimed), completed()).await, JobState::Completed);
        }
    }
    let all = stage.list(JobFilter::default()).await;
    assert_eq!(all.len(), known.len() + 1);
    assert!(all.iter().all(|job| job.state.is_final()), "{all:?}");
    assert_eq!(stage.store.totals().await.unwrap().total_jobs, all.len() as u64);
}
