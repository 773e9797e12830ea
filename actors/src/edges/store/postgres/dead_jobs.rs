//! What dead jobs died of, the last success, and what was changed when they ran again.

use callboard_contracts::api::MOST_COUNTED;
use sqlx::{Executor, PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    backlog,
    columns::{as_long, as_text, time},
    enqueue, session,
    transaction::Transaction,
    workflows,
};
use crate::edges::store::{
    Outcome,
    dead_jobs::{
        CauseKey, CausePage, CauseQuery, CauseRecord, DeadJobsOutcome, EditNote, EditRecord, EditedReplay,
    },
    transition::{
        cause::{Cause, stored_error},
        control::{Retry, retry},
        enqueue::{Replay, replayed},
        groups::{Found, MOST_LOOKS, Seek, first, found},
    },
};

/// Jobs that are looked at for the last success, twice.
const LOOKED_AT: i64 = 5000;

/// Runs a finished job again with another payload.
pub(super) async fn replay(tx: &mut Transaction<'_>, edited: &EditedReplay) -> sqlx::Result<Outcome> {
    let EditedReplay { id, replay_id, event_id, max_backlog, max_total, payload, note } = edited;
    tx.load([*id, *replay_id].into_iter()).await?;
    if let Some(row) = tx.changes.rows.get(id).filter(|row| !row.state.is_final()) {
        return Ok(Outcome::NotPossible { state: row.state });
    }
    let of = match retry(&mut tx.changes, *id, *replay_id) {
        Retry::Decided(outcome) => return Ok(outcome),
        Retry::Replay(of) => of,
    };
    let backlogs = tx.backlogs(vec![&of.queue]).await?;
    let waiting = backlogs.get(&of.queue).copied().unwrap_or(0);
    if waiting >= *max_backlog {
        return Ok(Outcome::BacklogFull { waiting, limit: *max_backlog });
    }
    let waiting = backlog::total(tx, *max_total).await?;
    if waiting >= *max_total {
        return Ok(Outcome::StoreFull { waiting, limit: *max_total });
    }
    let replay = Replay::available(*replay_id, *event_id);
    enqueue::replay(tx, &of, &replay, None, Some(payload)).await?;
    workflows::adopt(tx, *id, *replay_id).await?;
    note_edit(tx, *id, *replay_id, note).await?;
    Ok(replayed(&mut tx.changes, &of, &replay))
}

/// Keeps what was changed.
pub(super) async fn note_edit(
    tx: &mut Transaction<'_>,
    original: Uuid,
    replay: Uuid,
    note: &EditNote,
) -> sqlx::Result<()> {
    let EditNote { patch, reason, by } = note;
    sqlx::query(
        "INSERT INTO job_edits (replay, original, patch, reason, by, at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (replay) DO NOTHING",
    )
    .bind(replay)
    .bind(original)
    .bind(patch.as_deref())
    .bind(reason.as_deref().map(as_text))
    .bind(as_text(by))
    .bind(tx.changes.now.as_micros())
    .execute(&mut *tx.connection)
    .await?;
    Ok(())
}

pub(super) async fn edits(connection: &mut PgConnection, job: Uuid) -> sqlx::Result<Vec<EditRecord>> {
    let rows = sqlx::query(
        "(SELECT replay, original, patch, reason, by, at FROM job_edits WHERE original = $1 ORDER BY at DESC LIMIT $2)
         UNION ALL SELECT replay, original, patch, reason, by, at FROM job_edits WHERE replay = $1
         ORDER BY at DESC",
    )
    .bind(job)
    .bind(i64::from(EditRecord::MOST) - 1)
    .fetch_all(connection)
    .await?;
    let edits = rows.iter().map(|row| {
        Ok(EditRecord {
            replay: row.try_get("replay")?,
            original: row.try_get("original")?,
            note: EditNote {
                patch: row.try_get("patch")?,
                reason: row.try_get("reason")?,
                by: row.try_get("by")?,
            },
            at: time(row, "at")?,
        })
    });
    edits.collect()
}

