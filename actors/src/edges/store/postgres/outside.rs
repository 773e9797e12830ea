//! Attempts that are with workers outside.

use std::collections::BTreeMap;

use callboard_contracts::{Timestamp, api::AttemptError};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{
    columns::{as_long, long},
    inbox,
    transaction::Transaction,
};
use crate::edges::store::{
    Operation, OperationResult, Outcome,
    outside::RetryPlan,
    record::Lease,
    transition::{
        attempt::leased_job,
        inbox::{HeardAll, hear_all},
        outside::{hand_over, lapse},
    },
};

/// A group of attempts that were sent to workers outside.
pub(super) async fn give(
    tx: &mut Transaction<'_>,
    group: &[Operation],
) -> sqlx::Result<Vec<OperationResult>> {
    tx.load(group.iter().filter_map(leased_job)).await?;
    let (mut results, mut given) = (Vec::with_capacity(group.len()), BTreeMap::new());
    for operation in group {
        let Operation::HandOver { lease, visible_for } = operation else {
            results.push(Ok(Outcome::Done));
            continue;
        };
        let outcome = hand_over(&mut tx.changes, *lease);
        if outcome == Outcome::HandedOver {
            given.insert(lease.id, (lease.token, tx.changes.now.saturating_add(*visible_for)));
        }
        results.push(Ok(outcome));
    }
    keep_alive(tx.connection, &given).await?;
    Ok(results)
}

/// A group of words of workers outside.
pub(super) async fn hear(
    tx: &mut Transaction<'_>,
    group: &[Operation],
) -> sqlx::Result<Vec<OperationResult>> {
    let seen = inbox::seen(tx.connection, group).await?;
    tx.load(group.iter().filter_map(leased_job)).await?;
    let HeardAll { results, notes, alive, ended } = hear_all(&mut tx.changes, group, seen);
    inbox::keep(tx.connection, notes, tx.changes.now).await?;
    keep_alive(tx.connection, &alive).await?;
    forget(tx.connection, &ended).await?;
    Ok(results)
}

/// When these attempts lapse from now on, by job, each with its token. The rows of the jobs are locked.
async fn keep_alive(
    connection: &mut PgConnection,
    attempts: &BTreeMap<Uuid, (u64, Timestamp)>,
) -> sqlx::Result<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO outside_attempts (job, token, lapses_at)
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[])
         ON CONFLICT (job) DO UPDATE SET token = excluded.token, lapses_at = excluded.lapses_at",
    )
    .bind(attempts.keys().copied().collect::<Vec<_>>())
    .bind(attempts.values().map(|(token, _)| as_long(*token)).collect::<Vec<_>>())
    .bind(attempts.values().map(|(_, lapses_at)| lapses_at.as_micros()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn forget(connection: &mut PgConnection, jobs: &[Uuid]) -> sqlx::Result<()> {
    if !jobs.is_empty() {
        let delete = sqlx::query("DELETE FROM outside_attempts WHERE job = ANY($1)").bind(jobs);
        delete.execute(connection).await?;
    }
    Ok(())
}

/// Ends the attempts of which nothing was heard for too long.
pub(super) async fn end_lapsed(
    tx: &mut Transaction<'_>,
    error: &AttemptError,
    plan: &RetryPlan,
    limit: u32,
) -> sqlx::Result<Outcome> {
    let now = tx.changes.now.as_micros();
    let due: Vec<Uuid> = sqlx::query_scalar(
        "SELECT job FROM outside_attempts WHERE lapses_at <= $1 ORDER BY lapses_at LIMIT $2",
    )
    .bind(now)
    .bind(i64::from(limit))
    .fetch_all(&mut *tx.connection)
    .await?;
    tx.load(due.iter().copied()).await?;
    // While their locks were waited for, something may have been heard of them.
    let rows = sqlx::query("SELECT job, token FROM outside_attempts WHERE job = ANY($1) AND lapses_at <= $2")
        .bind(&due)
        .bind(now)
        .fetch_all(&mut *tx.connection)
        .await?;
    let (mut jobs, mut ended, mut first) = (Vec::with_capacity(rows.len()), BTreeMap::new(), None);
    for row in &rows {
        let lease = Lease { id: row.try_get("job")?, token: long(row, "token")? };
        jobs.push(lease.id);
        if let Some((queue, retry_at)) = lapse(&mut tx.changes, lease, error, plan) {
            *ended.entry(queue).or_default() += 1;
            first = [first, retry_at].into_iter().flatten().min();
        }
    }
    forget(tx.connection, &jobs).await?;
    let next_at: Option<i64> = sqlx::query_scalar("SELECT min(lapses_at) FROM outside_attempts")
        .fetch_one(&mut *tx.connection)
        .await?;
    Ok(Outcome::Lapsed { ended, retry_at: first, next_at: next_at.map(Timestamp::from_micros) })
}
