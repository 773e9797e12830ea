//! Cancelling, retrying, and what makes waiting jobs available.

use callboard_actors::edges::store::{
    Operation, Outcome,
    record::{AttemptEnd, JobFilter, Lease, NewJob, QueueSettings},
};
use callboard_contracts::{EventType, JobState};
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    stage::Stage,
    words::{
        SECOND, cancelled, completed, enqueue, failed, in_state, job, lease, of_queue, pausing, release,
        rescue, retry, start,
    },
};

/// The states into which operations of this suite bring a job.
const REACHED: [JobState; 7] = [
    JobState::Pending,
    JobState::Available,
    JobState::Executing,
    JobState::Retryable,
    JobState::Completed,
    JobState::Cancelled,
    JobState::Discarded,
];

/// A new job in this state, alone in its queue.
async fn job_in<B: Backend>(stage: &Stage<B>, state: JobState, session: Uuid) -> (NewJob, Option<Lease>) {
    let held = (state == JobState::Pending).then(|| "no handler".to_owned());
    let new = NewJob { queue: Uuid::now_v7().to_string(), held, ..job() };
    stage.one(enqueue(&new)).await;
    let later = stage.now().saturating_add(5 * SECOND);
    let end = match state {
        JobState::Retryable => Some(failed(Some(later))),
        JobState::Completed => Some(completed()),
        JobState::Cancelled => Some(cancelled()),
        JobState::Discarded => Some(failed(None)),
        _ => None,
    };
    let mut claimed = None;
    if end.is_some() || state == JobState::Executing {
        claimed = Some(lease(&stage.claim(&new.queue, 1, session).await[0]));
    }
    if let (Some(lease), Some(end)) = (claimed, end) {
        stage.finish(lease, end).await;
    }
    assert_eq!(stage.state(new.id).await, state);
    (new, claimed)
}

pub async fn cancel_in_every_state<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    assert_eq!(stage.one(Operation::Cancel { id: Uuid::now_v7() }).await, Outcome::NotFound);
    for state in REACHED {
        let (new, lease) = job_in(stage, state, session).await;
        let before = stage.record(new.id).await;
        stage.pass(SECOND);
        let cancel = Operation::Cancel { id: new.id };
        let first = stage.one(cancel.clone()).await;
        let after = stage.record(new.id).await;
        match state {
            JobState::Executing => {
                let lease = lease.unwrap();
                let requested = Outcome::CancelRequested { lease, queue: new.queue.clone(), session };
                assert_eq!(first, requested);
                assert_eq!(after.cancel_requested_at, Some(stage.now()));
                stage.pass(SECOND);
                assert_eq!(stage.one(cancel).await, requested, "it can be told again");
                assert_eq!(stage.record(new.id).await, after);
                let told = Outcome::Started { cancel_requested: true };
                assert_eq!(stage.one(start(lease, stage.now())).await, told);
                let way = stage.way(new.id).await;
                let times = way.iter().filter(|event| **event == EventType::CancelRequested).count();
                assert_eq!(times, 1, "{way:?}");
            }
            state if state.is_final() => {
                assert_eq!(first, Outcome::NotPossible { state });
                assert_eq!(after, before);
            }
            _ => {
                assert_eq!(first, Outcome::Cancelled, "{state}");
                assert_eq!(after.state, JobState::Cancelled);
                assert_eq!((after.finished_at, after.wait_reason), (Some(stage.now()), None));
                assert_eq!(stage.way(new.id).await.last(), Some(&EventType::Failed));
                let state = JobState::Cancelled;
                assert_eq!(stage.one(cancel).await, Outcome::NotPossible { state });
                assert!(stage.claim(&new.queue, 1, session).await.is_empty());
            }
        }
    }
}

