//! Leases: claiming jobs, and what becomes of the attempts.

use std::collections::BTreeSet;

use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    columns::{as_long, count, long, micros, time, wide},
    completed,
    fleet::{lacks_labels, reads_enough},
    transaction::Transaction,
};
use crate::edges::store::{
    Operation, OperationResult, Outcome,
    record::ClaimedJob,
    transition::{
        attempt::{claimed as note, finish, leased_job, start},
        code::trace_of,
    },
};

/// Of which queues [`first_come`] gives jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// Of any.
    AnyQueue,
    /// Of those without a limit over all nodes and without available jobs that have a key.
    QueuesWithoutRules,
}

/// Leases the first jobs of a queue. What may hold back the whole queue is found out once a statement, in rows that each have an
/// index or are few; jobs are read as far as they are given.
pub(super) const FIRST_COME: &str = concat!(
        "WITH session AS (
            SELECT FROM sessions WHERE id = $1 AND closed_at IS NULL AND ",
        reads_enough!(),
        " FOR KEY SHARE
         ), chosen AS (
            SELECT ctid AS place_of_row, priority AS rank, scheduled_at AS since, sequence AS place FROM jobs
            WHERE queue = $2 AND state = 2 AND parked IS NULL AND partition_key IS NULL AND EXISTS (SELECT FROM session)
                  AND (needs IS NULL OR NOT string_to_array(needs, ',') && ARRAY(
                        SELECT name FROM edges WHERE tripped_at IS NOT NULL AND (until IS NULL OR until > $4)))
                  AND NOT EXISTS (SELECT FROM queues WHERE name = $2 AND (
                        paused_at IS NOT NULL OR $5 AND (max_running IS NOT NULL OR rate IS NOT NULL) OR ",
        lacks_labels!("$1"),
        "))
                  AND NOT ($5 AND EXISTS (
                        SELECT FROM jobs WHERE queue = $2 AND state = 2 AND parked IS NULL AND partition_key IS NOT NULL))
            ORDER BY priority DESC, scheduled_at, sequence LIMIT $3 FOR UPDATE SKIP LOCKED
         ), claimed AS (
            UPDATE jobs SET state = 3, attempt = attempt + 1, token = nextval('lease_token'), session = $1,
                            claimed_at = $4, updated_at = $4, started_at = NULL, claims = claims + 1
            FROM chosen WHERE jobs.ctid = chosen.place_of_row
            RETURNING jobs.id, type, attempt, max_attempts, timeout, correlation_id, created_at, claimed_at, claims, token,
                      partition_key, rank, since, place
         )
         SELECT claimed.*, body.payload, body.metadata, body.document, body.trace_context
         FROM claimed JOIN job_bodies AS body ON body.id = claimed.id
         ORDER BY rank DESC, since, place"
    );

/// Leases available jobs without a key, first come first served; none if the session is not open. Jobs that another
/// transaction holds are passed over.
pub(super) async fn first_come(
    tx: &mut Transaction<'_>,
    queue: &str,
    limit: u32,
    session: Uuid,
    of: Of,
) -> sqlx::Result<Vec<ClaimedJob>> {
    let rows = sqlx::query(FIRST_COME)
        .bind(session)
        .bind(queue)
        .bind(i64::from(limit))
        .bind(tx.changes.now.as_micros())
        .bind(of == Of::QueuesWithoutRules)
        .fetch_all(&mut *tx.connection)
        .await?;
    note_all(tx, &rows, queue)
}

/// What a claim has given, as it is told.
pub(super) fn note_all(
    tx: &mut Transaction<'_>,
    rows: &[PgRow],
    queue: &str,
) -> sqlx::Result<Vec<ClaimedJob>> {
    let mut jobs = Vec::with_capacity(rows.len());
    for row in rows {
        let job = leased(row, queue)?;
        tx.changes.rows.remove(&job.id);
        note(&mut tx.changes, &job, row.try_get::<i32, _>("claims")? == 1);
        jobs.push(job);
    }
    Ok(jobs)
}

pub(super) async fn is_open(connection: &mut PgConnection, session: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM sessions WHERE id = $1 AND closed_at IS NULL)")
        .bind(session)
        .fetch_one(connection)
        .await
}

/// The leases of a session that it does not know of, as they were claimed.
pub(super) async fn reclaim(
    tx: &mut Transaction<'_>,
    queue: &str,
    limit: u32,
    session: Uuid,
    known: &[u64],
) -> sqlx::Result<Outcome> {
    if !is_open(tx.connection, session).await? {
        return Ok(Outcome::NotFound);
    }
    tx.flush().await?;
    let known: Vec<i64> = known.iter().copied().map(as_long).collect();
    let rows = sqlx::query(
        "SELECT leases.*, body.payload, body.metadata, body.document, body.trace_context
         FROM (SELECT id, type, attempt, max_attempts, timeout, correlation_id, created_at, claimed_at, token,
                      partition_key FROM jobs
               WHERE state = 3 AND session = $1 AND queue = $2 AND token <> ALL($3) ORDER BY token LIMIT $4) AS leases
         JOIN job_bodies AS body ON body.id = leases.id ORDER BY token",
    )
    .bind(session)
    .bind(queue)
    .bind(known)
    .bind(i64::from(limit))
    .fetch_all(&mut *tx.connection)
    .await?;
    Ok(Outcome::Claimed(rows.iter().map(|row| leased(row, queue)).collect::<sqlx::Result<_>>()?))
}

fn leased(row: &PgRow, queue: &str) -> sqlx::Result<ClaimedJob> {
    Ok(ClaimedJob {
        id: row.try_get("id")?,
        job_type: row.try_get("type")?,
        queue: queue.to_owned(),
        payload: row.try_get("payload")?,
        metadata: row.try_get("metadata")?,
        document: row.try_get("document")?,
        attempt: count(row, "attempt")?,
        max_attempts: wide(row, "max_attempts")?,
        timeout: micros(row, "timeout")?,
        token: long(row, "token")?,
        correlation_id: row.try_get("correlation_id")?,
        created_at: time(row, "created_at")?,
        claimed_at: time(row, "claimed_at")?,
        trace: trace_of(row.try_get("trace_context")?),
        partition_key: row.try_get("partition_key")?,
    })
}

/// A group of starts and ends.
///
/// `only_completed`: jobs of which the batch says nothing else.
pub(super) async fn run(
    tx: &mut Transaction<'_>,
    group: &[Operation],
    only_completed: &BTreeSet<Uuid>,
) -> sqlx::Result<Vec<OperationResult>> {
    let mut written = completed::write(tx, group, only_completed).await?;
    tx.load(group.iter().filter_map(leased_job).filter(|id| !written.contains_key(id))).await?;
    let changes = &mut tx.changes;
    let results = group.iter().map(|operation| match operation {
        Operation::Finish { lease, .. } if written.contains_key(&lease.id) => {
            Ok(written.remove(&lease.id).unwrap_or(Outcome::Stale))
        }
        Operation::Start { lease, started_at } => Ok(start(changes, *lease, *started_at)),
        Operation::Finish { lease, started_at, end } => Ok(finish(changes, *lease, *started_at, end)),
        _ => Ok(Outcome::Done),
    });
    Ok(results.collect())
}
