//! The event log: positions are given here, in the order of the changes.

use callboard_contracts::Timestamp;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{SqliteOptions, jobs::hex};
use crate::edges::store::transition::{Event, code::event_code};

/// Writes the events in one statement, with the positions after `newest`; gives the newest one then.
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
    let mut position = newest;
    let rows: Vec<Value> = events
        .iter()
        .map(|event| {
            position += 1;
            json!([
                position,
                hex(event.id),
                event_code(event.event),
                hex(event.job),
                event.job_type,
                event.queue,
                event.job_created_at.as_micros(),
                hex(event.correlation_id),
                event.attempt,
                event.error,
                event.duration.map(|duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX >> 1)),
                event.progress,
            ])
        })
        .collect();
    let mut statement = connection.prepare_cached(
        "INSERT INTO events (position, id, type, occurred_at, job, job_type, queue, job_created_at, correlation_id,
                             attempt, error, duration, instance, version, progress)
         SELECT value ->> 0, unhex(value ->> 1), value ->> 2, ?2, unhex(value ->> 3), value ->> 4, value ->> 5,
                value ->> 6, unhex(value ->> 7), value ->> 8, value ->> 9, value ->> 10, ?3, ?4,
                value ->> 11
         FROM json_each(?1)",
    )?;
    statement.execute((Value::Array(rows).to_string(), now.as_micros(), &options.node, &options.version))?;
    Ok(position)
}
