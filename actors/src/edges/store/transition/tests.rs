use std::{collections::BTreeMap, time::Duration};

use callboard_contracts::{
    EventType, JobState, Timestamp,
    api::{AttemptError, AttemptOutcome, ErrorKind},
};
use uuid::Uuid;

use super::{
    Changes, JobRow,
    attempt::{claimed, finish, lose, start},
    control::{Retry, cancel, each, make_available, retry},
    enqueue::{Known, Replay, enqueue, replayed},
    unique::Holders,
};
use crate::edges::store::{
    Outcome,
    record::{AttemptEnd, ClaimedJob, Lease, NewJob},
};

pub(super) const JOB: Uuid = Uuid::from_u128(1);
pub(super) const LEASE: Lease = Lease { id: JOB, token: 7 };

pub(super) fn now() -> Timestamp {
    Timestamp::from_micros(1_000_000)
}

fn earlier() -> Timestamp {
    Timestamp::from_micros(400_000)
}

pub(super) fn row(state: JobState) -> JobRow {
    let executing = state == JobState::Executing;
    JobRow {
        sequence: 1,
        id: JOB,
        job_type: "noop".to_owned(),
        queue: "q".to_owned(),
        correlation_id: Uuid::from_u128(2),
        created_at: earlier(),
        max_attempts: 2,
        state,
        attempt: 1,
        token: LEASE.token,
        session: executing.then(|| Uuid::from_u128(3)),
        wait_reason: None,
        last_error: None,
        cause: None,
        result: None,
        scheduled_at: earlier(),
        claimed_at: executing.then_some(earlier()),
        started_at: None,
        finished_at: None,
        cancel_requested_at: None,
        was_started: false,
        deaths: 0,
        changed: false,
        needs_token: false,
    }
}

pub(super) fn changes(row: JobRow) -> Changes {
    let mut changes = Changes::new(now());
    changes.rows.insert(row.id, row);
    changes
}

pub(super) fn new_job(id: u128) -> NewJob {
    NewJob {
        id: Uuid::from_u128(id),
        job_type: "noop".to_owned(),
        queue: "q".to_owned(),
        payload: "{}".to_owned(),
        metadata: None,
        document: None,
        fingerprint: [1; 32],
        max_attempts: 1,
        timeout: Duration::from_secs(1),
        held: None,
        correlation_id: Uuid::from_u128(id),
        event_id: Uuid::from_u128(id + 100),
        max_backlog: 2,
        max_total: u64::MAX,
        needs: Vec::new(),
        scheduled_at: None,
        priority: 0,
        tags: Vec::new(),
        trace: None,
        partition_key: None,
        unique: None,
    }
}

pub(super) fn error() -> AttemptError {
    AttemptError { kind: ErrorKind::Failed, message: "no".to_owned(), backtrace: None, is_final: false }
}

/// The events so far, and by how much the states of the queue have grown.
fn told(changes: &Changes) -> (Vec<EventType>, [i64; 8]) {
    let events = changes.events.iter().map(|event| event.event).collect();
    (events, changes.totals.get("q").copied().unwrap_or_default())
}

fn grown(moves: &[(JobState, i64)]) -> [i64; 8] {
    let mut totals = [0; 8];
    moves.iter().for_each(|(state, count)| totals[*state as usize] += count);
    totals
}

use JobState::{Available, Cancelled, Completed, Discarded, Executing, Pending, Retryable, Scheduled};

#[test]
fn a_run_is_told_once_whoever_tells_of_its_beginning() {
    let mut changes = changes(row(Executing));
    let started = Outcome::Started { cancel_requested: false };
    assert_eq!(start(&mut changes, LEASE, now()), started);
    assert_eq!(start(&mut changes, LEASE, now()), started);
    let end = AttemptEnd::Completed { result: Some("1".to_owned()) };
    assert_eq!(finish(&mut changes, LEASE, Some(now()), &end), Outcome::Finished { state: Completed });
    let totals = grown(&[(Executing, -1), (Completed, 1)]);
    assert_eq!(told(&changes), (vec![EventType::Executed, EventType::Completed], totals));
    assert_eq!(changes.events[0].duration, Some(Duration::from_micros(600_000)));
    assert!(changes.finished);
    // Again, because the answer was lost.
    assert_eq!(finish(&mut changes, LEASE, None, &end), Outcome::Finished { state: Completed });
    assert_eq!((changes.attempts.len(), changes.attempts[0].outcome), (1, AttemptOutcome::Completed));
    let row = &changes.rows[&JOB];
    assert_eq!((row.finished_at, row.session, row.result.as_deref()), (Some(now()), None, Some("1")));
}

