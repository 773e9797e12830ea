//! Storing new jobs.

use std::collections::BTreeMap;

use callboard_contracts::{JobState, Timestamp};
use serde_json::json;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{backlog, columns::as_micros, transaction::Transaction, unique};
use crate::edges::store::{
    Operation, OperationResult, Outcome,
    dead_jobs::NewPayload,
    record::NewJob,
    transition::{
        Changes, JobRow,
        code::state_of,
        enqueue::{Enqueued, Known, Replay, due, enqueue, first_refused},
        needs,
        unique::{Holders, as_loaded, keys, parts, replaceable},
    },
};

/// Stores a group of new jobs.
pub(super) async fn run(tx: &mut Transaction<'_>, group: &[Operation]) -> sqlx::Result<Vec<OperationResult>> {
    let jobs: Vec<&NewJob> = group
        .iter()
        .filter_map(|operation| match operation {
            Operation::Enqueue(job) => Some(&**job),
            _ => None,
        })
        .collect();
    Ok(store(tx, &jobs).await?.into_iter().map(Ok).collect())
}

/// Stores new jobs. The places of their kinds are locked.
pub(super) async fn store(tx: &mut Transaction<'_>, jobs: &[&NewJob]) -> sqlx::Result<Vec<Outcome>> {
    if keys(jobs).is_empty() {
        return store_plain(tx, jobs).await;
    }
    let mut outcomes = Vec::with_capacity(jobs.len());
    for part in parts(jobs) {
        outcomes.extend(store_part(tx, part).await?);
    }
    Ok(outcomes)
}

/// Stores new jobs of which no two are of one kind. The places of their kinds are locked.
async fn store_part(tx: &mut Transaction<'_>, jobs: &[&NewJob]) -> sqlx::Result<Vec<Outcome>> {
    // Jobs of this very transaction may be in `rows` only.
    tx.flush().await?;
    let backlogs = backlog::of_queues(tx, jobs).await?;
    let waiting = |_: &_, queue: &str| backlogs.get(queue).copied().unwrap_or(0);
    let least = jobs.iter().map(|job| job.max_total).min().unwrap_or(u64::MAX);
    let total = backlog::total(tx, least).await?;
    let known = find(tx.connection, jobs).await?;
    let mut holders = unique::holders(tx.connection, &keys(jobs)).await?;
    tx.load(replaceable(jobs, &holders).into_iter()).await?;
    as_loaded(&mut holders, &tx.changes);
    let Enqueued { accepted, outcomes } = enqueue(&mut tx.changes, jobs, known, &holders, waiting, total);
    let now = tx.changes.now;
    insert(tx.connection, &accepted, now, IfKnown::Fail, None).await?;
    unique::take(tx.connection, &accepted, now).await?;
    Ok(outcomes)
}

/// Stores new jobs in one statement. It is seldom that one of them is there already, so that is not asked before: the statement
/// stores all of them or none, and only if it has stored none are those that are there looked at, and it is decided anew.
async fn store_plain(tx: &mut Transaction<'_>, jobs: &[&NewJob]) -> sqlx::Result<Vec<Outcome>> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    // Jobs of this very transaction may be in `rows` only.
    tx.flush().await?;
    let backlogs = backlog::of_queues(tx, jobs).await?;
    let waiting = |_: &_, queue: &str| backlogs.get(queue).copied().unwrap_or(0);
    let least = jobs.iter().map(|job| job.max_total).min().unwrap_or(u64::MAX);
    let total = backlog::total(tx, least).await?;
    let now = tx.changes.now;
    let nobody = Holders::new();
    let mut changes = Changes::new(now);
    let Enqueued { accepted, outcomes } =
        enqueue(&mut changes, jobs, BTreeMap::new(), &nobody, waiting, total);
    // A job that is refused may be there already, and is answered as such then.
    if accepted.len() == jobs.len() && insert(tx.connection, &accepted, now, IfKnown::StoreNone, None).await?
    {
        tx.changes.take_in_new_jobs(changes);
        return Ok(outcomes);
    }
    let known = find(tx.connection, jobs).await?;
    let Enqueued { accepted, outcomes } = enqueue(&mut tx.changes, jobs, known, &nobody, waiting, total);
    insert(tx.connection, &accepted, now, IfKnown::Fail, None).await?;
    Ok(outcomes)
}

