//! Storing a job within a transaction that belongs to somebody else.

use callboard_contracts::{JobState, Timestamp};
use sqlx::{Executor, PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{PostgresOptions, backlog, enqueue, error, jobs, told, unique, wake};
use crate::edges::store::{
    Outcome, StoreError,
    record::NewJob,
    transition::{
        Changes,
        enqueue::enqueue as decide,
        unique::{Holders, as_loaded, keys, replaceable},
    },
};

/// How often it is tried while others store a job of the same id.
const TRIES: u32 = 3;

/// Stores a job within the caller's transaction: it is there, and may run, when and only when that one commits.
///
/// `transaction` must have begun one, on the database of `options`, whose schema a [`PostgresStore`] has made. The job's
/// event, its count and the notification of other nodes are part of the transaction. Nobody else waits for it, except
/// who stores a job of the same id or, if it is to be the only one of its kind, of the same kind: keep such a transaction short. Nothing of the connection's own settings is changed.
///
/// A job that is refused, or that is there already, leaves the transaction as it was; so does an error, unless the
/// connection is lost.
///
/// # Errors
/// [`StoreError::Failed`] when there is no transaction or no such schema, and what the database says.
///
/// [`PostgresStore`]: super::PostgresStore
pub async fn enqueue_in(
    transaction: &mut PgConnection,
    options: &PostgresOptions,
    job: &NewJob,
) -> Result<Outcome, StoreError> {
    let mut left = TRIES;
    loop {
        left -= 1;
        transaction.execute("SAVEPOINT callboard_enqueue").await.map_err(error::translate)?;
        let stored = store(transaction, options, job).await;
        // The settings of the search are those of before, too; and who has a place of its kind is not held up by who found it taken.
        let kept = match stored {
            Ok((_, true)) => transaction.execute("RELEASE SAVEPOINT callboard_enqueue").await,
            _ => {
                let back = "ROLLBACK TO SAVEPOINT callboard_enqueue; RELEASE SAVEPOINT callboard_enqueue";
                transaction.execute(sqlx::raw_sql(back)).await
            }
        };
        match stored {
            Err(error) if error::is_transient(&error) && kept.is_ok() && left > 0 => {}
            Err(error) => return Err(error::translate(error)),
            Ok((outcome, _)) => return kept.map(|_| outcome).map_err(error::translate),
        }
    }
}

/// What became of the job, and whether it is stored.
async fn store(
    connection: &mut PgConnection,
    options: &PostgresOptions,
    job: &NewJob,
) -> sqlx::Result<(Outcome, bool)> {
    let (search_path, now) = enter(connection, options).await?;
    let mut changes = Changes::new(now);
    let kinds = keys(&[job]);
    let mut holders = Holders::new();
    if !kinds.is_empty() {
        unique::lock(connection, &kinds).await?;
        holders = unique::holders(connection, &kinds).await?;
        let rows = jobs::lock(connection, replaceable(&[job], &holders)).await?;
        changes.rows.extend(rows.into_iter().map(|row| (row.id, row)));
        as_loaded(&mut holders, &changes);
    }
    // Whoever stored the same job meanwhile had its place, too.
    let known = enqueue::find(connection, &[job]).await?;
    let waiting: i64 = sqlx::query_scalar(
        "SELECT coalesce(sum(count), 0)::bigint FROM totals WHERE queue = $1 AND state IN (0, 1, 2, 4)",
    )
    .bind(&job.queue)
    .fetch_one(&mut *connection)
    .await?;
    let waiting = u64::try_from(waiting).unwrap_or(0);
    let total = if job.max_total == u64::MAX { 0 } else { backlog::count(connection).await? };
    let decided = decide(&mut changes, &[job], known, &holders, |_, _| waiting, total);
    if let Some((_, state)) = decided.accepted.first() {
        enqueue::insert(connection, &decided.accepted, now, enqueue::IfKnown::Fail, None).await?;
        jobs::write_back(connection, changes.rows.values().filter(|row| row.changed), now).await?;
        unique::take(connection, &decided.accepted, now).await?;
        told::write(connection, options, &changes, own_shard()).await?;
        if *state == JobState::Available {
            wake::notify_of_job(connection, &options.schema, &job.queue).await?;
        }
    }
    let stored = !decided.accepted.is_empty();
    sqlx::query("SELECT set_config('search_path', $1, true)").bind(search_path).execute(connection).await?;
    // There is one for each job.
    Ok((decided.outcomes.into_iter().next().unwrap_or(Outcome::Done), stored))
}

/// Makes our tables those that are found by their names; gives what was searched before, and the time.
async fn enter(
    connection: &mut PgConnection,
    options: &PostgresOptions,
) -> sqlx::Result<(String, Timestamp)> {
    let row: PgRow = sqlx::query(
        "SELECT current_setting('search_path') AS before, set_config('search_path', quote_ident($1), true),
                (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now",
    )
    .bind(&options.schema)
    .fetch_one(connection)
    .await?;
    let now = row.try_get("now").map(Timestamp::from_micros)?;
    Ok((row.try_get("before")?, options.clock.manual().unwrap_or(now)))
}

/// Counts of a transaction that is not ours are in a row of its own, so that nobody waits until it ends.
fn own_shard() -> i64 {
    let (high, _) = Uuid::new_v4().as_u64_pair();
    // Below zero, and not that of another one that is open.
    -1 - i64::try_from(high >> 1).unwrap_or(i64::MAX - 1)
}

/// Adds the counts of transactions that were not ours, and have committed, to those of ours.
pub(super) async fn gather_counts(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query(
        "WITH gone AS (
            DELETE FROM totals WHERE shard < 0 RETURNING queue, state, count, last_at
         )
         INSERT INTO totals (queue, state, shard, count, last_at)
         SELECT queue, state, 0, sum(count), max(last_at) FROM gone GROUP BY queue, state ORDER BY queue, state
         ON CONFLICT (queue, state, shard)
         DO UPDATE SET count = totals.count + excluded.count, last_at = greatest(totals.last_at, excluded.last_at)",
    )
    .execute(connection)
    .await?;
    Ok(())
}
