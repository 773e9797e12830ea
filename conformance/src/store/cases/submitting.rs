//! Storing jobs.

use std::time::Duration;

use callboard_actors::edges::store::{
    Operation, Outcome,
    record::{AttemptEnd, JobFilter, NewJob},
};
use callboard_contracts::{EventType, JobState, TraceContext};
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    stage::Stage,
    words::{
        DAY, SECOND, cancelled, claim, completed, enqueue, failed, finish, in_state, job, lease, of_queue,
        prune, release, retry, start,
    },
};

const AVAILABLE: Outcome = Outcome::Enqueued { state: JobState::Available };

pub async fn a_new_job_is_kept_to_the_letter<B: Backend>(stage: &mut Stage<B>) {
    let new = NewJob {
        job_type: "Ärger's \"type\"; DROP TABLE jobs; --\\".into(),
        queue: "{a,NULL,\"b\"} 'queue' \\ ☃".into(),
        // Order, doubles, spaces and numbers that no machine type holds.
        payload: r#"{"b":1.50,"a":123456789012345678901234567890, "b":1e400,"\u0000":"\u0000 ☃ \\ ' \""}"#
            .into(),
        metadata: Some(r#"{"z":null,"a":[ ]}"#.into()),
        document: Some(r#"{"createdAt":"2020-01-01T00:00:00Z","tenant":"t-1"}"#.into()),
        fingerprint: [0xff; 32],
        max_attempts: u32::MAX,
        timeout: Duration::from_micros(1),
        priority: i16::MIN,
        tags: vec!["it's".into(), "{a,\"b\"} \\ ☃".into(), "NULL".into()],
        trace: Some(TraceContext::begin(Uuid::now_v7())),
        ..job()
    };
    assert_eq!(stage.one(enqueue(&new)).await, AVAILABLE);
    for reopened in [false, true] {
        if reopened {
            stage.reopen().await;
        }
        let found = stage.store.job(new.id).await.unwrap().unwrap();
        assert!(found.attempts.is_empty());
        let found = found.job;
        assert_eq!((&found.job_type, &found.queue), (&new.job_type, &new.queue));
        assert_eq!(found.payload, new.payload);
        assert_eq!((&found.metadata, &found.document), (&new.metadata, &new.document));
        assert_eq!((found.max_attempts, found.timeout), (new.max_attempts, new.timeout));
        assert_eq!((found.priority, &found.tags), (new.priority, &new.tags));
        assert_eq!(found.trace, new.trace);
        assert_eq!((found.correlation_id, found.created_event_id), (new.correlation_id, new.event_id));
        assert_eq!((found.state, found.attempt), (JobState::Available, 0));
        assert_eq!([found.created_at, found.updated_at, found.scheduled_at], [stage.now(); 3]);
        let never = [found.claimed_at, found.started_at, found.finished_at, found.cancel_requested_at];
        assert_eq!(never, [None; 4]);
        assert_eq!((&found.result, &found.wait_reason, &found.last_error), (&None, &None, &None));
        assert_eq!(found.replay_of, None);
        assert!(found.sequence > 0);
    }
    let session = stage.session().await;
    let claimed = stage.claim(&new.queue, 1, session).await.remove(0);
    assert_eq!((&claimed.job_type, &claimed.queue), (&new.job_type, &new.queue));
    assert_eq!((&claimed.payload, &claimed.metadata), (&new.payload, &new.metadata));
    assert_eq!((claimed.max_attempts, claimed.timeout), (new.max_attempts, new.timeout));
    assert_eq!(claimed.trace, new.trace);
    assert_eq!((claimed.correlation_id, claimed.created_at), (new.correlation_id, stage.now()));
    // The longest timeout there is needs not be kept, but must not break anything.
    let endless = NewJob { timeout: Duration::MAX, ..job() };
    assert_eq!(stage.one(enqueue(&endless)).await, AVAILABLE);
    assert!(stage.record(endless.id).await.timeout > 365 * 100 * DAY);
}

pub async fn a_job_is_stored_once_whoever_sends_it_again<B: Backend>(stage: &mut Stage<B>) {
    let first = job();
    assert_eq!(stage.one(enqueue(&first)).await, AVAILABLE);
    let again = NewJob { event_id: Uuid::now_v7(), ..first.clone() };
    let duplicate = Outcome::Duplicate { event_id: first.event_id, state: JobState::Available };
    assert_eq!(stage.one(enqueue(&again)).await, duplicate);
    let other = NewJob { fingerprint: [8; 32], ..first.clone() };
    assert_eq!(stage.one(enqueue(&other)).await, Outcome::Conflict);
    // What is there needs no room, and what cannot be has none.
    let full = NewJob { max_backlog: 0, ..first.clone() };
    assert_eq!(stage.one(enqueue(&full)).await, duplicate);
    assert_eq!(stage.one(enqueue(&NewJob { max_backlog: 0, ..other })).await, Outcome::Conflict);
    assert_eq!(
        stage.one(enqueue(&NewJob { max_backlog: 0, ..job() })).await,
        Outcome::BacklogFull { waiting: 1, limit: 0 }
    );
    stage.reopen().await;
    assert_eq!(stage.one(enqueue(&again)).await, duplicate);
    assert_eq!(stage.log().await.len(), 1);
    assert_eq!(stage.list(JobFilter::default()).await.len(), 1);
}

pub async fn doubles_within_a_batch_are_told_apart<B: Backend>(stage: &mut Stage<B>) {
    let [one, two] = [job(), job()];
    let other = NewJob { fingerprint: [8; 32], event_id: Uuid::now_v7(), ..one.clone() };
    let again = NewJob { event_id: Uuid::now_v7(), ..one.clone() };
    let batch = [&one, &again, &other, &two, &one].map(enqueue);
    let duplicate = Outcome::Duplicate { event_id: one.event_id, state: JobState::Available };
    let expected = [AVAILABLE, duplicate.clone(), Outcome::Conflict, AVAILABLE, duplicate];
    assert_eq!(stage.apply(batch.into()).await, expected);
    assert_eq!(stage.record(one.id).await.created_event_id, one.event_id);
    let places: Vec<Uuid> = stage.log().await.iter().map(|event| event.event.event_id).collect();
    assert_eq!(places, [one.event_id, two.event_id], "told in the order of the batch");
}

pub async fn a_double_says_the_state_of_the_first<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let later = stage.now().saturating_add(SECOND);
    let ends = [
        (None, JobState::Executing),
        (Some(failed(Some(later))), JobState::Retryable),
        (Some(failed(None)), JobState::Discarded),
        (Some(cancelled()), JobState::Cancelled),
        (Some(completed()), JobState::Completed),
    ];
    for (end, state) in ends {
        let new = job();
        stage.one(enqueue(&new)).await;
        let lease = lease(&stage.claim("default", 1, session).await[0]);
        let duplicate = Outcome::Duplicate { event_id: new.event_id, state };
        match end {
            None => assert_eq!(stage.one(enqueue(&new)).await, duplicate),
            // Also when the change is of the same batch.
            Some(end) => {
                let batch = vec![start(lease, stage.now()), finish(lease, end), enqueue(&new)];
                assert_eq!(stage.apply(batch).await[2], duplicate);
                assert_eq!(stage.one(enqueue(&new)).await, duplicate);
            }
        }
    }
    // Once it is deleted, nobody knows it.
    stage.pass(DAY + SECOND);
    stage.prune(prune(100)).await;
    let new = stage.list(in_state(JobState::Completed)).await;
    assert!(new.is_empty());
}

pub async fn a_deleted_job_can_be_stored_anew<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let new = job();
    stage.one(enqueue(&new)).await;
    let claimed = lease(&stage.claim("default", 1, session).await[0]);
    stage.finish(claimed, completed()).await;
    stage.settle().await;
    stage.pass(DAY + SECOND);
    assert_eq!(stage.prune(prune(100)).await, (1, 3));
    assert!(stage.store.job(new.id).await.unwrap().is_none());
    let again = NewJob { event_id: Uuid::now_v7(), ..new };
    assert_eq!(stage.one(enqueue(&again)).await, AVAILABLE);
    let second = lease(&stage.claim("default", 1, session).await[0]);
    assert!(second.token > claimed.token, "the first life's lease is not good for the second");
    assert_eq!(stage.one(finish(claimed, completed())).await, Outcome::Stale);
}

