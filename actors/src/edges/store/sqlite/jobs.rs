//! Jobs as the writer holds them while it changes them.

use std::{collections::BTreeSet, time::Duration};

use callboard_contracts::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use crate::edges::store::transition::{JobRow, code::state_of};

/// An id as a multi-row statement takes it (`unhex`).
pub(super) fn hex(id: Uuid) -> String {
    id.as_simple().to_string()
}

/// A duration as the tables have it.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
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
        cause: None,
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
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let found =
        ids.into_iter().filter_map(|id| statement.query_row([id.as_bytes()], read).optional().transpose());
    found.collect()
}

/// Writes jobs back.
pub(super) fn write_back<'r>(
    connection: &Connection,
    rows: impl Iterator<Item = &'r JobRow>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE jobs SET
            state = ?2, attempt = ?3, token = ?4, session = ?5, wait_reason = ?6, last_error = ?7, result = coalesce(?8, result),
            scheduled_at = ?9, claimed_at = ?10, started_at = ?11, finished_at = ?12, cancel_requested_at = ?13, was_started = ?14,
            deaths = ?15, updated_at = ?16, parked = CASE WHEN ?2 = 2 THEN parked END,
            cause = coalesce(?17, cause)
         WHERE sequence = ?1",
    )?;
    for row in rows {
        statement.execute(params![
            row.sequence,
            row.state as u8,
            row.attempt,
            row.token,
            row.session.as_ref().map(Uuid::as_bytes),
            row.wait_reason,
            row.last_error,
            row.result,
            row.scheduled_at.as_micros(),
            row.claimed_at.map(Timestamp::as_micros),
            row.started_at.map(Timestamp::as_micros),
            row.finished_at.map(Timestamp::as_micros),
            row.cancel_requested_at.map(Timestamp::as_micros),
            row.was_started,
            row.deaths,
            now.as_micros(),
            row.cause,
        ])?;
    }
    Ok(())
}
