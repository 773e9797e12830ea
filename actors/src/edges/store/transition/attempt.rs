//! Leases: what becomes of the attempts.

use callboard_contracts::{
    EventType, JobState, Timestamp,
    api::{AttemptError, AttemptOutcome},
};

use super::{Changes, EndedAttempt, Event, JobRow, cause::Cause};
use crate::edges::store::{
    Operation, Outcome,
    record::{AttemptEnd, ClaimedJob, Lease},
};

/// The job whose row a word about an attempt needs.
pub(crate) fn leased_job(operation: &Operation) -> Option<uuid::Uuid> {
    match operation {
        Operation::Start { lease, .. } | Operation::Finish { lease, .. } => Some(lease.id),
        Operation::Report(report) => Some(report.lease.id),
        Operation::HandOver { lease, .. } => Some(lease.id),
        Operation::Hear(word) => Some(word.job),
        Operation::Signals(operation) => Some(operation.job()),
        _ => None,
    }
}

/// An available job was claimed; `first`: for the first time.
pub(crate) fn claimed(changes: &mut Changes, job: &ClaimedJob, first: bool) {
    changes.count(&job.queue, Some(JobState::Available), JobState::Executing);
    if first {
        changes.events.push(Event::validated(job));
    }
}

/// The run of a leased attempt has begun.
pub(crate) fn start(changes: &mut Changes, lease: Lease, started_at: Timestamp) -> Outcome {
    let Some(mut row) = leased(changes, lease) else { return Outcome::Stale };
    begin(changes, &mut row, started_at);
    let cancel_requested = row.cancel_requested_at.is_some();
    changes.rows.insert(row.id, row);
    Outcome::Started { cancel_requested }
}

/// A leased attempt has said something of itself, and so its run has begun; which attempt it is. `None`: the lease is not the
/// job's current one.
pub(crate) fn heard(changes: &mut Changes, lease: Lease, started_at: Option<Timestamp>) -> Option<u32> {
    let mut row = leased(changes, lease)?;
    if let Some(started_at) = started_at {
        begin(changes, &mut row, started_at);
    }
    let attempt = row.attempt;
    changes.rows.insert(row.id, row);
    Some(attempt)
}

/// The job, taken out of the changes, if the lease is its current one.
pub(super) fn leased(changes: &mut Changes, lease: Lease) -> Option<JobRow> {
    let row = changes.rows.get(&lease.id)?;
    let current = row.state == JobState::Executing && row.has_token(lease.token);
    if current { changes.rows.remove(&lease.id) } else { None }
}

pub(super) fn begin(changes: &mut Changes, row: &mut JobRow, started_at: Timestamp) {
    if row.started_at.is_some() {
        return;
    }
    row.started_at = Some(started_at);
    row.changed = true;
    let event = if row.was_started { EventType::AttemptStarted } else { EventType::Executed };
    row.was_started = true;
    let waited = started_at.saturating_since(row.scheduled_at);
    changes.events.push(Event::of(row, event).lasting(Some(waited)));
}

/// A leased attempt has ended.
pub(crate) fn finish(
    changes: &mut Changes,
    lease: Lease,
    started_at: Option<Timestamp>,
    end: &AttemptEnd,
) -> Outcome {
    let Some(mut row) = leased(changes, lease) else {
        return match changes.rows.get(&lease.id) {
            // The end of this very attempt, told again because the first answer was lost.
            Some(row) if row.has_token(lease.token) => Outcome::Finished { state: row.state },
            _ => Outcome::Stale,
        };
    };
    if let Some(started_at) = started_at {
        begin(changes, &mut row, started_at);
    }
    match end {
        AttemptEnd::Completed { result } => {
            row.result.clone_from(result);
            ended(changes, &row, AttemptOutcome::Completed, None);
            changes.enter(&mut row, JobState::Completed);
            told(changes, &row, EventType::Completed, None);
        }
        AttemptEnd::Failed { error, retry_at } => fail(changes, &mut row, error, *retry_at),
        AttemptEnd::Cancelled { error } => {
            row.last_error = Some(error.message.clone());
            ended(changes, &row, AttemptOutcome::Cancelled, Some(error));
            changes.enter(&mut row, JobState::Cancelled);
            told(changes, &row, EventType::Failed, Some(error));
        }
        AttemptEnd::Released => {
            ended(changes, &row, AttemptOutcome::Released, None);
            let waiting_since = row.scheduled_at;
            told(changes, &row, EventType::Released, None);
            changes.enter(&mut row, JobState::Available);
            // It keeps its place in the queue.
            row.scheduled_at = waiting_since;
            row.attempt = row.attempt.saturating_sub(1);
            row.started_at = None;
        }
        AttemptEnd::Snoozed { until } => snooze(changes, &mut row, *until),
    }
    let state = row.state;
    changes.rows.insert(row.id, row);
    Outcome::Finished { state }
}