pub async fn a_full_backlog_refuses_new_jobs_and_no_others<B: Backend>(stage: &mut Stage<B>) {
    let limited = || NewJob { max_backlog: 3, ..job() };
    let held = NewJob { held: Some("no handler".into()), ..limited() };
    let mut batch: Vec<_> = (0..4).map(|_| enqueue(&limited())).collect();
    batch.insert(0, enqueue(&held));
    let outcomes = stage.apply(batch).await;
    let full = Outcome::BacklogFull { waiting: 3, limit: 3 };
    assert_eq!(outcomes[1..], [AVAILABLE, AVAILABLE, full.clone(), full.clone()]);
    assert_eq!(stage.one(enqueue(&NewJob { queue: "other".into(), ..limited() })).await, AVAILABLE);
    // What is executing does not wait; what waits for its next attempt does.
    let session = stage.session().await;
    let claimed = stage.claim("default", 1, session).await;
    assert_eq!(stage.one(enqueue(&limited())).await, AVAILABLE);
    assert_eq!(stage.one(enqueue(&limited())).await, full);
    let later = stage.now().saturating_add(SECOND);
    stage.finish(lease(&claimed[0]), failed(Some(later))).await;
    let fuller = Outcome::BacklogFull { waiting: 4, limit: 3 };
    assert_eq!(stage.one(enqueue(&limited())).await, fuller);
    stage.reopen().await;
    assert_eq!(stage.one(enqueue(&limited())).await, fuller);
    assert_eq!(stage.one(enqueue(&NewJob { max_backlog: u64::MAX, ..job() })).await, AVAILABLE);
    assert_eq!(stage.list(of_queue("default")).await.len(), 5);
}

