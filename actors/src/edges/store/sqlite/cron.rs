//! The cron table.

use std::collections::BTreeMap;

use callboard_contracts::{JobState, Timestamp, api::CronSource};
use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{
    enqueue,
    jobs::{optional_id, optional_time, time},
    transaction::Transaction,
};
use crate::{
    cron::DueTime,
    edges::store::{
        Outcome,
        cron::{CronDue, CronOperation, CronOutcome, CronRecord, Fire, NewCron},
        record::NewJob,
        transition::{
            control,
            cron::{self, Change, Tried},
        },
    },
};

macro_rules! columns {
    () => {
        "name, source, definition, set_by, revision, paused_at, due_at, fires_at, last_job, fired, skipped, missed, firings, \
         created_at, updated_at"
    };
}

pub(super) fn run(tx: &mut Transaction<'_>, operation: &CronOperation) -> rusqlite::Result<CronOutcome> {
    let now = tx.changes.now;
    let (name, change) = match operation {
        CronOperation::Put { entry, by } => {
            (&entry.name, put(tx.connection, entry, (CronSource::Api, by), now)?)
        }
        CronOperation::Sync { entries, node, all, leader: _ } => return sync(tx, entries, node, *all),
        CronOperation::Delete { name } => (name, cron::delete(find(tx.connection, name)?.as_ref())),
        CronOperation::Pause { name } => (name, cron::pause(find(tx.connection, name)?, now)),
        CronOperation::Resume { name, revision, next } => {
            (name, cron::resume(find(tx.connection, name)?, *revision, *next, now))
        }
        CronOperation::Run { name, revision, job } => return run_now(tx, name, *revision, job),
        CronOperation::Fire(fire) => return self::fire(tx, fire),
    };
    Ok(match change {
        Change::None(outcome) => outcome,
        Change::Write(entry) => {
            write(tx.connection, &entry)?;
            CronOutcome::Done
        }
        Change::Delete => {
            delete(tx.connection, name)?;
            CronOutcome::Done
        }
    })
}

fn put(
    connection: &Connection,
    entry: &NewCron,
    from: (CronSource, &str),
    now: Timestamp,
) -> rusqlite::Result<Change> {
    let known = find(connection, &entry.name)?;
    let count = match known {
        Some(_) => 0,
        None => connection.prepare_cached("SELECT count(*) FROM cron")?.query_row((), |row| row.get(0))?,
    };
    Ok(cron::put(known, entry, from, count, now))
}

