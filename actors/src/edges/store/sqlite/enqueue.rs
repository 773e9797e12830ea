//! Storing new jobs.

use std::collections::BTreeMap;

use callboard_contracts::{JobState, Timestamp};
use rusqlite::{Connection, Statement, params};
use serde_json::json;
use uuid::Uuid;

use super::{
    jobs::{id, micros},
    transaction::Transaction,
};
use crate::edges::store::{
    Operation, OperationResult, Outcome, StoreError,
    dead_jobs::NewPayload,
    record::NewJob,
    transition::{
        Changes, JobRow, backlog,
        code::state_of,
        enqueue::{Enqueued, Known, due, enqueue},
        needs,
    },
};

/// Stores a group of new jobs.
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
        let mut statement = tx.connection.prepare_cached(INSERT)?;
        for (job, state) in accepted {
            tx.memory.sequence += 1;
            insert(&mut statement, tx.memory.sequence, job, state, now)?;
        }
        if tagged {
            insert_tags(tx.connection, first)?;
        }
    }
    Ok(Ok(outcomes))
}

const INSERT: &str =
    "INSERT INTO jobs (sequence, id, type, queue, state, payload, metadata, document, fingerprint, max_attempts, timeout,
                       wait_reason, correlation_id, created_event_id, created_at, updated_at, scheduled_at, priority,
                       tags, trace_context, needs, partition_key)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15, ?16, ?17, ?18, ?19, ?20, ?21)";

fn insert(
    statement: &mut Statement<'_>,
    sequence: u64,
    job: &NewJob,
    state: JobState,
    now: Timestamp,
) -> rusqlite::Result<()> {
    statement.execute(params![
        sequence,
        job.id.as_bytes(),
        job.job_type,
        job.queue,
        state as u8,
        job.payload,
        job.metadata,
        job.document,
        job.fingerprint,
        job.max_attempts,
        micros(job.timeout),
        job.held,
        job.correlation_id.as_bytes(),
        job.event_id.as_bytes(),
        now.as_micros(),
        due(job, now).unwrap_or(now).as_micros(),
        job.priority,
        (!job.tags.is_empty()).then(|| json!(job.tags).to_string()),
        job.trace.map(|trace| trace.to_string()),
        needs::stored(&job.needs),
        job.partition_key,
    ])?;
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

pub(super) fn find(tx: &Transaction<'_>, jobs: &[&NewJob]) -> rusqlite::Result<BTreeMap<Uuid, Known>> {
    let mut statement = tx
        .connection
        .prepare_cached("SELECT fingerprint, created_event_id, state FROM jobs WHERE id = ?1")?;
    let mut known = BTreeMap::new();
    for job in jobs {
        let mut rows = statement.query([job.id.as_bytes()])?;
        if let Some(row) = rows.next()? {
            let found =
                Known { fingerprint: row.get(0)?, event_id: id(row, 1)?, state: state_of(row.get(2)?) };
            known.insert(job.id, found);
        }
    }
    Ok(known)
}

/// New jobs are refused before the disk is full, so that there is room for what is to be said of those that are there.
pub(super) fn no_room(tx: &Transaction<'_>) -> Option<StoreError> {
    let folder = tx.options.path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(std::path::Path::new("."));
    let free = rustix::fs::statvfs(folder).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)).ok()?;
    let least = tx.options.min_free_space;
    (free < least).then(|| {
        let folder = folder.display();
        StoreError::DiskFull(format!("{folder} has {free} bytes left, and new jobs need {least}"))
    })
}

/// Stores a finished job again as a new one, with its payload or another one.
pub(super) fn replay(
    tx: &mut Transaction<'_>,
    of: &JobRow,
    replay_id: Uuid,
    event_id: Uuid,
    payload: Option<&NewPayload>,
) -> rusqlite::Result<()> {
    tx.memory.sequence += 1;
    let mut statement = tx.connection.prepare_cached(
        "INSERT INTO jobs (sequence, id, type, queue, state, priority, payload, metadata, document, fingerprint,
                           max_attempts, timeout, correlation_id, created_event_id, replay_of, created_at, updated_at,
                           scheduled_at, partition_key, tags, trace_context, needs)
         SELECT ?1, ?2, type, queue, 2, priority, coalesce(?6, payload), metadata, document, coalesce(?7, fingerprint),
                max_attempts, timeout,
                correlation_id, ?3, id, ?4, ?4, ?4, partition_key, tags, trace_context, needs
         FROM jobs WHERE sequence = ?5",
    )?;
    statement.execute((
        tx.memory.sequence,
        replay_id.as_bytes(),
        event_id.as_bytes(),
        tx.changes.now.as_micros(),
        of.sequence,
        payload.map(|payload| &payload.text),
        payload.map(|payload| payload.fingerprint),
    ))?;
    insert_tags(tx.connection, tx.memory.sequence)
}
