//! Events of other programs, each of which counts once.

use std::collections::BTreeSet;

use callboard_contracts::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{columns::as_text, enqueue, transaction::Transaction};
use crate::edges::store::{
    Operation, OperationResult,
    transition::inbox::{Note, conflicts, event_of, find_own, stored, to_store},
};

/// A group of new jobs of other programs. If one of their events is dealt with elsewhere at this time, one of the two
/// transactions meets what the other has kept, is tried again, and finds it.
pub(super) async fn receive(
    tx: &mut Transaction<'_>,
    group: &[Operation],
) -> sqlx::Result<Vec<OperationResult>> {
    let seen = seen(tx.connection, group).await?;
    let new = to_store(group, &seen);
    let jobs: Vec<_> = new.iter().map(|received| &received.job).collect();
    let mut outcomes: Vec<OperationResult> = enqueue::store(tx, &jobs).await?.into_iter().map(Ok).collect();
    let conflicts = conflicts(&new, &outcomes);
    if !conflicts.is_empty() {
        find_own(&new, &mut outcomes, &enqueue::find(tx.connection, &conflicts).await?);
    }
    let (results, notes) = stored(group, &new, outcomes);
    keep(tx.connection, notes, tx.changes.now).await?;
    Ok(results)
}

/// Of the events that a group is about, those that were dealt with before.
pub(super) async fn seen(connection: &mut PgConnection, group: &[Operation]) -> sqlx::Result<BTreeSet<Uuid>> {
    let events: Vec<Uuid> = group.iter().filter_map(event_of).collect();
    let seen: Vec<Uuid> = sqlx::query_scalar("SELECT event FROM inbox WHERE event = ANY($1)")
        .bind(events)
        .fetch_all(connection)
        .await?;
    Ok(seen.into_iter().collect())
}

/// Keeps that these were dealt with; in the order of their ids, so that no two transactions wait for each other.
pub(super) async fn keep(
    connection: &mut PgConnection,
    mut notes: Vec<Note<'_>>,
    now: Timestamp,
) -> sqlx::Result<()> {
    if notes.is_empty() {
        return Ok(());
    }
    notes.sort_by_key(|note| note.event.id);
    sqlx::query(
        "INSERT INTO inbox (event, job, producer, occurred_at, received_at)
         SELECT *, $5 FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[])",
    )
    .bind(notes.iter().map(|note| note.event.id).collect::<Vec<_>>())
    .bind(notes.iter().map(|note| note.job).collect::<Vec<_>>())
    .bind(notes.iter().map(|note| as_text(&note.event.producer)).collect::<Vec<_>>())
    .bind(notes.iter().map(|note| note.event.occurred_at.as_micros()).collect::<Vec<_>>())
    .bind(now.as_micros())
    .execute(connection)
    .await?;
    Ok(())
}
