//! Edges that jobs need, and the jobs that wait for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use callboard_contracts::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    jobs::{optional_time, time},
    transaction::Transaction,
};
use crate::edges::store::{
    Outcome,
    record::{EdgeRecord, EdgeState, Trip},
    transition::{control::moved, needs},
};

/// Each edge that was tripped and not made ready since, with when it counts as ready by itself.
pub(super) fn tripped(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Option<Timestamp>>> {
    let mut statement = connection.prepare("SELECT name, until FROM edges WHERE tripped_at IS NOT NULL")?;
    statement.query_map((), |row| Ok((row.get(0)?, optional_time(row, 1)?)))?.collect()
}

pub(super) fn read(connection: &Connection) -> rusqlite::Result<Vec<EdgeRecord>> {
    let mut statement = connection.prepare_cached(
        "SELECT name, tripped_at, until, reason, set_by, set_at,
                (SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_parked WHERE state = 2 AND parked = edges.name LIMIT ?1))
         FROM edges ORDER BY name",
    )?;
    let edges = statement.query_map([EdgeRecord::COUNTED], |row| {
        Ok(EdgeRecord {
            name: row.get(0)?,
            trip: trip(row)?,
            set_by: row.get(4)?,
            set_at: time(row, 5)?,
            parked: row.get(6)?,
        })
    })?;
    edges.collect()
}

fn trip(row: &Row<'_>) -> rusqlite::Result<Option<Trip>> {
    let Some(since) = optional_time(row, 1)? else { return Ok(None) };
    Ok(Some(Trip { since, until: optional_time(row, 2)?, reason: row.get(3)? }))
}

/// Trips an edge, or makes it ready.
pub(super) fn put(
    tx: &mut Transaction<'_>,
    edge: &str,
    state: &EdgeState,
    by: &str,
) -> rusqlite::Result<Outcome> {
    let mut find =
        tx.connection.prepare_cached("SELECT name, tripped_at, until, reason FROM edges WHERE name = ?1")?;
    let known = find.query_row([edge], trip).optional()?;
    if known.is_none() {
        if *state == EdgeState::Ready {
            // That is what an edge is of which nothing was ever said.
            return Ok(Outcome::Done);
        }
        let mut count = tx.connection.prepare_cached("SELECT count(*) FROM edges")?;
        if count.query_row((), |row| row.get::<_, u32>(0))? >= EdgeRecord::MOST && !forget(tx)? {
            return Ok(Outcome::TooManyEdges { limit: EdgeRecord::MOST });
        }
    }
    let trip = needs::trip(known.flatten().as_ref(), state, tx.changes.now);
    let mut put = tx.connection.prepare_cached(
        "INSERT INTO edges (name, tripped_at, until, reason, set_by, set_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (name) DO UPDATE SET tripped_at = excluded.tripped_at, until = excluded.until,
                                          reason = excluded.reason, set_by = excluded.set_by, set_at = excluded.set_at",
    )?;
    let since = trip.as_ref().map(|trip| trip.since.as_micros());
    let until = trip.as_ref().and_then(|trip| trip.until);
    let reason = trip.as_ref().and_then(|trip| trip.reason.as_deref());
    put.execute(params![
        edge,
        since,
        until.map(Timestamp::as_micros),
        reason,
        by,
        tx.changes.now.as_micros()
    ])?;
    let edges = Arc::make_mut(&mut tx.memory.tripped);
    match trip {
        Some(trip) => edges.insert(edge.to_owned(), trip.until),
        None => edges.remove(edge),
    };
    Ok(Outcome::Done)
}

/// Forgets the edge that is ready for the longest time, to make room. Jobs that are put aside because of it come back all the
/// same.
fn forget(tx: &mut Transaction<'_>) -> rusqlite::Result<bool> {
    let mut forget = tx.connection.prepare_cached(
        "DELETE FROM edges WHERE name = (SELECT name FROM edges WHERE tripped_at IS NULL OR until <= ?1
                                         ORDER BY set_at, name LIMIT 1)
         RETURNING name",
    )?;
    let forgotten: Option<String> =
        forget.query_row([tx.changes.now.as_micros()], |row| row.get(0)).optional()?;
    if let Some(name) = &forgotten {
        Arc::make_mut(&mut tx.memory.tripped).remove(name);
    }
    Ok(forgotten.is_some())
}

/// Puts jobs aside whose edges are tripped, and back that are put aside without need.
pub(super) fn park(tx: &mut Transaction<'_>, limit: u32) -> rusqlite::Result<Outcome> {
    tx.flush()?;
    let tripped = tx.tripped();
    let mut left = limit;
    let mut queues = BTreeSet::new();
    for edge in distinct(tx.connection, PARKED)?.iter().filter(|edge| !tripped.contains(edge)) {
        // Those that come first, first.
        let mut back = tx.connection.prepare_cached(
            "UPDATE jobs SET parked = NULL
             WHERE sequence IN (SELECT sequence FROM jobs INDEXED BY jobs_parked WHERE state = 2 AND parked = ?1
                                ORDER BY priority DESC, scheduled_at, sequence LIMIT ?2)
             RETURNING queue",
        )?;
        let mut rows = back.query(params![edge, left])?;
        while let Some(row) = rows.next()? {
            left = left.saturating_sub(1);
            let queue = row.get_ref(0)?.as_str()?;
            if !queues.contains(queue) {
                queues.insert(queue.to_owned());
            }
        }
    }
    let needs = if tripped.is_empty() { Vec::new() } else { distinct(tx.connection, NEEDED)? };
    for needs in &needs {
        let Some(edge) = tripped.blocks(needs).filter(|_| left > 0) else { continue };
        let mut aside = tx.connection.prepare_cached(
            "UPDATE jobs SET parked = ?1
             WHERE sequence IN (SELECT sequence FROM jobs INDEXED BY jobs_needing WHERE state = 2 AND parked IS NULL AND needs = ?2 LIMIT ?3)",
        )?;
        let parked = aside.execute(params![edge, needs, left])?;
        left = left.saturating_sub(u32::try_from(parked).unwrap_or(u32::MAX));
    }
    Ok(moved(queues.into_iter().collect(), (limit - left) as usize, tripped.next_at()))
}

/// The edges because of which jobs are put aside: each is found by the index at once, however many jobs it has. The index is
/// named, as SQLite would take that of the states.
const PARKED: &str = "WITH RECURSIVE found (name) AS (
        SELECT min(parked) FROM jobs INDEXED BY jobs_parked WHERE state = 2 AND parked IS NOT NULL
        UNION ALL
        SELECT (SELECT min(parked) FROM jobs INDEXED BY jobs_parked WHERE state = 2 AND parked IS NOT NULL AND parked > found.name)
        FROM found WHERE found.name IS NOT NULL
    )
    SELECT name FROM found WHERE name IS NOT NULL LIMIT 10000";
/// What available jobs need that are not put aside; likewise.
const NEEDED: &str = "WITH RECURSIVE found (name) AS (
        SELECT min(needs) FROM jobs INDEXED BY jobs_needing WHERE state = 2 AND parked IS NULL AND needs IS NOT NULL
        UNION ALL
        SELECT (SELECT min(needs) FROM jobs INDEXED BY jobs_needing
                WHERE state = 2 AND parked IS NULL AND needs IS NOT NULL AND needs > found.name)
        FROM found WHERE found.name IS NOT NULL
    )
    SELECT name FROM found WHERE name IS NOT NULL LIMIT 10000";

fn distinct(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map((), |row| row.get(0))?.collect()
}
