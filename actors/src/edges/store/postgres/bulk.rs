//! Bulk operations.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    backlog, columns::long, dead_jobs::note_edit, enqueue, session, transaction::Transaction, workflows,
};
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

fn record(row: &PgRow) -> sqlx::Result<BulkRecord> {
    serde_json::from_str(row.try_get("record")?).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// The operation, which nobody else changes until the transaction ends.
pub(super) async fn hold(connection: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<BulkRecord>> {
    let found = sqlx::query("SELECT record FROM bulk_operations WHERE id = $1 FOR UPDATE").bind(id);
    found.fetch_optional(connection).await?.as_ref().map(record).transpose()
}

pub(super) async fn put(connection: &mut PgConnection, record: &BulkRecord) -> sqlx::Result<()> {
    sqlx::query("UPDATE bulk_operations SET ended_at = $2, record = $3 WHERE id = $1")
        .bind(record.id)
        .bind(record.ended_at.map(|at| at.as_micros()))
        .bind(bulk::as_json(record))
        .execute(connection)
        .await?;
    Ok(())
}

/// How many rows that is: none if it is there already.
pub(super) async fn insert(connection: &mut PgConnection, record: &BulkRecord) -> sqlx::Result<u64> {
    let inserted = sqlx::query(
        "INSERT INTO bulk_operations (id, started_at, ended_at, record) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(record.id)
    .bind(record.started_at.as_micros())
    .bind(record.ended_at.map(|at| at.as_micros()))
    .bind(bulk::as_json(record))
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected())
}

pub(super) async fn start(tx: &mut Transaction<'_>, new: &NewBulk) -> sqlx::Result<Outcome> {
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM bulk_operations WHERE ended_at IS NULL) AS running,
                coalesce(pg_sequence_last_value('job_sequence'), 0) AS newest",
    )
    .fetch_one(&mut *tx.connection)
    .await?;
    let known = hold(tx.connection, new.id).await?;
    if known.is_none() && long(&row, "running")? >= BulkRecord::MOST_RUNNING.into() {
        let limit = BulkRecord::MOST_RUNNING;
        return Ok(Outcome::DeadJobs(DeadJobsOutcome::TooManyBulks { limit }));
    }
    let begun = bulk::begin(new, long(&row, "newest")?, tx.changes.now);
    let stored = match known {
        Some(_) => 0,
        None => insert(tx.connection, &begun).await?,
    };
    if stored > 0 {
        return Ok(answer(begun));
    }
    // It was there, or somebody else has begun it meanwhile.
    Ok(match hold(tx.connection, new.id).await? {
        Some(known) if bulk::is_same(&known, new) => answer(known),
        _ => Outcome::DeadJobs(DeadJobsOutcome::OtherBulk),
    })
}

pub(super) async fn stop(tx: &mut Transaction<'_>, id: Uuid) -> sqlx::Result<Outcome> {
    let Some(mut record) = hold(tx.connection, id).await? else { return Ok(Outcome::NotFound) };
    if bulk::stop(&mut record, tx.changes.now) {
        put(tx.connection, &record).await?;
    }
    Ok(answer(record))
}

