//! Claims of queues that do not simply give what comes first: with limits, or with keys that take turns.
//!
//! The writer is alone, so what it counts here is so when it commits; and as it is counted from the jobs themselves, nothing
//! that dies leaves a place taken.

use callboard_contracts::Timestamp;
use rusqlite::{OptionalExtension, params};
use serde_json::json;
use uuid::Uuid;

use super::{attempts, read, transaction::Transaction};
use crate::edges::store::{
    Outcome,
    record::{ClaimedJob, Limits},
    transition::{
        code::rate_of,
        turns::{Ask, Held, KeyUse, Turns, answer, counts, room},
        window::{Used, Window},
    },
};

/// What holds for claims of a queue, if anything does.
pub(super) fn held(tx: &Transaction<'_>, queue: &str) -> rusqlite::Result<Option<Held>> {
    let mut statement = tx.connection.prepare_cached(
        "SELECT paused_at IS NOT NULL, max_running, max_running_per_key, rate, rate_per_key, last_key,
                EXISTS (SELECT 1 FROM jobs WHERE queue = ?1 AND state = 2 AND parked IS NULL AND partition_key IS NOT NULL)
         FROM queues WHERE name = ?1",
    )?;
    let held = statement
        .query_row([queue], |row| {
            Ok(Held {
                paused: row.get(0)?,
                limits: Limits {
                    max_running: row.get(1)?,
                    max_running_per_key: row.get(2)?,
                    rate: rate_of(row.get(3)?),
                    rate_per_key: rate_of(row.get(4)?),
                },
                last_key: row.get(5)?,
                keyed: row.get(6)?,
            })
        })
        .optional()?;
    Ok(held.filter(|held| {
        held.paused || held.keyed || held.limits.max_running.is_some() || held.limits.rate.is_some()
    }))
}

/// Leases jobs for an open session, by turns and as far as the limits allow.
pub(super) fn claim(
    tx: &mut Transaction<'_>,
    queue: &str,
    limit: u32,
    session: Uuid,
    held: &Held,
) -> rusqlite::Result<Outcome> {
    let now = tx.changes.now;
    let rate = match held.limits.rate.map(|rate| Window::of(rate, now)) {
        Some(window) => Some((window, read::used(tx.connection, queue, "", &window)?)),
        None => None,
    };
    let room = room(held, limit, tx.executing(queue).into(), rate);
    let (jobs, again_at) = if room > 0 && held.keyed {
        by_turns(tx, queue, room, session, held)?
    } else {
        (attempts::first_come(tx, queue, room, session)?, None)
    };
    for count in counts(&held.limits, &jobs, now) {
        let mut statement = tx.connection.prepare_cached(
            "INSERT INTO claim_counts (queue, partition_key, slice, claims, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (queue, partition_key, slice)
             DO UPDATE SET claims = claims + excluded.claims, expires_at = max(expires_at, excluded.expires_at)",
        )?;
        statement.execute(params![queue, count.key, count.slice, count.claims, count.expires_at])?;
    }
    Ok(answer(jobs, limit, room, rate, again_at))
}

fn by_turns(
    tx: &mut Transaction<'_>,
    queue: &str,
    wanted: u32,
    session: Uuid,
    held: &Held,
) -> rusqlite::Result<(Vec<ClaimedJob>, Option<Timestamp>)> {
    let now = tx.changes.now;
    let mut turns = Turns::new(held, wanted, now);
    while let Some(ask) = turns.ask() {
        match ask {
            Ask::Keys { after, upto, count } => {
                let found = keys(tx, queue, after, upto.as_deref(), count, &turns)?;
                turns.keys(found, count);
            }
            Ask::WithoutKey => {
                let mut statement = tx.connection.prepare_cached(
                    "SELECT 1 FROM jobs WHERE queue = ?1 AND state = 2 AND parked IS NULL AND partition_key IS NULL LIMIT 1",
                )?;
                turns.without_key(statement.exists([queue])?);
            }
        }
    }
    let tripped = json!(tx.tripped().names().collect::<Vec<_>>()).to_string();
    let found = turns.groups().map(|(key, count)| first_of(tx, queue, key, count, &tripped));
    let chosen = turns.deal(found.collect::<rusqlite::Result<_>>()?);
    let jobs = attempts::lease(tx, queue, &json!(chosen).to_string(), session)?;
    let next = turns.next_after(&jobs);
    if next != held.last_key {
        let mut statement =
            tx.connection.prepare_cached("UPDATE queues SET last_key = ?2 WHERE name = ?1")?;
        statement.execute([queue, &next])?;
    }
    let again_at = turns.again_at(&jobs, now);
    Ok((jobs, again_at))
}

/// The next keys that have available jobs, each found at once in the index, however many jobs the one before has.
fn keys(
    tx: &Transaction<'_>,
    queue: &str,
    after: String,
    upto: Option<&str>,
    count: usize,
    turns: &Turns,
) -> rusqlite::Result<Vec<KeyUse>> {
    let mut next = tx.connection.prepare_cached(
        "SELECT partition_key FROM jobs
         WHERE queue = ?1 AND state = 2 AND parked IS NULL AND partition_key IS NOT NULL AND partition_key > ?2
         ORDER BY partition_key LIMIT 1",
    )?;
    let (mut found, mut after) = (Vec::new(), after);
    while found.len() < count {
        let key: Option<String> = next.query_row([queue, &after], |row| row.get(0)).optional()?;
        let Some(key) = key.filter(|key| upto.is_none_or(|upto| &**key <= upto)) else { break };
        let executing = match turns.counts_executing() {
            true => read::executing(tx.connection, queue, &key)?,
            false => 0,
        };
        let used = match turns.window() {
            Some(window) => read::used(tx.connection, queue, &key, &window)?,
            None => Used::default(),
        };
        after.clone_from(&key);
        found.push(KeyUse { key, executing, used });
    }
    Ok(found)
}

/// The first jobs of a key, or those without one, but those that need one of the tripped edges, a JSON array.
fn first_of(
    tx: &Transaction<'_>,
    queue: &str,
    key: Option<&str>,
    count: u32,
    tripped: &str,
) -> rusqlite::Result<Vec<i64>> {
    let sequence = |row: &rusqlite::Row<'_>| row.get(0);
    match key {
        Some(key) => {
            let mut statement = tx.connection.prepare_cached(
                "SELECT sequence FROM jobs
                 WHERE queue = ?1 AND state = 2 AND parked IS NULL AND partition_key IS NOT NULL AND partition_key = ?2
                    AND (needs IS NULL OR NOT EXISTS (
                        SELECT 1 FROM json_each(?4) AS edge
                        WHERE instr(',' || needs || ',', ',' || edge.value || ',') > 0))
                 ORDER BY priority DESC, scheduled_at, sequence LIMIT ?3",
            )?;
            statement.query_map(params![queue, key, count, tripped], sequence)?.collect()
        }
        None => {
            let mut statement = tx.connection.prepare_cached(
                "SELECT sequence FROM jobs
                 WHERE queue = ?1 AND state = 2 AND parked IS NULL AND partition_key IS NULL
                    AND (needs IS NULL OR NOT EXISTS (
                        SELECT 1 FROM json_each(?3) AS edge
                        WHERE instr(',' || needs || ',', ',' || edge.value || ',') > 0))
                 ORDER BY priority DESC, scheduled_at, sequence LIMIT ?2",
            )?;
            statement.query_map(params![queue, count, tripped], sequence)?.collect()
        }
    }
}
