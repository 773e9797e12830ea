//! Claims, leases, and what becomes of attempts.

use std::collections::{BTreeMap, BTreeSet};

use callboard_actors::edges::store::{
    Operation, Outcome,
    record::{AttemptEnd, ClaimedJob, Lease, NewJob},
};
use callboard_contracts::{
    EventType, JobState,
    api::{AttemptError, AttemptOutcome, ErrorKind},
};
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    stage::Stage,
    words::{SECOND, cancelled, claim, completed, enqueue, error, failed, finish, job, lease, rescue, start},
};

pub async fn claims_in_order<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let jobs: Vec<NewJob> = (0..7).map(|_| job()).collect();
    stage.apply(jobs.iter().map(enqueue).collect()).await;
    // What came later in time comes later, whatever its id.
    stage.pass(SECOND);
    let later = NewJob { id: Uuid::from_u128(1), ..job() };
    stage.one(enqueue(&later)).await;
    assert!(stage.claim("nowhere", 10, session).await.is_empty());
    assert!(stage.claim("default", 0, session).await.is_empty());
    let mut claimed = stage.claim("default", 3, session).await;
    claimed.extend(stage.claim("default", u32::MAX, session).await);
    assert!(stage.claim("default", 100, session).await.is_empty());
    let ids: Vec<Uuid> = claimed.iter().map(|job| job.id).collect();
    assert_eq!(ids, jobs.iter().chain([&later]).map(|job| job.id).collect::<Vec<_>>());
    let tokens: BTreeSet<u64> = claimed.iter().map(|job| job.token).collect();
    assert_eq!(tokens.len(), claimed.len(), "each has its own");
    for claimed in &claimed {
        assert_eq!((claimed.attempt, claimed.claimed_at), (1, stage.now()));
        let record = stage.record(claimed.id).await;
        assert_eq!((record.state, record.attempt), (JobState::Executing, 1));
        assert_eq!((record.claimed_at, record.started_at), (Some(stage.now()), None));
        assert_eq!(stage.way(claimed.id).await, [EventType::Created, EventType::Validated]);
    }
}

pub async fn a_claim_takes_its_own_queue_only<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let queues = ["a", "b", "a b", "A"];
    let jobs = queues.map(|queue| NewJob { queue: queue.into(), ..job() });
    stage.apply(jobs.iter().map(enqueue).collect()).await;
    // In one batch, too.
    let outcomes = stage.apply(queues.map(|queue| claim(queue, 10, session)).into()).await;
    for (outcome, job) in outcomes.into_iter().zip(&jobs) {
        let Outcome::Claimed(claimed) = outcome else { panic!("{outcome:?}") };
        assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [job.id]);
    }
}

pub async fn leases_whose_claim_was_not_answered_are_given_again<B: Backend>(stage: &mut Stage<B>) {
    let (session, other) = (stage.session().await, stage.session().await);
    let jobs: Vec<NewJob> = (0..6).map(|_| job()).collect();
    stage.apply(jobs.iter().map(enqueue).collect()).await;
    stage.one(enqueue(&NewJob { queue: "other".into(), ..job() })).await;
    let known = stage.claim("default", 2, session).await;
    let lost = stage.claim("default", 3, session).await;
    stage.claim("other", 1, session).await;
    stage.claim("default", 1, other).await;
    let before = stage.record(lost[0].id).await;
    stage.pass(SECOND);
    let again = |limit, known: &[ClaimedJob]| {
        let known = known.iter().map(|job| job.token).collect();
        Operation::Reclaim { queue: "default".into(), limit, session, known }
    };
    assert_eq!(stage.one(again(10, &known)).await, Outcome::Claimed(lost.clone()), "as they were claimed");
    assert_eq!(stage.one(again(1, &known)).await, Outcome::Claimed(lost[..1].into()));
    assert_eq!(stage.record(lost[0].id).await, before, "nothing has changed");
    stage.finish(lease(&lost[0]), completed()).await;
    let held = [known, lost[1..2].to_vec()].concat();
    assert_eq!(stage.one(again(10, &held)).await, Outcome::Claimed(lost[2..].into()));
    stage.one(rescue(session, 10)).await;
    assert_eq!(stage.one(again(10, &[])).await, Outcome::NotFound);
}