/// Does the next part of an operation.
pub(super) async fn step(tx: &mut Transaction<'_>, step: &BulkStep) -> sqlx::Result<Outcome> {
    if !session::leads(tx.connection, step.leader).await? {
        return Ok(Outcome::NotLeader);
    }
    let stepped = |stepped: BulkStepped| Ok(Outcome::DeadJobs(DeadJobsOutcome::Stepped(Box::new(stepped))));
    let Some(record) = hold(tx.connection, step.id).await? else { return Ok(Outcome::NotFound) };
    if !bulk::is_next(&record, step) {
        return stepped(BulkStepped { record, queues: Vec::new(), cancels: Vec::new() });
    }
    tx.load(bulk::concerned(step)).await?;
    let note = bulk::note(&record);
    let mut stepping = Stepping::new(record);
    // Counted once; what this transaction adds is added.
    let mut room = Room::default();
    for job in &step.jobs {
        let Act::Replay(of) = stepping.act(&mut tx.changes, job) else { continue };
        let BulkPlan::Retry { replay_id, event_id, max_backlog, payload } = &job.plan else { continue };
        let waiting = room.in_queue(tx, &of.queue).await?;
        if waiting >= *max_backlog {
            stepping.waits(bulk::queue_is_full(&of.queue, waiting));
            break;
        }
        let waiting = room.in_all(tx, step.max_total).await?;
        if waiting >= step.max_total {
            stepping.waits(bulk::store_is_full(waiting));
            break;
        }
        let replay = Replay::available(*replay_id, *event_id);
        enqueue::replay(tx, &of, &replay, None, payload.as_ref()).await?;
        workflows::adopt(tx, job.id, *replay_id).await?;
        if payload.is_some() {
            note_edit(tx, job.id, *replay_id, &note).await?;
        }
        replayed(&mut tx.changes, &of, &replay);
        stepping.replayed(job, &of);
    }
    let done = stepping.end(step, tx.changes.now);
    put(tx.connection, &done.record).await?;
    stepped(done)
}

/// Jobs that waited before the transaction, as far as they have been counted.
#[derive(Default)]
struct Room {
    queues: BTreeMap<String, i64>,
    all: Option<i64>,
}

impl Room {
    async fn in_queue(&mut self, tx: &mut Transaction<'_>, queue: &str) -> sqlx::Result<u64> {
        let grown = tx.changes.backlog_grown(queue);
        let before = match self.queues.get(queue) {
            Some(before) => *before,
            None => {
                let waiting = tx.backlogs(vec![queue]).await?.get(queue).copied().unwrap_or(0);
                let before = i64::try_from(waiting).unwrap_or(i64::MAX).saturating_sub(grown);
                self.queues.insert(queue.to_owned(), before);
                before
            }
        };
        Ok(u64::try_from(before.saturating_add(grown)).unwrap_or(0))
    }

    async fn in_all(&mut self, tx: &mut Transaction<'_>, limit: u64) -> sqlx::Result<u64> {
        let grown = tx.changes.total_grown();
        let before = match self.all {
            Some(before) => before,
            None => {
                let waiting = backlog::total(tx, limit).await?;
                let before = i64::try_from(waiting).unwrap_or(i64::MAX).saturating_sub(grown);
                self.all = Some(before);
                before
            }
        };
        Ok(u64::try_from(before.saturating_add(grown)).unwrap_or(0))
    }
}

pub(super) async fn read(
    connection: &mut PgConnection,
    which: BulkSelection,
    limit: u32,
) -> sqlx::Result<Vec<BulkRecord>> {
    let limit = i64::from(limit);
    let query = match which {
        BulkSelection::Id(id) => {
            sqlx::query("SELECT record FROM bulk_operations WHERE id = $1 LIMIT $2").bind(id).bind(limit)
        }
        BulkSelection::Newest => {
            sqlx::query("SELECT record FROM bulk_operations ORDER BY started_at DESC, id DESC LIMIT $1")
                .bind(limit)
        }
        BulkSelection::Running => sqlx::query(
            "SELECT record FROM bulk_operations WHERE ended_at IS NULL ORDER BY started_at LIMIT $1",
        )
        .bind(limit),
    };
    let rows = query.fetch_all(connection).await?;
    match which {
        BulkSelection::Id(_) => rows.iter().map(record).collect(),
        // What only a newer program knows, it goes on with.
        _ => Ok(rows.iter().filter_map(|row| record(row).ok()).collect()),
    }
}

/// Deletes operations that have ended and are old. How many.
pub(super) async fn prune(tx: &mut Transaction<'_>, before: i64, limit: u32) -> sqlx::Result<u64> {
    let deleted = sqlx::query(
        "DELETE FROM bulk_operations WHERE id IN (
            SELECT id FROM bulk_operations WHERE started_at < $1 AND ended_at IS NOT NULL ORDER BY started_at LIMIT $2)",
    )
    .bind(before)
    .bind(i64::from(limit))
    .execute(&mut *tx.connection)
    .await?;
    Ok(deleted.rows_affected())
}
