//! What dead jobs died of, the last success, and what was changed when they ran again.

use callboard_contracts::{Timestamp, api::MOST_COUNTED};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{
    enqueue,
    jobs::{id, time},
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
const LOOKED_AT: u32 = 5000;

/// Runs a finished job again with another payload.
pub(super) fn replay(tx: &mut Transaction<'_>, edited: &EditedReplay) -> rusqlite::Result<Outcome> {
    let EditedReplay { id, replay_id, event_id, max_backlog, max_total, payload, note } = edited;
    tx.load([*id, *replay_id].into_iter())?;
    if let Some(row) = tx.changes.rows.get(id).filter(|row| !row.state.is_final()) {
        return Ok(Outcome::NotPossible { state: row.state });
    }
    let of = match retry(&mut tx.changes, *id, *replay_id) {
        Retry::Decided(outcome) => return Ok(outcome),
        Retry::Replay(of) => of,
    };
    let waiting = tx.backlog(&of.queue);
    if waiting >= *max_backlog {
        return Ok(Outcome::BacklogFull { waiting, limit: *max_backlog });
    }
    let waiting = tx.total();
    if waiting >= *max_total {
        return Ok(Outcome::StoreFull { waiting, limit: *max_total });
    }
    let replay = Replay::available(*replay_id, *event_id);
    enqueue::replay(tx, &of, &replay, None, Some(payload))?;
    workflows::adopt(tx, *id, *replay_id)?;
    note_edit(tx, *id, *replay_id, note)?;
    Ok(replayed(&mut tx.changes, &of, &replay))
}

/// Keeps what was changed.
pub(super) fn note_edit(
    tx: &Transaction<'_>,
    original: Uuid,
    replay: Uuid,
    note: &EditNote,
) -> rusqlite::Result<()> {
    let mut statement = tx.connection.prepare_cached(
        "INSERT INTO job_edits (replay, original, patch, reason, by, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (replay) DO NOTHING",
    )?;
    let EditNote { patch, reason, by } = note;
    let at = tx.changes.now.as_micros();
    statement.execute(params![replay.as_bytes(), original.as_bytes(), patch, reason, by, at])?;
    Ok(())
}

pub(super) fn edits(connection: &Connection, job: Uuid) -> rusqlite::Result<Vec<EditRecord>> {
    let edit = |row: &Row<'_>| {
        Ok(EditRecord {
            replay: id(row, 0)?,
            original: id(row, 1)?,
            note: EditNote { patch: row.get(2)?, reason: row.get(3)?, by: row.get(4)? },
            at: time(row, 5)?,
        })
    };
    let mut of_it = connection.prepare_cached(
        "SELECT replay, original, patch, reason, by, at FROM job_edits WHERE original = ?1 ORDER BY at DESC LIMIT ?2",
    )?;
    let mut edits: Vec<EditRecord> =
        of_it.query_map(params![job.as_bytes(), EditRecord::MOST - 1], edit)?.collect::<Result<_, _>>()?;
    let mut its_own = connection
        .prepare_cached("SELECT replay, original, patch, reason, by, at FROM job_edits WHERE replay = ?1")?;
    edits.extend(its_own.query_row([job.as_bytes()], edit).optional()?);
    Ok(edits)
}

/// Finds out what dead jobs died of that ended before that was kept.
pub(super) fn fill_causes(tx: &mut Transaction<'_>, limit: u32) -> rusqlite::Result<Outcome> {
    tx.flush()?;
    let mut find = tx.connection.prepare_cached(
        "SELECT sequence, last_error,
                (SELECT error FROM attempts WHERE job = jobs.id AND error IS NOT NULL ORDER BY token DESC LIMIT 1)
         FROM jobs INDEXED BY jobs_without_cause WHERE state = 7 AND cause IS NULL ORDER BY sequence LIMIT ?1",
    )?;
    let found = find.query_map([limit], |row| {
        Ok((row.get::<_, i64>(0)?, Cause::of(&stored_error(row.get(2)?, row.get(1)?))))
    })?;
    let found: Vec<(i64, Cause)> = found.collect::<Result<_, _>>()?;
    let mut put = tx.connection.prepare_cached("UPDATE jobs SET cause = ?2 WHERE sequence = ?1")?;
    for (sequence, cause) in &found {
        put.execute(params![sequence, cause.fingerprint])?;
    }
    let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
    Ok(Outcome::DeadJobs(DeadJobsOutcome::CausesFilled { count }))
}

pub(super) fn causes(connection: &Connection, query: &CauseQuery) -> rusqlite::Result<CausePage> {
    let mut page = CausePage::default();
    let mut seek = first(query);
    for _ in 0..MOST_LOOKS {
        let Some(key) = next_group(connection, &seek)? else { return Ok(page) };
        seek = match found(query, &key) {
            Found::End => return Ok(page),
            Found::Look(seek) => seek,
            Found::Take if page.causes.len() >= query.limit as usize => {
                page.next = page.causes.last().map(|cause| cause.key.clone());
                return Ok(page);
            }
            Found::Take => {
                page.causes.push(group(connection, key.clone())?);
                Seek::After(key)
            }
        };
    }
    // Many groups that are not asked for: it is gone on from here.
    page.next = Some(seek.into_key());
    Ok(page)
}

