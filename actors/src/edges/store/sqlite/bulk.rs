//! Bulk operations.

use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{dead_jobs::note_edit, enqueue, transaction::Transaction, workflows};
use crate::edges::store::{
    Outcome,
    dead_jobs::{BulkPlan, BulkRecord, BulkSelection, BulkStep, BulkStepped, DeadJobsOutcome, NewBulk},
    transition::{
        bulk::{self, Act, Stepping},
        enqueue::{Replay, replayed},
    },
};

fn answer(record: BulkRecord) -> Outcome {
    Outcome::DeadJobs(DeadJobsOutcome::Bulk(Box::new(record)))
}

fn record(row: &Row<'_>) -> rusqlite::Result<BulkRecord> {
    serde_json::from_str(row.get_ref(0)?.as_str()?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })
}

/// `None`: only a newer program knows what it is, and goes on with it.
fn known(row: &Row<'_>) -> rusqlite::Result<Option<BulkRecord>> {
    Ok(serde_json::from_str(row.get_ref(0)?.as_str()?).ok())
}

pub(super) fn find(connection: &Connection, id: Uuid) -> rusqlite::Result<Option<BulkRecord>> {
    let mut find = connection.prepare_cached("SELECT record FROM bulk_operations WHERE id = ?1")?;
    find.query_row([id.as_bytes()], record).optional()
}

pub(super) fn put(connection: &Connection, record: &BulkRecord) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT INTO bulk_operations (id, started_at, ended_at, record) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, record = excluded.record",
    )?;
    let text = bulk::as_json(record);
    let ended_at = record.ended_at.map(|at| at.as_micros());
    put.execute(params![record.id.as_bytes(), record.started_at.as_micros(), ended_at, text])?;
    Ok(())
}

pub(super) fn start(tx: &mut Transaction<'_>, new: &NewBulk) -> rusqlite::Result<Outcome> {
    if let Some(known) = find(tx.connection, new.id)? {
        let same = bulk::is_same(&known, new);
        return Ok(if same { answer(known) } else { Outcome::DeadJobs(DeadJobsOutcome::OtherBulk) });
    }
    let running: u32 = tx
        .connection
        .prepare_cached("SELECT count(*) FROM bulk_operations WHERE ended_at IS NULL")?
        .query_row((), |row| row.get(0))?;
    if running >= BulkRecord::MOST_RUNNING {
        let limit = BulkRecord::MOST_RUNNING;
        return Ok(Outcome::DeadJobs(DeadJobsOutcome::TooManyBulks { limit }));
    }
    let record = bulk::begin(new, tx.memory.sequence, tx.changes.now);
    put(tx.connection, &record)?;
    Ok(answer(record))
}

pub(super) fn stop(tx: &mut Transaction<'_>, id: Uuid) -> rusqlite::Result<Outcome> {
    let Some(mut record) = find(tx.connection, id)? else { return Ok(Outcome::NotFound) };
    if bulk::stop(&mut record, tx.changes.now) {
        put(tx.connection, &record)?;
    }
    Ok(answer(record))
}

/// Does the next part of an operation.
pub(super) fn step(tx: &mut Transaction<'_>, step: &BulkStep) -> rusqlite::Result<Outcome> {
    let stepped = |stepped: BulkStepped| Ok(Outcome::DeadJobs(DeadJobsOutcome::Stepped(Box::new(stepped))));
    let Some(record) = find(tx.connection, step.id)? else { return Ok(Outcome::NotFound) };
    if !bulk::is_next(&record, step) {
        return stepped(BulkStepped { record, queues: Vec::new(), cancels: Vec::new() });
    }
    tx.load(bulk::concerned(step))?;
    let note = bulk::note(&record);
    let mut stepping = Stepping::new(record);
    let disk_is_full = enqueue::no_room(tx);
    for job in &step.jobs {
        let Act::Replay(of) = stepping.act(&mut tx.changes, job) else { continue };
        let BulkPlan::Retry { replay_id, event_id, max_backlog, payload } = &job.plan else { continue };
        if let Some(full) = &disk_is_full {
            stepping.waits(format!("room: {full}"));
            break;
        }
        let (waiting, total) = (tx.backlog(&of.queue), tx.total());
        if waiting >= *max_backlog {
            stepping.waits(bulk::queue_is_full(&of.queue, waiting));
            break;
        }
        if total >= step.max_total {
            stepping.waits(bulk::store_is_full(total));
            break;
        }
        let replay = Replay::available(*replay_id, *event_id);
        enqueue::replay(tx, &of, &replay, None, payload.as_ref())?;
        workflows::adopt(tx, job.id, *replay_id)?;
        if payload.is_some() {
            note_edit(tx, job.id, *replay_id, &note)?;
        }
        replayed(&mut tx.changes, &of, &replay);
        stepping.replayed(job, &of);
    }
    let done = stepping.end(step, tx.changes.now);
    put(tx.connection, &done.record)?;
    stepped(done)
}

pub(super) fn read(
    connection: &Connection,
    which: BulkSelection,
    limit: u32,
) -> rusqlite::Result<Vec<BulkRecord>> {
    match which {
        BulkSelection::Id(id) => Ok(find(connection, id)?.into_iter().collect()),
        BulkSelection::Newest => connection
            .prepare_cached("SELECT record FROM bulk_operations ORDER BY started_at DESC, id DESC LIMIT ?1")?
            .query_map([limit], known)?
            .filter_map(Result::transpose)
            .collect(),
        BulkSelection::Running => connection
            .prepare_cached(
                "SELECT record FROM bulk_operations WHERE ended_at IS NULL ORDER BY started_at LIMIT ?1",
            )?
            .query_map([limit], known)?
            .filter_map(Result::transpose)
            .collect(),
    }
}

/// Deletes operations that have ended and are old. How many.
pub(super) fn prune(tx: &Transaction<'_>, before: i64, limit: u32) -> rusqlite::Result<usize> {
    tx.connection
        .prepare_cached(
            "DELETE FROM bulk_operations WHERE id IN (
                SELECT id FROM bulk_operations WHERE started_at < ?1 AND ended_at IS NOT NULL
                ORDER BY started_at LIMIT ?2)",
        )?
        .execute(params![before, limit])
}
