//! Storing new jobs.

use std::collections::BTreeMap;

use callboard_contracts::{JobState, Timestamp};
use rusqlite::{Connection, Statement, params};
use serde_json::json;
use uuid::Uuid;

use super::{
    jobs::{id, micros},
    transaction::Transaction,
    unique,
};
use crate::edges::store::{
    Operation, OperationResult, Outcome, StoreError,
    dead_jobs::NewPayload,
    record::NewJob,
    transition::{
        Changes, JobRow, backlog,
        code::state_of,
        enqueue::{Enqueued, Known, Replay, due, enqueue, first_refused},
        needs,
        unique::{Holders, as_loaded, keys, parts, replaceable},
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
    let mut outcomes = Vec::with_capacity(jobs.len());
    for part in parts(jobs) {
        outcomes.extend(store_part(tx, part)?);
    }
    Ok(Ok(outcomes))
}

/// Stores new jobs of which no two are of one kind.
fn store_part(tx: &mut Transaction<'_>, jobs: &[&NewJob]) -> rusqlite::Result<Vec<Outcome>> {
    // Jobs of this very transaction may be in `rows` only.
    tx.flush()?;
    let known = find(tx, jobs)?;
    let mut holders = unique::holders(tx.connection, &keys(jobs))?;
    tx.load(replaceable(jobs, &holders).into_iter())?;
    as_loaded(&mut holders, &tx.changes);
    let before = &tx.memory.totals;
    let waiting = |changes: &Changes, queue: &str| {
        let waiting = before.get(queue).map_or(0, backlog) + changes.backlog_grown(queue);
        u64::try_from(waiting).unwrap_or(0)
    };
    let total = tx.total();
    let Enqueued { accepted, outcomes } = enqueue(&mut tx.changes, jobs, known, &holders, waiting, total);
    unique::take(tx.connection, &accepted, tx.changes.now)?;
    insert_all(tx, accepted, None)?;
    Ok(outcomes)
}

/// Stores all of these new jobs, which are kept for a workflow, or none of them: then it says which one cannot be stored, and why.
pub(super) fn store_whole(
    tx: &mut Transaction<'_>,
    jobs: &[&NewJob],
    workflow: Uuid,
) -> rusqlite::Result<Result<Option<(usize, Outcome)>, StoreError>> {
    if let Some(refusal) = no_room(tx) {
        return Ok(Err(refusal));
    }
    tx.flush()?;
    let known = find(tx, jobs)?;
    let total = tx.total();
    let mut scratch = Changes::new(tx.changes.now);
    let Enqueued { accepted, outcomes } =
        enqueue(&mut scratch, jobs, known, &Holders::new(), |_, queue| tx.backlog(queue), total);
    if let Some(refused) = first_refused(outcomes) {
        return Ok(Ok(Some(refused)));
    }
    tx.changes.take_in_new_jobs(scratch);
    insert_all(tx, accepted, Some(workflow))?;
    Ok(Ok(None))
}

fn insert_all(
    tx: &mut Transaction<'_>,
    accepted: Vec<(&NewJob, JobState)>,
    workflow: Option<Uuid>,
) -> rusqlite::Result<()> {
    if accepted.is_empty() {
        return Ok(());
    }
    let now = tx.changes.now;
    let tagged = accepted.iter().any(|(job, _)| !job.tags.is_empty());
    let first = tx.memory.sequence + 1;
    let mut statement = tx.connection.prepare_cached(INSERT)?;
    for (job, state) in accepted {
        tx.memory.sequence += 1;
        insert(&mut statement, tx.memory.sequence, job, state, now, workflow)?;
    }
    drop(statement);
    if tagged {
        insert_tags(tx.connection, first)?;
    }
    Ok(())
}

const INSERT: &str =
    "INSERT INTO jobs (sequence, id, type, queue, state, payload, metadata, document, fingerprint, max_attempts, timeout,
                       wait_reason, correlation_id, created_event_id, created_at, updated_at, scheduled_at, priority,
                       tags, trace_context, needs, partition_key, workflow)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)";

fn insert(
    statement: &mut Statement<'_>,
    sequence: u64,
    job: &NewJob,
    state: JobState,
    now: Timestamp,
    workflow: Option<Uuid>,
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
        workflow.map(Uuid::into_bytes),
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

/// Stores a finished job again as a new one, with its payload or another one; `workflow`: the one that it is kept for.
pub(super) fn replay(
    tx: &mut Transaction<'_>,
    of: &JobRow,
    replay: &Replay,
    workflow: Option<Uuid>,
    payload: Option<&NewPayload>,
) -> rusqlite::Result<()> {
    tx.memory.sequence += 1;
    let mut statement = tx.connection.prepare_cached(
        "INSERT INTO jobs (sequence, id, type, queue, state, priority, payload, metadata, document, fingerprint,
                           max_attempts, timeout, correlation_id, created_event_id, replay_of, created_at, updated_at,
                           scheduled_at, partition_key, tags, trace_context, needs, wait_reason, workflow)
         SELECT ?1, ?2, type, queue, ?6, priority, coalesce(?9, payload), metadata, document, coalesce(?10, fingerprint),
                max_attempts, timeout,
                correlation_id, ?3, id, ?4, ?4, ?4, partition_key, tags, trace_context, needs, ?7, ?8
         FROM jobs WHERE sequence = ?5",
    )?;
    statement.execute(params![
        tx.memory.sequence,
        replay.id.as_bytes(),
        replay.event_id.as_bytes(),
        tx.changes.now.as_micros(),
        of.sequence,
        replay.state as u8,
        replay.wait_reason,
        workflow.map(Uuid::into_bytes),
        payload.map(|payload| &payload.text),
        payload.map(|payload| payload.fingerprint),
    ])?;
    insert_tags(tx.connection, tx.memory.sequence)
}
