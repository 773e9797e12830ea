//! Edges that jobs need, and the jobs that wait for them.

use std::collections::BTreeSet;

use callboard_contracts::Timestamp;
use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{
    columns::{as_text, long, optional_time, time},
    transaction::Transaction,
};
use crate::edges::store::{
    Outcome,
    record::{EdgeRecord, EdgeState, Trip},
    transition::{
        control::moved,
        needs::{self, Tripped},
    },
};

pub(super) async fn read(connection: &mut PgConnection) -> sqlx::Result<Vec<EdgeRecord>> {
    let rows = sqlx::query(
        "SELECT name, tripped_at, until, reason, set_by, set_at,
                (SELECT count(*) FROM (SELECT FROM jobs WHERE state = 2 AND parked = edges.name LIMIT $1) AS counted) AS parked
         FROM edges ORDER BY name",
    )
    .bind(i64::from(EdgeRecord::COUNTED))
    .fetch_all(connection)
    .await?;
    let edges = rows.iter().map(|row| {
        Ok(EdgeRecord {
            name: row.try_get("name")?,
            trip: trip(row)?,
            set_by: row.try_get("set_by")?,
            set_at: time(row, "set_at")?,
            parked: long(row, "parked")?,
        })
    });
    edges.collect()
}

fn trip(row: &PgRow) -> sqlx::Result<Option<Trip>> {
    let Some(since) = optional_time(row, "tripped_at")? else { return Ok(None) };
    Ok(Some(Trip { since, until: optional_time(row, "until")?, reason: row.try_get("reason")? }))
}

/// Trips an edge, or makes it ready.
pub(super) async fn put(
    tx: &mut Transaction<'_>,
    edge: &str,
    state: &EdgeState,
    by: &str,
) -> sqlx::Result<Outcome> {
    let known = sqlx::query("SELECT tripped_at, until, reason FROM edges WHERE name = $1 FOR UPDATE")
        .bind(edge)
        .fetch_optional(&mut *tx.connection)
        .await?;
    let known = known.as_ref().map(trip).transpose()?;
    if known.is_none() {
        if *state == EdgeState::Ready {
            // That is what an edge is of which nothing was ever said.
            return Ok(Outcome::Done);
        }
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM edges").fetch_one(&mut *tx.connection).await?;
        if count >= i64::from(EdgeRecord::MOST) && !forget(tx).await? {
            return Ok(Outcome::TooManyEdges { limit: EdgeRecord::MOST });
        }
    }
    let trip = needs::trip(known.flatten().as_ref(), state, tx.changes.now);
    // Somebody else may have made it known meanwhile.
    sqlx::query(
        "INSERT INTO edges (name, tripped_at, until, reason, set_by, set_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (name) DO UPDATE SET tripped_at = excluded.tripped_at, until = excluded.until,
                                          reason = excluded.reason, set_by = excluded.set_by, set_at = excluded.set_at",
    )
    .bind(edge)
    .bind(trip.as_ref().map(|trip| trip.since.as_micros()))
    .bind(trip.as_ref().and_then(|trip| trip.until).map(Timestamp::as_micros))
    .bind(trip.as_ref().and_then(|trip| trip.reason.as_deref()).map(as_text))
    .bind(as_text(by))
    .bind(tx.changes.now.as_micros())
    .execute(&mut *tx.connection)
    .await?;
    Ok(Outcome::Done)
}

/// Forgets the edge that is ready for the longest time, to make room. Jobs that are put aside because of it come back all the
/// same.
async fn forget(tx: &mut Transaction<'_>) -> sqlx::Result<bool> {
    let forgotten = sqlx::query(
        "DELETE FROM edges WHERE name = (SELECT name FROM edges WHERE tripped_at IS NULL OR until <= $1
                                         ORDER BY set_at, name LIMIT 1)",
    )
    .bind(tx.changes.now.as_micros())
    .execute(&mut *tx.connection)
    .await?;
    Ok(forgotten.rows_affected() > 0)
}