fn next_group(connection: &Connection, seek: &Seek) -> rusqlite::Result<Option<CauseKey>> {
    let key = |row: &Row<'_>| Ok(CauseKey { job_type: row.get(0)?, queue: row.get(1)?, cause: row.get(2)? });
    match seek {
        Seek::After(CauseKey { job_type, queue, cause }) => connection
            .prepare_cached(
                "SELECT type, queue, cause FROM jobs INDEXED BY jobs_dead
                 WHERE state = 7 AND cause IS NOT NULL AND (type, queue, cause) > (?1, ?2, ?3)
                 ORDER BY type, queue, cause LIMIT 1",
            )?
            .query_row([job_type, queue, cause], key)
            .optional(),
        Seek::AfterType(job_type) => connection
            .prepare_cached(
                "SELECT type, queue, cause FROM jobs INDEXED BY jobs_dead
                 WHERE state = 7 AND cause IS NOT NULL AND type > ?1 ORDER BY type, queue, cause LIMIT 1",
            )?
            .query_row([job_type], key)
            .optional(),
    }
}

fn group(connection: &Connection, key: CauseKey) -> rusqlite::Result<CauseRecord> {
    let CauseKey { job_type, queue, cause } = &key;
    macro_rules! of_group {
        ($select:literal, $rest:literal) => {
            concat!(
                "SELECT ",
                $select,
                " FROM jobs INDEXED BY jobs_dead
                  WHERE state = 7 AND cause IS NOT NULL AND type = ?1 AND queue = ?2 AND cause = ?3 ",
                $rest
            )
        };
    }
    let names = [job_type, queue, cause];
    let counted: u64 = connection
        .prepare_cached(concat!("SELECT count(*) FROM (", of_group!("1", "LIMIT ?4"), ")"))?
        .query_row(params![job_type, queue, cause, MOST_COUNTED + 1], |row| row.get(0))?;
    let first_at = connection
        .prepare_cached(of_group!("finished_at", "ORDER BY finished_at LIMIT 1"))?
        .query_row(names, |row| time(row, 0))?;
    let (last_at, sample, error): (Timestamp, Uuid, _) = connection
        .prepare_cached(of_group!(
            "finished_at, id, last_error,
             (SELECT error FROM attempts WHERE job = jobs.id AND error IS NOT NULL ORDER BY token DESC LIMIT 1)",
            "ORDER BY finished_at DESC LIMIT 1"
        ))?
        .query_row(names, |row| Ok((time(row, 0)?, id(row, 1)?, stored_error(row.get(3)?, row.get(2)?))))?;
    Ok(CauseRecord {
        title: Cause::of(&error).title,
        kind: error.kind,
        count: counted.min(MOST_COUNTED),
        at_least: counted > MOST_COUNTED,
        first_at,
        last_at,
        sample,
        key,
    })
}

pub(super) fn last_success(connection: &Connection, job: Uuid) -> rusqlite::Result<Option<Uuid>> {
    type Known = (String, String, Option<String>);
    let known: Option<Known> = connection
        .prepare_cached("SELECT type, queue, cause FROM jobs WHERE id = ?1")?
        .query_row([job.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((job_type, queue, cause)) = known else { return Ok(None) };
    let newest = success_before(connection, &job_type, &queue, i64::MAX)?;
    let (None, Some(cause)) = (newest, cause) else { return Ok(newest) };
    let first: Option<i64> = connection
        .prepare_cached(
            "SELECT sequence FROM jobs INDEXED BY jobs_dead
             WHERE state = 7 AND cause IS NOT NULL AND type = ?1 AND queue = ?2 AND cause = ?3
             ORDER BY finished_at LIMIT 1",
        )?
        .query_row([&job_type, &queue, &cause], |row| row.get(0))
        .optional()?;
    first.map_or(Ok(None), |first| success_before(connection, &job_type, &queue, first))
}

fn success_before(
    connection: &Connection,
    job_type: &str,
    queue: &str,
    before: i64,
) -> rusqlite::Result<Option<Uuid>> {
    connection
        .prepare_cached(
            "SELECT id FROM (SELECT id, queue, state, sequence FROM jobs INDEXED BY jobs_by_type
                             WHERE type = ?1 AND sequence < ?2 ORDER BY sequence DESC LIMIT ?3)
             WHERE state = 5 AND queue = ?4 ORDER BY sequence DESC LIMIT 1",
        )?
        .query_row(params![job_type, before, LOOKED_AT, queue], |row| id(row, 0))
        .optional()
}

/// Deletes what was changed with jobs of which none is there any more. The jobs are deleted already.
pub(super) fn delete_edits(connection: &Connection, deleted: &str) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM job_edits WHERE replay IN (SELECT unhex(value) FROM json_each(?1))
            AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = job_edits.original)",
        "DELETE FROM job_edits WHERE original IN (SELECT unhex(value) FROM json_each(?1))
            AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = job_edits.replay)",
    ] {
        connection.prepare_cached(sql)?.execute([deleted])?;
    }
    Ok(())
}
