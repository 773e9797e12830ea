//! Leases: claiming jobs, and what becomes of the attempts.

use std::time::Duration;

use rusqlite::{Row, Rows, params};
use serde_json::json;
use uuid::Uuid;

use super::{
    jobs::{id, time},
    session,
    transaction::Transaction,
};
use crate::edges::store::{
    Operation, OperationResult, Outcome,
    record::ClaimedJob,
    transition::{
        attempt::{claimed as note, finish, leased_job, start},
        code::trace_of,
    },
};

/// Jobs that a claim looks at while some wait for edges that are tripped and are not parked yet; what is behind them is
/// claimed when they are.
const LOOKED_AT: u32 = 10_000;

/// The beginning of a claim; what is claimed, in its order, is `chosen`.
macro_rules! lease {
    () => {
        "UPDATE jobs SET state = 3, attempt = attempt + 1, token = ?1 + chosen.number, session = ?2, claimed_at = ?3,
                         updated_at = ?3, started_at = NULL, claims = claims + 1 "
    };
}

/// The end of a claim.
macro_rules! leased {
    () => {
        "WHERE jobs.sequence = chosen.sequence
         RETURNING id, type, payload, metadata, attempt, max_attempts, timeout, correlation_id, created_at, token,
                   claimed_at, trace_context, partition_key, document, claims"
    };
}

/// The first jobs of a queue.
const OF_THE_QUEUE: &str = concat!(
    lease!(),
    "FROM (SELECT sequence, row_number() OVER () AS number
           FROM (SELECT sequence FROM jobs
                 WHERE queue = ?4 AND state = 2 AND parked IS NULL AND partition_key IS NULL
                 ORDER BY priority DESC, scheduled_at, sequence LIMIT ?5)) AS chosen ",
    leased!()
);
/// Likewise without those that need one of these edges.
const BUT_THOSE_THAT_WAIT: &str = concat!(
    lease!(),
    "FROM (SELECT sequence, row_number() OVER () AS number
           FROM (SELECT sequence
                 FROM (SELECT sequence, priority, scheduled_at, needs FROM jobs
                       WHERE queue = ?4 AND state = 2 AND parked IS NULL AND partition_key IS NULL
                       ORDER BY priority DESC, scheduled_at, sequence LIMIT ?7)
                 WHERE needs IS NULL OR NOT EXISTS (
                    SELECT 1 FROM json_each(?6) AS edge WHERE instr(',' || needs || ',', ',' || edge.value || ',') > 0)
                 ORDER BY priority DESC, scheduled_at, sequence LIMIT ?5)) AS chosen ",
    leased!()
);

/// Leases available jobs without a key, first come first served.
pub(super) fn first_come(
    tx: &mut Transaction<'_>,
    queue: &str,
    limit: u32,
    session: Uuid,
) -> rusqlite::Result<Vec<ClaimedJob>> {
    let newest = tx.memory.token;
    let tripped = tx.tripped();
    let sql = if tripped.is_empty() { OF_THE_QUEUE } else { BUT_THOSE_THAT_WAIT };
    let tripped = (!tripped.is_empty()).then(|| json!(tripped.names().collect::<Vec<_>>()).to_string());
    let mut statement = tx.connection.prepare_cached(sql)?;
    let (session, now) = (session.as_bytes(), tx.changes.now.as_micros());
    let rows = match &tripped {
        None => statement.query(params![newest, session, now, queue, limit])?,
        Some(tripped) => statement.query(params![newest, session, now, queue, limit, tripped, LOOKED_AT])?,
    };
    let claimed = read_claimed(rows, queue)?;
    drop(statement);
    Ok(note_all(tx, claimed))
}

