//! One transaction: jobs are locked and loaded, changed in memory and written back together, with their events and totals.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Shared, jobs, told};
use crate::edges::store::transition::{Changes, backlog};

/// Rows over which a count is spread.
pub(super) const SHARDS: usize = 16;

/// One transaction on a connection of its own.
pub(super) struct Transaction<'a> {
    pub(super) connection: &'a mut PgConnection,
    pub(super) shared: &'a Shared,
    pub(super) changes: Changes,
    shard: i64,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(connection: &'a mut PgConnection, shared: &'a Shared, shard: usize) -> Self {
        let changes = Changes::new(shared.clock.now());
        let shard = i64::try_from(shard % SHARDS).unwrap_or(0);
        Transaction { connection, shared, changes, shard }
    }

    /// Locks and loads these jobs, as far as they exist and are not loaded already.
    pub(super) async fn load(&mut self, ids: impl Iterator<Item = Uuid>) -> sqlx::Result<()> {
        let missing: BTreeSet<Uuid> = ids.filter(|id| !self.changes.rows.contains_key(id)).collect();
        if !missing.is_empty() {
            let rows = jobs::lock(self.connection, missing.into_iter().collect()).await?;
            self.changes.rows.extend(rows.into_iter().map(|row| (row.id, row)));
        }
        Ok(())
    }

    /// Jobs that wait, of each of these queues, as this transaction leaves them so far. What others add meanwhile is not
    /// seen: at their limit, transactions that run at once may pass it by what each of them adds.
    pub(super) async fn backlogs(&mut self, queues: Vec<&str>) -> sqlx::Result<BTreeMap<String, u64>> {
        let kept: Vec<(String, i16, i64)> = sqlx::query_as(
            "SELECT queue, state, sum(count)::bigint FROM totals
             WHERE queue = ANY($1) AND state IN (0, 1, 2, 4) GROUP BY queue, state",
        )
        .bind(&queues)
        .fetch_all(&mut *self.connection)
        .await?;
        let mut counts: BTreeMap<String, [i64; 8]> =
            queues.iter().map(|queue| ((*queue).to_owned(), [0; 8])).collect();
        for (queue, state, count) in kept {
            let place = usize::try_from(state).ok().and_then(|state| counts.get_mut(&queue)?.get_mut(state));
            if let Some(place) = place {
                *place = count;
            }
        }
        let waiting = counts.into_iter().map(|(queue, counts)| {
            let waiting = backlog(&counts) + self.changes.backlog_grown(&queue);
            (queue, u64::try_from(waiting).unwrap_or(0))
        });
        Ok(waiting.collect())
    }

    /// Writes changed jobs back, so that statements that look for jobs see them as they are.
    pub(super) async fn flush(&mut self) -> sqlx::Result<()> {
        let rows = &mut self.changes.rows;
        jobs::write_back(self.connection, rows.values().filter(|row| row.changed), self.changes.now).await?;
        // Nobody else changes them while they are locked. What was given a new token is read again when it is needed.
        rows.retain(|_, row| !row.needs_token);
        for row in rows.values_mut() {
            row.changed = false;
            row.result = None;
        }
        Ok(())
    }

    /// Writes all that is still in memory. Whether there are events that wait for their places.
    pub(super) async fn finish(mut self) -> sqlx::Result<bool> {
        self.flush().await?;
        told::write(self.connection, &self.shared.options, &self.changes, self.shard).await
    }
}
