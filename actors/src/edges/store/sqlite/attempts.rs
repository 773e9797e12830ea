//! Leases: claiming jobs, and what becomes of the attempts.

use std::time::Duration;

use callboard_contracts::{
    EventType, JobState, Timestamp,
    api::{AttemptError, AttemptOutcome},
};
use rusqlite::params;
use uuid::Uuid;

use super::{
    ended_attempt::EndedAttempt,
    jobs::{JobRow, id, time},
    log::Event,
    transaction::Transaction,
};
use crate::{
    edges::store::{
        Operation, OperationResult, Outcome,
        record::{AttemptEnd, ClaimedJob, Lease},
    },
    failpoint,
};

/// Leases available jobs for a session, first come first served.
pub(super) fn claim(
    tx: &mut Transaction<'_>,
    queue: &str,
    limit: u32,
    session: Uuid,
) -> rusqlite::Result<Outcome> {
    tx.flush()?;
    failpoint!("store.claim.before");
    let newest = tx.memory.token;
    let mut statement = tx.connection.prepare_cached(
        "UPDATE jobs SET state = 3, attempt = attempt + 1, token = ?1 + chosen.number, session = ?2, claimed_at = ?3,
                         updated_at = ?3, started_at = NULL, claims = claims + 1
         FROM (SELECT sequence, row_number() OVER () AS number
               FROM (SELECT sequence FROM jobs WHERE queue = ?4 AND state = 2
                     ORDER BY priority DESC, scheduled_at, sequence LIMIT ?5)) AS chosen
         WHERE jobs.sequence = chosen.sequence
         RETURNING id, type, payload, metadata, attempt, max_attempts, timeout, correlation_id, created_at, claims,
                   token",
    )?;
    let mut rows = statement.query(params![newest, session.as_bytes(), tx.now.as_micros(), queue, limit])?;
    let mut claimed = Vec::new();
    while let Some(row) = rows.next()? {
        let job = ClaimedJob {
            id: id(row, 0)?,
            job_type: row.get(1)?,
            queue: queue.to_owned(),
            payload: row.get(2)?,
            metadata: row.get(3)?,
            attempt: row.get(4)?,
            max_attempts: row.get(5)?,
            timeout: Duration::from_micros(row.get(6)?),
            token: row.get(10)?,
            correlation_id: id(row, 7)?,
            created_at: time(row, 8)?,
            claimed_at: tx.now,
        };
        claimed.push((row.get::<_, i64>(9)? == 1, job));
    }
    drop(rows);
    drop(statement);
    tx.memory.token += claimed.len() as u64;
    // What is returned has no order of its own; tokens were given in the order of the queue.
    claimed.sort_by_key(|(_, job)| job.token);
    let mut jobs = Vec::with_capacity(claimed.len());
    for (first, job) in claimed {
        tx.count(queue, Some(JobState::Available), JobState::Executing);
        if first {
            tx.events.push(Event {
                id: Uuid::now_v7(),
                event: EventType::Validated,
                job: job.id,
                job_type: job.job_type.clone(),
                queue: job.queue.clone(),
                job_created_at: job.created_at,
                correlation_id: job.correlation_id,
                attempt: job.attempt,
                error: None,
                duration: None,
            });
        }
        jobs.push(job);
    }
    failpoint!("store.claim.after");
    Ok(Outcome::Claimed(jobs))
}

/// A group of starts and ends.
pub(super) fn run(tx: &mut Transaction<'_>, group: &[Operation]) -> rusqlite::Result<Vec<OperationResult>> {
    let lease = |operation: &Operation| match operation {
        Operation::Start { lease, .. } | Operation::Finish { lease, .. } => Some(lease.id),
        _ => None,
    };
    tx.load(group.iter().filter_map(lease))?;
    let results = group.iter().map(|operation| match operation {
        Operation::Start { lease, started_at } => Ok(start(tx, *lease, *started_at)),
        Operation::Finish { lease, started_at, end } => Ok(finish(tx, *lease, *started_at, end)),
        _ => Ok(Outcome::Done),
    });
    Ok(results.collect())
}

fn start(tx: &mut Transaction<'_>, lease: Lease, started_at: Timestamp) -> Outcome {
    let Some(mut row) = leased(tx, lease) else { return Outcome::Stale };
    begin(tx, &mut row, started_at);
    let cancel_requested = row.cancel_requested_at.is_some();
    tx.rows.insert(row.id, row);
    Outcome::Started { cancel_requested }
}

/// The job, taken out of the transaction, if the lease is its current one.
fn leased(tx: &mut Transaction<'_>, lease: Lease) -> Option<JobRow> {
    let row = tx.rows.get(&lease.id)?;
    let current = row.state == JobState::Executing && row.token == lease.token;
    if current { tx.rows.remove(&lease.id) } else { None }
}

