//! One transaction: jobs are locked and loaded, changed in memory and written back together, with their events and totals.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Shared, attempts, jobs, log};
use crate::edges::store::transition::{Changes, backlog};

/// Rows over which a count is spread.
pub(super) const SHARDS: usize = 16;

/// One transaction on a connection of its own.
pub(super) struct Transaction<'a> {
    pub(super) connection: &'a mut PgConnection,
    pub(super) shared: &'a Shared,
    pub(super) changes: Changes,
    shard: i16,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(connection: &'a mut PgConnection, shared: &'a Shared, shard: usize) -> Self {
        let changes = Changes::new(shared.clock.now());
        let shard = i16::try_from(shard % SHARDS).unwrap_or(0);
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
        attempts::insert(self.connection, &self.changes.attempts, &self.shared.options.node).await?;
        // All rows are locked by now, which the order of the log rests on.
        log::insert(self.connection, &self.shared.options, self.changes.now, &self.changes.events).await?;
        self.write_totals().await?;
        Ok(!self.changes.events.is_empty())
    }

    /// Last, and in the order of their keys: no transaction that holds a count waits for another row.
    async fn write_totals(&mut self) -> sqlx::Result<()> {
        let (mut queues, mut states, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for (queue, grown) in &self.changes.totals {
            for (state, count) in (0_i16..).zip(grown).filter(|(_, count)| **count != 0) {
                queues.push(queue.as_str());
                states.push(state);
                counts.push(*count);
            }
        }
        if queues.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO totals (queue, state, shard, count, last_at)
             SELECT queue, state, $4, count, $5 FROM unnest($1::text[], $2::smallint[], $3::bigint[])
                AS new (queue, state, count)
             ON CONFLICT (queue, state, shard)
             DO UPDATE SET count = totals.count + excluded.count, last_at = greatest(totals.last_at, excluded.last_at)",
        )
        .bind(&queues)
        .bind(&states)
        .bind(&counts)
        .bind(self.shard)
        .bind(self.changes.now.as_micros())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}
