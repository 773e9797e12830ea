//! Ends of attempts that were completed, which are the most of all: jobs are found, checked and written by one statement,
//! without being locked and read before.

use std::collections::{BTreeMap, BTreeSet};

use callboard_contracts::{JobState, Timestamp};
use sqlx::Row;
use uuid::Uuid;

use super::{columns::as_long, jobs, transaction::Transaction};
use crate::edges::store::{
    Operation, Outcome,
    record::{AttemptEnd, Lease},
    transition::attempt::finish,
};

/// Jobs that a batch changes by nothing but the end of an attempt that was completed.
pub(super) fn only_completed(
    operations: &[Operation],
    job: impl Fn(&Operation) -> Option<Uuid>,
) -> BTreeSet<Uuid> {
    let mut found: BTreeMap<Uuid, bool> = BTreeMap::new();
    for operation in operations {
        if let Some(id) = job(operation) {
            let completed = matches!(operation, Operation::Finish { end: AttemptEnd::Completed { .. }, .. });
            found.entry(id).and_modify(|alone| *alone = false).or_insert(completed);
        }
    }
    found.into_iter().filter_map(|(id, alone)| alone.then_some(id)).collect()
}

/// Writes the ends of these jobs, and says what became of each. Those that are missing in the answer have changed
/// meanwhile, or their lease is not the current one: they are to be looked at one by one.
///
/// The rows are those that the statement saw when it began: one that another transaction has changed since has another
/// `xmin`, and is left alone.
pub(super) async fn write(
    tx: &mut Transaction<'_>,
    group: &[Operation],
    only: &BTreeSet<Uuid>,
) -> sqlx::Result<BTreeMap<Uuid, Outcome>> {
    let mut ends: BTreeMap<Uuid, (Lease, Option<Timestamp>, &AttemptEnd)> = BTreeMap::new();
    for operation in group {
        if let Operation::Finish { lease, started_at, end } = operation
            && only.contains(&lease.id)
        {
            ends.insert(lease.id, (*lease, *started_at, end));
        }
    }
    if ends.is_empty() {
        return Ok(BTreeMap::new());
    }
    // In the order of their ids: transactions that share jobs wait for each other in one order.
    let rows = sqlx::query(
        "UPDATE jobs SET
            state = 5, session = NULL, started_at = coalesce(old.started_at, old.began), finished_at = $5, updated_at = $5,
            was_started = old.was_started OR old.began IS NOT NULL, result = old.output
         FROM (SELECT given.began, given.output, job.*
               FROM (SELECT unnest($1::uuid[]) AS id, unnest($2::bigint[]) AS token, unnest($3::bigint[]) AS began,
                            unnest($4::text[]) AS output) AS given
               -- OFFSET keeps the planner from looking through all jobs that run.
               CROSS JOIN LATERAL (SELECT ctid AS place, xmin AS version, sequence, id, type, queue, correlation_id,
                                          created_at, max_attempts, state, attempt, token, session, wait_reason,
                                          last_error, scheduled_at, claimed_at, started_at, finished_at,
                                          cancel_requested_at, was_started, deaths
                                   FROM jobs WHERE jobs.id = given.id OFFSET 0) AS job
               WHERE job.state = 3 AND job.token = given.token) AS old
         WHERE jobs.ctid = old.place AND jobs.xmin = old.version
         RETURNING old.*",
    )
    .bind(ends.keys().copied().collect::<Vec<_>>())
    .bind(ends.values().map(|(lease, ..)| as_long(lease.token)).collect::<Vec<_>>())
    .bind(ends.values().map(|(_, began, _)| began.map(Timestamp::as_micros)).collect::<Vec<_>>())
    .bind(ends.values().map(|(.., end)| output(end)).collect::<Vec<_>>())
    .bind(tx.changes.now.as_micros())
    .fetch_all(&mut *tx.connection)
    .await?;
    let mut outcomes = BTreeMap::new();
    for row in &rows {
        let Some((lease, began, end)) = ends.get(&row.try_get("id")?) else { continue };
        let before = jobs::read(row)?;
        tx.changes.rows.insert(lease.id, before);
        // What the statement has written, told by those who say what it comes to: events, attempts, totals.
        let outcome = finish(&mut tx.changes, *lease, *began, end);
        debug_assert_eq!(outcome, Outcome::Finished { state: JobState::Completed });
        tx.changes.rows.remove(&lease.id);
        outcomes.insert(lease.id, outcome);
    }
    Ok(outcomes)
}

fn output(end: &AttemptEnd) -> Option<&str> {
    match end {
        AttemptEnd::Completed { result } => result.as_deref(),
        _ => None,
    }
}