pub async fn a_full_store_refuses_new_jobs_of_every_queue<B: Backend>(stage: &mut Stage<B>) {
    let limited = |queue: &str| NewJob { max_total: 4, queue: queue.into(), ..job() };
    let held = NewJob { held: Some("no handler".into()), ..limited("third") };
    let later = NewJob { scheduled_at: Some(stage.now().saturating_add(SECOND)), ..limited("fourth") };
    let batch = [&limited("one"), &limited("two"), &held, &later, &limited("one"), &limited("fifth")];
    let full = Outcome::StoreFull { waiting: 4, limit: 4 };
    assert_eq!(stage.apply(batch.map(enqueue).into()).await[4..], [full.clone(), full.clone()]);
    // A queue's own limit is named first, and what is there needs no room.
    let both = NewJob { max_backlog: 1, ..limited("one") };
    assert_eq!(stage.one(enqueue(&both)).await, Outcome::BacklogFull { waiting: 1, limit: 1 });
    let duplicate = Outcome::Duplicate { event_id: held.event_id, state: JobState::Pending };
    assert_eq!(stage.one(enqueue(&held)).await, duplicate);
    // What is with a node does not wait, within the same batch either.
    let session = stage.session().await;
    let batch = vec![claim("two", 1, session), enqueue(&limited("one")), enqueue(&limited("one"))];
    assert_eq!(stage.apply(batch).await[1..], [AVAILABLE, full.clone()]);
    stage.reopen().await;
    assert_eq!(stage.one(enqueue(&limited("sixth"))).await, full);
    // Many jobs later, and with much room, nothing has to be counted.
    let roomy = NewJob { max_total: 10_000_000, ..job() };
    assert_eq!(stage.one(enqueue(&roomy)).await, AVAILABLE);
    assert_eq!(
        stage.one(enqueue(&limited("sixth"))).await,
        Outcome::StoreFull { waiting: 5, limit: 4 },
        "what was counted lately does not stand in for a limit that is near"
    );
}

pub async fn a_held_job_waits_and_says_why<B: Backend>(stage: &mut Stage<B>) {
    let held = NewJob { held: Some("no handler for \"x\"".into()), ..job() };
    let pending = Outcome::Enqueued { state: JobState::Pending };
    assert_eq!(stage.one(enqueue(&held)).await, pending);
    let duplicate = Outcome::Duplicate { event_id: held.event_id, state: JobState::Pending };
    assert_eq!(stage.one(enqueue(&held)).await, duplicate);
    let record = stage.record(held.id).await;
    assert_eq!((record.state, record.wait_reason), (JobState::Pending, held.held));
    let session = stage.session().await;
    assert!(stage.claim("default", 10, session).await.is_empty());
}

