//! Pausing queues, and letting them go on.

use rusqlite::{OptionalExtension, params};

use super::{fleet, transaction::Transaction};
use crate::edges::store::{
    Outcome,
    queue_pause::{QueueOperation, QueueOutcome, Trip, text},
};

pub(super) fn run(tx: &Transaction<'_>, operation: &QueueOperation) -> rusqlite::Result<Outcome> {
    let now = tx.changes.now.as_micros();
    let changed = match operation {
        QueueOperation::Pause { queue, pause } => {
            let sql = "UPDATE queues SET pause = CASE WHEN paused_at IS NULL THEN ?3 ELSE pause END,
                                         paused_at = coalesce(paused_at, ?2), updated_at = ?2
                       WHERE name = ?1";
            tx.connection.prepare_cached(sql)?.execute(params![queue, now, text(pause, tx.changes.now)])?
        }
        QueueOperation::Resume { queue } => {
            let sql = "UPDATE queues SET paused_at = NULL, pause = NULL, resumes = resumes + 1, updated_at = ?2 WHERE name = ?1";
            tx.connection.prepare_cached(sql)?.execute(params![queue, now])?
        }
        QueueOperation::Trip(trip) => return pause_tripped(tx, trip),
    };
    Ok(if changed == 0 { Outcome::NotFound } else { Outcome::Done })
}

fn pause_tripped(tx: &Transaction<'_>, trip: &Trip) -> rusqlite::Result<Outcome> {
    let found = tx
        .connection
        .prepare_cached("SELECT paused_at IS NOT NULL, resumes FROM queues WHERE name = ?1")?
        .query_row([&trip.queue], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((paused, resumes)) = found else { return Ok(Outcome::NotFound) };
    let outcome = QueueOutcome::of(trip, paused, resumes);
    if outcome == QueueOutcome::Tripped {
        let sql = "UPDATE queues SET paused_at = ?2, pause = ?3, updated_at = ?2 WHERE name = ?1";
        let now = tx.changes.now.as_micros();
        tx.connection.prepare_cached(sql)?.execute(params![
            trip.queue,
            now,
            text(&trip.pause, tx.changes.now)
        ])?;
        fleet::audit(tx, &trip.entry, "done")?;
    }
    Ok(Outcome::Queue(outcome))
}
