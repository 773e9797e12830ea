//! Attempts that are with workers outside.

use callboard_contracts::{
    EventType, JobState, Timestamp,
    api::{AttemptError, AttemptOutcome, ErrorKind},
};

use super::{
    Changes, EndedAttempt, Event, JobRow,
    attempt::{begin, fail, finish, leased},
};
use crate::edges::store::{
    Outcome,
    outside::{OUTSIDE, OutsideWord, RetryPlan, Said},
    record::{AttemptEnd, Lease},
};

/// An attempt was sent to a worker outside.
pub(crate) fn hand_over(changes: &mut Changes, lease: Lease) -> Outcome {
    let Some(mut row) = leased(changes, lease) else { return Outcome::Stale };
    let outcome = if row.cancel_requested_at.is_some() {
        cancel(changes, &mut row);
        Outcome::Finished { state: row.state }
    } else {
        row.session = Some(OUTSIDE);
        row.changed = true;
        Outcome::HandedOver
    };
    changes.rows.insert(row.id, row);
    outcome
}

/// The job is called off while a worker has it: what that still says comes too late.
pub(super) fn cancel(changes: &mut Changes, row: &mut JobRow) {
    let error = AttemptError {
        kind: ErrorKind::Cancelled,
        message: "cancelled while it was with a worker outside, which may go on with it".to_owned(),
        backtrace: None,
        is_final: false,
    };
    row.last_error = Some(error.message.clone());
    let ended = EndedAttempt::of(row, AttemptOutcome::Cancelled, Some(&error), changes.now);
    changes.attempts.push(ended);
    changes.enter(row, JobState::Cancelled);
    let ran = row.started_at.map(|since| changes.now.saturating_since(since));
    changes.events.push(Event::of(row, EventType::Failed).lasting(ran).error(&error.message));
}

/// What a word comes to.
pub(crate) struct Heard {
    pub(crate) outcome: Outcome,
    pub(crate) attempt: Attempt,
}

/// What becomes of an attempt by a word about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// It goes on. When it lapses now; `None`: as before.
    Alive(Option<Timestamp>),
    /// It has ended.
    Ended,
    /// The word was too late, or is about none of those.
    Unchanged,
}

impl From<Outcome> for Heard {
    fn from(outcome: Outcome) -> Self {
        Heard { outcome, attempt: Attempt::Unchanged }
    }
}

/// A word about an attempt, of a job that is loaded if it is there.
pub(crate) fn hear(changes: &mut Changes, word: &OutsideWord) -> Heard {
    let Some(row) = changes.rows.get(&word.job) else { return Outcome::NotFound.into() };
    let visible_for = word.served.get(&row.queue).copied();
    if visible_for.is_none() && row.session != Some(OUTSIDE) {
        return Outcome::NotServed { queue: row.queue.clone() }.into();
    }
    let lease = Lease { id: row.id, token: word.token.unwrap_or(row.token) };
    let Some(mut row) = leased(changes, lease) else { return Outcome::Stale.into() };
    let claimed_at = row.claimed_at.unwrap_or(changes.now);
    let within = |at: Timestamp| at.min(changes.now).max(claimed_at);
    // Whoever ends a run has begun it; when, is known at least to be after it was claimed.
    let started_at = within(word.started_at.unwrap_or(claimed_at));
    let (queue, job_type) = (row.queue.clone(), row.job_type.clone());
    let heard = |state, retry_at| Outcome::Heard { queue, job_type, state, retry_at };
    let end = match &word.said {
        Said::Alive => {
            begin(changes, &mut row, started_at);
            let state = row.state;
            changes.rows.insert(row.id, row);
            let lapses_at = visible_for.map(|time| changes.now.saturating_add(time));
            return Heard { outcome: heard(state, None), attempt: Attempt::Alive(lapses_at) };
        }
        Said::Completed { result } => AttemptEnd::Completed { result: result.clone() },
        Said::Failed { error, retry } => {
            let another = if error.is_final { None } else { retry_at(&row, retry, changes.now) };
            AttemptEnd::Failed { error: error.clone(), retry_at: another }
        }
    };
    changes.rows.insert(row.id, row);
    let state = match finish(changes, lease, Some(started_at), &end) {
        Outcome::Finished { state } => state,
        other => return other.into(),
    };
    let retry_at = match end {
        AttemptEnd::Failed { retry_at, .. } if state == JobState::Retryable => retry_at,
        _ => None,
    };
    Heard { outcome: heard(state, retry_at), attempt: Attempt::Ended }
}

fn retry_at(row: &JobRow, plan: &RetryPlan, now: Timestamp) -> Option<Timestamp> {
    plan.retry_at(&row.job_type, (row.attempt, row.max_attempts), now)
}

/// Nothing was heard for too long of the attempt with this token, of a job that is loaded if it is there. Whether it has ended
/// by that, and when the next one may begin.
pub(crate) fn lapse(
    changes: &mut Changes,
    lease: Lease,
    error: &AttemptError,
    plan: &RetryPlan,
) -> Option<(String, Option<Timestamp>)> {
    let mut row = leased(changes, lease)?;
    if row.session != Some(OUTSIDE) {
        changes.rows.insert(row.id, row);
        return None;
    }
    let retry_at = retry_at(&row, plan, changes.now);
    fail(changes, &mut row, error, retry_at);
    let ended = (row.queue.clone(), retry_at.filter(|_| row.state == JobState::Retryable));
    changes.rows.insert(row.id, row);
    Some(ended)
}