/// The end of an attempt that failed: another one follows, or the job is cancelled or dead.
pub(super) fn fail(
    changes: &mut Changes,
    row: &mut JobRow,
    error: &AttemptError,
    retry_at: Option<Timestamp>,
) {
    row.last_error = Some(error.message.clone());
    ended(changes, row, AttemptOutcome::Failed, Some(error));
    match retry_at {
        Some(_) if row.cancel_requested_at.is_some() => {
            changes.enter(row, JobState::Cancelled);
            told(changes, row, EventType::Failed, Some(error));
        }
        Some(at) => {
            changes.enter(row, JobState::Retryable);
            row.scheduled_at = at;
            told(changes, row, EventType::AttemptFailed, Some(error));
        }
        None => {
            row.cause = Some(Cause::of(error).fingerprint);
            changes.enter(row, JobState::Discarded);
            told(changes, row, EventType::Failed, Some(error));
        }
    }
}

/// The run wants to be continued later; a job that is to be cancelled has no later.
fn snooze(changes: &mut Changes, row: &mut JobRow, until: Timestamp) {
    if row.cancel_requested_at.is_some() {
        ended(changes, row, AttemptOutcome::Cancelled, None);
        changes.enter(row, JobState::Cancelled);
        changes.events.push(Event::of(row, EventType::Failed).error("cancelled instead of continued later"));
        return;
    }
    told(changes, row, EventType::Snoozed, None);
    changes.enter(row, JobState::Scheduled);
    row.scheduled_at = until;
    row.attempt = row.attempt.saturating_sub(1);
    row.started_at = None;
}

/// The attempt's session is dead, or has ended in good order without it (`quarantine_after` is 0 then): the next one may
/// begin at once, unless too many have died.
///
/// Only what is known to have begun its run counts: what was merely claimed has not killed its node. A job that kills its
/// node before that is written runs out of attempts instead.
pub(crate) fn lose(changes: &mut Changes, row: &mut JobRow, error: &AttemptError, quarantine_after: u32) {
    let died = quarantine_after > 0 && row.started_at.is_some();
    row.deaths += u32::from(died);
    let again = row.attempt < row.max_attempts;
    fail(changes, row, error, again.then_some(changes.now));
    if row.state == JobState::Retryable {
        if died && row.deaths >= quarantine_after {
            quarantine(changes, row);
        } else {
            changes.enter(row, JobState::Available);
        }
    }
    // Should the node live after all, nothing it says of this attempt counts any more.
    row.needs_token = true;
}

fn quarantine(changes: &mut Changes, row: &mut JobRow) {
    let reason = format!("quarantined: {} of its runs died with their nodes", row.deaths);
    changes.enter(row, JobState::Pending);
    changes.events.push(Event::of(row, EventType::Quarantined).error(&reason));
    row.wait_reason = Some(reason);
}

fn told(changes: &mut Changes, row: &JobRow, event: EventType, error: Option<&AttemptError>) {
    let ran = row.started_at.map(|since| changes.now.saturating_since(since));
    let event = Event::of(row, event).lasting(ran);
    changes.events.push(match error {
        Some(error) => event.error(&error.message),
        None => event,
    });
}

fn ended(changes: &mut Changes, row: &JobRow, outcome: AttemptOutcome, error: Option<&AttemptError>) {
    changes.attempts.push(EndedAttempt::of(row, outcome, error, changes.now));
}