pub async fn one_batch_can_store_claim_and_end_jobs<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let jobs: Vec<NewJob> = (0..4).map(|_| job()).collect();
    let mut batch: Vec<Operation> = jobs.iter().map(enqueue).collect();
    batch.push(claim("default", 3, session));
    batch.push(Operation::Cancel { id: jobs[3].id });
    batch.push(claim("default", 3, session));
    let outcomes = stage.apply(batch).await;
    let Outcome::Claimed(claimed) = &outcomes[4] else { panic!("{outcomes:?}") };
    assert_eq!(claimed.len(), 3, "a batch is carried out in its order");
    assert_eq!(outcomes[5..], [Outcome::Cancelled, Outcome::Claimed(vec![])]);
    let first = lease(&claimed[0]);
    let ends = vec![
        start(first, stage.now()),
        finish(first, AttemptEnd::Released),
        claim("default", 3, session),
        finish(first, completed()),
    ];
    let outcomes = stage.apply(ends).await;
    let Outcome::Claimed(again) = &outcomes[2] else { panic!("{outcomes:?}") };
    assert_eq!(again.len(), 1);
    assert_eq!(outcomes[3], Outcome::Stale);
}

pub async fn only_the_current_lease_can_write<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let new = job();
    stage.one(enqueue(&new)).await;
    let first = lease(&stage.claim("default", 1, session).await[0]);
    let at = stage.now();
    assert_eq!(stage.one(start(first, at)).await, Outcome::Started { cancel_requested: false });
    assert_eq!(stage.finish(first, failed(Some(at))).await, JobState::Retryable);
    stage.promote(10).await;
    let second = lease(&stage.claim("default", 1, session).await[0]);
    assert!(second.token > first.token);
    // What the first attempt still wants to say changes nothing, whatever it is.
    let before = stage.record(new.id).await;
    stage.pass(SECOND);
    let ends = [completed(), failed(None), failed(Some(at)), cancelled(), AttemptEnd::Released];
    let mut late: Vec<Operation> = ends.into_iter().map(|end| finish(first, end)).collect();
    late.push(start(first, at));
    late.push(Operation::Finish { lease: first, started_at: Some(at), end: completed() });
    for late in late {
        assert_eq!(stage.one(late).await, Outcome::Stale);
    }
    for token in [second.token + 1, u64::MAX >> 1, 0] {
        let guessed = Lease { token, ..second };
        assert_eq!(stage.one(finish(guessed, completed())).await, Outcome::Stale);
        assert_eq!(stage.one(start(guessed, at)).await, Outcome::Stale);
    }
    let unknown = Lease { id: Uuid::now_v7(), token: second.token };
    assert_eq!(stage.one(start(unknown, at)).await, Outcome::Stale);
    assert_eq!(stage.one(finish(unknown, completed())).await, Outcome::Stale);
    assert_eq!(stage.record(new.id).await, before);
    assert_eq!(stage.finish(second, completed()).await, JobState::Completed);
    let record = stage.record(new.id).await;
    assert_eq!((record.attempt, record.result.as_deref()), (2, Some("17")));
}

pub async fn a_lease_on_a_job_that_was_never_claimed_is_stale<B: Backend>(stage: &mut Stage<B>) {
    let new = job();
    stage.one(enqueue(&new)).await;
    for token in [0, 1] {
        let lease = Lease { id: new.id, token };
        assert_eq!(stage.one(start(lease, stage.now())).await, Outcome::Stale);
        // Its token is none yet, so it cannot be that of an attempt that has ended.
        let ended = stage.one(finish(lease, completed())).await;
        assert!(token == 0 || ended == Outcome::Stale, "{ended:?}");
        assert_eq!(stage.state(new.id).await, JobState::Available);
    }
}