/// Puts jobs aside whose edges are tripped, and back that are put aside without need. Jobs that others hold are left for the
/// next time.
pub(super) async fn park(tx: &mut Transaction<'_>, limit: u32) -> sqlx::Result<Outcome> {
    tx.flush().await?;
    let edges: Vec<(String, Option<i64>)> =
        sqlx::query_as("SELECT name, until FROM edges WHERE tripped_at IS NOT NULL")
            .fetch_all(&mut *tx.connection)
            .await?;
    let edges = edges.into_iter().map(|(name, until)| (name, until.map(Timestamp::from_micros)));
    let tripped = Tripped::at(tx.changes.now, edges);
    let mut left = limit;
    let mut queues = BTreeSet::new();
    for edge in distinct(tx.connection, PARKED).await?.iter().filter(|edge| !tripped.contains(edge)) {
        // Those that come first, first.
        let back: Vec<String> = sqlx::query_scalar(
            "WITH chosen AS (
                SELECT id FROM jobs WHERE state = 2 AND parked = $1
                ORDER BY priority DESC, scheduled_at, sequence LIMIT $2 FOR UPDATE SKIP LOCKED
             )
             UPDATE jobs SET parked = NULL FROM chosen WHERE jobs.id = chosen.id RETURNING queue",
        )
        .bind(edge)
        .bind(i64::from(left))
        .fetch_all(&mut *tx.connection)
        .await?;
        left = left.saturating_sub(u32::try_from(back.len()).unwrap_or(u32::MAX));
        queues.extend(back);
    }
    let needs = if tripped.is_empty() { Vec::new() } else { distinct(tx.connection, NEEDED).await? };
    for needs in &needs {
        let Some(edge) = tripped.blocks(needs).filter(|_| left > 0) else { continue };
        let aside = sqlx::query(
            "WITH chosen AS (
                SELECT id FROM jobs WHERE state = 2 AND parked IS NULL AND needs = $2 LIMIT $3 FOR UPDATE SKIP LOCKED
             )
             UPDATE jobs SET parked = $1 FROM chosen WHERE jobs.id = chosen.id",
        )
        .bind(edge)
        .bind(needs)
        .bind(i64::from(left))
        .execute(&mut *tx.connection)
        .await?;
        left = left.saturating_sub(u32::try_from(aside.rows_affected()).unwrap_or(u32::MAX));
    }
    tx.changes.unparked.extend(queues.iter().cloned());
    Ok(moved(queues.into_iter().collect(), (limit - left) as usize, tripped.next_at()))
}

/// The edges because of which jobs are put aside: each is found by the index at once, however many jobs it has.
const PARKED: &str = "WITH RECURSIVE found (name) AS (
        (SELECT parked FROM jobs WHERE state = 2 AND parked IS NOT NULL ORDER BY parked LIMIT 1)
        UNION ALL
        SELECT (SELECT parked FROM jobs WHERE state = 2 AND parked IS NOT NULL AND parked > found.name
                ORDER BY parked LIMIT 1)
        FROM found WHERE found.name IS NOT NULL
    )
    SELECT name FROM found WHERE name IS NOT NULL LIMIT 10000";
/// What available jobs need that are not put aside; likewise.
const NEEDED: &str = "WITH RECURSIVE found (name) AS (
        (SELECT needs FROM jobs WHERE state = 2 AND parked IS NULL AND needs IS NOT NULL ORDER BY needs LIMIT 1)
        UNION ALL
        SELECT (SELECT needs FROM jobs
                WHERE state = 2 AND parked IS NULL AND needs IS NOT NULL AND needs > found.name ORDER BY needs LIMIT 1)
        FROM found WHERE found.name IS NOT NULL
    )
    SELECT name FROM found WHERE name IS NOT NULL LIMIT 10000";

async fn distinct(connection: &mut PgConnection, sql: &'static str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(sql).fetch_all(connection).await
}
