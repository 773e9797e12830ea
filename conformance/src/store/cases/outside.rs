//! Attempts that are with workers outside.

use std::time::Duration;

use callboard_actors::edges::store::{
    Operation, Outcome, Renewal,
    outside::{OutsideWord, Said},
    record::{ClaimedJob, NewJob, QueueSettings},
};
use callboard_contracts::{
    EventType, JobState, Timestamp,
    api::{AttemptError, AttemptOutcome, ErrorKind},
};

use crate::store::{
    backend::Backend,
    stage::Stage,
    words::{
        SECOND, completed, enqueue, error, finish, hear, job, lease, lost, pausing, plan, rescue, start, word,
    },
};

const MINUTE: Duration = Duration::from_secs(60);

fn give(job: &ClaimedJob) -> Operation {
    Operation::HandOver { lease: lease(job), visible_for: MINUTE }
}

/// Stores jobs, claims them, and hands them over.
async fn given<B: Backend>(stage: &Stage<B>, jobs: &[NewJob]) -> Vec<ClaimedJob> {
    stage.apply(jobs.iter().map(enqueue).collect()).await;
    let session = stage.session().await;
    let claimed = stage.claim("default", 100, session).await;
    assert_eq!(claimed.len(), jobs.len());
    let outcomes = stage.apply(claimed.iter().map(give).collect()).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::HandedOver), "{outcomes:?}");
    claimed
}

async fn one<B: Backend>(stage: &Stage<B>) -> ClaimedJob {
    given(stage, &[job()]).await.remove(0)
}