pub async fn a_cancelled_run_ends_as_it_wants_but_does_not_go_on<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let later = stage.now().saturating_add(SECOND);
    let cases = [
        (completed(), JobState::Completed),
        (cancelled(), JobState::Cancelled),
        (failed(Some(later)), JobState::Cancelled),
        (failed(None), JobState::Discarded),
    ];
    for (end, state) in cases {
        let (new, lease) = job_in(stage, JobState::Executing, session).await;
        stage.one(Operation::Cancel { id: new.id }).await;
        assert_eq!(stage.finish(lease.unwrap(), end.clone()).await, state, "{end:?}");
        assert_eq!(stage.finish(lease.unwrap(), end).await, state);
        let way = stage.way(new.id).await;
        assert!(matches!(way.last(), Some(EventType::Completed | EventType::Failed)), "{way:?}");
    }
    // One that dies with its node is not begun again.
    let (new, _) = job_in(stage, JobState::Executing, session).await;
    stage.one(Operation::Cancel { id: new.id }).await;
    stage.one(rescue(session, 10)).await;
    assert_eq!(stage.state(new.id).await, JobState::Cancelled);
    // One that is handed back is still to be cancelled.
    let session = stage.session().await;
    let (new, lease) = job_in(stage, JobState::Executing, session).await;
    stage.one(Operation::Cancel { id: new.id }).await;
    match stage.finish(lease.unwrap(), AttemptEnd::Released).await {
        JobState::Cancelled => {}
        JobState::Available => {
            let again = crate::store::words::lease(&stage.claim(&new.queue, 1, session).await[0]);
            let told = Outcome::Started { cancel_requested: true };
            assert_eq!(stage.one(start(again, stage.now())).await, told);
        }
        state => panic!("{state}"),
    }
}

pub async fn retry_in_every_state<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    assert_eq!(stage.one(retry(Uuid::now_v7())).await, Outcome::NotFound);
    for state in REACHED {
        let (new, _) = job_in(stage, state, session).await;
        let before = stage.record(new.id).await;
        stage.pass(SECOND);
        let again = retry(new.id);
        let retried = stage.one(again.clone()).await;
        match state {
            state if state.is_final() => {
                let Operation::Retry { replay_id, event_id, .. } = again else { unreachable!() };
                let replayed =
                    Outcome::Replayed { id: replay_id, queue: new.queue.clone(), state: JobState::Available };
                assert_eq!(retried, replayed);
                let replay = stage.record(replay_id).await;
                assert_eq!((replay.replay_of, replay.attempt), (Some(new.id), 0));
                assert_eq!((&replay.payload, replay.max_attempts), (&new.payload, new.max_attempts));
                assert_eq!((replay.created_event_id, replay.created_at), (event_id, stage.now()));
                assert_eq!((&replay.result, &replay.last_error), (&None, &None));
                assert!(replay.sequence > before.sequence);
                assert_eq!(stage.record(new.id).await, before, "the first one stays as it is");
                // The same request sent again makes no second one, also when the replay has gone on.
                assert_eq!(stage.one(again.clone()).await, replayed);
                let claimed = lease(&stage.claim(&new.queue, 9, session).await[0]);
                assert_eq!(claimed.id, replay_id);
                stage.finish(claimed, completed()).await;
                let state = JobState::Completed;
                let replayed = Outcome::Replayed { id: replay_id, queue: new.queue.clone(), state };
                assert_eq!(stage.apply(vec![again.clone(), again]).await, [replayed.clone(), replayed]);
                assert_eq!(stage.list(of_queue(&new.queue)).await.len(), 2);
                assert_eq!(stage.way(replay_id).await[0], EventType::Created);
            }
            JobState::Retryable => {
                assert_eq!(retried, Outcome::MadeAvailable { queue: new.queue.clone() });
                let after = stage.record(new.id).await;
                assert_eq!((after.state, after.scheduled_at), (JobState::Available, stage.now()));
                assert_eq!(after.attempt, before.attempt);
                assert_eq!(stage.way(new.id).await.last(), Some(&EventType::MadeAvailable));
                let state = JobState::Available;
                assert_eq!(stage.one(again).await, Outcome::NotPossible { state });
            }
            _ => {
                assert_eq!(retried, Outcome::NotPossible { state });
                assert_eq!(stage.record(new.id).await, before);
            }
        }
    }
}

