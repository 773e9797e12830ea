//! Signals, and the states that runs publish.

use callboard_contracts::{Timestamp, api::MOST_ACKNOWLEDGED};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;
use uuid::Uuid;

use super::{
    jobs::{hex, id, optional_time, time},
    reports,
    transaction::Transaction,
};
use crate::edges::store::{
    Outcome,
    record::Lease,
    report::Report,
    signals::{JobStateRecord, NewSignal, SignalOperation, SignalOutcome, SignalRecord},
    transfer::SignalLine,
    transition::{
        code::state_of,
        signals::{Held, acknowledges, send},
    },
};

pub(super) fn run(tx: &mut Transaction<'_>, operation: &SignalOperation) -> rusqlite::Result<Outcome> {
    match operation {
        SignalOperation::Send(signal) => store(tx, signal),
        SignalOperation::Acknowledge { lease, number } => acknowledge(tx, *lease, *number),
    }
}

fn store(tx: &mut Transaction<'_>, signal: &NewSignal) -> rusqlite::Result<Outcome> {
    tx.load(std::iter::once(signal.job))?;
    let held = held(tx.connection, signal)?;
    let outcome = send(&mut tx.changes, signal, &held);
    if let Outcome::Signals(SignalOutcome::Stored { number, .. }) = outcome {
        let mut insert = tx.connection.prepare_cached(
            "INSERT INTO job_signals (job, number, id, name, value, by, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        let NewSignal { job, id, name, value, by } = signal;
        let at = tx.changes.now.as_micros();
        insert.execute(params![job.as_bytes(), number, id.as_bytes(), name, value, by, at])?;
    }
    Ok(outcome)
}

fn held(connection: &Connection, signal: &NewSignal) -> rusqlite::Result<Held> {
    let mut all = connection.prepare_cached(
        "SELECT coalesce(max(number), 0), count(*) FILTER (WHERE acknowledged_at IS NULL),
                coalesce(sum(length(CAST(value AS BLOB))) FILTER (WHERE acknowledged_at IS NULL), 0)
         FROM job_signals WHERE job = ?1",
    )?;
    let (last, signals, bytes) =
        all.query_row([signal.job.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut same = connection
        .prepare_cached("SELECT number, name, value FROM job_signals WHERE job = ?1 AND id = ?2")?;
    let same = same.query_row(params![signal.job.as_bytes(), signal.id.as_bytes()], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    Ok(Held { last, signals, bytes, same: same.optional()? })
}

fn acknowledge(tx: &mut Transaction<'_>, lease: Lease, number: u32) -> rusqlite::Result<Outcome> {
    tx.load(std::iter::once(lease.id))?;
    let Some(attempt) = acknowledges(&mut tx.changes, lease) else { return Ok(Outcome::Stale) };
    let job = lease.id.as_bytes();
    let mut update = tx.connection.prepare_cached(
        "UPDATE job_signals SET acknowledged_at = ?4, taken_by = ?3, taken_at = ?4
         WHERE job = ?1 AND number = ?2 AND acknowledged_at IS NULL",
    )?;
    update.execute(params![job, number, attempt, tx.changes.now.as_micros()])?;
    let mut forget = tx.connection.prepare_cached(
        "DELETE FROM job_signals WHERE job = ?1 AND acknowledged_at IS NOT NULL AND number <=
            (SELECT number FROM job_signals WHERE job = ?1 AND acknowledged_at IS NOT NULL
             ORDER BY number DESC LIMIT 1 OFFSET ?2)",
    )?;
    forget.execute(params![job, MOST_ACKNOWLEDGED])?;
    Ok(Outcome::Signals(SignalOutcome::Acknowledged))
}

/// What a run publishes, and which signals it has taken. There is a row for what the run says.
pub(super) fn write_report(
    connection: &Connection,
    report: &Report,
    attempt: u32,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let job = report.lease.id.as_bytes();
    if let Some(published) = &report.published {
        let mut update = connection.prepare_cached(
            "UPDATE attempt_reports SET published = ?3, published_at = ?4
             WHERE job = ?1 AND token = ?2 AND (published_at IS NULL OR published_at < ?4)",
        )?;
        update.execute(params![job, report.lease.token, published.value, published.at.as_micros()])?;
    }
    for number in &report.taken {
        let mut update = connection.prepare_cached(
            "UPDATE job_signals SET taken_by = ?3, taken_at = ?4
             WHERE job = ?1 AND number = ?2 AND taken_by IS NOT ?3 AND acknowledged_at IS NULL",
        )?;
        update.execute(params![job, number, attempt, now.as_micros()])?;
    }
    Ok(())
}

/// Deletes those of jobs that are deleted.
pub(super) fn delete(connection: &Connection, jobs: &str) -> rusqlite::Result<()> {
    let mut delete = connection
        .prepare_cached("DELETE FROM job_signals WHERE job IN (SELECT unhex(value) FROM json_each(?1))")?;
    delete.execute([jobs])?;
    Ok(())
}

const COLUMNS: &str = "number, id, name, value, by, at, taken_by, taken_at, acknowledged_at";

fn record(row: &Row<'_>) -> rusqlite::Result<SignalRecord> {
    let taken_at = optional_time(row, 7)?;
    Ok(SignalRecord {
        number: row.get(0)?,
        id: id(row, 1)?,
        name: row.get(2)?,
        value: row.get(3)?,
        by: row.get(4)?,
        at: time(row, 5)?,
        taken: row.get::<_, Option<u32>>(6)?.zip(taken_at),
        acknowledged_at: optional_time(row, 8)?,
    })
}

/// All of a job, in the order of their numbers; `None` if there is no such job.
pub(super) fn all(connection: &Connection, job: Uuid) -> rusqlite::Result<Option<Vec<SignalRecord>>> {
    let mut known = connection.prepare_cached("SELECT 1 FROM jobs WHERE id = ?1")?;
    if !known.exists([job.as_bytes()])? {
        return Ok(None);
    }
    of_job(connection, job).map(Some)
}

/// All of a job, in the order of their numbers.
pub(super) fn of_job(connection: &Connection, job: Uuid) -> rusqlite::Result<Vec<SignalRecord>> {
    let sql = format!("SELECT {COLUMNS} FROM job_signals WHERE job = ?1 ORDER BY number");
    let mut find = connection.prepare_cached(&sql)?;
    find.query_map([job.as_bytes()], record)?.collect()
}

/// Those of these jobs that are unacknowledged, each behind its number.
pub(super) fn after(
    connection: &Connection,
    jobs: &[(Uuid, u32)],
    limit: u32,
) -> rusqlite::Result<Vec<(Uuid, SignalRecord)>> {
    let list = json!(jobs.iter().map(|(job, after)| json!([hex(*job), after])).collect::<Vec<_>>());
    let sql = format!(
        "SELECT {COLUMNS}, job
         FROM (SELECT unhex(value ->> 0) AS wanted, value ->> 1 AS behind FROM json_each(?1))
         CROSS JOIN job_signals ON job = wanted AND number > behind
         WHERE acknowledged_at IS NULL ORDER BY job, number LIMIT ?2"
    );
    let mut find = connection.prepare_cached(&sql)?;
    let found = find.query_map(params![list.to_string(), limit], |row| Ok((id(row, 9)?, record(row)?)))?;
    found.collect()
}

/// What a job shows. A run whose lease was taken from it is the newest one until the next is claimed.
pub(super) fn job_state(connection: &Connection, job: Uuid) -> rusqlite::Result<Option<JobStateRecord>> {
    let mut find = connection.prepare_cached("SELECT state, attempt FROM jobs WHERE id = ?1")?;
    let found = find.query_row([job.as_bytes()], |row| Ok((state_of(row.get(0)?), row.get(1)?)));
    let Some((state, attempt)) = found.optional()? else { return Ok(None) };
    let (_, published) = reports::newest(connection, job, state)?;
    Ok(Some(JobStateRecord { state, attempt, published }))
}

/// Of an export.
pub(super) fn import(connection: &Connection, line: &SignalLine) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO job_signals (job, number, id, name, value, by, at, taken_by, taken_at, acknowledged_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    insert.execute(params![
        line.job.as_bytes(),
        line.number,
        line.id.as_bytes(),
        line.name,
        line.value.get(),
        line.by,
        line.at.as_micros(),
        line.taken_by,
        line.taken_at.map(Timestamp::as_micros),
        line.acknowledged_at.map(Timestamp::as_micros),
    ])?;
    Ok(())
}