fn done(job: &ClaimedJob) -> OutsideWord {
    word(job.id, Some(job.token), Said::Completed { result: Some(r#"{"a":1}"#.to_owned()) })
}

fn failed_with(error: AttemptError) -> Said {
    Said::Failed { error, retry: plan() }
}

fn heard(state: JobState, retry_at: Option<Timestamp>) -> Outcome {
    Outcome::Heard { queue: "default".to_owned(), job_type: "noop".to_owned(), state, retry_at }
}

async fn lapse<B: Backend>(stage: &Stage<B>, limit: u32) -> (u32, Option<Timestamp>, Option<Timestamp>) {
    let error = AttemptError { kind: ErrorKind::TimedOut, ..error() };
    let lapse = Operation::Lapse { error, retry: plan(), limit, leader: stage.leader };
    match stage.one(lapse).await {
        Outcome::Lapsed { ended, retry_at, next_at } => {
            assert!(ended.keys().all(|queue| queue == "default"));
            (ended.values().sum(), retry_at, next_at)
        }
        other => panic!("{other:?}"),
    }
}

pub async fn an_attempt_that_was_handed_over_outlives_its_session<B: Backend>(stage: &mut Stage<B>) {
    stage.apply(vec![enqueue(&job()), enqueue(&job())]).await;
    let session = stage.session().await;
    let claimed = stage.claim("default", 2, session).await;
    assert_eq!(stage.one(give(&claimed[0])).await, Outcome::HandedOver);
    // Sent again, as after an answer that was lost.
    assert_eq!(stage.one(give(&claimed[0])).await, Outcome::HandedOver);
    let open = stage.store.open_sessions().await.unwrap();
    let own = open.iter().find(|open| open.id == session).unwrap();
    assert_eq!(own.executing, 1);
    assert_eq!(stage.store.renew(session).await.unwrap(), Renewal::Alive { cancels: vec![] });
    // The session dies with what it still has.
    let moved = stage.one(rescue(session, 10)).await;
    assert!(matches!(moved, Outcome::Moved { count: 1, .. }), "{moved:?}");
    assert_eq!(stage.state(claimed[0].id).await, JobState::Executing);
    assert_eq!(stage.state(claimed[1].id).await, JobState::Available);
    assert_eq!(stage.one(give(&claimed[1])).await, Outcome::Stale);
    stage.kill().await;
    assert_eq!(stage.one(hear(&done(&claimed[0]))).await, heard(JobState::Completed, None));
    // Nobody can end the session of those outside.
    let outside = callboard_actors::edges::store::outside::OUTSIDE;
    assert_eq!(stage.one(rescue(outside, 10)).await, Outcome::NotFound);
}

pub async fn the_word_of_a_worker_ends_its_attempt_once<B: Backend>(stage: &mut Stage<B>) {
    let job = one(stage).await;
    stage.pass(3 * SECOND);
    let word = done(&job);
    let outcomes = stage.apply(vec![hear(&word), hear(&word)]).await;
    assert_eq!(outcomes, [heard(JobState::Completed, None), Outcome::Seen]);
    for _ in 0..2 {
        assert_eq!(stage.one(hear(&word)).await, Outcome::Seen);
        stage.kill().await;
    }
    // The same said by another event comes too late.
    assert_eq!(stage.one(hear(&done(&job))).await, Outcome::Stale);
    let found = stage.store.job(job.id).await.unwrap().unwrap();
    assert_eq!(found.job.result.as_deref(), Some(r#"{"a":1}"#));
    let [attempt] = &found.attempts[..] else { panic!("{found:?}") };
    assert_eq!((attempt.outcome, attempt.started_at), (AttemptOutcome::Completed, Some(job.claimed_at)));
    let way = [EventType::Created, EventType::Validated, EventType::Executed, EventType::Completed];
    assert_eq!(stage.way(job.id).await, way);
    assert_eq!(lapse(stage, 10).await, (0, None, None), "nothing is left of it");
}

pub async fn only_the_current_token_is_heard<B: Backend>(stage: &mut Stage<B>) {
    let first = one(stage).await;
    let guess = OutsideWord { token: Some(first.token + 1), ..done(&first) };
    assert_eq!(stage.one(hear(&guess)).await, Outcome::Stale);
    stage.pass(MINUTE);
    assert_eq!(lapse(stage, 10).await.0, 1);
    // Between two attempts, too.
    assert_eq!(stage.one(hear(&done(&first))).await, Outcome::Stale);
    stage.pass(SECOND);
    stage.promote(10).await;
    let session = stage.session().await;
    let second = stage.claim("default", 1, session).await.remove(0);
    stage.one(give(&second)).await;
    assert_eq!(second.attempt, 2);
    for said in [Said::Alive, Said::Completed { result: None }, failed_with(error())] {
        let late = word(first.id, Some(first.token), said);
        assert_eq!(stage.one(hear(&late)).await, Outcome::Stale);
    }
    assert_eq!(stage.state(first.id).await, JobState::Executing);
    assert_eq!(stage.one(hear(&done(&second))).await, heard(JobState::Completed, None));
    let unknown = OutsideWord { job: uuid::Uuid::now_v7(), ..done(&second) };
    assert_eq!(stage.one(hear(&unknown)).await, Outcome::NotFound);
}

pub async fn a_word_without_a_token_is_about_the_current_attempt<B: Backend>(stage: &mut Stage<B>) {
    let first = one(stage).await;
    let failed = OutsideWord { token: None, said: failed_with(error()), ..done(&first) };
    let again = stage.now().saturating_add(SECOND);
    assert_eq!(stage.one(hear(&failed)).await, heard(JobState::Retryable, Some(again)));
    // One that comes between two attempts is about none, also when it comes again later.
    let late = OutsideWord { token: None, ..done(&first) };
    assert_eq!(stage.one(hear(&late)).await, Outcome::Stale);
    stage.pass(SECOND);
    stage.promote(10).await;
    let session = stage.session().await;
    let second = stage.claim("default", 1, session).await.remove(0);
    stage.one(give(&second)).await;
    for word in [&failed, &late] {
        assert_eq!(stage.one(hear(word)).await, Outcome::Seen);
    }
    let done = OutsideWord { token: None, ..done(&second) };
    assert_eq!(stage.one(hear(&done)).await, heard(JobState::Completed, None));
}

pub async fn of_queues_that_are_not_served_outside_nothing_is_heard<B: Backend>(stage: &mut Stage<B>) {
    let mail = NewJob { queue: "mail".into(), ..job() };
    stage.one(enqueue(&mail)).await;
    let session = stage.session().await;
    let claimed = stage.claim("mail", 1, session).await.remove(0);
    for token in [None, Some(claimed.token)] {
        let word = OutsideWord { token, ..done(&claimed) };
        for _ in 0..2 {
            assert_eq!(stage.one(hear(&word)).await, Outcome::NotServed { queue: "mail".into() });
        }
    }
    assert_eq!(stage.finish(lease(&claimed), completed()).await, JobState::Completed);
    // What was given away before is heard of all the same.
    let other = NewJob { queue: "mail".into(), ..job() };
    stage.one(enqueue(&other)).await;
    let claimed = stage.claim("mail", 1, session).await.remove(0);
    stage.one(give(&claimed)).await;
    let alive = word(claimed.id, Some(claimed.token), Said::Alive);
    for (word, state) in [(alive, JobState::Executing), (done(&claimed), JobState::Completed)] {
        let outcome = stage.one(hear(&word)).await;
        assert!(matches!(&outcome, Outcome::Heard { state: found, .. } if *found == state), "{outcome:?}");
    }
}

pub async fn a_failed_attempt_is_followed_as_the_plan_says<B: Backend>(stage: &mut Stage<B>) {
    let jobs = [NewJob { max_attempts: 1, ..job() }, job(), job()];
    let given = given(stage, &jobs).await;
    let say = |number: usize, error| word(given[number].id, Some(given[number].token), failed_with(error));
    let fatal = AttemptError { is_final: true, ..error() };
    assert_eq!(stage.one(hear(&say(0, error()))).await, heard(JobState::Discarded, None), "its last one");
    assert_eq!(stage.one(hear(&say(1, fatal))).await, heard(JobState::Discarded, None));
    let again = stage.now().saturating_add(SECOND);
    assert_eq!(stage.one(hear(&say(2, error()))).await, heard(JobState::Retryable, Some(again)));
    assert_eq!(stage.record(given[2].id).await.scheduled_at, again);
    assert_eq!(stage.record(given[2].id).await.last_error.as_deref(), Some("no luck"));
}

pub async fn what_is_not_heard_of_lapses_in_bounded_steps<B: Backend>(stage: &mut Stage<B>) {
    let last = NewJob { max_attempts: 1, ..job() };
    let given = given(stage, &[job(), job(), last, job()]).await;
    stage.one(hear(&done(&given[3]))).await;
    let lapses_at = stage.now().saturating_add(MINUTE);
    stage.pass(MINUTE - Duration::from_micros(1));
    assert_eq!(lapse(stage, 10).await, (0, None, Some(lapses_at)));
    stage.pass(Duration::from_micros(1));
    let (first, _, next) = lapse(stage, 2).await;
    assert_eq!((first, next), (2, Some(lapses_at)));
    let (second, _, next) = lapse(stage, 2).await;
    assert_eq!((second, next), (1, None));
    for (number, state) in [JobState::Retryable, JobState::Retryable, JobState::Discarded].iter().enumerate()
    {
        let found = stage.store.job(given[number].id).await.unwrap().unwrap();
        assert_eq!(found.job.state, *state);
        let [attempt] = &found.attempts[..] else { panic!("{found:?}") };
        assert_eq!(attempt.error.as_ref().unwrap().kind, ErrorKind::TimedOut);
        assert_eq!(stage.one(hear(&done(&given[number]))).await, Outcome::Stale);
    }
    if B::SHARED {
        let (error, retry) = (lost(), plan());
        let deposed = Operation::Lapse { error, retry, limit: 10, leader: stage.leader + 100 };
        assert_eq!(stage.one(deposed).await, Outcome::NotLeader);
    }
}

pub async fn a_word_keeps_an_attempt_alive_and_tells_of_its_start<B: Backend>(stage: &mut Stage<B>) {
    let job = one(stage).await;
    let alive = |started_at| OutsideWord { started_at, ..word(job.id, Some(job.token), Said::Alive) };
    stage.pass(MINUTE / 2);
    let began = stage.now().saturating_sub(SECOND);
    assert_eq!(stage.one(hear(&alive(Some(began)))).await, heard(JobState::Executing, None));
    assert_eq!(stage.record(job.id).await.started_at, Some(began));
    // The first that is said of it counts.
    stage.one(hear(&alive(None))).await;
    assert_eq!(stage.record(job.id).await.started_at, Some(began));
    stage.pass(MINUTE - SECOND);
    assert_eq!(lapse(stage, 10).await.0, 0);
    stage.one(hear(&alive(None))).await;
    stage.pass(MINUTE - SECOND);
    assert_eq!(lapse(stage, 10).await.0, 0);
    stage.pass(SECOND);
    assert_eq!(lapse(stage, 10).await.0, 1);
    assert_eq!(stage.one(hear(&alive(None))).await, Outcome::Stale);
    // A clock that goes wrong outside moves nothing beyond its bounds.
    let other = one(stage).await;
    let future = stage.now().saturating_add(100 * MINUTE);
    let odd = OutsideWord { started_at: Some(future), ..done(&other) };
    assert_eq!(stage.one(hear(&odd)).await, heard(JobState::Completed, None));
    assert_eq!(stage.record(other.id).await.started_at, Some(stage.now()));
    let third = one(stage).await;
    let odd = OutsideWord { started_at: Some(Timestamp::from_micros(0)), ..done(&third) };
    stage.one(hear(&odd)).await;
    assert_eq!(stage.record(third.id).await.started_at, Some(third.claimed_at));
}

pub async fn a_word_can_come_before_the_lease_is_handed_over<B: Backend>(stage: &mut Stage<B>) {
    stage.apply(vec![enqueue(&job()), enqueue(&job())]).await;
    let session = stage.session().await;
    let claimed = stage.claim("default", 2, session).await;
    assert_eq!(stage.one(hear(&done(&claimed[0]))).await, heard(JobState::Completed, None));
    let alive = word(claimed[1].id, Some(claimed[1].token), Said::Alive);
    assert_eq!(stage.one(hear(&alive)).await, heard(JobState::Executing, None));
    let outcomes = stage.apply(claimed.iter().map(give).collect()).await;
    assert_eq!(outcomes, [Outcome::Stale, Outcome::HandedOver]);
    stage.pass(MINUTE);
    assert_eq!(lapse(stage, 10).await.0, 1);
}

pub async fn a_job_that_is_cancelled_outside_is_cancelled_at_once<B: Backend>(stage: &mut Stage<B>) {
    let job = one(stage).await;
    assert_eq!(stage.one(Operation::Cancel { id: job.id }).await, Outcome::Cancelled);
    assert_eq!(stage.one(hear(&done(&job))).await, Outcome::Stale);
    assert_eq!(
        stage.one(finish(lease(&job), completed())).await,
        Outcome::Finished { state: JobState::Cancelled }
    );
    let found = stage.store.job(job.id).await.unwrap().unwrap();
    assert_eq!((found.job.state, found.job.result), (JobState::Cancelled, None));
    assert_eq!(found.attempts[0].outcome, AttemptOutcome::Cancelled);
    assert_eq!(stage.way(job.id).await.last(), Some(&EventType::Failed));
    stage.pass(MINUTE);
    assert_eq!(lapse(stage, 10).await, (0, None, None));
}

pub async fn a_job_that_was_cancelled_before_it_is_handed_over_ends<B: Backend>(stage: &mut Stage<B>) {
    stage.one(enqueue(&job())).await;
    let session = stage.session().await;
    let claimed = stage.claim("default", 1, session).await.remove(0);
    let cancelled = stage.one(Operation::Cancel { id: claimed.id }).await;
    assert!(matches!(cancelled, Outcome::CancelRequested { .. }), "{cancelled:?}");
    assert_eq!(stage.one(give(&claimed)).await, Outcome::Finished { state: JobState::Cancelled });
    assert_eq!(stage.one(hear(&done(&claimed))).await, Outcome::Stale);
}

pub async fn of_many_that_hear_of_one_end_one_writes_it<B: Backend>(stage: &mut Stage<B>) {
    let given = given(stage, &[job(), job()]).await;
    let shared = done(&given[0]);
    let mut tasks = Vec::new();
    for number in 0..10 {
        let client = stage.another(&format!("node-{number}")).await;
        // The same word at every node, and at each one an own word of the same; in either order.
        let mut batch = vec![hear(&shared), hear(&done(&given[1]))];
        if number % 2 == 1 {
            batch.reverse();
        }
        tasks.push(tokio::spawn(async move {
            let mut outcomes = client.apply(batch).await;
            if number % 2 == 1 {
                outcomes.reverse();
            }
            outcomes
        }));
    }
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for task in tasks {
        let mut outcomes = task.await.unwrap();
        second.extend(outcomes.pop());
        first.extend(outcomes.pop());
    }
    let ended = heard(JobState::Completed, None);
    let count = |all: &[Outcome], of: &Outcome| all.iter().filter(|outcome| *outcome == of).count();
    assert_eq!((count(&first, &ended), count(&first, &Outcome::Seen)), (1, 9), "{first:?}");
    assert_eq!((count(&second, &ended), count(&second, &Outcome::Stale)), (1, 9), "{second:?}");
}

pub async fn held_jobs_are_released_by_a_queue_that_is_served_outside<B: Backend>(stage: &mut Stage<B>) {
    let held = |queue: &str| NewJob { queue: queue.into(), held: Some("no handler".to_owned()), ..job() };
    let (ours, other) = (held("default"), held("mail"));
    let killer = NewJob { max_attempts: 9, ..job() };
    stage.apply(vec![enqueue(&ours), enqueue(&other), enqueue(&killer)]).await;
    // What is in quarantine stays there.
    let session = stage.session().await;
    let claimed = stage.claim("default", 1, session).await.remove(0);
    stage.one(start(lease(&claimed), stage.now())).await;
    let error = lost();
    stage
        .one(Operation::Rescue {
            session,
            error,
            limit: 10,
            idle_for: None,
            leader: None,
            quarantine_after: 1,
        })
        .await;
    assert_eq!(stage.state(killer.id).await, JobState::Pending);
    let release = Operation::ReleaseHeld { job_types: vec![], queues: vec!["default".into()], limit: 10 };
    let moved = Outcome::Moved { queues: vec!["default".into()], count: 1, next_at: None };
    assert_eq!(stage.one(release).await, moved);
    let states = [JobState::Available, JobState::Pending, JobState::Pending];
    for (job, state) in [ours, other, killer].iter().zip(states) {
        assert_eq!(stage.state(job.id).await, state);
    }
}

pub async fn no_more_are_out_than_may_be<B: Backend>(stage: &mut Stage<B>) {
    let queue = QueueSettings { name: "default".into(), concurrency: 5, max_backlog: 1000 };
    stage.one(Operation::PutQueues(vec![queue])).await;
    let keyed =
        |number: usize| NewJob { partition_key: number.is_multiple_of(3).then(|| "key".to_owned()), ..job() };
    stage.apply((0..40).map(|number| enqueue(&keyed(number))).collect()).await;
    let session = stage.session().await;
    let claim = |session| Operation::ClaimOut { queue: "default".into(), limit: 100, session, most: 5 };
    let mut tasks = Vec::new();
    for number in 0..8 {
        let client = stage.another(&format!("node-{number}")).await;
        let session = client.session().await;
        tasks.push(tokio::spawn(async move { client.one(claim(session)).await }));
    }
    let mut out = Vec::new();
    for task in tasks {
        let Outcome::Claimed(jobs) = task.await.unwrap() else { panic!("they have no rate") };
        out.extend(jobs);
    }
    assert_eq!(out.len(), 5);
    stage.apply(out.iter().map(give).collect()).await;
    let none = Outcome::Claimed(vec![]);
    assert_eq!(stage.one(claim(session)).await, none, "those outside count");
    stage.one(hear(&done(&out[0]))).await;
    let Outcome::Claimed(next) = stage.one(claim(session)).await else { panic!() };
    assert_eq!(next.len(), 1);
    // A smaller limit over all nodes holds as well, and so does a pause.
    let limits = callboard_contracts::api::QueueLimits {
        max_running: Some(Some(3)),
        ..callboard_contracts::api::QueueLimits::default()
    };
    stage.one(Operation::LimitQueue { queue: "default".into(), limits }).await;
    stage.apply(out[1..4].iter().map(|job| hear(&done(job))).collect()).await;
    let Outcome::Claimed(next) = stage.one(claim(session)).await else { panic!() };
    assert_eq!(next.len(), 1, "two were left");
    let pause = pausing("default", true);
    stage.apply(vec![pause, hear(&done(&out[4]))]).await;
    assert_eq!(stage.one(claim(session)).await, none);
    assert_eq!(stage.one(claim(uuid::Uuid::now_v7())).await, Outcome::NotFound);
}