pub async fn each_end_of_an_attempt_leads_to_its_state<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let soon = stage.now().saturating_add(5 * SECOND);
    let original = EventType::Failed;
    let cases = [
        (completed(), JobState::Completed, 1, EventType::Completed, AttemptOutcome::Completed),
        (
            AttemptEnd::Completed { result: None },
            JobState::Completed,
            1,
            EventType::Completed,
            AttemptOutcome::Completed,
        ),
        (failed(None), JobState::Discarded, 1, original, AttemptOutcome::Failed),
        (failed(Some(soon)), JobState::Retryable, 1, EventType::AttemptFailed, AttemptOutcome::Failed),
        (cancelled(), JobState::Cancelled, 1, original, AttemptOutcome::Cancelled),
        (AttemptEnd::Released, JobState::Available, 0, EventType::Released, AttemptOutcome::Released),
    ];
    for (number, (end, state, attempt, event, outcome)) in cases.into_iter().enumerate() {
        let queue = format!("queue-{number}");
        let new = NewJob { queue: queue.clone(), ..job() };
        stage.one(enqueue(&new)).await;
        let stored_at = stage.now();
        stage.pass(SECOND);
        let claimed_at = stage.now();
        let lease = lease(&stage.claim(&queue, 1, session).await[0]);
        stage.pass(SECOND);
        let started_at = stage.now();
        stage.one(start(lease, started_at)).await;
        stage.pass(SECOND);
        assert_eq!(stage.finish(lease, end.clone()).await, state, "{end:?}");
        let found = stage.store.job(new.id).await.unwrap().unwrap();
        let record = &found.job;
        assert_eq!((record.state, record.attempt), (state, attempt), "{end:?}");
        assert_eq!(record.finished_at, state.is_final().then_some(stage.now()), "{end:?}");
        assert_eq!(record.updated_at, stage.now());
        let error = matches!(outcome, AttemptOutcome::Failed | AttemptOutcome::Cancelled);
        assert_eq!(record.last_error.as_deref(), error.then_some("no luck"), "{end:?}");
        let due = match state {
            JobState::Retryable => soon,
            _ => stored_at,
        };
        assert_eq!(record.scheduled_at, due, "{end:?}: what is handed back keeps its place");
        let result = matches!(&end, AttemptEnd::Completed { result: Some(_) });
        assert_eq!(record.result.as_deref(), result.then_some("17"));
        let [ended] = &found.attempts[..] else { panic!("{found:?}") };
        assert_eq!((ended.attempt, ended.outcome), (1, outcome));
        assert_eq!((ended.claimed_at, ended.started_at), (claimed_at, Some(started_at)));
        assert_eq!((ended.finished_at, &*ended.node), (stage.now(), "node"));
        assert_eq!(ended.error.is_some(), error);
        assert_eq!(
            stage.way(new.id).await,
            [EventType::Created, EventType::Validated, EventType::Executed, event]
        );
        // Told again, as after an answer that was lost: the same answer, and nothing happens.
        stage.pass(SECOND);
        assert_eq!(stage.finish(lease, end.clone()).await, state);
        assert_eq!(stage.store.job(new.id).await.unwrap().unwrap(), found, "{end:?}");
        assert_eq!(stage.way(new.id).await.len(), 4);
    }
}

pub async fn a_start_is_told_once_with_how_long_the_job_had_waited<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let new = job();
    stage.one(enqueue(&new)).await;
    for attempt in 0..2 {
        stage.pass(3 * SECOND);
        let lease = lease(&stage.claim("default", 1, session).await[0]);
        let began = stage.now();
        let started = Outcome::Started { cancel_requested: false };
        assert_eq!(stage.one(start(lease, began)).await, started);
        stage.pass(SECOND);
        // Again, and with another time: the first one stands.
        assert_eq!(stage.one(start(lease, stage.now())).await, started);
        assert_eq!(stage.record(new.id).await.started_at, Some(began));
        assert_eq!(
            stage.apply(vec![start(lease, began), start(lease, began)]).await,
            [started.clone(), started]
        );
        let log = stage.log().await;
        let told = log.last().unwrap();
        let expected = [EventType::Executed, EventType::AttemptStarted][attempt];
        assert_eq!((told.event.event_type, told.duration), (expected, Some(3 * SECOND)));
        stage.finish(lease, failed(Some(stage.now()))).await;
        let log = stage.log().await;
        assert_eq!(log.last().unwrap().duration, Some(SECOND), "how long it ran");
        stage.promote(1).await;
    }
}

