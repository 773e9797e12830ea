//! Jobs as the writer holds them while it changes them.

use std::collections::BTreeSet;

use callboard_contracts::Timestamp;
use rusqlite::{Connection, Row};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::edges::store::transition::{JobRow, code::state_of};

/// An id as a multi-row statement takes it (`unhex`).
pub(super) fn hex(id: Uuid) -> String {
    id.as_simple().to_string()
}

const COLUMNS: &str = "sequence, id, type, queue, correlation_id, created_at, max_attempts, state, attempt, token, \
    session, wait_reason, last_error, scheduled_at, claimed_at, started_at, finished_at, cancel_requested_at, \
    was_started, deaths";

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_micros)
}

pub(super) fn optional_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_micros))
}

pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    row.get(column).map(Uuid::from_bytes)
}

pub(super) fn optional_id(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Uuid>> {
    Ok(row.get::<_, Option<[u8; 16]>>(column)?.map(Uuid::from_bytes))
}

fn read(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    Ok(JobRow {
        sequence: row.get(0)?,
        id: id(row, 1)?,
        job_type: row.get(2)?,
        queue: row.get(3)?,
        correlation_id: id(row, 4)?,
        created_at: time(row, 5)?,
        max_attempts: row.get(6)?,
        state: state_of(row.get(7)?),
        attempt: row.get(8)?,
        token: row.get(9)?,
        session: optional_id(row, 10)?,
        wait_reason: row.get(11)?,
        last_error: row.get(12)?,
        result: None,
        scheduled_at: time(row, 13)?,
        claimed_at: optional_time(row, 14)?,
        started_at: optional_time(row, 15)?,
        finished_at: optional_time(row, 16)?,
        cancel_requested_at: optional_time(row, 17)?,
        was_started: row.get(18)?,
        deaths: row.get(19)?,
        changed: false,
        needs_token: false,
    })
}

/// These jobs, as far as they exist.
pub(super) fn load(connection: &Connection, ids: BTreeSet<Uuid>) -> rusqlite::Result<Vec<JobRow>> {
    let list: Vec<String> = ids.into_iter().map(hex).collect();
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE id IN (SELECT unhex(value) FROM json_each(?1))");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map([json!(list).to_string()], read)?.collect()
}

/// Writes jobs back in one statement.
pub(super) fn write_back<'r>(
    connection: &Connection,
    rows: impl Iterator<Item = &'r JobRow>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let micros = |at: Option<Timestamp>| at.map(Timestamp::as_micros);
    let rows: Vec<Value> = rows
        .map(|row| {
            json!([
                row.sequence,
                row.state as usize,
                row.attempt,
                row.token,
                row.session.map(hex),
                row.wait_reason,
                row.last_error,
                row.result,
                row.scheduled_at.as_micros(),
                micros(row.claimed_at),
                micros(row.started_at),
                micros(row.finished_at),
                micros(row.cancel_requested_at),
                i32::from(row.was_started),
                row.deaths,
            ])
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(
        "UPDATE jobs SET
            state = new.value ->> 1, attempt = new.value ->> 2, token = new.value ->> 3,
            session = unhex(new.value ->> 4), wait_reason = new.value ->> 5, last_error = new.value ->> 6,
            result = coalesce(new.value ->> 7, result), scheduled_at = new.value ->> 8,
            claimed_at = new.value ->> 9, started_at = new.value ->> 10, finished_at = new.value ->> 11,
            cancel_requested_at = new.value ->> 12, was_started = new.value ->> 13, deaths = new.value ->> 14,
            updated_at = ?2, parked = CASE WHEN new.value ->> 1 = 2 THEN parked END
         FROM json_each(?1) AS new WHERE jobs.sequence = new.value ->> 0",
    )?;
    statement.execute((Value::Array(rows).to_string(), now.as_micros()))?;
    Ok(())
}
