//! How many jobs of all queues together wait.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::PgConnection;

use super::transaction::Transaction;

/// With room for so many more, what was counted lately is good enough: nobody stores as many within [`LATELY`].
const ROOM: u64 = 1_000_000;
const LATELY: Duration = Duration::from_secs(1);

/// What this process counted last, and when.
#[derive(Debug, Default)]
pub(super) struct Counted(Mutex<Option<(Instant, u64)>>);

impl Counted {
    /// What was counted lately, if that leaves much room below `limit`.
    fn far_below(&self, limit: u64) -> Option<u64> {
        let (at, waiting) = (*self.0.lock())?;
        (at.elapsed() < LATELY && limit.saturating_sub(waiting) > ROOM).then_some(waiting)
    }
}

/// Jobs of all queues together that wait, as this transaction leaves them so far; with much room below `limit`, as they were
/// a moment ago. What others add meanwhile is not seen: at the limit, transactions that run at once may pass it by what each
/// of them adds.
pub(super) async fn total(tx: &mut Transaction<'_>, limit: u64) -> sqlx::Result<u64> {
    if limit == u64::MAX {
        return Ok(0);
    }
    let counted = &tx.shared.counted;
    if let Some(waiting) = counted.far_below(limit) {
        return Ok(waiting);
    }
    let waiting = count(tx.connection).await?;
    *counted.0.lock() = Some((Instant::now(), waiting));
    Ok(waiting.saturating_add_signed(tx.changes.total_grown()))
}

/// Jobs of all queues together that wait, from the totals that are kept.
pub(super) async fn count(connection: &mut PgConnection) -> sqlx::Result<u64> {
    let waiting: i64 =
        sqlx::query_scalar("SELECT coalesce(sum(count), 0)::bigint FROM totals WHERE state IN (0, 1, 2, 4)")
            .fetch_one(connection)
            .await?;
    Ok(u64::try_from(waiting).unwrap_or(0))
}