#[test]
fn a_stale_lease_changes_nothing() {
    let stale = Lease { token: 6, ..LEASE };
    let gone = Lease { id: Uuid::from_u128(9), ..LEASE };
    for lease in [stale, gone] {
        let mut changes = changes(row(Executing));
        assert_eq!(start(&mut changes, lease, now()), Outcome::Stale);
        assert_eq!(finish(&mut changes, lease, None, &AttemptEnd::Released), Outcome::Stale);
        assert_eq!(changes.rows[&JOB], row(Executing));
        assert!(changes.events.is_empty() && changes.totals.is_empty());
    }
}

#[test]
fn a_failed_attempt_waits_for_the_next_or_is_the_last() {
    let fail = |retry_at, asked: bool| {
        let cancel_requested_at = asked.then_some(earlier());
        let mut changes = changes(JobRow { cancel_requested_at, ..row(Executing) });
        let end = AttemptEnd::Failed { error: error(), retry_at };
        let outcome = finish(&mut changes, LEASE, Some(earlier()), &end);
        let row = changes.rows[&JOB].clone();
        assert_eq!(
            (outcome, row.last_error.as_deref()),
            (Outcome::Finished { state: row.state }, Some("no"))
        );
        assert_eq!(changes.events[1].error.as_deref(), Some("no"));
        (row.state, row.scheduled_at, changes.events[1].event)
    };
    let later = now().saturating_add(Duration::from_secs(1));
    assert_eq!(fail(Some(later), false), (Retryable, later, EventType::AttemptFailed));
    assert_eq!(fail(None, false), (Discarded, earlier(), EventType::Failed));
    assert_eq!(fail(Some(later), true), (Cancelled, earlier(), EventType::Failed));
}

#[test]
fn a_job_handed_back_keeps_its_place_and_its_attempt() {
    let mut changes = changes(row(Executing));
    let outcome = finish(&mut changes, LEASE, Some(now()), &AttemptEnd::Released);
    assert_eq!(outcome, Outcome::Finished { state: Available });
    let row = &changes.rows[&JOB];
    assert_eq!((row.attempt, row.scheduled_at, row.started_at, row.session), (0, earlier(), None, None));
    assert_eq!(told(&changes).1, grown(&[(Executing, -1), (Available, 1)]));
}

#[test]
fn a_snoozed_job_sleeps_and_keeps_its_attempt_unless_it_is_to_be_cancelled() {
    let until = now().saturating_add(Duration::from_secs(9));
    let end = AttemptEnd::Snoozed { until };
    let mut sleeps = changes(row(Executing));
    assert_eq!(finish(&mut sleeps, LEASE, Some(now()), &end), Outcome::Finished { state: Scheduled });
    assert_eq!(finish(&mut sleeps, LEASE, None, &end), Outcome::Finished { state: Scheduled });
    let row_now = &sleeps.rows[&JOB];
    assert_eq!((row_now.attempt, row_now.scheduled_at, row_now.started_at), (0, until, None));
    assert_eq!((row_now.session, sleeps.attempts.len()), (None, 0));
    let events = vec![EventType::Executed, EventType::Snoozed];
    assert_eq!(told(&sleeps), (events, grown(&[(Executing, -1), (Scheduled, 1)])));
    let mut asked = changes(JobRow { cancel_requested_at: Some(earlier()), ..row(Executing) });
    assert_eq!(finish(&mut asked, LEASE, None, &end), Outcome::Finished { state: Cancelled });
}

