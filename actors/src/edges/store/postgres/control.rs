//! Everything else that is written: cancel, retry, promotion, rescue, sessions, queues, job types, settings.

use std::{collections::BTreeSet, time::Duration};

use callboard_contracts::{
    Timestamp,
    api::{AttemptError, QueueLimits},
};
use uuid::Uuid;

use super::{
    backlog,
    columns::{self, as_long, as_micros},
    edges, enqueue, fleet, session,
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

pub(super) async fn run(tx: &mut Transaction<'_>, operation: &Operation) -> sqlx::Result<Outcome> {
    match operation {
        Operation::Cancel { id } => {
            tx.load(std::iter::once(*id)).await?;
            Ok(control::cancel(&mut tx.changes, *id))
        }
        Operation::Retry { id, replay_id, event_id, max_backlog, max_total } => {
            retry(tx, *id, *replay_id, *event_id, (*max_backlog, *max_total)).await
        }
        Operation::Promote { limit, leader } => {
            if !session::leads(tx.connection, *leader).await? {
                return Ok(Outcome::NotLeader);
            }
            promote(tx, *limit).await
        }
        Operation::ReleaseHeld { job_types, queues, limit } => {
            release_held(tx, job_types, queues, *limit).await
        }
        Operation::Rescue { session, error, limit, idle_for, quarantine_after, leader } => {
            if let Some(leader) = leader
                && !session::leads(tx.connection, *leader).await?
            {
                return Ok(Outcome::NotLeader);
            }
            rescue(tx, *session, error, *limit, *idle_for, *quarantine_after).await
        }
        Operation::OpenSession(session) => session::open(tx, session).await,
        Operation::PutQueues(queues) => put_queues(tx, queues).await,
        Operation::LimitQueue { queue, limits } => limit_queue(tx, queue, limits).await,
        Operation::PutEdge { edge, state, by } => edges::put(tx, edge, state, by).await,
        Operation::Park { limit, leader } => {
            if !session::leads(tx.connection, *leader).await? {
                return Ok(Outcome::NotLeader);
            }
            edges::park(tx, *limit).await
        }
        Operation::PutJobTypes(job_types) => put_job_types(tx, job_types).await,
        Operation::PutSetting { key, value } => put_setting(tx, key, value).await,
        Operation::DescribeNode { session, labels, description } => {
            fleet::describe(tx, *session, labels, description).await
        }
        Operation::LabelQueue { queue, labels } => fleet::label_queue(tx, queue, labels).await,
        Operation::PutCommand(command) => fleet::put_command(tx, command).await,
        Operation::EndCommand { id, end } => fleet::end_command(tx, *id, end).await,
        Operation::Audit { entry, outcome } => {
            fleet::audit(tx, entry, outcome).await?;
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

async fn retry(
    tx: &mut Transaction<'_>,
    id: Uuid,
    replay_id: Uuid,
    event_id: Uuid,
    (max_backlog, max_total): (u64, u64),
) -> sqlx::Result<Outcome> {
    tx.load([id, replay_id].into_iter()).await?;
    let of = match control::retry(&mut tx.changes, id, replay_id) {
        Retry::Decided(outcome) => return Ok(outcome),
        Retry::Replay(of) => of,
    };
    let backlogs = tx.backlogs(vec![&of.queue]).await?;
    let waiting = backlogs.get(&of.queue).copied().unwrap_or(0);
    if waiting >= max_backlog {
        return Ok(Outcome::BacklogFull { waiting, limit: max_backlog });
    }
    let waiting = backlog::total(tx, max_total).await?;
    if waiting >= max_total {
        return Ok(Outcome::StoreFull { waiting, limit: max_total });
    }
    let replay = Replay::available(replay_id, event_id);
    enqueue::replay(tx, &of, &replay, None, None).await?;
    workflows::adopt(tx, id, replay_id).await?;
    Ok(replayed(&mut tx.changes, &of, &replay))
}

/// Changes each of these jobs, and writes them back; gives the queues concerned.
pub(super) async fn each(
    tx: &mut Transaction<'_>,
    ids: &[Uuid],
    change: impl FnMut(&mut Changes, &mut JobRow),
) -> sqlx::Result<Vec<String>> {
    tx.load(ids.iter().copied()).await?;
    let queues = control::each(&mut tx.changes, ids, change);
    tx.flush().await?;
    Ok(queues)
}

async fn promote(tx: &mut Transaction<'_>, limit: u32) -> sqlx::Result<Outcome> {
    tx.flush().await?;
    let due: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM jobs WHERE state IN (1, 4) AND scheduled_at <= $1 ORDER BY scheduled_at LIMIT $2
         FOR UPDATE SKIP LOCKED",
    )
    .bind(tx.changes.now.as_micros())
    .bind(i64::from(limit))
    .fetch_all(&mut *tx.connection)
    .await?;
    let queues = each(tx, &due, make_available).await?;
    let next_at: Option<i64> = sqlx::query_scalar("SELECT min(scheduled_at) FROM jobs WHERE state IN (1, 4)")
        .fetch_one(&mut *tx.connection)
        .await?;
    Ok(moved(queues, due.len(), next_at.map(Timestamp::from_micros)))
}

async fn release_held(
    tx: &mut Transaction<'_>,
    job_types: &[String],
    queues: &[String],
    limit: u32,
) -> sqlx::Result<Outcome> {
    tx.flush().await?;
    let of_types =
        "SELECT id FROM jobs WHERE state = 0 AND workflow IS NULL AND deaths = 0 AND type = ANY($1) LIMIT $2
                    FOR UPDATE SKIP LOCKED";
    let of_queues =
        "SELECT id FROM jobs WHERE state = 0 AND workflow IS NULL AND deaths = 0 AND queue = ANY($1) LIMIT $2
                     FOR UPDATE SKIP LOCKED";
    let (mut concerned, mut count) = (BTreeSet::new(), 0);
    // Each by an index of its own.
    for (sql, names) in [(of_types, job_types), (of_queues, queues)] {
        if names.is_empty() {
            continue;
        }
        let held: Vec<Uuid> = sqlx::query_scalar(sql)
            .bind(names)
            .bind(i64::from(limit.saturating_sub(count)))
            .fetch_all(&mut *tx.connection)
            .await?;
        concerned.extend(each(tx, &held, release).await?);
        count += u32::try_from(held.len()).unwrap_or(u32::MAX);
    }
    Ok(moved(concerned.into_iter().collect(), count as usize, None))
}

async fn rescue(
    tx: &mut Transaction<'_>,
    session: Uuid,
    error: &AttemptError,
    limit: u32,
    idle_for: Option<Duration>,
    quarantine_after: u32,
) -> sqlx::Result<Outcome> {
    if !session::hold_idle(tx, session, idle_for).await? {
        return Ok(Outcome::NotFound);
    }
    tx.flush().await?;
    let lost: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM jobs WHERE state = 3 AND session = $1 ORDER BY id LIMIT $2 FOR UPDATE",
    )
    .bind(session)
    .bind(i64::from(limit))
    .fetch_all(&mut *tx.connection)
    .await?;
    let queues = each(tx, &lost, |changes, row| lose(changes, row, error, quarantine_after)).await?;
    if lost.len() < limit as usize {
        session::close(tx, session).await?;
    }
    Ok(moved(queues, lost.len(), None))
}

async fn put_queues(tx: &mut Transaction<'_>, queues: &[QueueSettings]) -> sqlx::Result<Outcome> {
    let mut queues: Vec<&QueueSettings> = queues.iter().collect();
    queues.sort_by(|one, other| one.name.cmp(&other.name));
    sqlx::query(
        "INSERT INTO queues (name, concurrency, max_backlog, updated_at)
         SELECT *, $4 FROM unnest($1::text[], $2::bigint[], $3::bigint[])
         ON CONFLICT (name) DO UPDATE SET concurrency = excluded.concurrency, max_backlog = excluded.max_backlog,
                                          updated_at = excluded.updated_at",
    )
    .bind(queues.iter().map(|queue| queue.name.as_str()).collect::<Vec<_>>())
    .bind(queues.iter().map(|queue| i64::from(queue.concurrency)).collect::<Vec<_>>())
    .bind(queues.iter().map(|queue| as_long(queue.max_backlog)).collect::<Vec<_>>())
    .bind(tx.changes.now.as_micros())
    .execute(&mut *tx.connection)
    .await?;
    Ok(Outcome::Done)
}

async fn limit_queue(tx: &mut Transaction<'_>, queue: &str, change: &QueueLimits) -> sqlx::Result<Outcome> {
    let row = sqlx::query(
        "SELECT max_running, max_running_per_key, rate, rate_per_key FROM queues WHERE name = $1 FOR UPDATE",
    )
    .bind(queue)
    .fetch_optional(&mut *tx.connection)
    .await?;
    let Some(row) = row else { return Ok(Outcome::NotFound) };
    let limits = columns::limits(&row)?.changed(change);
    sqlx::query(
        "UPDATE queues SET max_running = $2, max_running_per_key = $3, rate = $4, rate_per_key = $5, updated_at = $6
         WHERE name = $1",
    )
    .bind(queue)
    .bind(limits.max_running.map(i64::from))
    .bind(limits.max_running_per_key.map(i64::from))
    .bind(limits.rate.map(|rate| rate.to_string()))
    .bind(limits.rate_per_key.map(|rate| rate.to_string()))
    .bind(tx.changes.now.as_micros())
    .execute(&mut *tx.connection)
    .await?;
    Ok(Outcome::Done)
}

async fn put_job_types(tx: &mut Transaction<'_>, job_types: &[JobTypeRecord]) -> sqlx::Result<Outcome> {
    let mut job_types: Vec<&JobTypeRecord> = job_types.iter().collect();
    job_types.sort_by(|one, other| one.job_type.cmp(&other.job_type));
    macro_rules! column {
        (|$job_type:ident| $value:expr) => {
            job_types.iter().map(|$job_type| $value).collect::<Vec<_>>()
        };
    }
    sqlx::query(
        "INSERT INTO job_types (name, description, queue, payload_schema, result_schema, max_attempts, timeout,
                                updated_at)
         SELECT *, $8 FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                                  $7::bigint[])
         ON CONFLICT (name) DO UPDATE SET
            description = excluded.description, queue = excluded.queue, payload_schema = excluded.payload_schema,
            result_schema = excluded.result_schema, max_attempts = excluded.max_attempts, timeout = excluded.timeout,
            updated_at = excluded.updated_at",
    )
    .bind(column!(|job_type| job_type.job_type.as_str()))
    .bind(column!(|job_type| job_type.description.as_str()))
    .bind(column!(|job_type| job_type.queue.as_str()))
    .bind(column!(|job_type| job_type.payload_schema.as_str()))
    .bind(column!(|job_type| job_type.result_schema.as_str()))
    .bind(column!(|job_type| i64::from(job_type.max_attempts)))
    .bind(column!(|job_type| as_micros(job_type.timeout)))
    .bind(tx.changes.now.as_micros())
    .execute(&mut *tx.connection)
    .await?;
    Ok(Outcome::Done)
}

async fn put_setting(tx: &mut Transaction<'_>, key: &str, value: &str) -> sqlx::Result<Outcome> {
    sqlx::query(
        "INSERT INTO settings (key, value) VALUES ($1, $2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE settings.value <> excluded.value",
    )
    .bind(key)
    .bind(value)
    .execute(&mut *tx.connection)
    .await?;
    Ok(Outcome::Done)
}