pub async fn a_replay_needs_room_and_its_first_one<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let (new, _) = job_in(stage, JobState::Completed, session).await;
    let queue = new.queue.clone();
    stage.apply((0..2).map(|_| enqueue(&NewJob { queue: queue.clone(), ..job() })).collect()).await;
    let limited = |max_backlog| {
        let (replay_id, event_id) = (Uuid::now_v7(), Uuid::now_v7());
        Operation::Retry { id: new.id, replay_id, event_id, max_backlog, max_total: u64::MAX }
    };
    assert_eq!(stage.one(limited(2)).await, Outcome::BacklogFull { waiting: 2, limit: 2 });
    stage.one(enqueue(&NewJob { queue: "elsewhere".into(), ..job() })).await;
    let mut small = limited(10);
    if let Operation::Retry { max_total, .. } = &mut small {
        *max_total = 3;
    }
    assert_eq!(stage.one(small).await, Outcome::StoreFull { waiting: 3, limit: 3 });
    assert!(matches!(stage.one(limited(3)).await, Outcome::Replayed { .. }));
    // Two of them in one batch need room for two, and the same one twice room for one.
    let (one, two) = (limited(4), limited(4));
    let outcomes = stage.apply(vec![one.clone(), one, two]).await;
    assert!(
        matches!(
            outcomes[..],
            [Outcome::Replayed { .. }, Outcome::Replayed { .. }, Outcome::BacklogFull { .. }]
        ),
        "{outcomes:?}"
    );
    assert_eq!(stage.list(of_queue(&queue)).await.len(), 5);
    // A replay can be replayed.
    let replay = stage.claim(&queue, 10, session).await.into_iter().last().unwrap();
    stage.finish(lease(&replay), failed(None)).await;
    let Outcome::Replayed { id, .. } = stage.one(retry(replay.id)).await else { panic!() };
    assert_eq!(stage.record(id).await.replay_of, Some(replay.id));
}

pub async fn due_jobs_become_available_in_bounded_steps<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let nothing = Outcome::Moved { queues: vec![], count: 0, next_at: None };
    assert_eq!(stage.promote(10).await, nothing);
    let jobs: Vec<NewJob> =
        (0..6).map(|number| NewJob { queue: ["a", "b"][number % 2].into(), ..job() }).collect();
    stage.apply(jobs.iter().map(enqueue).collect()).await;
    let mut claimed = stage.claim("a", 3, session).await;
    claimed.extend(stage.claim("b", 3, session).await);
    let begin = stage.now();
    let at = |seconds| begin.saturating_add(seconds * SECOND);
    // Of the queue `a` after 10, 11, 12 seconds, of `b` after 20, 21, 22.
    for (number, job) in claimed.iter().enumerate() {
        let seconds = number as u32 % 3 + if number < 3 { 10 } else { 20 };
        stage.finish(lease(job), failed(Some(at(seconds)))).await;
    }
    let moved = |queues: &[&str], count, next: Option<u32>| Outcome::Moved {
        queues: queues.iter().map(|name| (*name).to_owned()).collect(),
        count,
        next_at: next.map(at),
    };
    assert_eq!(stage.promote(10).await, moved(&[], 0, Some(10)));
    assert_eq!(stage.promote(0).await, moved(&[], 0, Some(10)));
    stage.pass(11 * SECOND);
    assert_eq!(stage.promote(1).await, moved(&["a"], 1, Some(11)));
    assert_eq!(stage.promote(10).await, moved(&["a"], 1, Some(12)));
    assert_eq!(stage.promote(10).await, moved(&[], 0, Some(12)));
    for (job, seconds) in claimed.iter().zip([10, 11]) {
        let record = stage.record(job.id).await;
        // It keeps the time at which it fell due, and with it its place.
        assert_eq!((record.state, record.scheduled_at), (JobState::Available, at(seconds)));
        assert_eq!(record.attempt, 1, "the attempt that failed counts");
        assert_eq!(stage.way(job.id).await.last(), Some(&EventType::MadeAvailable));
    }
    stage.pass(20 * SECOND);
    let Outcome::Moved { mut queues, count: 4, next_at: None } = stage.promote(u32::MAX).await else {
        panic!()
    };
    queues.sort();
    assert_eq!(queues, ["a", "b"]);
    assert_eq!(stage.list(in_state(JobState::Available)).await.len(), 6);
}