#[test]
fn a_lost_attempt_is_followed_by_the_next_and_its_lease_counts_no_more() {
    for (attempt, state) in [(1, Available), (2, Discarded)] {
        let mut changes = changes(JobRow { attempt, ..row(Executing) });
        let queues = each(&mut changes, &[JOB, Uuid::from_u128(9)], |changes, row| {
            lose(changes, row, &error(), 3);
        });
        assert_eq!(queues, ["q"]);
        let row = &changes.rows[&JOB];
        assert_eq!((row.state, row.deaths, row.needs_token, row.session), (state, 0, true, None));
        assert_eq!(finish(&mut changes, LEASE, None, &AttemptEnd::Released), Outcome::Stale);
        assert_eq!(start(&mut changes, LEASE, now()), Outcome::Stale);
    }
}

#[test]
fn too_many_deaths_lead_to_quarantine_unless_nothing_is_to_follow() {
    let outcome = |mut row: JobRow, after| {
        let mut changes = Changes::new(now());
        lose(&mut changes, &mut row, &error(), after);
        (row.state, row.deaths, row.wait_reason.is_some())
    };
    let died = |deaths| JobRow { deaths, started_at: Some(earlier()), ..row(Executing) };
    assert_eq!(outcome(died(1), 3), (Available, 2, false));
    assert_eq!(outcome(died(2), 3), (Pending, 3, true));
    assert_eq!(outcome(died(9), 0), (Available, 9, false));
    assert_eq!(outcome(JobRow { started_at: None, ..died(9) }, 3), (Available, 9, false));
    assert_eq!(outcome(JobRow { attempt: 2, ..died(2) }, 3), (Discarded, 3, false));
    let asked = JobRow { cancel_requested_at: Some(earlier()), ..died(2) };
    assert_eq!(outcome(asked, 3), (Cancelled, 3, false));
    let mut changes = changes(JobRow { deaths: 3, ..row(Pending) });
    assert_eq!(cancel(&mut changes.clone(), JOB), Outcome::Cancelled);
    let available = Outcome::MadeAvailable { queue: "q".to_owned() };
    assert_eq!(retry(&mut changes, JOB, Uuid::nil()), Retry::Decided(available));
    assert_eq!((changes.rows[&JOB].state, changes.rows[&JOB].deaths), (Available, 0));
}

#[test]
fn only_what_runs_is_asked_before_it_is_cancelled() {
    let mut waiting = changes(JobRow { wait_reason: Some("no handler".to_owned()), ..row(Pending) });
    assert_eq!(cancel(&mut waiting, JOB), Outcome::Cancelled);
    assert_eq!(told(&waiting), (vec![EventType::Failed], grown(&[(Pending, -1), (Cancelled, 1)])));
    assert_eq!(waiting.rows[&JOB].wait_reason, None);
    assert_eq!(cancel(&mut waiting, JOB), Outcome::NotPossible { state: Cancelled });

    let mut running = changes(row(Executing));
    for _ in 0..2 {
        let asked = cancel(&mut running, JOB);
        assert!(matches!(asked, Outcome::CancelRequested { lease: LEASE, .. }), "{asked:?}");
    }
    assert_eq!(told(&running), (vec![EventType::CancelRequested], [0; 8]));
    assert_eq!(start(&mut running, LEASE, now()), Outcome::Started { cancel_requested: true });
    assert_eq!(cancel(&mut running, Uuid::from_u128(9)), Outcome::NotFound);
}

