//! Storing new jobs.

use std::collections::BTreeMap;

use callboard_contracts::{JobState, Timestamp};
use rusqlite::Connection;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    jobs::{hex, id},
    transaction::{Memory, Transaction},
};
use crate::edges::store::{
    Operation, OperationResult, Outcome, StoreError,
    record::NewJob,
    transition::{
        Changes, JobRow, backlog,
        code::state_of,
        enqueue::{Enqueued, Known, due, enqueue},
        needs,
    },
};

/// Stores a group of new jobs in one statement.
pub(super) fn run(tx: &mut Transaction<'_>, group: &[Operation]) -> rusqlite::Result<Vec<OperationResult>> {
    let jobs: Vec<&NewJob> = group
        .iter()
        .filter_map(|operation| match operation {
            Operation::Enqueue(job) => Some(&**job),
            _ => None,
        })
        .collect();
    Ok(match store(tx, &jobs)? {
        Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
        Err(refusal) => group.iter().map(|_| Err(refusal.clone())).collect(),
    })
}

/// Stores new jobs, or says why there is no room for any.
pub(super) fn store(
    tx: &mut Transaction<'_>,
    jobs: &[&NewJob],
) -> rusqlite::Result<Result<Vec<Outcome>, StoreError>> {
    if let Some(refusal) = no_room(tx) {
        return Ok(Err(refusal));
    }
    // Jobs of this very transaction may be in `rows` only.
    tx.flush()?;
    let known = find(tx, jobs)?;
    let before = &tx.memory.totals;
    let waiting = |changes: &Changes, queue: &str| {
        let waiting = before.get(queue).map_or(0, backlog) + changes.backlog_grown(queue);
        u64::try_from(waiting).unwrap_or(0)
    };
    let total = tx.total();
    let Enqueued { accepted, outcomes } = enqueue(&mut tx.changes, jobs, known, waiting, total);
    if !accepted.is_empty() {
        let now = tx.changes.now;
        let tagged = accepted.iter().any(|(job, _)| !job.tags.is_empty());
        let first = tx.memory.sequence + 1;
        let rows = accepted.into_iter().map(|(job, state)| row(&mut tx.memory, job, state, now)).collect();
        insert(tx, rows)?;
        if tagged {
            insert_tags(tx.connection, first)?;
        }
    }
    Ok(Ok(outcomes))
}

fn row(memory: &mut Memory, job: &NewJob, state: JobState, now: Timestamp) -> Value {
    memory.sequence += 1;
    let fingerprint: String = job.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    json!([
        memory.sequence,
        hex(job.id),
        job.job_type,
        job.queue,
        state as usize,
        job.payload,
        job.metadata,
        job.document,
        fingerprint,
        job.max_attempts,
        u64::try_from(job.timeout.as_micros()).unwrap_or(u64::MAX >> 1),
        job.held,
        hex(job.correlation_id),
        hex(job.event_id),
        due(job, now).unwrap_or(now).as_micros(),
        job.priority,
        (!job.tags.is_empty()).then(|| json!(job.tags).to_string()),
        job.trace.map(|trace| trace.to_string()),
        needs::stored(&job.needs),
        job.partition_key,
    ])
}

fn insert(tx: &Transaction<'_>, rows: Vec<Value>) -> rusqlite::Result<()> {
    let mut statement = tx.connection.prepare_cached(
        "INSERT INTO jobs (sequence, id, type, queue, state, payload, metadata, document, fingerprint, max_attempts,
                           timeout, wait_reason, correlation_id, created_event_id, created_at, updated_at, scheduled_at,
                           priority, tags, trace_context, needs, partition_key)
         SELECT value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
                value ->> 7, unhex(value ->> 8), value ->> 9, value ->> 10, value ->> 11, unhex(value ->> 12),
                unhex(value ->> 13), ?2, ?2, value ->> 14, value ->> 15, value ->> 16,
                value ->> 17, value ->> 18, value ->> 19
         FROM json_each(?1)",
    )?;
    statement.execute((Value::Array(rows).to_string(), tx.changes.now.as_micros()))?;
    Ok(())
}

/// Makes the jobs from this sequence number on known by their tags.
fn insert_tags(connection: &Connection, first: u64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO job_tags (tag, sequence)
         SELECT tag.value, jobs.sequence FROM jobs, json_each(jobs.tags) AS tag WHERE jobs.sequence >= ?1",
    )?;
    statement.execute([first])?;
    Ok(())
}

fn find(tx: &Transaction<'_>, jobs: &[&NewJob]) -> rusqlite::Result<BTreeMap<Uuid, Known>> {
    let ids: Vec<String> = jobs.iter().map(|job| hex(job.id)).collect();
    let mut statement = tx.connection.prepare_cached(
        "SELECT id, fingerprint, created_event_id, state FROM jobs
         WHERE id IN (SELECT unhex(value) FROM json_each(?1))",
    )?;
    let mut rows = statement.query([json!(ids).to_string()])?;
    let mut known = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let job = Known { fingerprint: row.get(1)?, event_id: id(row, 2)?, state: state_of(row.get(3)?) };
        known.insert(id(row, 0)?, job);
    }
    Ok(known)
}

/// New jobs are refused before the disk is full, so that there is room for what is to be said of those that are there.
fn no_room(tx: &Transaction<'_>) -> Option<StoreError> {
    let folder = tx.options.path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(std::path::Path::new("."));
    let free = rustix::fs::statvfs(folder).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)).ok()?;
    let least = tx.options.min_free_space;
    (free < least).then(|| {
        let folder = folder.display();
        StoreError::DiskFull(format!("{folder} has {free} bytes left, and new jobs need {least}"))
    })
}

/// Stores a finished job again as a new one.
pub(super) fn replay(
    tx: &mut Transaction<'_>,
    of: &JobRow,
    replay_id: Uuid,
    event_id: Uuid,
) -> rusqlite::Result<()> {
    tx.memory.sequence += 1;
    let mut statement = tx.connection.prepare_cached(
        "INSERT INTO jobs (sequence, id, type, queue, state, priority, payload, metadata, document, fingerprint,
                           max_attempts, timeout, correlation_id, created_event_id, replay_of, created_at, updated_at,
                           scheduled_at, partition_key, tags, trace_context, needs)
         SELECT ?1, ?2, type, queue, 2, priority, payload, metadata, document, fingerprint, max_attempts, timeout,
                correlation_id, ?3, id, ?4, ?4, ?4, partition_key, tags, trace_context, needs
         FROM jobs WHERE sequence = ?5",
    )?;
    statement.execute((
        tx.memory.sequence,
        replay_id.as_bytes(),
        event_id.as_bytes(),
        tx.changes.now.as_micros(),
        of.sequence,
    ))?;
    insert_tags(tx.connection, tx.memory.sequence)
}
