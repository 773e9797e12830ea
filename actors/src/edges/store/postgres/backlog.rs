//! How many jobs wait, in a queue and in all of them together, for the limits that new jobs must keep to.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use sqlx::PgConnection;

use super::transaction::Transaction;
use crate::edges::store::record::NewJob;

/// What was counted lately is good enough with so much room below the limit that nobody fills it meanwhile.
struct Enough {
    room: u64,
    lately: Duration,
}

const IN_ALL: Enough = Enough { room: 1_000_000, lately: Duration::from_secs(1) };
const IN_A_QUEUE: Enough = Enough { room: 100_000, lately: Duration::from_millis(250) };
/// Queues whose count is remembered.
const MOST_QUEUES: usize = 1000;

/// A count, and when it was made.
#[derive(Clone, Copy, Debug)]
struct Count {
    at: Instant,
    waiting: u64,
}

impl Count {
    fn now(waiting: u64) -> Self {
        Count { at: Instant::now(), waiting }
    }

    /// The count, if it is new and leaves much room below `limit`.
    fn far_below(self, limit: u64, enough: &Enough) -> Option<u64> {
        let good = self.at.elapsed() < enough.lately && limit.saturating_sub(self.waiting) > enough.room;
        good.then_some(self.waiting)
    }
}

/// What this process counted last.
#[derive(Debug, Default)]
pub(super) struct Counted {
    in_all: Mutex<Option<Count>>,
    in_queues: Mutex<HashMap<String, Count>>,
}

/// Jobs that wait in each of the queues that these jobs go to and that have a limit, as this transaction leaves them so far; with
/// much room below the limit, as they were a moment ago.
pub(super) async fn of_queues(
    tx: &mut Transaction<'_>,
    jobs: &[&NewJob],
) -> sqlx::Result<BTreeMap<String, u64>> {
    let mut limits: BTreeMap<&str, u64> = BTreeMap::new();
    for job in jobs.iter().filter(|job| job.max_backlog < u64::MAX) {
        let limit = limits.entry(&job.queue).or_insert(job.max_backlog);
        *limit = job.max_backlog.min(*limit);
    }
    let mut known = BTreeMap::new();
    {
        let counted = tx.shared.counted.in_queues.lock();
        limits.retain(|queue, limit| {
            let count = counted.get(*queue).and_then(|count| count.far_below(*limit, &IN_A_QUEUE));
            known.extend(count.map(|waiting| ((*queue).to_owned(), waiting)));
            count.is_none()
        });
    }
    if !limits.is_empty() {
        let counts = tx.backlogs(limits.into_keys().collect()).await?;
        let mut counted = tx.shared.counted.in_queues.lock();
        if counted.len() + counts.len() > MOST_QUEUES {
            counted.clear();
        }
        counted.extend(counts.iter().map(|(queue, waiting)| (queue.clone(), Count::now(*waiting))));
        drop(counted);
        known.extend(counts);
    }
    Ok(known)
}

/// Jobs of all queues together that wait, as this transaction leaves them so far; with much room below `limit`, as they were
/// a moment ago. What others add meanwhile is not seen: at the limit, transactions that run at once may pass it by what each
/// of them adds.
pub(super) async fn total(tx: &mut Transaction<'_>, limit: u64) -> sqlx::Result<u64> {
    if limit == u64::MAX {
        return Ok(0);
    }
    let counted = &tx.shared.counted.in_all;
    let lately = *counted.lock();
    if let Some(waiting) = lately.and_then(|count| count.far_below(limit, &IN_ALL)) {
        return Ok(waiting);
    }
    let waiting = count(tx.connection).await?;
    *counted.lock() = Some(Count::now(waiting));
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