pub async fn held_jobs_are_released_by_their_type<B: Backend>(stage: &mut Stage<B>) {
    let held =
        |job_type: &str| NewJob { job_type: job_type.into(), held: Some("no handler".into()), ..job() };
    stage.apply(["a", "a", "a", "b", "it's {,}"].map(|name| enqueue(&held(name))).into()).await;
    assert!(matches!(stage.one(release(&[], 10)).await, Outcome::Moved { count: 0, .. }));
    assert!(matches!(stage.one(release(&["a"], 0)).await, Outcome::Moved { count: 0, .. }));
    stage.pass(SECOND);
    for (count, queues) in [(2, &["default"][..]), (1, &["default"]), (0, &[])] {
        let queues = queues.iter().map(|name| (*name).to_owned()).collect();
        let moved = Outcome::Moved { queues, count, next_at: None };
        assert_eq!(stage.one(release(&["a", "c"], 2)).await, moved);
    }
    let pending: Vec<String> =
        stage.list(in_state(JobState::Pending)).await.into_iter().map(|job| job.job_type).collect();
    assert_eq!(pending, ["it's {,}", "b"]);
    for job in stage.list(in_state(JobState::Available)).await {
        assert_eq!((job.wait_reason, job.scheduled_at), (None, stage.now()));
        assert_eq!(stage.way(job.id).await, [EventType::Created, EventType::MadeAvailable]);
    }
    assert!(matches!(
        stage.one(release(&["it's {,}", "it's {,}"], 10)).await,
        Outcome::Moved { count: 1, .. }
    ));
    assert_eq!(stage.list(JobFilter::default()).await.len(), 5);
}

pub async fn nothing_is_claimed_of_a_paused_queue<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    assert_eq!(stage.one(pausing("default", true)).await, Outcome::NotFound);
    let known = ["default", "other"].map(|name| QueueSettings {
        name: name.into(),
        concurrency: 5,
        max_backlog: 1000,
    });
    stage.one(Operation::PutQueues(known.to_vec())).await;
    let jobs = [job(), job(), NewJob { queue: "other".into(), ..job() }];
    stage.apply(jobs.iter().map(enqueue).collect()).await;
    let running = lease(&stage.claim("default", 1, session).await[0]);
    let since = stage.now();
    for _ in 0..2 {
        assert_eq!(stage.one(pausing("default", true)).await, Outcome::Done);
        stage.pass(SECOND);
    }
    let paused = async |stage: &Stage<B>| {
        let queues = stage.store.queues().await.unwrap();
        queues.into_iter().map(|(_, totals)| totals.paused_at).collect::<Vec<_>>()
    };
    stage.reopen().await;
    // A node that makes the queue known again does not let it go on.
    stage.one(Operation::PutQueues(known.to_vec())).await;
    assert_eq!(paused(stage).await, [Some(since), None]);
    assert!(stage.claim("default", 10, session).await.is_empty());
    assert_eq!(stage.claim("other", 10, session).await.len(), 1);
    assert_eq!(stage.finish(running, completed()).await, JobState::Completed);
    for _ in 0..2 {
        assert_eq!(stage.one(pausing("default", false)).await, Outcome::Done);
    }
    assert_eq!(paused(stage).await, [None, None]);
    assert_eq!(stage.claim("default", 10, session).await.len(), 1);
}
