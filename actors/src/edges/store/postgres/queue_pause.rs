//! Pausing queues, and letting them go on.

use super::{fleet, transaction::Transaction};
use crate::edges::store::{
    Outcome,
    queue_pause::{QueueOperation, QueueOutcome, Trip, text},
};

pub(super) async fn run(tx: &mut Transaction<'_>, operation: &QueueOperation) -> sqlx::Result<Outcome> {
    let now = tx.changes.now.as_micros();
    let changed = match operation {
        QueueOperation::Pause { queue, pause } => {
            sqlx::query(
                "UPDATE queues SET pause = CASE WHEN paused_at IS NULL THEN $3 ELSE pause END,
                                   paused_at = coalesce(paused_at, $2), updated_at = $2
                 WHERE name = $1",
            )
            .bind(queue)
            .bind(now)
            .bind(text(pause, tx.changes.now))
            .execute(&mut *tx.connection)
            .await?
        }
        QueueOperation::Resume { queue } => {
            sqlx::query(
                "UPDATE queues SET paused_at = NULL, pause = NULL, resumes = resumes + 1, updated_at = $2 WHERE name = $1",
            )
            .bind(queue)
            .bind(now)
            .execute(&mut *tx.connection)
            .await?
        }
        QueueOperation::Trip(trip) => return pause_tripped(tx, trip).await,
    };
    Ok(if changed.rows_affected() == 0 { Outcome::NotFound } else { Outcome::Done })
}

/// The row's lock makes it one decision, whatever other nodes and people want at the same time.
async fn pause_tripped(tx: &mut Transaction<'_>, trip: &Trip) -> sqlx::Result<Outcome> {
    let found: Option<(bool, i64)> =
        sqlx::query_as("SELECT paused_at IS NOT NULL, resumes FROM queues WHERE name = $1 FOR UPDATE")
            .bind(&trip.queue)
            .fetch_optional(&mut *tx.connection)
            .await?;
    let Some((paused, resumes)) = found else { return Ok(Outcome::NotFound) };
    let outcome = QueueOutcome::of(trip, paused, u64::try_from(resumes).unwrap_or(0));
    if outcome == QueueOutcome::Tripped {
        sqlx::query("UPDATE queues SET paused_at = $2, pause = $3, updated_at = $2 WHERE name = $1")
            .bind(&trip.queue)
            .bind(tx.changes.now.as_micros())
            .bind(text(&trip.pause, tx.changes.now))
            .execute(&mut *tx.connection)
            .await?;
        fleet::audit(tx, &trip.entry, "done").await?;
    }
    Ok(Outcome::Queue(outcome))
}
