//! Bulk operations.

use std::collections::BTreeMap;

use callboard_actors::edges::store::{
    Operation, Outcome, Wake,
    dead_jobs::{
        BulkJob, BulkPlan, BulkRecord, BulkSelection, BulkStep, BulkStepped, DeadJobsOperation,
        DeadJobsOutcome, NewBulk, NewPayload,
    },
    record::JobRecord,
};
use callboard_contracts::{
    JobState,
    api::{BulkAction, BulkFilter, BulkOutcome, BulkState},
};
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    client::Client,
    stage::Stage,
    words::{DAY, SECOND, enqueue, failed, in_state, job, lease, of_queue},
};

fn bulk(operation: DeadJobsOperation) -> Operation {
    Operation::DeadJobs(operation)
}

fn start(new: &NewBulk) -> Operation {
    bulk(DeadJobsOperation::StartBulk(Box::new(new.clone())))
}

fn new(action: BulkAction, state: &[JobState]) -> NewBulk {
    NewBulk {
        id: Uuid::now_v7(),
        action,
        filter: BulkFilter { state: state.to_vec(), ..BulkFilter::default() },
        patch: None,
        fingerprint: None,
        shown_patch: None,
        spares_secrets: false,
        reason: Some("a test".to_owned()),
        by: "ci".to_owned(),
        matched: 3,
        at_least: false,
    }
}

fn record(outcome: Outcome) -> BulkRecord {
    match outcome {
        Outcome::DeadJobs(DeadJobsOutcome::Bulk(record)) => *record,
        other => panic!("{other:?}"),
    }
}

fn stepped(outcome: Outcome) -> BulkStepped {
    match outcome {
        Outcome::DeadJobs(DeadJobsOutcome::Stepped(stepped)) => *stepped,
        other => panic!("{other:?}"),
    }
}

/// The replay that an operation makes of a job, the same each time.
fn replay_id(operation: Uuid, job: Uuid) -> Uuid {
    Uuid::from_u128(operation.as_u128() ^ job.as_u128().rotate_left(7))
}

fn again(operation: Uuid, job: &JobRecord) -> BulkPlan {
    BulkPlan::Retry {
        replay_id: replay_id(operation, job.id),
        event_id: Uuid::now_v7(),
        max_backlog: 1000,
        payload: None,
    }
}

/// The next step, of at most `limit` jobs, each with what `plan` says.
async fn next(client: &Client, id: Uuid, limit: u32, plan: impl Fn(&JobRecord) -> BulkPlan) -> BulkStep {
    let record = client.store.bulks(BulkSelection::Id(id), 1).await.unwrap().remove(0);
    let page = client.store.jobs(record.rest(), limit).await.unwrap();
    BulkStep {
        id,
        from: record.cursor,
        last: page.len() < limit as usize,
        jobs: page
            .iter()
            .map(|job| BulkJob { id: job.id, sequence: job.sequence, plan: plan(job) })
            .collect(),
        max_total: u64::MAX,
        leader: client.leader,
    }
}

fn step(step: &BulkStep) -> Operation {
    bulk(DeadJobsOperation::StepBulk(Box::new(step.clone())))
}

/// So many dead jobs of the queue `default`.
async fn dead<B: Backend>(stage: &Stage<B>, count: u32) {
    stage.apply((0..count).map(|_| enqueue(&job())).collect()).await;
    let session = stage.session().await;
    for claimed in stage.claim("default", count, session).await {
        stage.finish(lease(&claimed), failed(None)).await;
    }
}

async fn read<B: Backend>(stage: &Stage<B>, which: BulkSelection) -> Vec<BulkRecord> {
    stage.store.bulks(which, 10).await.unwrap()
}

