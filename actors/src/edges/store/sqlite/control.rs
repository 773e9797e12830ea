//! Everything else that is written: cancel, retry, promotion, rescue, sessions, queues, job types, settings.

use std::{collections::BTreeSet, time::Duration};

use callboard_contracts::{
    Timestamp,
    api::{AttemptError, QueueLimits},
};
use rusqlite::{ToSql, params};
use serde_json::json;
use uuid::Uuid;

use super::{
    edges, enqueue, fleet,
    jobs::{id, time},
    read, session,
    transaction::Transaction,
    workflows,
};
use crate::edges::store::{
    Operation, Outcome,
    record::{JobTypeRecord, QueueSettings},
    transition::{
        Changes, JobRow,
        attempt::lose,
        control::{self, Retry, make_available, moved, release},
        enqueue::{Replay, replayed},
    },
};

pub(super) fn run(tx: &mut Transaction<'_>, operation: &Operation) -> rusqlite::Result<Outcome> {
    match operation {
        Operation::Cancel { id } => cancel(tx, *id),
        Operation::Retry { id, replay_id, event_id, max_backlog, max_total } => {
            retry(tx, *id, *replay_id, *event_id, (*max_backlog, *max_total))
        }
        Operation::Promote { limit, .. } => promote(tx, *limit),
        Operation::ReleaseHeld { job_types, queues, limit } => release_held(tx, job_types, queues, *limit),
        Operation::Rescue { session, error, limit, idle_for, quarantine_after, leader: _ } => {
            rescue(tx, *session, error, *limit, *idle_for, *quarantine_after)
        }
        Operation::OpenSession(session) => session::open(tx, session),
        Operation::PutQueues(queues) => put_queues(tx, queues),
        Operation::LimitQueue { queue, limits } => limit_queue(tx, queue, limits),
        Operation::PutEdge { edge, state, by } => edges::put(tx, edge, state, by),
        Operation::Park { limit, .. } => edges::park(tx, *limit),
        Operation::PutJobTypes(job_types) => put_job_types(tx, job_types),
        Operation::PutSetting { key, value } => {
            tx.put_setting(key, value)?;
            Ok(Outcome::Done)
        }
        Operation::DescribeNode { session, labels, description } => {
            fleet::describe(tx, *session, labels, description)
        }
        Operation::LabelQueue { queue, labels } => fleet::label_queue(tx, queue, labels),
        Operation::PutCommand(command) => fleet::put_command(tx, command),
        Operation::EndCommand { id, end } => fleet::end_command(tx, *id, end),
        Operation::Audit { entry, outcome } => {
            fleet::audit(tx, entry, outcome)?;
            Ok(Outcome::Done)
        }
        // The others have modules of their own.
        Operation::Enqueue(_)
        | Operation::EnqueueOnce(_)
        | Operation::Claim { .. }
        | Operation::ClaimOut { .. }
        | Operation::HandOver { .. }
        | Operation::ReceiveJob(_)
        | Operation::Hear(_)
        | Operation::Lapse { .. }
        | Operation::Reclaim { .. }
        | Operation::Start { .. }
        | Operation::Finish { .. }
        | Operation::Report(_)
        | Operation::Audited { .. }
        | Operation::PruneAudit { .. }
        | Operation::Workflow(_)
        | Operation::Cron(_)
        | Operation::DeadJobs(_)
        | Operation::Queue(_)
        | Operation::Signals(_)
        | Operation::Reseal(_)
        | Operation::Prune { .. } => Ok(Outcome::Done),
    }
}

fn cancel(tx: &mut Transaction<'_>, id: Uuid) -> rusqlite::Result<Outcome> {
    tx.load(std::iter::once(id))?;
    Ok(control::cancel(&mut tx.changes, id))
}

fn retry(
    tx: &mut Transaction<'_>,
    id: Uuid,
    replay_id: Uuid,
    event_id: Uuid,
    (max_backlog, max_total): (u64, u64),
) -> rusqlite::Result<Outcome> {
    tx.load([id, replay_id].into_iter())?;
    let of = match control::retry(&mut tx.changes, id, replay_id) {
        Retry::Decided(outcome) => return Ok(outcome),
        Retry::Replay(of) => of,
    };
    let waiting = tx.backlog(&of.queue);
    if waiting >= max_backlog {
        return Ok(Outcome::BacklogFull { waiting, limit: max_backlog });
    }
    let waiting = tx.total();
    if waiting >= max_total {
        return Ok(Outcome::StoreFull { waiting, limit: max_total });
    }
    let replay = Replay::available(replay_id, event_id);
    enqueue::replay(tx, &of, &replay, None, None)?;
    workflows::adopt(tx, id, replay_id)?;
    Ok(replayed(&mut tx.changes, &of, &replay))
}

/// The ids that a statement finds.
fn ids(tx: &Transaction<'_>, sql: &str, parameters: &[&dyn ToSql]) -> rusqlite::Result<Vec<Uuid>> {
    let mut statement = tx.connection.prepare_cached(sql)?;
    statement.query_map(parameters, |row| id(row, 0))?.collect()
}

/// Changes each of these jobs, and writes them back; gives the queues concerned.
pub(super) fn each(
    tx: &mut Transaction<'_>,
    ids: &[Uuid],
    change: impl FnMut(&mut Changes, &mut JobRow),
) -> rusqlite::Result<Vec<String>> {
    tx.load(ids.iter().copied())?;
    let queues = control::each(&mut tx.changes, ids, change);
    tx.flush()?;
    Ok(queues)
}