pub async fn an_end_can_tell_of_the_start_as_well<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let new = job();
    stage.one(enqueue(&new)).await;
    let lease = lease(&stage.claim("default", 1, session).await[0]);
    let began = stage.now();
    stage.pass(SECOND);
    let end = Operation::Finish { lease, started_at: Some(began), end: completed() };
    for _ in 0..2 {
        assert_eq!(stage.one(end.clone()).await, Outcome::Finished { state: JobState::Completed });
    }
    // A start that comes after the end is late.
    assert_eq!(stage.one(start(lease, began)).await, Outcome::Stale);
    assert_eq!(stage.record(new.id).await.started_at, Some(began));
    let expected = [EventType::Created, EventType::Validated, EventType::Executed, EventType::Completed];
    assert_eq!(stage.way(new.id).await, expected);
    let log = stage.log().await;
    assert_eq!(log.last().unwrap().duration, Some(SECOND));
}

pub async fn each_event_of_the_old_contract_comes_at_most_once<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let new = NewJob { max_attempts: 9, ..job() };
    stage.one(enqueue(&new)).await;
    for end in [AttemptEnd::Released, failed(Some(stage.now())), failed(Some(stage.now())), completed()] {
        stage.promote(1).await;
        let lease = lease(&stage.claim("default", 1, session).await[0]);
        stage.one(start(lease, stage.now())).await;
        stage.finish(lease, end).await;
    }
    use EventType::{
        AttemptFailed, AttemptStarted, Completed, Created, Executed, MadeAvailable, Released, Validated,
    };
    let expected = [
        Created,
        Validated,
        Executed,
        Released,
        AttemptStarted,
        AttemptFailed,
        MadeAvailable,
        AttemptStarted,
        AttemptFailed,
        MadeAvailable,
        AttemptStarted,
        Completed,
    ];
    assert_eq!(stage.way(new.id).await, expected);
    let attempts: Vec<u32> = stage
        .log()
        .await
        .iter()
        .filter_map(|told| told.event.payload.get("attempt")?.as_u64())
        .map(|n| n as u32)
        .collect();
    assert_eq!(attempts, [1, 1, 1, 1, 2, 2, 2, 3], "numbers of attempts in the events that have them");
}

pub async fn what_is_handed_back_comes_first_and_what_failed_comes_last<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let jobs: Vec<NewJob> = (0..3).map(|_| job()).collect();
    stage.apply(jobs.iter().map(enqueue).collect()).await;
    let claimed = stage.claim("default", 2, session).await;
    stage.pass(SECOND);
    let ends = [failed(Some(stage.now())), AttemptEnd::Released];
    for (job, end) in claimed.iter().zip(ends) {
        stage.finish(lease(job), end).await;
    }
    stage.promote(10).await;
    let again: Vec<Uuid> = stage.claim("default", 10, session).await.iter().map(|job| job.id).collect();
    assert_eq!(again, [jobs[1].id, jobs[2].id, jobs[0].id]);
}

pub async fn tokens_grow_over_every_attempt_and_every_life<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    stage.apply((0..2).map(|_| enqueue(&job())).collect()).await;
    let mut newest = BTreeMap::new();
    for life in 0..6 {
        for job in stage.claim("default", 2, session).await {
            let before = newest.insert(job.id, job.token);
            assert!(before.is_none_or(|before| before < job.token), "{before:?}, then {}", job.token);
            assert_eq!(job.attempt, 1);
            stage.finish(lease(&job), AttemptEnd::Released).await;
        }
        if life % 2 == 0 { stage.kill().await } else { stage.reopen().await }
    }
    assert_eq!(newest.len(), 2);
}