pub async fn a_bulk_operation_is_begun_once_and_known_until_it_is_old<B: Backend>(stage: &mut Stage<B>) {
    dead(stage, 3).await;
    let one = new(BulkAction::Retry, &[JobState::Discarded]);
    let begun = record(stage.one(start(&one)).await);
    assert_eq!((begun.id, begun.state, begun.started_at), (one.id, BulkState::Running, stage.now()));
    assert_eq!((begun.matched, begun.cursor, &*begun.by), (3, begun.newest + 1, "ci"));
    assert!(stage.list(Default::default()).await.iter().all(|job| job.sequence <= begun.newest));
    stage.pass(SECOND);
    assert_eq!(record(stage.one(start(&one)).await), begun, "sent again, it is one");
    let other = NewBulk { action: BulkAction::Cancel, ..one.clone() };
    assert_eq!(stage.one(start(&other)).await, Outcome::DeadJobs(DeadJobsOutcome::OtherBulk));
    let second = new(BulkAction::Retry, &[JobState::Discarded]);
    let second = record(stage.one(start(&second)).await);
    stage.reopen().await;
    assert_eq!(read(stage, BulkSelection::Id(one.id)).await, std::slice::from_ref(&begun));
    assert_eq!(read(stage, BulkSelection::Id(Uuid::now_v7())).await, []);
    assert_eq!(read(stage, BulkSelection::Newest).await, [second.clone(), begun.clone()]);
    assert_eq!(read(stage, BulkSelection::Running).await, [begun.clone(), second.clone()]);
    // Stopped, it does nothing any more, and ends once.
    let stop = |id| bulk(DeadJobsOperation::StopBulk { id });
    assert_eq!(stage.one(stop(Uuid::now_v7())).await, Outcome::NotFound);
    let late = next(stage, one.id, 10, |job| again(one.id, job)).await;
    let stopped = record(stage.one(stop(one.id)).await);
    assert_eq!((stopped.state, stopped.ended_at), (BulkState::Stopped, Some(stage.now())));
    stage.pass(SECOND);
    assert_eq!(record(stage.one(stop(one.id)).await), stopped);
    assert_eq!(stepped(stage.one(step(&late)).await).record, stopped);
    assert_eq!(stage.list(in_state(JobState::Available)).await, []);
    assert_eq!(read(stage, BulkSelection::Running).await, std::slice::from_ref(&second));
    // No more than so many at a time.
    let most = BulkRecord::MOST_RUNNING;
    let more: Vec<Operation> =
        (1..=most).map(|_| start(&new(BulkAction::Retry, &[JobState::Discarded]))).collect();
    let refused = Outcome::DeadJobs(DeadJobsOutcome::TooManyBulks { limit: most });
    assert_eq!(stage.apply(more).await.into_iter().filter(|outcome| *outcome == refused).count(), 1);
    // What has ended is deleted when it is old; what is under way is not.
    stage.pass(DAY);
    let leader = stage.leader;
    stage.one(Operation::PruneAudit { kept: DAY / 2, limit: 10, leader }).await;
    assert_eq!(read(stage, BulkSelection::Id(one.id)).await, []);
    assert_eq!(read(stage, BulkSelection::Id(second.id)).await, [second]);
}

pub async fn each_job_of_a_bulk_retry_is_run_again_once<B: Backend>(stage: &mut Stage<B>) {
    dead(stage, 10).await;
    let new = new(BulkAction::Retry, &[JobState::Discarded]);
    let id = new.id;
    stage.one(start(&new)).await;
    // Dead jobs that come later are not concerned.
    dead(stage, 3).await;
    let (mut outcomes, mut steps) = (0, 0);
    loop {
        let part = next(stage, id, 4, |job| again(id, job)).await;
        let first = stepped(stage.one(step(&part)).await);
        assert_eq!(first.queues, ["default"]);
        // Its answer was lost, and the process with it, now and then.
        if steps == 1 {
            stage.kill().await;
        }
        let second = stepped(stage.one(step(&part)).await);
        assert_eq!((second.record.clone(), second.queues.len()), (first.record.clone(), 0));
        outcomes += part.jobs.len() as u64;
        steps += 1;
        assert_eq!(first.record.outcomes, BTreeMap::from([(BulkOutcome::Replayed, outcomes)]));
        if first.record.state == BulkState::Done {
            assert_eq!(first.record.ended_at, Some(stage.now()));
            break;
        }
    }
    assert_eq!((outcomes, steps), (10, 3));
    let dead = stage.list(in_state(JobState::Discarded)).await;
    let replays = stage.list(in_state(JobState::Available)).await;
    let mut expected: Vec<Uuid> = dead[3..].iter().map(|job| replay_id(id, job.id)).collect();
    let mut found: Vec<Uuid> = replays.iter().map(|job| job.id).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    assert!(replays.iter().all(|job| dead[3..].iter().any(|of| job.replay_of == Some(of.id))));
    // No step comes after the end.
    let late = BulkStep { from: 0, ..next(stage, id, 4, |job| again(id, job)).await };
    assert_eq!(stepped(stage.one(step(&late)).await).record.state, BulkState::Done);
    if B::SHARED {
        let late = BulkStep { leader: stage.leader + 1, ..late.clone() };
        assert_eq!(stage.one(step(&late)).await, Outcome::NotLeader);
    }
    let unknown = BulkStep { id: Uuid::now_v7(), ..late };
    assert_eq!(stage.one(step(&unknown)).await, Outcome::NotFound);
}

