//! The cron table. Whoever changes an entry holds its row; whoever makes one holds the table, so that none is made twice.

use std::collections::{BTreeMap, BTreeSet};

use callboard_contracts::{JobState, Timestamp, api::CronSource};
use serde::de::DeserializeOwned;
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    columns::{as_long, as_text, long, optional_time, time},
    enqueue, session,
    transaction::Transaction,
};
use crate::{
    cron::DueTime,
    edges::store::{
        Outcome, StoreError,
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

/// `None`: it was to be done under a leadership that has ended.
pub(super) async fn run(
    tx: &mut Transaction<'_>,
    operation: &CronOperation,
) -> sqlx::Result<Option<CronOutcome>> {
    let now = tx.changes.now;
    let (name, change) = match operation {
        CronOperation::Put { entry, by } => {
            hold_table(tx.connection).await?;
            (&entry.name, put(tx.connection, entry, (CronSource::Api, by), now).await?)
        }
        CronOperation::Sync { entries, node, all, leader } => {
            if !session::leads(tx.connection, *leader).await? {
                return Ok(None);
            }
            return sync(tx, entries, node, *all).await.map(Some);
        }
        CronOperation::Delete { name } => (name, cron::delete(hold(tx.connection, name).await?.as_ref())),
        CronOperation::Pause { name } => (name, cron::pause(hold(tx.connection, name).await?, now)),
        CronOperation::Resume { name, revision, next } => {
            (name, cron::resume(hold(tx.connection, name).await?, *revision, *next, now))
        }
        CronOperation::Run { name, revision, job } => {
            return run_now(tx, name, *revision, job).await.map(Some);
        }
        CronOperation::Fire(fire) => {
            if !session::leads(tx.connection, fire.leader).await? {
                return Ok(None);
            }
            return self::fire(tx, fire).await.map(Some);
        }
    };
    Ok(Some(match change {
        Change::None(outcome) => outcome,
        Change::Write(entry) => {
            write(tx.connection, &entry).await?;
            CronOutcome::Done
        }
        Change::Delete => {
            delete(tx.connection, name).await?;
            CronOutcome::Done
        }
    }))
}

/// Locks entries, in the order of their names. The table is held first, by whoever makes entries against all others: who has a row
/// already would wait for who waits for it.
pub(super) async fn lock(
    connection: &mut PgConnection,
    makes: bool,
    names: BTreeSet<String>,
) -> sqlx::Result<()> {
    if makes {
        hold_table(connection).await?;
    } else if !names.is_empty() {
        sqlx::query("LOCK TABLE cron IN ROW EXCLUSIVE MODE").execute(&mut *connection).await?;
    }
    if !names.is_empty() {
        sqlx::query("SELECT FROM cron WHERE name = ANY($1) ORDER BY name FOR UPDATE")
            .bind(names.into_iter().collect::<Vec<_>>())
            .execute(connection)
            .await?;
    }
    Ok(())
}

async fn hold_table(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("LOCK TABLE cron IN SHARE ROW EXCLUSIVE MODE").execute(connection).await?;
    Ok(())
}

async fn put(
    connection: &mut PgConnection,
    entry: &NewCron,
    from: (CronSource, &str),
    now: Timestamp,
) -> sqlx::Result<Change> {
    let known = hold(connection, &entry.name).await?;
    let count: i64 = match known {
        Some(_) => 0,
        None => sqlx::query_scalar("SELECT count(*) FROM cron").fetch_one(connection).await?,
    };
    Ok(cron::put(known, entry, from, u32::try_from(count).unwrap_or(u32::MAX), now))
}

async fn sync(
    tx: &mut Transaction<'_>,
    entries: &[NewCron],
    node: &str,
    all: bool,
) -> sqlx::Result<CronOutcome> {
    hold_table(tx.connection).await?;
    let source = CronSource::Configuration;
    let known: Vec<(String, String)> = sqlx::query_as("SELECT name, set_by FROM cron WHERE source = $1")
        .bind(source.as_str())
        .fetch_all(&mut *tx.connection)
        .await?;
    let taken_out = cron::gone(known.into_iter().collect::<BTreeMap<_, _>>(), entries, node, all);
    // First those that go: they make room.
    for name in &taken_out {
        delete(tx.connection, name).await?;
    }
    let (mut changed, mut refused) = (0, Vec::new());
    for entry in entries {
        match put(tx.connection, entry, (source, node), tx.changes.now).await? {
            Change::Write(entry) => {
                write(tx.connection, &entry).await?;
                changed += 1;
            }
            Change::None(CronOutcome::Done) | Change::Delete => {}
            Change::None(_) => refused.push(entry.name.clone()),
        }
    }
    Ok(CronOutcome::Synced { changed, taken_out, refused })
}

async fn run_now(
    tx: &mut Transaction<'_>,
    name: &str,
    revision: u64,
    job: &NewJob,
) -> sqlx::Result<CronOutcome> {
    let Some(entry) = hold(tx.connection, name).await? else { return Ok(CronOutcome::NotFound) };
    if entry.revision != revision {
        return Ok(CronOutcome::Changed);
    }
    let stored = store(tx, job).await?;
    Ok(match cron::ran(entry, job, stored, tx.changes.now) {
        Ok((entry, outcome)) => {
            write(tx.connection, &entry).await?;
            outcome
        }
        Err(outcome) => outcome,
    })
}

async fn fire(tx: &mut Transaction<'_>, fire: &Fire) -> sqlx::Result<CronOutcome> {
    let entry = match cron::awaited(hold(tx.connection, &fire.name).await?, fire) {
        Ok(entry) => entry,
        Err(outcome) => return Ok(outcome),
    };
    let before = state(tx, entry.last_job).await?;
    let mut queue = String::new();
    let tried = match cron::job(&entry, fire, before) {
        Err(tried) => tried,
        Ok(job) => {
            queue.clone_from(&job.queue);
            let stored = store(tx, job).await?;
            let called_off = match cron::replaces(&entry, before, &stored) {
                Some(id) => {
                    // It may have been let go of when the new one was stored.
                    tx.load(std::iter::once(id)).await?;
                    Some(Box::new(control::cancel(&mut tx.changes, id)))
                }
                None => None,
            };
            Tried::Stored(job.id, Box::new(stored), called_off)
        }
    };
    Ok(match cron::settle(entry, fire, &queue, tried, tx.changes.now) {
        Ok((entry, outcome)) => {
            write(tx.connection, &entry).await?;
            outcome
        }
        Err(outcome) => outcome,
    })
}

async fn state(tx: &mut Transaction<'_>, job: Option<Uuid>) -> sqlx::Result<Option<JobState>> {
    let Some(id) = job else { return Ok(None) };
    tx.load(std::iter::once(id)).await?;
    Ok(tx.changes.rows.get(&id).map(|row| row.state))
}

async fn store(tx: &mut Transaction<'_>, job: &NewJob) -> sqlx::Result<Outcome> {
    Ok(enqueue::store(tx, &[job]).await?.remove(0))
}

async fn delete(connection: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM cron WHERE name = $1").bind(name).execute(connection).await?;
    Ok(())
}

/// Writes an entry over what there is of its name.
pub(super) async fn write(connection: &mut PgConnection, entry: &CronRecord) -> sqlx::Result<()> {
    sqlx::query(concat!(
        "INSERT INTO cron (",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         ON CONFLICT (name) DO UPDATE SET
            source = excluded.source, definition = excluded.definition, set_by = excluded.set_by,
            revision = excluded.revision, paused_at = excluded.paused_at, due_at = excluded.due_at,
            fires_at = excluded.fires_at, last_job = excluded.last_job, fired = excluded.fired,
            skipped = excluded.skipped, missed = excluded.missed, firings = excluded.firings,
            created_at = excluded.created_at, updated_at = excluded.updated_at"
    ))
    .bind(&entry.name)
    .bind(entry.source.as_str())
    .bind(cron::text(&entry.definition))
    .bind(as_text(&entry.set_by))
    .bind(as_long(entry.revision))
    .bind(entry.paused_at.map(Timestamp::as_micros))
    .bind(entry.next.map(|next| next.due.as_micros()))
    .bind(entry.next.map(|next| next.fires_at.as_micros()))
    .bind(entry.last_job)
    .bind(as_long(entry.fired))
    .bind(as_long(entry.skipped))
    .bind(as_long(entry.missed))
    .bind(cron::text(&entry.firings))
    .bind(entry.created_at.as_micros())
    .bind(entry.updated_at.as_micros())
    .execute(connection)
    .await?;
    Ok(())
}

/// The entry, which nobody else changes before the transaction ends.
pub(super) async fn hold(connection: &mut PgConnection, name: &str) -> sqlx::Result<Option<CronRecord>> {
    let row = sqlx::query(concat!("SELECT ", columns!(), " FROM cron WHERE name = $1 FOR UPDATE"))
        .bind(name)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(record).transpose()
}

pub(super) async fn find(connection: &mut PgConnection, name: String) -> sqlx::Result<Option<CronRecord>> {
    let row = sqlx::query(concat!("SELECT ", columns!(), " FROM cron WHERE name = $1"))
        .bind(name)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(record).transpose()
}

pub(super) async fn all(connection: &mut PgConnection) -> sqlx::Result<Vec<CronRecord>> {
    let rows = sqlx::query(concat!("SELECT ", columns!(), " FROM cron ORDER BY name COLLATE \"C\""))
        .fetch_all(connection)
        .await?;
    rows.iter().map(record).collect()
}

pub(super) async fn due(connection: &mut PgConnection, now: Timestamp, limit: u32) -> sqlx::Result<CronDue> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM cron WHERE fires_at <= $1 ORDER BY fires_at, name COLLATE \"C\" LIMIT $2"
    ))
    .bind(now.as_micros())
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    let next_at: Option<i64> = sqlx::query_scalar("SELECT min(fires_at) FROM cron WHERE fires_at > $1")
        .bind(now.as_micros())
        .fetch_one(connection)
        .await?;
    let more = rows.len() >= limit as usize;
    let entries = rows.iter().map(record).collect::<sqlx::Result<_>>()?;
    Ok(CronDue { next_at: if more { Some(now) } else { next_at.map(Timestamp::from_micros) }, entries })
}

fn record(row: &PgRow) -> sqlx::Result<CronRecord> {
    let due = match (optional_time(row, "due_at")?, optional_time(row, "fires_at")?) {
        (Some(due), Some(fires_at)) => Some(DueTime { due, fires_at }),
        _ => None,
    };
    Ok(CronRecord {
        name: row.try_get("name")?,
        source: cron::source_of(row.try_get("source")?),
        definition: json(row, "definition")?,
        set_by: row.try_get("set_by")?,
        revision: long(row, "revision")?,
        paused_at: optional_time(row, "paused_at")?,
        next: due,
        last_job: row.try_get("last_job")?,
        fired: long(row, "fired")?,
        skipped: long(row, "skipped")?,
        missed: long(row, "missed")?,
        firings: json(row, "firings")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

fn json<T: DeserializeOwned>(row: &PgRow, column: &str) -> sqlx::Result<T> {
    serde_json::from_str(row.try_get(column)?).map_err(|error| {
        let damage = StoreError::Corrupt(format!("{column} of an entry of the cron table: {error}"));
        sqlx::Error::Decode(Box::new(damage))
    })
}