/// Finds out what dead jobs died of that ended before that was kept.
pub(super) async fn fill_causes(tx: &mut Transaction<'_>, limit: u32, leader: u64) -> sqlx::Result<Outcome> {
    if !session::leads(tx.connection, leader).await? {
        return Ok(Outcome::NotLeader);
    }
    tx.flush().await?;
    let rows = sqlx::query(
        "SELECT id, last_error,
                (SELECT error FROM attempts WHERE job = jobs.id AND error IS NOT NULL ORDER BY token DESC LIMIT 1) AS error
         FROM jobs WHERE state = 7 AND cause IS NULL ORDER BY sequence LIMIT $1 FOR UPDATE SKIP LOCKED",
    )
    .bind(i64::from(limit))
    .fetch_all(&mut *tx.connection)
    .await?;
    let (mut ids, mut causes): (Vec<Uuid>, Vec<String>) = (Vec::new(), Vec::new());
    for row in &rows {
        ids.push(row.try_get("id")?);
        causes.push(Cause::of(&stored_error(row.try_get("error")?, row.try_get("last_error")?)).fingerprint);
    }
    sqlx::query(
        "UPDATE jobs SET cause = found.cause FROM unnest($1::uuid[], $2::text[]) AS found (id, cause)
         WHERE jobs.id = found.id",
    )
    .bind(&ids)
    .bind(&causes)
    .execute(&mut *tx.connection)
    .await?;
    let count = u32::try_from(ids.len()).unwrap_or(u32::MAX);
    Ok(Outcome::DeadJobs(DeadJobsOutcome::CausesFilled { count }))
}

/// For the rest of the transaction, groups are read in the order of their index and no further than must be. The server takes type,
/// queue and cause for independent of each other, thinks that each group is small, and would read large ones as a whole.
pub(super) const BY_INDEX: &str =
    "SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off";

pub(super) async fn causes(connection: &mut PgConnection, query: CauseQuery) -> sqlx::Result<CausePage> {
    connection.execute(sqlx::raw_sql(BY_INDEX)).await?;
    let mut page = CausePage::default();
    let mut seek = first(&query);
    for _ in 0..MOST_LOOKS {
        let Some(key) = next_group(connection, &seek).await? else { return Ok(page) };
        seek = match found(&query, &key) {
            Found::End => return Ok(page),
            Found::Look(seek) => seek,
            Found::Take if page.causes.len() >= query.limit as usize => {
                page.next = page.causes.last().map(|cause| cause.key.clone());
                return Ok(page);
            }
            Found::Take => {
                page.causes.push(group(connection, key.clone()).await?);
                Seek::After(key)
            }
        };
    }
    page.next = Some(seek.into_key());
    Ok(page)
}

/// Names in the order of their bytes, as the index has them.
macro_rules! bytes {
    ($column:literal) => {
        concat!($column, " COLLATE \"C\"")
    };
}
pub(super) const NEXT_GROUP: &str = concat!(
    "SELECT type, queue, cause FROM jobs WHERE state = 7 AND cause IS NOT NULL AND (",
    bytes!("type"),
    ", ",
    bytes!("queue"),
    ", cause) > ($1, $2, $3) ORDER BY ",
    bytes!("type"),
    ", ",
    bytes!("queue"),
    ", cause LIMIT 1"
);
pub(super) const NEXT_TYPE: &str = concat!(
    "SELECT type, queue, cause FROM jobs WHERE state = 7 AND cause IS NOT NULL AND ",
    bytes!("type"),
    " > $1 ORDER BY ",
    bytes!("type"),
    ", ",
    bytes!("queue"),
    ", cause LIMIT 1"
);

async fn next_group(connection: &mut PgConnection, seek: &Seek) -> sqlx::Result<Option<CauseKey>> {
    let query = match seek {
        Seek::After(CauseKey { job_type, queue, cause }) => {
            sqlx::query(NEXT_GROUP).bind(job_type).bind(queue).bind(cause)
        }
        Seek::AfterType(job_type) => sqlx::query(NEXT_TYPE).bind(job_type),
    };
    let Some(row) = query.fetch_optional(connection).await? else { return Ok(None) };
    Ok(Some(CauseKey {
        job_type: row.try_get("type")?,
        queue: row.try_get("queue")?,
        cause: row.try_get("cause")?,
    }))
}