pub async fn a_bulk_retry_waits_while_there_is_no_room<B: Backend>(stage: &mut Stage<B>) {
    dead(stage, 5).await;
    let new = new(BulkAction::Retry, &[JobState::Discarded]);
    let id = new.id;
    stage.one(start(&new)).await;
    let within = |most| {
        move |job: &JobRecord| match again(id, job) {
            BulkPlan::Retry { replay_id, event_id, payload, .. } => {
                BulkPlan::Retry { replay_id, event_id, payload, max_backlog: most }
            }
            other => other,
        }
    };
    let part = next(stage, id, 10, within(2)).await;
    let first = stepped(stage.one(step(&part)).await).record;
    assert_eq!((first.outcomes[&BulkOutcome::Replayed], first.state), (2, BulkState::Running));
    assert!(first.waits_for.as_ref().is_some_and(|reason| reason.contains("default")), "{first:?}");
    assert_eq!(stage.list(in_state(JobState::Available)).await.len(), 2);
    // It goes on behind what is done.
    let rest = next(stage, id, 10, within(1000)).await;
    assert_eq!(rest.jobs.len(), 3);
    let full = BulkStep { max_total: 2, ..rest.clone() };
    let still = stepped(stage.one(step(&full)).await).record;
    assert_eq!((still.cursor, still.state), (first.cursor, BulkState::Running));
    let done = stepped(stage.one(step(&rest)).await).record;
    assert_eq!((done.state, done.waits_for), (BulkState::Done, None));
    assert_eq!(done.outcomes, BTreeMap::from([(BulkOutcome::Replayed, 5)]));
    assert_eq!(stage.list(in_state(JobState::Available)).await.len(), 5);
}

pub async fn what_a_bulk_operation_does_with_each_job_is_counted<B: Backend>(stage: &mut Stage<B>) {
    let mut wakes = stage.store.wakes();
    let session = stage.session().await;
    stage.apply((0..6).map(|_| enqueue(&job())).collect()).await;
    let claimed = stage.claim("default", 3, session).await;
    let later = stage.now().saturating_add(DAY);
    stage.finish(lease(&claimed[0]), failed(Some(later))).await;
    stage.finish(lease(&claimed[1]), failed(None)).await;
    let running = lease(&claimed[2]);
    let states = [JobState::Available, JobState::Executing, JobState::Retryable];
    let new = NewBulk { patch: Some("{\"a\":1}".to_owned()), ..new(BulkAction::Cancel, &states) };
    let id = new.id;
    stage.one(start(&new)).await;
    let refused = stage.list(of_queue("default")).await[0].id;
    let part = next(stage, id, 10, |job| match job.id == refused {
        true => BulkPlan::Count(BulkOutcome::Invalid, "why".to_owned()),
        false => BulkPlan::Cancel,
    })
    .await;
    assert_eq!(part.jobs.len(), 5);
    // One of them ends by itself before its turn.
    let other = stage.list(in_state(JobState::Available)).await[1].id;
    stage.one(Operation::Cancel { id: other }).await;
    let node = stage.another("other").await;
    let done = stepped(node.one(step(&part)).await);
    assert_eq!(done.cancels, [(running, "default".to_owned(), session)]);
    if B::SHARED {
        // Its node is told.
        let word = Wake::Cancel { lease: running, queue: "default".into(), session };
        while wakes.recv().await.unwrap() != word {}
    }
    let expected = [
        (BulkOutcome::Cancelled, 2),
        (BulkOutcome::ToldToEnd, 1),
        (BulkOutcome::Changed, 1),
        (BulkOutcome::Invalid, 1),
    ];
    assert_eq!(done.record.outcomes, BTreeMap::from(expected));
    let problems: Vec<(Uuid, &str)> =
        done.record.problems.iter().map(|problem| (problem.job, &*problem.message)).collect();
    assert_eq!(problems, [(refused, "why"), (other, "it is in another state by now")]);
    assert_eq!(stage.state(refused).await, JobState::Available);
    assert_eq!(stage.record(running.id).await.cancel_requested_at, Some(stage.now()));
    assert_eq!(stage.list(in_state(JobState::Cancelled)).await.len(), 3);
}

