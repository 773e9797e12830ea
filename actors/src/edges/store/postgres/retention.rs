//! Deleting what has outlived its retention, in bounded steps. Totals stay.

use std::time::Duration;

use callboard_contracts::JobState;
use uuid::Uuid;

use super::{columns::as_long, dead_jobs::DELETE_EDITS, reports, signals, transaction::Transaction};
use crate::edges::store::{Outcome, record::Retention};

/// Lines of logs that are deleted in one transaction for each job that may be: a job can have far more.
const LINES_A_ROW: u64 = 10;

pub(super) async fn prune(tx: &mut Transaction<'_>, retention: Retention) -> sqlx::Result<Outcome> {
    tx.flush().await?;
    tx.changes.rows.clear();
    let Retention { completed, cancelled, discarded, events, events_max, keys, inbox, inbox_max, batch } =
        retention;
    let kept = [
        (JobState::Completed, completed),
        (JobState::Cancelled, cancelled),
        (JobState::Discarded, discarded),
    ];
    let (mut jobs, mut lines_left) = (0, false);
    for (state, age) in kept {
        let left = u64::from(batch).saturating_sub(jobs);
        match delete_jobs(tx, state, age, left).await? {
            Some(deleted) => jobs += deleted,
            None => lines_left = true,
        }
    }
    let deleted = delete_events(tx, events, events_max, batch).await?;
    let keys = delete_keys(tx, keys, batch).await?;
    let counts = delete_counts(tx, batch).await?;
    let inbox = delete_inbox(tx, inbox, inbox_max, batch).await?;
    // Batches of events are deleted whole, so fewer than allowed can be all that went into this step.
    let more = lines_left
        || [jobs, keys, counts, inbox].into_iter().any(|count| count >= u64::from(batch))
        || (deleted > 0 && is_first_old(tx, events, events_max).await?);
    Ok(Outcome::Pruned { jobs, events: deleted, more })
}

/// How many were deleted; `None`: they stay until the rest of what their runs have said is deleted.
async fn delete_jobs(
    tx: &mut Transaction<'_>,
    state: JobState,
    age: Duration,
    limit: u64,
) -> sqlx::Result<Option<u64>> {
    let found: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM jobs WHERE state IN (5, 6, 7) AND workflow IS NULL AND state = $1 AND finished_at < $2
         ORDER BY finished_at LIMIT $3 FOR UPDATE SKIP LOCKED",
    )
    .bind(state as i16)
    .bind(tx.changes.now.saturating_sub(age).as_micros())
    .bind(as_long(limit))
    .fetch_all(&mut *tx.connection)
    .await?;
    if found.is_empty() {
        return Ok(Some(0));
    }
    if !reports::delete(tx.connection, &found, limit.saturating_mul(LINES_A_ROW)).await? {
        return Ok(None);
    }
    for delete in [
        "DELETE FROM attempts WHERE job = ANY($1)",
        "DELETE FROM unique_jobs WHERE job = ANY($1)",
        "DELETE FROM job_tags USING job_bodies AS body, json_array_elements_text(body.tags::json) AS gone
         WHERE body.id = ANY($1) AND body.tags IS NOT NULL
            AND job_tags.tag = gone AND job_tags.sequence = body.sequence",
        "DELETE FROM job_bodies WHERE id = ANY($1)",
        "DELETE FROM jobs WHERE id = ANY($1)",
        signals::DELETE,
    ]
    .into_iter()
    .chain(DELETE_EDITS)
    {
        sqlx::query(delete).bind(&found).execute(&mut *tx.connection).await?;
    }
    Ok(Some(found.len() as u64))
}

/// Deletes a prefix of the log, batch by batch: what is too old, or too much. Of a batch of which only a part is too much,
/// all stays.
async fn delete_events(tx: &mut Transaction<'_>, age: Duration, max: u64, limit: u32) -> sqlx::Result<u64> {
    let before = tx.changes.now.saturating_sub(age).as_micros();
    let deleted: Option<i64> = sqlx::query_scalar(
        "WITH old AS (
            SELECT batch, first_position, size, occurred_at, sum(size) OVER (ORDER BY first_position) AS upto
            FROM (SELECT batch, first_position, size, occurred_at FROM event_batches
                  WHERE first_position IS NOT NULL ORDER BY first_position LIMIT $3) AS first
         ), bound AS (
            SELECT max(first_position) AS last FROM old
            WHERE (occurred_at < $1 OR first_position + size - 1 <= (SELECT position FROM log) - $2)
              AND (upto <= $3 OR upto = size)
         ), gone AS (
            DELETE FROM event_batches USING bound
            WHERE first_position <= bound.last RETURNING event_batches.batch
         ), deleted AS (
            DELETE FROM events USING gone WHERE events.batch = gone.batch RETURNING 1
         )
         SELECT count(*) FROM deleted",
    )
    .bind(before)
    .bind(as_long(max))
    .bind(i64::from(limit))
    .fetch_one(&mut *tx.connection)
    .await?;
    Ok(u64::try_from(deleted.unwrap_or(0)).unwrap_or(0))
}

/// Deletes the first of the events that were dealt with: what is too old, or too much.
async fn delete_inbox(tx: &mut Transaction<'_>, age: Duration, max: u64, limit: u32) -> sqlx::Result<u64> {
    let deleted = sqlx::query(
        "WITH first AS (SELECT number, received_at FROM inbox ORDER BY number LIMIT $3)
         DELETE FROM inbox USING first WHERE inbox.number = first.number
            AND first.number <= greatest((SELECT max(number) FROM first WHERE received_at < $1),
                                         (SELECT max(number) FROM inbox) - $2)",
    )
    .bind(tx.changes.now.saturating_sub(age).as_micros())
    .bind(as_long(max))
    .bind(i64::from(limit))
    .execute(&mut *tx.connection)
    .await?;
    Ok(deleted.rows_affected())
}

async fn delete_keys(tx: &mut Transaction<'_>, age: Duration, limit: u32) -> sqlx::Result<u64> {
    let deleted = sqlx::query(
        "DELETE FROM idempotency_keys WHERE (scope, key) IN
            (SELECT scope, key FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
    )
    .bind(tx.changes.now.saturating_sub(age).as_micros())
    .bind(i64::from(limit))
    .execute(&mut *tx.connection)
    .await?;
    Ok(deleted.rows_affected())
}

/// What was counted for rates and no rate looks at any more. What a claim counts in just now is passed over.
async fn delete_counts(tx: &mut Transaction<'_>, limit: u32) -> sqlx::Result<u64> {
    let deleted = sqlx::query(
        "DELETE FROM claim_counts WHERE (queue, partition_key, slice) IN
            (SELECT queue, partition_key, slice FROM claim_counts WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
             FOR UPDATE SKIP LOCKED)",
    )
    .bind(tx.changes.now.as_micros())
    .bind(i64::from(limit))
    .execute(&mut *tx.connection)
    .await?;
    Ok(deleted.rows_affected())
}

/// Whether the log begins with a batch that is to be deleted.
async fn is_first_old(tx: &mut Transaction<'_>, age: Duration, max: u64) -> sqlx::Result<bool> {
    let old: Option<bool> = sqlx::query_scalar(
        "SELECT occurred_at < $1 OR first_position + size - 1 <= (SELECT position FROM log) - $2
         FROM event_batches WHERE first_position IS NOT NULL ORDER BY first_position LIMIT 1",
    )
    .bind(tx.changes.now.saturating_sub(age).as_micros())
    .bind(as_long(max))
    .fetch_optional(&mut *tx.connection)
    .await?;
    Ok(old.unwrap_or(false))
}