pub async fn a_large_batch_is_stored_whole_and_in_its_order<B: Backend>(stage: &mut Stage<B>) {
    let text = "x".repeat(200);
    let jobs: Vec<NewJob> = (0..3_000)
        .map(|number| NewJob { payload: format!(r#"{{"n":{number},"t":"{text}"}}"#), ..job() })
        .collect();
    let outcomes = stage.apply(jobs.iter().map(enqueue).collect()).await;
    assert!(outcomes.iter().all(|outcome| *outcome == AVAILABLE));
    let listed = stage.list(JobFilter::default()).await;
    assert!(listed.iter().rev().map(|job| job.id).eq(jobs.iter().map(|job| job.id)));
    assert!(
        stage.log().await.iter().map(|event| event.event.event_id).eq(jobs.iter().map(|job| job.event_id))
    );
    // Whole, once more: as after an answer that was lost.
    let outcomes = stage.apply(jobs.iter().map(enqueue).collect()).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Duplicate { .. })));
    // And one that is large by itself.
    let large = NewJob { payload: format!(r#"{{"t":"{}"}}"#, "☃".repeat(1 << 20)), ..job() };
    stage.one(enqueue(&large)).await;
    assert_eq!(stage.record(large.id).await.payload, large.payload);
    assert!(matches!(stage.store.apply(Vec::new()).await, Ok(none) if none.is_empty()));
}

pub async fn a_batch_that_nobody_waits_for_is_carried_out<B: Backend>(stage: &mut Stage<B>) {
    let new = job();
    let applied = stage.store.apply(vec![enqueue(&new)]);
    drop(applied);
    // It may take a moment; a job of the same id says whether it has been.
    loop {
        if stage.store.job(new.id).await.unwrap().is_some() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.state(new.id).await, JobState::Available);
}

pub async fn a_held_job_with_a_time_waits_for_both<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let later = stage.now().saturating_add(20 * SECOND);
    let held = || NewJob { scheduled_at: Some(later), held: Some("no handler".into()), ..job() };
    let jobs = [held(), held(), held()];
    let pending = Outcome::Enqueued { state: JobState::Pending };
    assert_eq!(
        stage.apply(jobs.iter().map(enqueue).collect()).await,
        [pending.clone(), pending.clone(), pending]
    );
    // A handler comes, and the time has not.
    assert!(matches!(stage.one(release(&["noop"], 10)).await, Outcome::Moved { count: 3, .. }));
    for job in &jobs {
        let record = stage.record(job.id).await;
        assert_eq!((record.state, record.wait_reason), (JobState::Scheduled, None));
        assert_eq!(record.scheduled_at, later);
    }
    assert!(stage.claim("default", 10, session).await.is_empty());
    // Called off, or run at once, before its time.
    assert_eq!(stage.one(Operation::Cancel { id: jobs[0].id }).await, Outcome::Cancelled);
    let available = Outcome::MadeAvailable { queue: "default".into() };
    assert_eq!(stage.one(retry(jobs[1].id)).await, available);
    assert_eq!(stage.record(jobs[1].id).await.scheduled_at, stage.now());
    stage.pass(20 * SECOND);
    let moved = Outcome::Moved { queues: vec!["default".into()], count: 1, next_at: None };
    assert_eq!(stage.promote(10).await, moved);
    let claimed: Vec<Uuid> = stage.claim("default", 10, session).await.iter().map(|job| job.id).collect();
    assert_eq!(claimed, [jobs[1].id, jobs[2].id]);
    for id in claimed {
        assert_eq!(stage.way(id).await, [EventType::Created, EventType::MadeAvailable, EventType::Validated]);
    }
}

pub async fn a_trace_stays_with_its_job_in_every_attempt_and_replay<B: Backend>(stage: &mut Stage<B>) {
    let new = NewJob { trace: Some(TraceContext::begin(Uuid::now_v7())), ..job() };
    stage.one(enqueue(&new)).await;
    let session = stage.session().await;
    let first = stage.claim(&new.queue, 1, session).await.remove(0);
    stage.finish(lease(&first), AttemptEnd::Released).await;
    let second = stage.claim(&new.queue, 1, session).await.remove(0);
    // A node that lost the answer to its claim asks again.
    let known = Operation::Reclaim { queue: new.queue.clone(), limit: 1, session, known: Vec::new() };
    let Outcome::Claimed(again) = stage.one(known).await else { panic!("no claim") };
    stage.finish(lease(&second), completed()).await;
    stage.one(retry(new.id)).await;
    let replay = stage.claim(&new.queue, 1, session).await.remove(0);
    assert_ne!(replay.id, new.id);
    for claimed in [first, second, again[0].clone(), replay] {
        assert_eq!(claimed.trace, new.trace);
    }
}