/// Stores all of these new jobs, which are kept for a workflow, or none of them: then it says which one cannot be stored, and why.
pub(super) async fn store_whole(
    tx: &mut Transaction<'_>,
    jobs: &[&NewJob],
    workflow: Uuid,
) -> sqlx::Result<Option<(usize, Outcome)>> {
    if jobs.is_empty() {
        return Ok(None);
    }
    tx.flush().await?;
    let backlogs = backlog::of_queues(tx, jobs).await?;
    let waiting = |_: &_, queue: &str| backlogs.get(queue).copied().unwrap_or(0);
    let least = jobs.iter().map(|job| job.max_total).min().unwrap_or(u64::MAX);
    let total = backlog::total(tx, least).await?;
    let known = find(tx.connection, jobs).await?;
    let mut scratch = Changes::new(tx.changes.now);
    let Enqueued { accepted, outcomes } = enqueue(&mut scratch, jobs, known, &Holders::new(), waiting, total);
    if let Some(refused) = first_refused(outcomes) {
        return Ok(Some(refused));
    }
    insert(tx.connection, &accepted, tx.changes.now, IfKnown::Fail, Some(workflow)).await?;
    tx.changes.take_in_new_jobs(scratch);
    Ok(None)
}

pub(super) async fn find(
    connection: &mut PgConnection,
    jobs: &[&NewJob],
) -> sqlx::Result<BTreeMap<Uuid, Known>> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
    let rows = sqlx::query(
        "SELECT id, fingerprint, created_event_id, state FROM jobs JOIN job_bodies USING (id) WHERE id = ANY($1)",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    let known = rows.iter().map(|row| {
        let fingerprint: Vec<u8> = row.try_get("fingerprint")?;
        let known = Known {
            fingerprint: fingerprint.try_into().unwrap_or_default(),
            event_id: row.try_get("created_event_id")?,
            state: state_of(row.try_get::<i16, _>("state")?.into()),
        };
        Ok((row.try_get("id")?, known))
    });
    known.collect()
}

/// What [`insert`] does when one of the jobs is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfKnown {
    /// It stores none of them.
    StoreNone,
    /// It fails; the transaction is to be tried again, as somebody else has stored the job since it was looked for.
    Fail,
}