fn begin(tx: &mut Transaction<'_>, row: &mut JobRow, started_at: Timestamp) {
    if row.started_at.is_some() {
        return;
    }
    row.started_at = Some(started_at);
    row.changed = true;
    let event = if row.was_started { EventType::AttemptStarted } else { EventType::Executed };
    row.was_started = true;
    let waited = started_at.saturating_since(row.scheduled_at);
    tx.events.push(Event::of(row, event).lasting(Some(waited)));
}

fn finish(
    tx: &mut Transaction<'_>,
    lease: Lease,
    started_at: Option<Timestamp>,
    end: &AttemptEnd,
) -> Outcome {
    let Some(mut row) = leased(tx, lease) else {
        return match tx.rows.get(&lease.id) {
            // The end of this very attempt, told again because the first answer was lost.
            Some(row) if row.token == lease.token => Outcome::Finished { state: row.state },
            _ => Outcome::Stale,
        };
    };
    if let Some(started_at) = started_at {
        begin(tx, &mut row, started_at);
    }
    match end {
        AttemptEnd::Completed { result } => {
            row.result.clone_from(result);
            end_attempt(tx, &row, AttemptOutcome::Completed, None);
            tx.enter(&mut row, JobState::Completed);
            told(tx, &row, EventType::Completed, None);
        }
        AttemptEnd::Failed { error, retry_at } => fail(tx, &mut row, error, *retry_at),
        AttemptEnd::Cancelled { error } => {
            row.last_error = Some(error.message.clone());
            end_attempt(tx, &row, AttemptOutcome::Cancelled, Some(error));
            tx.enter(&mut row, JobState::Cancelled);
            told(tx, &row, EventType::Failed, Some(error));
        }
        AttemptEnd::Released => {
            end_attempt(tx, &row, AttemptOutcome::Released, None);
            let waiting_since = row.scheduled_at;
            told(tx, &row, EventType::Released, None);
            tx.enter(&mut row, JobState::Available);
            // It keeps its place in the queue.
            row.scheduled_at = waiting_since;
            row.attempt = row.attempt.saturating_sub(1);
            row.started_at = None;
        }
    }
    let state = row.state;
    tx.rows.insert(row.id, row);
    Outcome::Finished { state }
}

/// The end of an attempt that failed: another one follows, or the job is cancelled or dead.
fn fail(tx: &mut Transaction<'_>, row: &mut JobRow, error: &AttemptError, retry_at: Option<Timestamp>) {
    row.last_error = Some(error.message.clone());
    end_attempt(tx, row, AttemptOutcome::Failed, Some(error));
    match retry_at {
        Some(_) if row.cancel_requested_at.is_some() => {
            tx.enter(row, JobState::Cancelled);
            told(tx, row, EventType::Failed, Some(error));
        }
        Some(at) => {
            tx.enter(row, JobState::Retryable);
            row.scheduled_at = at;
            told(tx, row, EventType::AttemptFailed, Some(error));
        }
        None => {
            tx.enter(row, JobState::Discarded);
            told(tx, row, EventType::Failed, Some(error));
        }
    }
}

/// Ends the attempt of a dead session: the next one may begin at once.
pub(super) fn lose(tx: &mut Transaction<'_>, row: &mut JobRow, error: &AttemptError) {
    row.deaths += 1;
    let again = row.attempt < row.max_attempts;
    fail(tx, row, error, again.then_some(tx.now));
    if row.state == JobState::Retryable {
        tx.enter(row, JobState::Available);
    }
    // Should the node live after all, nothing it says of this attempt counts any more.
    row.token = tx.next_token();
}

fn told(tx: &mut Transaction<'_>, row: &JobRow, event: EventType, error: Option<&AttemptError>) {
    let ran = row.started_at.map(|since| tx.now.saturating_since(since));
    let event = Event::of(row, event).lasting(ran);
    tx.events.push(match error {
        Some(error) => event.error(&error.message),
        None => event,
    });
}

fn end_attempt(
    tx: &mut Transaction<'_>,
    row: &JobRow,
    outcome: AttemptOutcome,
    error: Option<&AttemptError>,
) {
    tx.attempts.push(EndedAttempt {
        job: row.id,
        number: row.attempt,
        token: row.token,
        outcome,
        claimed_at: row.claimed_at.unwrap_or(tx.now),
        started_at: row.started_at,
        finished_at: tx.now,
        // What serialises by derive, of strings and booleans, does not fail.
        error: error.and_then(|error| serde_json::to_string(error).ok()),
    });
}
