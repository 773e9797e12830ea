//! Leases: claiming jobs, and what becomes of the attempts.

use callboard_contracts::Timestamp;
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    columns::{as_integer, as_long, count, long, micros, time, wide},
    transaction::Transaction,
};
use crate::edges::store::{
    Operation, OperationResult, Outcome,
    record::ClaimedJob,
    transition::{
        EndedAttempt,
        attempt::{claimed as note, finish, leased_job, start},
        code::{outcome_code, trace_of},
    },
};

/// Leases available jobs for a session, first come first served. Jobs that another transaction holds are passed over.
/// The session is kept from ending meanwhile, so that no claim is left to a session that nobody rescues any more.
pub(super) async fn claim(
    tx: &mut Transaction<'_>,
    queue: &str,
    limit: u32,
    session: Uuid,
) -> sqlx::Result<Outcome> {
    tx.flush().await?;
    let limit = room(tx, queue, limit).await?;
    let rows = sqlx::query(
        "WITH session AS (
            SELECT FROM sessions WHERE id = $1 AND closed_at IS NULL FOR KEY SHARE
         ), chosen AS (
            SELECT id, priority AS rank, scheduled_at AS since, sequence AS place FROM jobs
            WHERE queue = $2 AND state = 2 AND EXISTS (SELECT FROM session)
                  AND NOT EXISTS (SELECT FROM queues WHERE name = $2 AND paused_at IS NOT NULL)
            ORDER BY priority DESC, scheduled_at, sequence LIMIT $3 FOR UPDATE SKIP LOCKED
         ), claimed AS (
            UPDATE jobs SET state = 3, attempt = attempt + 1, token = nextval('lease_token'), session = $1,
                            claimed_at = $4, updated_at = $4, started_at = NULL, claims = claims + 1
            FROM chosen WHERE jobs.id = chosen.id
            RETURNING jobs.id, type, attempt, max_attempts, timeout, correlation_id, created_at, claimed_at, claims, token,
                      rank, since, place
         )
         SELECT claimed.*, body.payload, body.metadata, body.trace_context
         FROM claimed JOIN job_bodies AS body ON body.id = claimed.id
         ORDER BY rank DESC, since, place",
    )
    .bind(session)
    .bind(queue)
    .bind(i64::from(limit))
    .bind(tx.changes.now.as_micros())
    .fetch_all(&mut *tx.connection)
    .await?;
    if rows.is_empty() && !is_open(tx.connection, session).await? {
        return Ok(Outcome::NotFound);
    }
    let mut jobs = Vec::with_capacity(rows.len());
    for row in &rows {
        let job = leased(row, queue)?;
        tx.changes.rows.remove(&job.id);
        note(&mut tx.changes, &job, row.try_get::<i32, _>("claims")? == 1);
        jobs.push(job);
    }
    Ok(Outcome::Claimed(jobs))
}

/// How many of these the queue's limit leaves room for. Claims of a queue with a limit take turns by the lock of its row, and
/// the statement after it sees what the one before has claimed: the limit is never passed, and as it is counted from the
/// jobs themselves, nothing that dies leaves a place taken.
async fn room(tx: &mut Transaction<'_>, queue: &str, limit: u32) -> sqlx::Result<u32> {
    let most: Option<i64> = sqlx::query_scalar(
        "SELECT max_running FROM queues WHERE name = $1 AND max_running IS NOT NULL FOR UPDATE",
    )
    .bind(queue)
    .fetch_optional(&mut *tx.connection)
    .await?;
    let Some(most) = most else { return Ok(limit) };
    let executing: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs WHERE state = 3 AND queue = $1")
        .bind(queue)
        .fetch_one(&mut *tx.connection)
        .await?;
    Ok(limit.min(u32::try_from((most - executing).max(0)).unwrap_or(u32::MAX)))
}

async fn is_open(connection: &mut PgConnection, session: Uuid) -> sqlx::Result<bool> {
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
        "SELECT leases.*, body.payload, body.metadata, body.trace_context
         FROM (SELECT id, type, attempt, max_attempts, timeout, correlation_id, created_at, claimed_at, token FROM jobs
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
        attempt: count(row, "attempt")?,
        max_attempts: wide(row, "max_attempts")?,
        timeout: micros(row, "timeout")?,
        token: long(row, "token")?,
        correlation_id: row.try_get("correlation_id")?,
        created_at: time(row, "created_at")?,
        claimed_at: time(row, "claimed_at")?,
        trace: trace_of(row.try_get("trace_context")?),
    })
}

/// A group of starts and ends.
pub(super) async fn run(tx: &mut Transaction<'_>, group: &[Operation]) -> sqlx::Result<Vec<OperationResult>> {
    tx.load(group.iter().filter_map(leased_job)).await?;
    let changes = &mut tx.changes;
    let results = group.iter().map(|operation| match operation {
        Operation::Start { lease, started_at } => Ok(start(changes, *lease, *started_at)),
        Operation::Finish { lease, started_at, end } => Ok(finish(changes, *lease, *started_at, end)),
        _ => Ok(Outcome::Done),
    });
    Ok(results.collect())
}

/// Writes ended attempts in one statement.
pub(super) async fn insert(
    connection: &mut PgConnection,
    attempts: &[EndedAttempt],
    node: &str,
) -> sqlx::Result<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    macro_rules! column {
        (|$attempt:ident| $value:expr) => {
            attempts.iter().map(|$attempt| $value).collect::<Vec<_>>()
        };
    }
    sqlx::query(
        "INSERT INTO attempts (job, number, token, outcome, claimed_at, started_at, finished_at, error, node)
         SELECT unnest($1::uuid[]), unnest($2::integer[]), unnest($3::bigint[]), unnest($4::smallint[]),
                unnest($5::bigint[]), unnest($6::bigint[]), unnest($7::bigint[]), unnest($8::text[]), $9
         ON CONFLICT (job, token) DO NOTHING",
    )
    .bind(column!(|attempt| attempt.job))
    .bind(column!(|attempt| as_integer(attempt.number)))
    .bind(column!(|attempt| as_long(attempt.token)))
    .bind(column!(|attempt| i16::try_from(outcome_code(attempt.outcome)).unwrap_or(i16::MAX)))
    .bind(column!(|attempt| attempt.claimed_at.as_micros()))
    .bind(column!(|attempt| attempt.started_at.map(Timestamp::as_micros)))
    .bind(column!(|attempt| attempt.finished_at.as_micros()))
    .bind(column!(|attempt| attempt.error.as_deref()))
    .bind(node)
    .execute(connection)
    .await?;
    Ok(())
}