/// Stores all of these jobs, or none; `workflow`: the one that they are kept for. Whether it has.
pub(super) async fn insert(
    connection: &mut PgConnection,
    accepted: &[(&NewJob, JobState)],
    now: Timestamp,
    known: IfKnown,
    workflow: Option<Uuid>,
) -> sqlx::Result<bool> {
    if accepted.is_empty() {
        return Ok(true);
    }
    macro_rules! column {
        (|$job:ident| $value:expr) => {
            accepted.iter().map(|($job, _)| $value).collect::<Vec<_>>()
        };
    }
    // In the order of the ids: whoever stores some of the same jobs in another order waits, and neither for the other.
    let done = sqlx::query(
        "WITH new AS MATERIALIZED (
            SELECT nextval('job_sequence') AS sequence, *
            FROM (SELECT unnest($1::uuid[]) AS id, unnest($2::text[]) AS type, unnest($3::text[]) AS queue,
                         unnest($4::smallint[]) AS state, unnest($5::text[]) AS payload,
                         unnest($6::text[]) AS metadata, unnest($7::text[]) AS document,
                         unnest($8::bytea[]) AS fingerprint, unnest($9::bigint[]) AS max_attempts,
                         unnest($10::bigint[]) AS timeout, unnest($11::text[]) AS wait_reason,
                         unnest($12::uuid[]) AS correlation_id, unnest($13::uuid[]) AS created_event_id,
                         unnest($15::bigint[]) AS scheduled_at, unnest($16::smallint[]) AS priority,
                         unnest($17::text[]) AS tags, unnest($18::text[]) AS trace_context,
                         unnest($19::text[]) AS needs, unnest($20::text[]) AS partition_key) AS given
            WHERE NOT ($21 AND EXISTS (SELECT FROM job_bodies WHERE id = ANY($1)))
         ), body AS (
            INSERT INTO job_bodies (id, sequence, type, queue, payload, metadata, document, fingerprint,
                                    created_event_id, tags, trace_context)
            SELECT id, sequence, type, queue, payload, metadata, document, fingerprint, created_event_id, tags,
                   trace_context FROM new
            ORDER BY id
         ), tagged AS (
            INSERT INTO job_tags (tag, sequence)
            SELECT tag, sequence FROM new, json_array_elements_text(new.tags::json) AS tag WHERE tags IS NOT NULL
         )
         INSERT INTO jobs (id, sequence, type, queue, state, max_attempts, timeout, wait_reason, correlation_id,
                           created_at, updated_at, scheduled_at, priority, needs, partition_key, workflow)
         SELECT id, sequence, type, queue, state, max_attempts, timeout, wait_reason, correlation_id, $14, $14,
                scheduled_at, priority, needs, partition_key, $22::uuid
         FROM new ORDER BY id",
    )
    .bind(column!(|job| job.id))
    .bind(column!(|job| job.job_type.as_str()))
    .bind(column!(|job| job.queue.as_str()))
    .bind(accepted.iter().map(|(_, state)| *state as i16).collect::<Vec<_>>())
    .bind(column!(|job| job.payload.as_str()))
    .bind(column!(|job| job.metadata.as_deref()))
    .bind(column!(|job| job.document.as_deref()))
    .bind(column!(|job| job.fingerprint.as_slice()))
    .bind(column!(|job| i64::from(job.max_attempts)))
    .bind(column!(|job| as_micros(job.timeout)))
    .bind(column!(|job| job.held.as_deref()))
    .bind(column!(|job| job.correlation_id))
    .bind(column!(|job| job.event_id))
    .bind(now.as_micros())
    .bind(column!(|job| due(job, now).unwrap_or(now).as_micros()))
    .bind(column!(|job| job.priority))
    .bind(column!(|job| (!job.tags.is_empty()).then(|| json!(job.tags).to_string())))
    .bind(column!(|job| job.trace.map(|trace| trace.to_string())))
    .bind(column!(|job| needs::stored(&job.needs)))
    .bind(column!(|job| job.partition_key.as_deref()))
    .bind(known == IfKnown::StoreNone)
    .bind(workflow)
    .execute(connection)
    .await?;
    Ok(usize::try_from(done.rows_affected()).is_ok_and(|stored| stored == accepted.len()))
}

/// Stores a finished job again as a new one, with its payload or another one; `workflow`: the one that it is kept for.
pub(super) async fn replay(
    tx: &mut Transaction<'_>,
    of: &JobRow,
    replay: &Replay,
    workflow: Option<Uuid>,
    payload: Option<&NewPayload>,
) -> sqlx::Result<()> {
    sqlx::query(
        "WITH body AS (
            INSERT INTO job_bodies (id, sequence, type, queue, payload, metadata, document, fingerprint,
                                    created_event_id, replay_of, tags, trace_context)
            SELECT $2, nextval('job_sequence'), type, queue, coalesce($8, payload), metadata, document,
                   coalesce($9, fingerprint), $3, id, tags, trace_context
            FROM job_bodies WHERE id = $1 RETURNING sequence, tags
         ), tagged AS (
            INSERT INTO job_tags (tag, sequence)
            SELECT tag, sequence FROM body, json_array_elements_text(body.tags::json) AS tag WHERE tags IS NOT NULL
         )
         INSERT INTO jobs (id, sequence, type, queue, state, priority, max_attempts, timeout, correlation_id,
                           created_at, updated_at, scheduled_at, partition_key, needs, wait_reason, workflow)
         SELECT $2, body.sequence, type, queue, $5::smallint, priority, max_attempts, timeout, correlation_id, $4, $4, $4,
                partition_key, needs, $6::text, $7::uuid
         FROM jobs, body WHERE jobs.id = $1",
    )
    .bind(of.id)
    .bind(replay.id)
    .bind(replay.event_id)
    .bind(tx.changes.now.as_micros())
    .bind(replay.state as i16)
    .bind(replay.wait_reason)
    .bind(workflow)
    .bind(payload.map(|payload| payload.text.as_str()))
    .bind(payload.map(|payload| payload.fingerprint.as_slice()))
    .execute(&mut *tx.connection)
    .await?;
    Ok(())
}
