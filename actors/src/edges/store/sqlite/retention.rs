//! Deleting what has outlived its retention, in bounded steps. Totals stay.

use std::time::Duration;

use callboard_contracts::JobState;
use rusqlite::params;
use serde_json::json;
use uuid::Uuid;

use super::{
    dead_jobs,
    jobs::{hex, id},
    reports, signals,
    transaction::Transaction,
};
use crate::edges::store::{Outcome, record::Retention};

/// Lines of logs that are deleted in one transaction for each job that may be: a job can have far more.
const LINES_A_ROW: u64 = 10;

pub(super) fn prune(tx: &mut Transaction<'_>, retention: Retention) -> rusqlite::Result<Outcome> {
    tx.flush()?;
    let Retention { completed, cancelled, discarded, events, events_max, keys, inbox, inbox_max, batch } =
        retention;
    let kept = [
        (JobState::Completed, completed),
        (JobState::Cancelled, cancelled),
        (JobState::Discarded, discarded),
    ];
    let (mut jobs, mut lines_left) = (0, false);
    for (state, age) in kept {
        let left = u64::from(batch).saturating_sub(jobs);
        match delete_jobs(tx, state, age, left)? {
            Some(deleted) => jobs += deleted,
            None => lines_left = true,
        }
    }
    let deleted = delete_events(tx, events, events_max, batch)?;
    let keys = delete_keys(tx, keys, batch)?;
    let counts = delete_counts(tx, batch)?;
    let inbox = delete_inbox(tx, inbox, inbox_max, batch)?;
    let more =
        lines_left || [jobs, deleted, keys, counts, inbox].into_iter().any(|count| count >= u64::from(batch));
    Ok(Outcome::Pruned { jobs, events: deleted, more })
}

/// How many were deleted; `None`: they stay until the rest of what their runs have said is deleted.
fn delete_jobs(
    tx: &Transaction<'_>,
    state: JobState,
    age: Duration,
    limit: u64,
) -> rusqlite::Result<Option<u64>> {
    let before = tx.changes.now.saturating_sub(age).as_micros();
    let mut find = tx.connection.prepare_cached(
        "SELECT id FROM jobs WHERE state IN (5, 6, 7) AND workflow IS NULL AND state = ?1 AND finished_at < ?2
         ORDER BY finished_at LIMIT ?3",
    )?;
    let found = find.query_map(params![state as i64, before, limit], |row| id(row, 0))?;
    let found: Vec<Uuid> = found.collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Ok(Some(0));
    }
    if !reports::delete(tx.connection, &found, limit.saturating_mul(LINES_A_ROW))? {
        return Ok(None);
    }
    let list = json!(found.into_iter().map(hex).collect::<Vec<_>>()).to_string();
    let mut attempts = tx
        .connection
        .prepare_cached("DELETE FROM attempts WHERE job IN (SELECT unhex(value) FROM json_each(?1))")?;
    attempts.execute([&list])?;
    let mut places = tx
        .connection
        .prepare_cached("DELETE FROM unique_jobs WHERE job IN (SELECT unhex(value) FROM json_each(?1))")?;
    places.execute([&list])?;
    let mut tags = tx.connection.prepare_cached(
        "DELETE FROM job_tags WHERE (tag, sequence) IN
            (SELECT tag.value, jobs.sequence FROM jobs, json_each(jobs.tags) AS tag
             WHERE jobs.id IN (SELECT unhex(value) FROM json_each(?1)))",
    )?;
    tags.execute([&list])?;
    let mut jobs = tx
        .connection
        .prepare_cached("DELETE FROM jobs WHERE id IN (SELECT unhex(value) FROM json_each(?1))")?;
    let deleted = jobs.execute([&list])? as u64;
    dead_jobs::delete_edits(tx.connection, &list)?;
    signals::delete(tx.connection, &list)?;
    Ok(Some(deleted))
}