fn sync(
    tx: &mut Transaction<'_>,
    entries: &[NewCron],
    node: &str,
    all: bool,
) -> rusqlite::Result<CronOutcome> {
    let connection = tx.connection;
    let mut statement = connection.prepare_cached("SELECT name, set_by FROM cron WHERE source = ?1")?;
    let source = CronSource::Configuration;
    let known = statement.query_map([source.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let taken_out = cron::gone(known.collect::<rusqlite::Result<BTreeMap<_, _>>>()?, entries, node, all);
    // First those that go: they make room.
    taken_out.iter().try_for_each(|name| delete(connection, name))?;
    let (mut changed, mut refused) = (0, Vec::new());
    for entry in entries {
        match put(connection, entry, (source, node), tx.changes.now)? {
            Change::Write(entry) => {
                write(connection, &entry)?;
                changed += 1;
            }
            Change::None(CronOutcome::Done) | Change::Delete => {}
            Change::None(_) => refused.push(entry.name.clone()),
        }
    }
    Ok(CronOutcome::Synced { changed, taken_out, refused })
}

fn run_now(
    tx: &mut Transaction<'_>,
    name: &str,
    revision: u64,
    job: &NewJob,
) -> rusqlite::Result<CronOutcome> {
    let Some(entry) = find(tx.connection, name)? else { return Ok(CronOutcome::NotFound) };
    if entry.revision != revision {
        return Ok(CronOutcome::Changed);
    }
    let stored = match store(tx, job)? {
        Ok(stored) => stored,
        Err(refusal) => return Ok(refusal),
    };
    Ok(match cron::ran(entry, job, stored, tx.changes.now) {
        Ok((entry, outcome)) => {
            write(tx.connection, &entry)?;
            outcome
        }
        Err(outcome) => outcome,
    })
}

fn fire(tx: &mut Transaction<'_>, fire: &Fire) -> rusqlite::Result<CronOutcome> {
    let entry = match cron::awaited(find(tx.connection, &fire.name)?, fire) {
        Ok(entry) => entry,
        Err(outcome) => return Ok(outcome),
    };
    let before = state(tx, entry.last_job)?;
    let (mut queue, tried) = (String::new(), cron::job(&entry, fire, before));
    let tried = match tried {
        Err(tried) => tried,
        Ok(job) => {
            queue.clone_from(&job.queue);
            let stored = match store(tx, job)? {
                Ok(stored) => stored,
                Err(refusal) => return Ok(refusal),
            };
            let replaced = cron::replaces(&entry, before, &stored);
            let called_off = match replaced {
                Some(id) => {
                    // It was written back when the new one was stored.
                    tx.load(std::iter::once(id))?;
                    Some(Box::new(control::cancel(&mut tx.changes, id)))
                }
                None => None,
            };
            Tried::Stored(job.id, Box::new(stored), called_off)
        }
    };
    Ok(match cron::settle(entry, fire, &queue, tried, tx.changes.now) {
        Ok((entry, outcome)) => {
            write(tx.connection, &entry)?;
            outcome
        }
        Err(outcome) => outcome,
    })
}

fn state(tx: &mut Transaction<'_>, job: Option<Uuid>) -> rusqlite::Result<Option<JobState>> {
    let Some(id) = job else { return Ok(None) };
    tx.load(std::iter::once(id))?;
    Ok(tx.changes.rows.get(&id).map(|row| row.state))
}

fn store(tx: &mut Transaction<'_>, job: &NewJob) -> rusqlite::Result<Result<Outcome, CronOutcome>> {
    Ok(match enqueue::store(tx, &[job])? {
        Ok(mut outcomes) => Ok(outcomes.remove(0)),
        Err(refusal) => Err(CronOutcome::Unavailable(refusal)),
    })
}

fn delete(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM cron WHERE name = ?1")?.execute([name])?;
    Ok(())
}

/// Writes an entry over what there is of its name.
pub(super) fn write(connection: &Connection, entry: &CronRecord) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(concat!(
        "INSERT OR REPLACE INTO cron (",
        columns!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
    ))?;
    statement.execute(params![
        entry.name,
        entry.source.as_str(),
        cron::text(&entry.definition),
        entry.set_by,
        entry.revision,
        entry.paused_at.map(Timestamp::as_micros),
        entry.next.map(|next| next.due.as_micros()),
        entry.next.map(|next| next.fires_at.as_micros()),
        entry.last_job.map(Uuid::into_bytes),
        entry.fired,
        entry.skipped,
        entry.missed,
        cron::text(&entry.firings),
        entry.created_at.as_micros(),
        entry.updated_at.as_micros(),
    ])?;
    Ok(())
}

pub(super) fn find(connection: &Connection, name: &str) -> rusqlite::Result<Option<CronRecord>> {
    let mut statement =
        connection.prepare_cached(concat!("SELECT ", columns!(), " FROM cron WHERE name = ?1"))?;
    statement.query_row([name], record).optional()
}

pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<CronRecord>> {
    let mut statement =
        connection.prepare_cached(concat!("SELECT ", columns!(), " FROM cron ORDER BY name"))?;
    statement.query_map((), record)?.collect()
}

pub(super) fn due(connection: &Connection, now: Timestamp, limit: u32) -> rusqlite::Result<CronDue> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM cron WHERE fires_at <= ?1 ORDER BY fires_at, name LIMIT ?2"
    ))?;
    let entries: Vec<CronRecord> =
        statement.query_map(params![now.as_micros(), limit], record)?.collect::<rusqlite::Result<_>>()?;
    let next_at: Option<i64> = connection
        .prepare_cached("SELECT min(fires_at) FROM cron WHERE fires_at > ?1")?
        .query_row([now.as_micros()], |row| row.get(0))?;
    let more = entries.len() >= limit as usize;
    Ok(CronDue { next_at: if more { Some(now) } else { next_at.map(Timestamp::from_micros) }, entries })
}

fn record(row: &Row<'_>) -> rusqlite::Result<CronRecord> {
    let due = match (optional_time(row, 6)?, optional_time(row, 7)?) {
        (Some(due), Some(fires_at)) => Some(DueTime { due, fires_at }),
        _ => None,
    };
    Ok(CronRecord {
        name: row.get(0)?,
        source: cron::source_of(row.get_ref(1)?.as_str()?),
        definition: json(row, 2)?,
        set_by: row.get(3)?,
        revision: row.get(4)?,
        paused_at: optional_time(row, 5)?,
        next: due,
        last_job: optional_id(row, 8)?,
        fired: row.get(9)?,
        skipped: row.get(10)?,
        missed: row.get(11)?,
        firings: json(row, 12)?,
        created_at: time(row, 13)?,
        updated_at: time(row, 14)?,
    })
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}