fn promote(tx: &mut Transaction<'_>, limit: u32) -> rusqlite::Result<Outcome> {
    tx.flush()?;
    let due = ids(
        tx,
        "SELECT id FROM jobs WHERE state IN (1, 4) AND scheduled_at <= ?1 ORDER BY scheduled_at LIMIT ?2",
        &[&tx.changes.now.as_micros(), &limit],
    )?;
    let queues = each(tx, &due, make_available)?;
    let mut next =
        tx.connection.prepare_cached("SELECT min(scheduled_at) FROM jobs WHERE state IN (1, 4)")?;
    let next_at: Option<i64> = next.query_row((), |row| row.get(0))?;
    Ok(moved(queues, due.len(), next_at.map(Timestamp::from_micros)))
}

fn release_held(
    tx: &mut Transaction<'_>,
    job_types: &[String],
    queues: &[String],
    limit: u32,
) -> rusqlite::Result<Outcome> {
    tx.flush()?;
    let of_types = "SELECT id FROM jobs INDEXED BY jobs_held
                    WHERE state = 0 AND workflow IS NULL AND deaths = 0 AND type IN (SELECT value FROM json_each(?1)) LIMIT ?2";
    let of_queues = "SELECT id FROM jobs INDEXED BY jobs_held_by_queue
                     WHERE state = 0 AND workflow IS NULL AND deaths = 0 AND queue IN (SELECT value FROM json_each(?1)) LIMIT ?2";
    let (mut concerned, mut count) = (BTreeSet::new(), 0);
    // Each by an index of its own.
    for (sql, names) in [(of_types, job_types), (of_queues, queues)] {
        let left = limit.saturating_sub(count);
        let held = ids(tx, sql, &[&json!(names).to_string(), &left])?;
        concerned.extend(each(tx, &held, release)?);
        count += u32::try_from(held.len()).unwrap_or(u32::MAX);
    }
    Ok(moved(concerned.into_iter().collect(), count as usize, None))
}

fn rescue(
    tx: &mut Transaction<'_>,
    session: Uuid,
    error: &AttemptError,
    limit: u32,
    idle_for: Option<Duration>,
    quarantine_after: u32,
) -> rusqlite::Result<Outcome> {
    if !session::is_idle(tx, session, idle_for)? {
        return Ok(Outcome::NotFound);
    }
    tx.flush()?;
    let lost = ids(
        tx,
        "SELECT id FROM jobs WHERE state = 3 AND session = ?1 LIMIT ?2",
        &[&session.as_bytes(), &limit],
    )?;
    let queues = each(tx, &lost, |changes, row| lose(changes, row, error, quarantine_after))?;
    if lost.len() < limit as usize {
        session::close(tx, session)?;
    }
    Ok(moved(queues, lost.len(), None))
}

fn put_queues(tx: &Transaction<'_>, queues: &[QueueSettings]) -> rusqlite::Result<Outcome> {
    let mut statement = tx.connection.prepare_cached(
        "INSERT INTO queues (name, concurrency, max_backlog, updated_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (name) DO UPDATE SET concurrency = excluded.concurrency, max_backlog = excluded.max_backlog,
                                          updated_at = excluded.updated_at",
    )?;
    for QueueSettings { name, concurrency, max_backlog } in queues {
        let max_backlog = i64::try_from(*max_backlog).unwrap_or(i64::MAX);
        statement.execute(params![name, concurrency, max_backlog, tx.changes.now.as_micros()])?;
    }
    Ok(Outcome::Done)
}

fn limit_queue(tx: &Transaction<'_>, queue: &str, change: &QueueLimits) -> rusqlite::Result<Outcome> {
    let Some(limits) = read::limits_of(tx.connection, queue)? else { return Ok(Outcome::NotFound) };
    let limits = limits.changed(change);
    let mut statement = tx.connection.prepare_cached(
        "UPDATE queues SET max_running = ?2, max_running_per_key = ?3, rate = ?4, rate_per_key = ?5, updated_at = ?6
         WHERE name = ?1",
    )?;
    statement.execute(params![
        queue,
        limits.max_running,
        limits.max_running_per_key,
        limits.rate.map(|rate| rate.to_string()),
        limits.rate_per_key.map(|rate| rate.to_string()),
        tx.changes.now.as_micros(),
    ])?;
    Ok(Outcome::Done)
}

fn put_job_types(tx: &Transaction<'_>, job_types: &[JobTypeRecord]) -> rusqlite::Result<Outcome> {
    let mut statement = tx.connection.prepare_cached(
        "INSERT OR REPLACE INTO job_types
            (name, description, queue, payload_schema, result_schema, max_attempts, timeout, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for job_type in job_types {
        let timeout = i64::try_from(job_type.timeout.as_micros()).unwrap_or(i64::MAX);
        statement.execute(params![
            job_type.job_type,
            job_type.description,
            job_type.queue,
            job_type.payload_schema,
            job_type.result_schema,
            job_type.max_attempts,
            timeout,
            tx.changes.now.as_micros(),
        ])?;
    }
    Ok(Outcome::Done)
}

/// A session as a reader finds it.
pub(super) fn read_session(
    row: &rusqlite::Row<'_>,
) -> rusqlite::Result<crate::edges::store::port::OpenSession> {
    Ok(crate::edges::store::port::OpenSession {
        id: id(row, 0)?,
        node: row.get(1)?,
        seen_at: time(row, 2)?,
        executing: row.get(3)?,
    })
}