#[test]
fn a_retry_hurries_what_waits_and_replays_what_is_finished() {
    let replay = Uuid::from_u128(5);
    for state in [Scheduled, Retryable] {
        // One that is due already keeps its place before those that fell due after it.
        let later = now().saturating_add(Duration::from_secs(1));
        for (at, expected) in [(later, now()), (earlier(), earlier())] {
            let mut changes = changes(JobRow { scheduled_at: at, ..row(state) });
            let available = Retry::Decided(Outcome::MadeAvailable { queue: "q".to_owned() });
            assert_eq!(retry(&mut changes, JOB, replay), available);
            assert_eq!(changes.rows[&JOB].scheduled_at, expected);
        }
    }
    let mut finished = changes(row(Completed));
    let Retry::Replay(of) = retry(&mut finished, JOB, replay) else { panic!("it is finished") };
    let event_id = Uuid::from_u128(6);
    let outcome = replayed(&mut finished, &of, &Replay::available(replay, event_id));
    assert_eq!(outcome, Outcome::Replayed { id: replay, queue: "q".to_owned(), state: Available });
    assert_eq!(told(&finished), (vec![EventType::Created], grown(&[(Available, 1)])));
    assert_eq!((finished.events[0].id, finished.events[0].job), (event_id, replay));
    // Again, because the answer was lost.
    finished.rows.insert(replay, JobRow { id: replay, ..row(Executing) });
    let known = Outcome::Replayed { id: replay, queue: "q".to_owned(), state: Executing };
    assert_eq!(retry(&mut finished, JOB, replay), Retry::Decided(known));
    for state in [Pending, Available, Executing] {
        let outcome = retry(&mut changes(row(state)), JOB, replay);
        assert_eq!(outcome, Retry::Decided(Outcome::NotPossible { state }));
    }
}

#[test]
fn what_is_made_available_is_counted_and_told() {
    let mut changes = changes(JobRow { wait_reason: Some("no handler".to_owned()), ..row(Pending) });
    each(&mut changes, &[JOB], make_available);
    assert_eq!(told(&changes), (vec![EventType::MadeAvailable], grown(&[(Pending, -1), (Available, 1)])));
    assert_eq!((changes.backlog_grown("q"), changes.backlog_grown("other")), (0, 0));
    assert_eq!(changes.rows[&JOB].wait_reason, None);
}

#[test]
fn only_the_first_claim_is_told() {
    let job = ClaimedJob {
        id: JOB,
        job_type: "noop".to_owned(),
        queue: "q".to_owned(),
        payload: "{}".to_owned(),
        metadata: None,
        document: None,
        attempt: 1,
        max_attempts: 1,
        timeout: Duration::from_secs(1),
        token: 1,
        correlation_id: JOB,
        created_at: earlier(),
        claimed_at: now(),
        trace: None,
        partition_key: None,
    };
    let mut changes = Changes::new(now());
    claimed(&mut changes, &job, true);
    claimed(&mut changes, &job, false);
    assert_eq!(told(&changes), (vec![EventType::Validated], grown(&[(Available, -2), (Executing, 2)])));
}

#[test]
fn new_jobs_are_stored_once_and_as_long_as_there_is_room() {
    let known = Known { fingerprint: [1; 32], event_id: Uuid::from_u128(50), state: Executing };
    let duplicate = Outcome::Duplicate { event_id: known.event_id, state: Executing };
    let known: BTreeMap<_, _> = [1, 2].map(|id| (Uuid::from_u128(id), known.clone())).into();
    let jobs = [
        new_job(1),
        NewJob { fingerprint: [2; 32], ..new_job(2) },
        NewJob { held: Some("no handler".to_owned()), ..new_job(3) },
        new_job(3),
        new_job(4),
        new_job(5),
    ];
    let mut changes = Changes::new(now());
    let enqueued =
        enqueue(&mut changes, &jobs.iter().collect::<Vec<_>>(), known, &Holders::new(), |_, _| 0, 0);
    let pending = Outcome::Duplicate { event_id: Uuid::from_u128(103), state: Pending };
    let expected = [
        duplicate,
        Outcome::Conflict,
        Outcome::Enqueued { state: Pending },
        pending,
        Outcome::Enqueued { state: Available },
        Outcome::BacklogFull { waiting: 2, limit: 2 },
    ];
    assert_eq!(enqueued.outcomes, expected);
    let accepted: Vec<_> = enqueued.accepted.iter().map(|(job, state)| (job.id.as_u128(), *state)).collect();
    assert_eq!(accepted, [(3, Pending), (4, Available)]);
    let events: Vec<_> = changes.events.iter().map(|event| event.id.as_u128()).collect();
    assert_eq!((events, changes.backlog_grown("q")), (vec![103, 104], 2));
}
