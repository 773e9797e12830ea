//! Events of other programs, each of which counts once.

use std::collections::BTreeSet;

use callboard_contracts::Timestamp;
use rusqlite::{Connection, params};
use serde_json::json;
use uuid::Uuid;

use super::{
    enqueue,
    jobs::{hex, id},
    transaction::Transaction,
};
use crate::edges::store::{
    Operation, OperationResult,
    transition::inbox::{Note, conflicts, event_of, find_own, stored, to_store},
};

/// A group of new jobs of other programs.
pub(super) fn receive(
    tx: &mut Transaction<'_>,
    group: &[Operation],
) -> rusqlite::Result<Vec<OperationResult>> {
    let seen = seen(tx.connection, group)?;
    let new = to_store(group, &seen);
    let jobs: Vec<_> = new.iter().map(|received| &received.job).collect();
    let mut outcomes: Vec<OperationResult> = match enqueue::store(tx, &jobs)? {
        Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
        Err(refusal) => jobs.iter().map(|_| Err(refusal.clone())).collect(),
    };
    let conflicts = conflicts(&new, &outcomes);
    if !conflicts.is_empty() {
        find_own(&new, &mut outcomes, &enqueue::find(tx, &conflicts)?);
    }
    let (results, notes) = stored(group, &new, outcomes);
    keep(tx.connection, &notes, tx.changes.now)?;
    Ok(results)
}

/// Of the events that a group is about, those that were dealt with before.
pub(super) fn seen(connection: &Connection, group: &[Operation]) -> rusqlite::Result<BTreeSet<Uuid>> {
    let events: Vec<String> = group.iter().filter_map(event_of).map(hex).collect();
    let mut find = connection
        .prepare_cached("SELECT event FROM inbox WHERE event IN (SELECT unhex(value) FROM json_each(?1))")?;
    find.query_map([json!(events).to_string()], |row| id(row, 0))?.collect()
}

/// Keeps that these were dealt with.
pub(super) fn keep(connection: &Connection, notes: &[Note<'_>], now: Timestamp) -> rusqlite::Result<()> {
    let mut keep = connection.prepare_cached(
        "INSERT INTO inbox (event, job, producer, occurred_at, received_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for Note { event, job } in notes {
        let (occurred_at, now) = (event.occurred_at.as_micros(), now.as_micros());
        keep.execute(params![event.id.as_bytes(), job.as_bytes(), event.producer, occurred_at, now])?;
    }
    Ok(())
}