/// Leases these jobs, a JSON array of their sequence numbers in the order of their turns.
pub(super) fn lease(
    tx: &mut Transaction<'_>,
    queue: &str,
    chosen: &str,
    session: Uuid,
) -> rusqlite::Result<Vec<ClaimedJob>> {
    let newest = tx.memory.token;
    let mut statement = tx.connection.prepare_cached(concat!(
        lease!(),
        "FROM (SELECT value AS sequence, key + 1 AS number FROM json_each(?4)) AS chosen ",
        leased!()
    ))?;
    let rows = statement.query(params![newest, session.as_bytes(), tx.changes.now.as_micros(), chosen])?;
    let claimed = read_claimed(rows, queue)?;
    drop(statement);
    Ok(note_all(tx, claimed))
}

/// What a claim has given, each with whether it is the job's first.
fn read_claimed(mut rows: Rows<'_>, queue: &str) -> rusqlite::Result<Vec<(bool, ClaimedJob)>> {
    let mut claimed = Vec::new();
    while let Some(row) = rows.next()? {
        claimed.push((row.get::<_, i64>(14)? == 1, leased(row, queue)?));
    }
    Ok(claimed)
}

fn note_all(tx: &mut Transaction<'_>, mut claimed: Vec<(bool, ClaimedJob)>) -> Vec<ClaimedJob> {
    tx.memory.token += claimed.len() as u64;
    // What is returned has no order of its own; tokens were given in the order of the queue.
    claimed.sort_by_key(|(_, job)| job.token);
    let mut jobs = Vec::with_capacity(claimed.len());
    for (first, job) in claimed {
        note(&mut tx.changes, &job, first);
        jobs.push(job);
    }
    jobs
}

/// The leases of a session that it does not know of, as they were claimed.
pub(super) fn reclaim(
    tx: &mut Transaction<'_>,
    queue: &str,
    limit: u32,
    session: Uuid,
    known: &[u64],
) -> rusqlite::Result<Outcome> {
    if !session::is_open(tx, session)? {
        return Ok(Outcome::NotFound);
    }
    tx.flush()?;
    let mut statement = tx.connection.prepare_cached(
        "SELECT id, type, payload, metadata, attempt, max_attempts, timeout, correlation_id, created_at, token, claimed_at,
                trace_context, partition_key, document
         FROM jobs WHERE state = 3 AND session = ?1 AND queue = ?2 AND token NOT IN (SELECT value FROM json_each(?3))
         ORDER BY token LIMIT ?4",
    )?;
    let parameters = params![session.as_bytes(), queue, json!(known).to_string(), limit];
    let leases = statement.query_map(parameters, |row| leased(row, queue))?;
    Ok(Outcome::Claimed(leases.collect::<Result<_, _>>()?))
}

fn leased(row: &Row<'_>, queue: &str) -> rusqlite::Result<ClaimedJob> {
    Ok(ClaimedJob {
        id: id(row, 0)?,
        job_type: row.get(1)?,
        queue: queue.to_owned(),
        payload: row.get(2)?,
        metadata: row.get(3)?,
        document: row.get(13)?,
        attempt: row.get(4)?,
        max_attempts: row.get(5)?,
        timeout: Duration::from_micros(row.get(6)?),
        token: row.get(9)?,
        correlation_id: id(row, 7)?,
        created_at: time(row, 8)?,
        claimed_at: time(row, 10)?,
        trace: trace_of(row.get(11)?),
        partition_key: row.get(12)?,
    })
}

/// A group of starts and ends.
pub(super) fn run(tx: &mut Transaction<'_>, group: &[Operation]) -> rusqlite::Result<Vec<OperationResult>> {
    tx.load(group.iter().filter_map(leased_job))?;
    let changes = &mut tx.changes;
    let results = group.iter().map(|operation| match operation {
        Operation::Start { lease, started_at } => Ok(start(changes, *lease, *started_at)),
        Operation::Finish { lease, started_at, end } => Ok(finish(changes, *lease, *started_at, end)),
        _ => Ok(Outcome::Done),
    });
    Ok(results.collect())
}