pub async fn a_bulk_retry_with_a_patch_keeps_it_with_each_job<B: Backend>(stage: &mut Stage<B>) {
    dead(stage, 2).await;
    // What is shown is kept, not what is encrypted.
    let patch = "{\"a\":{\"$redacted\":true}}".to_owned();
    let new = NewBulk {
        patch: Some("{\"a\":1}".to_owned()),
        fingerprint: Some("one".to_owned()),
        shown_patch: Some(patch.clone()),
        ..new(BulkAction::Retry, &[JobState::Discarded])
    };
    let id = new.id;
    let begun = record(stage.one(start(&new)).await);
    // Encrypted anew it is another text, and the same operation.
    let resent = NewBulk { patch: Some("{\"a\":2}".to_owned()), ..new.clone() };
    assert_eq!(record(stage.one(start(&resent)).await), begun);
    let other = NewBulk { fingerprint: Some("two".to_owned()), ..new };
    assert_eq!(stage.one(start(&other)).await, Outcome::DeadJobs(DeadJobsOutcome::OtherBulk));
    let part = next(stage, id, 10, |job| match again(id, job) {
        BulkPlan::Retry { replay_id, event_id, max_backlog, .. } => {
            let payload = Some(NewPayload { text: "{\"a\":1}".to_owned(), fingerprint: [1; 32] });
            BulkPlan::Retry { replay_id, event_id, max_backlog, payload }
        }
        other => other,
    })
    .await;
    stage.one(step(&part)).await;
    for job in stage.list(in_state(JobState::Discarded)).await {
        let edits = stage.store.job_edits(job.id).await.unwrap();
        let [edit] = &edits[..] else { panic!("{edits:?}") };
        assert_eq!((edit.replay, edit.note.patch.as_ref()), (replay_id(id, job.id), Some(&patch)));
        assert_eq!((&*edit.note.by, edit.note.reason.as_deref()), ("ci", Some("a test")));
        assert_eq!(stage.record(edit.replay).await.payload, "{\"a\":1}");
    }
}

pub async fn of_many_that_make_one_step_one_does<B: Backend>(stage: &mut Stage<B>) {
    dead(stage, 30).await;
    let new = new(BulkAction::Retry, &[JobState::Discarded]);
    let id = new.id;
    stage.one(start(&new)).await;
    let mut nodes = Vec::new();
    for number in 0..4 {
        nodes.push(stage.another(&format!("node {number}")).await);
    }
    let mut tasks = Vec::new();
    for node in nodes {
        tasks.push(tokio::spawn(async move {
            loop {
                let part = next(&node, id, 3, |job| again(id, job)).await;
                if stepped(node.one(step(&part)).await).record.state == BulkState::Done {
                    return;
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let done = read(stage, BulkSelection::Id(id)).await.remove(0);
    assert_eq!(done.outcomes, BTreeMap::from([(BulkOutcome::Replayed, 30)]));
    assert_eq!(stage.list(in_state(JobState::Available)).await.len(), 30);
}
