//! Attempts that are with workers outside.

use std::collections::BTreeMap;

use callboard_contracts::{Timestamp, api::AttemptError};
use rusqlite::{Connection, params};
use serde_json::json;
use uuid::Uuid;

use super::{
    inbox,
    jobs::{hex, id},
    transaction::Transaction,
};
use crate::edges::store::{
    Operation, OperationResult, Outcome,
    outside::RetryPlan,
    record::Lease,
    transition::{
        attempt::leased_job,
        inbox::{HeardAll, hear_all},
        outside::{hand_over, lapse},
    },
};

/// A group of attempts that were sent to workers outside.
pub(super) fn give(tx: &mut Transaction<'_>, group: &[Operation]) -> rusqlite::Result<Vec<OperationResult>> {
    tx.load(group.iter().filter_map(leased_job))?;
    let (mut results, mut given) = (Vec::with_capacity(group.len()), BTreeMap::new());
    for operation in group {
        let Operation::HandOver { lease, visible_for } = operation else {
            results.push(Ok(Outcome::Done));
            continue;
        };
        let outcome = hand_over(&mut tx.changes, *lease);
        if outcome == Outcome::HandedOver {
            given.insert(lease.id, (lease.token, tx.changes.now.saturating_add(*visible_for)));
        }
        results.push(Ok(outcome));
    }
    keep_alive(tx.connection, &given)?;
    Ok(results)
}

/// A group of words of workers outside.
pub(super) fn hear(tx: &mut Transaction<'_>, group: &[Operation]) -> rusqlite::Result<Vec<OperationResult>> {
    let seen = inbox::seen(tx.connection, group)?;
    tx.load(group.iter().filter_map(leased_job))?;
    let HeardAll { results, notes, alive, ended } = hear_all(&mut tx.changes, group, seen);
    inbox::keep(tx.connection, &notes, tx.changes.now)?;
    keep_alive(tx.connection, &alive)?;
    forget(tx.connection, &ended)?;
    Ok(results)
}

/// When these attempts lapse from now on, by job, each with its token.
fn keep_alive(connection: &Connection, attempts: &BTreeMap<Uuid, (u64, Timestamp)>) -> rusqlite::Result<()> {
    let mut write = connection.prepare_cached(
        "INSERT INTO outside_attempts (job, token, lapses_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (job) DO UPDATE SET token = excluded.token, lapses_at = excluded.lapses_at",
    )?;
    for (job, (token, lapses_at)) in attempts {
        write.execute(params![job.as_bytes(), token, lapses_at.as_micros()])?;
    }
    Ok(())
}

fn forget(connection: &Connection, jobs: &[Uuid]) -> rusqlite::Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let list = json!(jobs.iter().copied().map(hex).collect::<Vec<_>>()).to_string();
    let sql = "DELETE FROM outside_attempts WHERE job IN (SELECT unhex(value) FROM json_each(?1))";
    connection.prepare_cached(sql)?.execute([list])?;
    Ok(())
}

/// Ends the attempts of which nothing was heard for too long.
pub(super) fn end_lapsed(
    tx: &mut Transaction<'_>,
    error: &AttemptError,
    plan: &RetryPlan,
    limit: u32,
) -> rusqlite::Result<Outcome> {
    let now = tx.changes.now.as_micros();
    let mut find = tx.connection.prepare_cached(
        "SELECT job, token FROM outside_attempts WHERE lapses_at <= ?1 ORDER BY lapses_at LIMIT ?2",
    )?;
    let due = find.query_map(params![now, limit], |row| Ok(Lease { id: id(row, 0)?, token: row.get(1)? }))?;
    let due: Vec<Lease> = due.collect::<rusqlite::Result<_>>()?;
    drop(find);
    tx.load(due.iter().map(|lease| lease.id))?;
    let (mut ended, mut first) = (BTreeMap::new(), None);
    for lease in &due {
        if let Some((queue, retry_at)) = lapse(&mut tx.changes, *lease, error, plan) {
            *ended.entry(queue).or_default() += 1;
            first = [first, retry_at].into_iter().flatten().min();
        }
    }
    let jobs: Vec<Uuid> = due.iter().map(|lease| lease.id).collect();
    forget(tx.connection, &jobs)?;
    let mut next = tx.connection.prepare_cached("SELECT min(lapses_at) FROM outside_attempts")?;
    let next_at: Option<i64> = next.query_row((), |row| row.get(0))?;
    Ok(Outcome::Lapsed { ended, retry_at: first, next_at: next_at.map(Timestamp::from_micros) })
}