/// Deletes a prefix of the log: what is too old, or too much.
fn delete_events(tx: &Transaction<'_>, age: Duration, max: u64, batch: u32) -> rusqlite::Result<u64> {
    let before = tx.changes.now.saturating_sub(age).as_micros();
    let mut old = tx.connection.prepare_cached(
        "SELECT coalesce(max(position), 0) FROM (SELECT position, occurred_at FROM events ORDER BY position LIMIT ?2)
         WHERE occurred_at < ?1",
    )?;
    let too_old: u64 = old.query_row(params![before, batch], |row| row.get(0))?;
    let too_many = tx.memory.position.saturating_sub(max);
    let mut delete = tx.connection.prepare_cached(
        "DELETE FROM events WHERE position IN (SELECT position FROM events WHERE position <= ?1
                                               ORDER BY position LIMIT ?2)",
    )?;
    Ok(delete.execute(params![too_old.max(too_many), batch])? as u64)
}

fn delete_keys(tx: &Transaction<'_>, age: Duration, batch: u32) -> rusqlite::Result<u64> {
    let before = tx.changes.now.saturating_sub(age).as_micros();
    let mut delete = tx.connection.prepare_cached(
        "DELETE FROM idempotency_keys WHERE rowid IN
            (SELECT rowid FROM idempotency_keys WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)",
    )?;
    Ok(delete.execute(params![before, batch])? as u64)
}

/// Deletes the first of the events that were dealt with: what is too old, or too much.
fn delete_inbox(tx: &Transaction<'_>, age: Duration, max: u64, batch: u32) -> rusqlite::Result<u64> {
    let before = tx.changes.now.saturating_sub(age).as_micros();
    let mut old = tx.connection.prepare_cached(
        "SELECT coalesce(max(number), 0), (SELECT coalesce(max(number), 0) FROM inbox)
         FROM (SELECT number, received_at FROM inbox ORDER BY number LIMIT ?2) WHERE received_at < ?1",
    )?;
    let (too_old, newest): (u64, u64) =
        old.query_row(params![before, batch], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let last = too_old.max(newest.saturating_sub(max));
    let mut delete = tx.connection.prepare_cached(
        "DELETE FROM inbox WHERE number IN (SELECT number FROM inbox WHERE number <= ?1 ORDER BY number LIMIT ?2)",
    )?;
    Ok(delete.execute(params![last, batch])? as u64)
}

/// What was counted for rates and no rate looks at any more.
fn delete_counts(tx: &Transaction<'_>, limit: u32) -> rusqlite::Result<u64> {
    let mut statement = tx.connection.prepare_cached(
        "DELETE FROM claim_counts WHERE (queue, partition_key, slice) IN
            (SELECT queue, partition_key, slice FROM claim_counts WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
    )?;
    Ok(statement.execute(params![tx.changes.now.as_micros(), limit])? as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edges::store::sqlite::{SqliteOptions, open, transaction::Memory};

    #[test]
    fn what_no_rate_looks_at_any_more_is_deleted() {
        let folder = tempfile::TempDir::new().unwrap();
        let options = SqliteOptions::new(folder.path().join("callboard.db"));
        let connection = open::writer(&options).unwrap();
        let memory = Memory::load(&connection).unwrap();
        let tx = Transaction::new(&connection, &options, &memory);
        let now = tx.changes.now.as_micros();
        for (key, expires_at) in [("", now), ("a", now - 1), ("b", now + 60_000_000), ("c", 1)] {
            connection
                .execute(
                    "INSERT INTO claim_counts (queue, partition_key, slice, claims, expires_at) VALUES ('q', ?1, 0, 1, ?2)",
                    params![key, expires_at],
                )
                .unwrap();
        }
        let counts = [2, 1, 0].map(|expected| (expected, delete_counts(&tx, 2).unwrap()));
        assert!(counts.iter().all(|(expected, deleted)| expected == deleted), "{counts:?}");
        let left: String = connection
            .query_row("SELECT group_concat(partition_key) FROM claim_counts", (), |row| row.get(0))
            .unwrap();
        assert_eq!(left, "b");
    }
}
