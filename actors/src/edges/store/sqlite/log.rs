//! The event log: positions are given here, in the order of the changes.

use callboard_contracts::Timestamp;
use rusqlite::{Connection, params};

use super::{SqliteOptions, jobs::micros};
use crate::edges::store::transition::{Event, code::event_code};

/// Writes the events, with the positions after `newest`; gives the newest one then.
pub(super) fn insert(
    connection: &Connection,
    options: &SqliteOptions,
    now: Timestamp,
    newest: u64,
    events: &[Event],
) -> rusqlite::Result<u64> {
    if events.is_empty() {
        return Ok(newest);
    }
    let mut statement = connection.prepare_cached(
        "INSERT INTO events (position, id, type, occurred_at, job, job_type, queue, job_created_at, correlation_id,
                             attempt, error, duration, instance, version, progress)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?;
    let mut position = newest;
    for event in events {
        position += 1;
        statement.execute(params![
            position,
            event.id.as_bytes(),
            event_code(event.event),
            now.as_micros(),
            event.job.as_bytes(),
            event.job_type,
            event.queue,
            event.job_created_at.as_micros(),
            event.correlation_id.as_bytes(),
            event.attempt,
            event.error,
            event.duration.map(micros),
            options.node,
            options.version,
            event.progress,
        ])?;
    }
    Ok(position)
}