macro_rules! of_group {
    () => {
        concat!(
            "FROM jobs WHERE state = 7 AND cause IS NOT NULL AND ",
            bytes!("type"),
            " = $1 AND ",
            bytes!("queue"),
            " = $2 AND cause = $3 "
        )
    };
}
/// In the order of the index, so that no more of a large group is read than is counted.
pub(super) const COUNT: &str =
    concat!("SELECT count(*) FROM (SELECT ", of_group!(), "ORDER BY finished_at LIMIT $4) AS counted");
pub(super) const FIRST: &str =
    concat!("SELECT finished_at, sequence ", of_group!(), "ORDER BY finished_at LIMIT 1");
pub(super) const LAST: &str = concat!(
    "SELECT finished_at, id, last_error,
            (SELECT error FROM attempts WHERE job = jobs.id AND error IS NOT NULL ORDER BY token DESC LIMIT 1) AS error ",
    of_group!(),
    "ORDER BY finished_at DESC LIMIT 1"
);

async fn group(connection: &mut PgConnection, key: CauseKey) -> sqlx::Result<CauseRecord> {
    let CauseKey { job_type, queue, cause } = &key;
    let of_group = |sql: &'static str| sqlx::query(sql).bind(job_type).bind(queue).bind(cause);
    let counted: PgRow = of_group(COUNT).bind(as_long(MOST_COUNTED) + 1).fetch_one(&mut *connection).await?;
    let counted = super::columns::long(&counted, "count")?;
    let first = of_group(FIRST).fetch_one(&mut *connection).await?;
    let last = of_group(LAST).fetch_one(&mut *connection).await?;
    let error = stored_error(last.try_get("error")?, last.try_get("last_error")?);
    Ok(CauseRecord {
        title: Cause::of(&error).title,
        kind: error.kind,
        count: counted.min(MOST_COUNTED),
        at_least: counted > MOST_COUNTED,
        first_at: time(&first, "finished_at")?,
        last_at: time(&last, "finished_at")?,
        sample: last.try_get("id")?,
        key,
    })
}

pub(super) async fn last_success(connection: &mut PgConnection, job: Uuid) -> sqlx::Result<Option<Uuid>> {
    let known: Option<(String, String, Option<String>)> =
        sqlx::query_as("SELECT type, queue, cause FROM jobs WHERE id = $1")
            .bind(job)
            .fetch_optional(&mut *connection)
            .await?;
    let Some((job_type, queue, cause)) = known else { return Ok(None) };
    let newest = success_before(connection, &job_type, &queue, i64::MAX).await?;
    let (None, Some(cause)) = (newest, cause) else { return Ok(newest) };
    connection.execute(sqlx::raw_sql(BY_INDEX)).await?;
    let first = sqlx::query(FIRST).bind(&job_type).bind(&queue).bind(cause);
    match first.fetch_optional(&mut *connection).await? {
        Some(first) => success_before(connection, &job_type, &queue, first.try_get("sequence")?).await,
        None => Ok(None),
    }
}

/// Each job of the type is looked up by itself, from the newest on, until one fits: left the choice, the server might go through all
/// that are completed.
pub(super) const SUCCESS: &str =
    "SELECT jobs.id FROM (SELECT id, queue, sequence FROM job_bodies WHERE type = $1 AND sequence < $2
                          ORDER BY sequence DESC LIMIT $3) AS body
        CROSS JOIN LATERAL (SELECT id, state FROM jobs WHERE jobs.id = body.id OFFSET 0) AS jobs
     WHERE jobs.state = 5 AND body.queue = $4 ORDER BY body.sequence DESC LIMIT 1";

async fn success_before(
    connection: &mut PgConnection,
    job_type: &str,
    queue: &str,
    before: i64,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar(SUCCESS)
        .bind(job_type)
        .bind(before)
        .bind(LOOKED_AT)
        .bind(queue)
        .fetch_optional(connection)
        .await
}

/// Deletes what was changed with jobs of which none is there any more. The jobs are deleted already.
pub(super) const DELETE_EDITS: [&str; 2] = [
    "DELETE FROM job_edits WHERE replay = ANY($1) AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = job_edits.original)",
    "DELETE FROM job_edits WHERE original = ANY($1) AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = job_edits.replay)",
];