pub async fn the_last_hundred_attempts_are_shown<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let new = NewJob { max_attempts: 1_000, ..job() };
    stage.one(enqueue(&new)).await;
    for _ in 0..103 {
        let lease = lease(&stage.claim("default", 1, session).await[0]);
        stage.finish(lease, failed(Some(stage.now()))).await;
        stage.promote(1).await;
    }
    let attempts = stage.store.job(new.id).await.unwrap().unwrap().attempts;
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.attempt).collect();
    assert_eq!(numbers, (4..=103).collect::<Vec<_>>());
}

pub async fn whatever_an_attempt_says_is_kept<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let said = [
        "it's \"quoted\" \\ {a,b} NULL ☃ \u{1F600} \r\n\t",
        "",
        "null\0inside",
        "\u{7f}\u{80}\u{feff}\u{10FFFF}",
    ];
    for message in said {
        let new = job();
        stage.one(enqueue(&new)).await;
        let lease = lease(&stage.claim("default", 1, session).await[0]);
        let error = AttemptError {
            kind: ErrorKind::Panicked,
            message: message.into(),
            backtrace: Some(format!("at {message}")),
            is_final: true,
        };
        let end = AttemptEnd::Failed { error: error.clone(), retry_at: None };
        assert_eq!(stage.finish(lease, end).await, JobState::Discarded, "{message:?}");
        let found = stage.store.job(new.id).await.unwrap().unwrap();
        assert_eq!(found.attempts[0].error.as_ref(), Some(&error));
        // PostgreSQL's text has no place for a NUL; a sign that stands for it is as good.
        let shown = message.replace('\0', "\u{FFFD}");
        assert_eq!(found.job.last_error.unwrap().replace('\0', "\u{FFFD}"), shown);
        let log = stage.log().await;
        let told = log.last().unwrap().event.payload["error"].as_str().unwrap();
        assert_eq!(told.replace('\0', "\u{FFFD}"), shown);
    }
    let new = job();
    stage.one(enqueue(&new)).await;
    let lease = lease(&stage.claim("default", 1, session).await[0]);
    let result = r#"{"b":1.50,"a":["\u0000☃"], "n":1e400}"#.to_owned();
    stage.finish(lease, AttemptEnd::Completed { result: Some(result.clone()) }).await;
    assert_eq!(stage.record(new.id).await.result, Some(result));
    assert_eq!(error().message, "no luck");
}

pub async fn a_snoozed_run_is_continued_at_its_time_and_costs_no_attempt<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let new = NewJob { max_attempts: 1, ..job() };
    stage.one(enqueue(&new)).await;
    for _ in 0..2 {
        let claimed = lease(&stage.claim("default", 1, session).await[0]);
        stage.one(start(claimed, stage.now())).await;
        let until = stage.now().saturating_add(10 * SECOND);
        for _ in 0..2 {
            assert_eq!(stage.finish(claimed, AttemptEnd::Snoozed { until }).await, JobState::Scheduled);
        }
        let found = stage.store.job(new.id).await.unwrap().unwrap();
        assert_eq!((found.job.attempt, found.job.scheduled_at), (0, until));
        assert_eq!((found.job.started_at, found.attempts.len()), (None, 0));
        let nothing = Outcome::Moved { queues: vec![], count: 0, next_at: Some(until) };
        assert_eq!(stage.promote(10).await, nothing);
        stage.pass(10 * SECOND);
        assert!(matches!(stage.promote(10).await, Outcome::Moved { count: 1, next_at: None, .. }));
    }
    use EventType::{AttemptStarted, Created, Executed, MadeAvailable, Snoozed, Validated};
    let expected =
        [Created, Validated, Executed, Snoozed, MadeAvailable, AttemptStarted, Snoozed, MadeAvailable];
    assert_eq!(stage.way(new.id).await, expected);
    // One that is to be cancelled is not continued.
    let claimed = lease(&stage.claim("default", 1, session).await[0]);
    stage.one(Operation::Cancel { id: new.id }).await;
    let until = stage.now().saturating_add(SECOND);
    assert_eq!(stage.finish(claimed, AttemptEnd::Snoozed { until }).await, JobState::Cancelled);
    assert_eq!(stage.way(new.id).await.last(), Some(&EventType::Failed));
}
