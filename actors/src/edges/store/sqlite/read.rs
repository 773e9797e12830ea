//! What is read, each within one snapshot.

use std::{collections::BTreeMap, time::Duration};

use callboard_contracts::{
    EventEnvelope, JobState, Rate, Timestamp,
    api::{AttemptView, LogCursor, Totals},
};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params, types::Value as SqlValue};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    control::read_session,
    jobs::{hex, id, optional_id, optional_time, time},
    reports,
};
use crate::edges::store::{
    port::OpenSession,
    queue_pause,
    record::{
        CountedLog, EventCount, JobFilter, JobRecord, JobTypeRecord, JobWithAttempts, Limits, LogPage,
        LoggedEvent, QueueSettings, QueueTotals, Standing,
    },
    transition::{
        code::{event_of, outcome_of, rate_of, state_of, trace_of},
        fleet::labels_of,
        needs,
        stored_event::{StoredEvent, read_from},
        window::{Used, Window},
    },
};

/// Attempts of one job that are shown.
const ATTEMPTS: u32 = 100;

/// The columns of [`JobRecord`]; in lists what is long stays away.
fn columns(full: bool) -> String {
    let long = if full { "payload, metadata, result" } else { "'', NULL, NULL" };
    let trace = if full { "trace_context" } else { "NULL" };
    format!(
        "sequence, id, type, queue, state, {long}, document, attempt, max_attempts, timeout, wait_reason, last_error, \
         correlation_id, created_event_id, replay_of, created_at, updated_at, scheduled_at, claimed_at, started_at, \
         finished_at, cancel_requested_at, priority, tags, needs, partition_key, {trace}, cause"
    )
}

fn record(row: &Row<'_>) -> rusqlite::Result<JobRecord> {
    Ok(JobRecord {
        sequence: row.get(0)?,
        id: id(row, 1)?,
        job_type: row.get(2)?,
        queue: row.get(3)?,
        state: state_of(row.get(4)?),
        payload: row.get(5)?,
        metadata: row.get(6)?,
        result: row.get(7)?,
        document: row.get(8)?,
        attempt: row.get(9)?,
        max_attempts: row.get(10)?,
        timeout: Duration::from_micros(row.get(11)?),
        wait_reason: row.get(12)?,
        last_error: row.get(13)?,
        correlation_id: id(row, 14)?,
        created_event_id: id(row, 15)?,
        replay_of: optional_id(row, 16)?,
        created_at: time(row, 17)?,
        updated_at: time(row, 18)?,
        scheduled_at: time(row, 19)?,
        claimed_at: optional_time(row, 20)?,
        started_at: optional_time(row, 21)?,
        finished_at: optional_time(row, 22)?,
        cancel_requested_at: optional_time(row, 23)?,
        priority: row.get(24)?,
        tags: tags(row.get::<_, Option<String>>(25)?.as_deref()),
        needs: needs::named(row.get::<_, Option<String>>(26)?.as_deref()),
        partition_key: row.get(27)?,
        trace: trace_of(row.get(28)?),
        cause: row.get(29)?,
    })
}

/// Tags as they are stored.
fn tags(text: Option<&str>) -> Vec<String> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

pub(super) fn job(connection: &Connection, job: Uuid) -> rusqlite::Result<Option<JobWithAttempts>> {
    let sql = format!("SELECT {} FROM jobs WHERE id = ?1", columns(true));
    let mut statement = connection.prepare_cached(&sql)?;
    let Some(record) = statement.query_row([job.as_bytes()], record).optional()? else { return Ok(None) };
    let mut statement = connection.prepare_cached(
        "SELECT number, outcome, node, claimed_at, started_at, finished_at, error FROM attempts WHERE job = ?1
         ORDER BY token DESC LIMIT ?2",
    )?;
    let attempts = statement.query_map((job.as_bytes(), ATTEMPTS), |row| {
        let error: Option<String> = row.get(6)?;
        Ok(AttemptView {
            attempt: row.get(0)?,
            outcome: outcome_of(row.get(1)?),
            node: row.get(2)?,
            claimed_at: time(row, 3)?,
            started_at: optional_time(row, 4)?,
            finished_at: time(row, 5)?,
            error: error.and_then(|error| serde_json::from_str(&error).ok()),
        })
    })?;
    let mut attempts = attempts.collect::<rusqlite::Result<Vec<_>>>()?;
    attempts.reverse();
    let (progress, published) = reports::newest(connection, job, record.state)?;
    Ok(Some(JobWithAttempts { job: record, progress, published, attempts }))
}

pub(super) fn jobs_by_id(connection: &Connection, ids: &[Uuid]) -> rusqlite::Result<Vec<JobRecord>> {
    let list: Vec<String> = ids.iter().copied().map(hex).collect();
    let sql = format!(
        "SELECT {} FROM jobs WHERE id IN (SELECT unhex(value) FROM json_each(?1)) LIMIT 1000",
        columns(false)
    );
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map([json!(list).to_string()], record)?.collect()
}

pub(super) fn jobs(
    connection: &Connection,
    filter: &JobFilter,
    limit: u32,
) -> rusqlite::Result<Vec<JobRecord>> {
    let mut conditions = Vec::new();
    let mut values: Vec<SqlValue> = Vec::new();
    if let Some(before) = filter.before {
        values.push(i64::try_from(before).unwrap_or(i64::MAX).into());
        conditions.push(format!("sequence < ?{}", values.len()));
    }
    match filter.states_that_fit().as_deref() {
        None => {}
        Some([]) => return Ok(Vec::new()),
        // Written out, as for the index of dead jobs it must be known.
        Some([one]) => conditions.push(format!("state = {}", *one as usize)),
        Some(states) => {
            let states: Vec<String> = states.iter().map(|state| (*state as usize).to_string()).collect();
            conditions.push(format!("state IN ({})", states.join(", ")));
        }
    }
    for (column, value) in [("queue", &filter.queue), ("type", &filter.job_type)] {
        if let Some(value) = value {
            values.push(value.clone().into());
            conditions.push(format!("{column} = ?{}", values.len()));
        }
    }
    let mut table = few_of(connection, filter)?.unwrap_or("jobs");
    if let Some(cause) = &filter.cause {
        table = "jobs INDEXED BY jobs_by_cause";
        values.push(cause.clone().into());
        conditions.push(format!("cause = ?{}", values.len()));
    }
    if let Some(tag) = &filter.tag {
        // The tags first, in the order of the list: nobody reads more of them than the list is long.
        table = "job_tags CROSS JOIN jobs USING (sequence)";
        values.push(tag.clone().into());
        conditions.push(format!("tag = ?{}", values.len()));
    }
    values.push(i64::from(limit).into());
    let condition = if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") };
    let sql = format!(
        "SELECT {} FROM {table} WHERE {condition} ORDER BY sequence DESC LIMIT ?{}",
        columns(false),
        values.len()
    );
    let parameters: Vec<&dyn ToSql> = values.iter().map(|value| value as &dyn ToSql).collect();
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map(&*parameters, record)?.collect()
}

/// A list by state that is also by queue or type goes through all jobs of that queue or type if they are no more than so many, which
/// takes a tenth of a second: those of the state may be far more, with none of them among them.
const FEW: u32 = 20_000;

/// The table by the index of a column of which few jobs have what the filter asks for, if there is one.
fn few_of(connection: &Connection, filter: &JobFilter) -> rusqlite::Result<Option<&'static str>> {
    for (column, value) in filter.narrowing() {
        let table = match column {
            "type" => "jobs INDEXED BY jobs_by_type",
            _ => "jobs INDEXED BY jobs_by_queue",
        };
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {column} = ?1 LIMIT ?2)");
        let mut count = connection.prepare_cached(&sql)?;
        let found: u32 = count.query_row((value, FEW + 1), |row| row.get(0))?;
        if found <= FEW {
            return Ok(Some(table));
        }
    }
    Ok(None)
}

const EVENT: &str = "e.position, e.id, e.type, e.occurred_at, e.job, e.job_type, e.queue, e.job_created_at, \
    e.correlation_id, e.attempt, e.error, e.duration, e.instance, e.version, j.payload, j.metadata, j.document, \
    CASE WHEN e.type = 3 THEN j.result END, e.progress \
    FROM events AS e LEFT JOIN jobs AS j ON j.id = e.job";

fn logged(row: &Row<'_>, epoch: u64) -> rusqlite::Result<LoggedEvent> {
    let event = StoredEvent {
        cursor: LogCursor { epoch, position: row.get(0)? },
        id: id(row, 1)?,
        event: event_of(row.get(2)?),
        occurred_at: time(row, 3)?,
        job: id(row, 4)?,
        job_type: row.get(5)?,
        queue: row.get(6)?,
        job_created_at: time(row, 7)?,
        correlation_id: id(row, 8)?,
        attempt: row.get(9)?,
        error: row.get(10)?,
        duration: row.get(11)?,
        instance: row.get(12)?,
        version: row.get(13)?,
        payload: row.get(14)?,
        metadata: row.get(15)?,
        document: row.get(16)?,
        result: row.get(17)?,
        progress: row.get(18)?,
    };
    Ok(event.logged())
}

/// The log's epoch, and its oldest and newest positions.
fn log(connection: &Connection) -> rusqlite::Result<(u64, u64, u64)> {
    let number = |key: &str| -> rusqlite::Result<Value> {
        Ok(setting(connection, key)?.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    };
    let epoch = number("epoch")?.as_u64().unwrap_or(1);
    let newest = number("counters")?["position"].as_u64().unwrap_or(0);
    let mut first = connection.prepare_cached("SELECT min(position) FROM events")?;
    let oldest = first.query_row((), |row| row.get::<_, Option<u64>>(0))?.unwrap_or(newest + 1);
    Ok((epoch, oldest, newest))
}

pub(super) fn events_after(
    connection: &Connection,
    after: LogCursor,
    job: Option<Uuid>,
    limit: u32,
) -> rusqlite::Result<LogPage> {
    let (epoch, oldest, newest) = log(connection)?;
    let (from, reset) = read_from(after, epoch, oldest, newest);
    let events = match job {
        None => {
            let sql = format!("SELECT {EVENT} WHERE e.position > ?1 ORDER BY e.position LIMIT ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map((from, limit), |row| logged(row, epoch))?.collect::<rusqlite::Result<_>>()?
        }
        Some(job) => {
            let sql =
                format!("SELECT {EVENT} WHERE e.job = ?3 AND e.position > ?1 ORDER BY e.position LIMIT ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            let found = statement.query_map((from, limit, job.as_bytes()), |row| logged(row, epoch))?;
            found.collect::<rusqlite::Result<_>>()?
        }
    };
    Ok(LogPage {
        events,
        oldest: LogCursor { epoch, position: oldest },
        newest: LogCursor { epoch, position: newest },
        reset,
    })
}

pub(super) fn count_events_after(
    connection: &Connection,
    after: LogCursor,
    limit: u32,
) -> rusqlite::Result<CountedLog> {
    let (epoch, oldest, newest) = log(connection)?;
    let (from, reset) = read_from(after, epoch, oldest, newest);
    let last = newest.min(from.saturating_add(u64::from(limit)));
    let mut statement = connection.prepare_cached(
        "SELECT type, queue, job_type, duration FROM events WHERE position > ?1 AND position <= ?2",
    )?;
    let mut rows = statement.query((from, last))?;
    let mut counts: Vec<EventCount> = Vec::new();
    while let Some(row) = rows.next()? {
        let event_type = event_of(row.get(0)?);
        let (queue, job_type) = (row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?);
        let alike = |count: &EventCount| {
            count.event_type == event_type && count.queue == queue && count.job_type == job_type
        };
        // Few are unlike, and neighbours are mostly alike: what was found last is looked at first.
        let place = counts.iter().rposition(alike).unwrap_or_else(|| {
            let (queue, job_type) = (queue.to_owned(), job_type.to_owned());
            counts.push(EventCount { event_type, queue, job_type, events: 0, durations: Vec::new() });
            counts.len() - 1
        });
        counts[place].events += 1;
        counts[place].durations.extend(row.get::<_, Option<u64>>(3)?.map(Duration::from_micros));
    }
    Ok(CountedLog {
        counts,
        last: LogCursor { epoch, position: last },
        newest: LogCursor { epoch, position: newest },
        reset,
    })
}

pub(super) fn recent_events(
    connection: &Connection,
    job: Option<Uuid>,
    limit: u32,
) -> rusqlite::Result<Vec<EventEnvelope>> {
    // Types 0 to 4 are those of contract 1.0.0.
    let filter = if job.is_some() { "e.job = ?2 AND" } else { "?2 IS NULL AND" };
    let sql = format!("SELECT {EVENT} WHERE {filter} e.type <= 4 ORDER BY e.position DESC LIMIT ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let job = job.map(|job| job.as_bytes().to_vec());
    let events = statement.query_map((limit, job), |row| Ok(logged(row, 1)?.event))?;
    events.collect()
}

pub(super) fn totals(connection: &Connection) -> rusqlite::Result<Totals> {
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(sum(count) FILTER (WHERE state = 5), 0), coalesce(sum(count) FILTER (WHERE state > 5), 0)
         FROM totals",
    )?;
    let (completed_jobs, failed_jobs): (u64, u64) =
        statement.query_row((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let last = setting(connection, "last_finished_at")?.and_then(|text| text.parse().ok());
    Ok(Totals {
        total_jobs: completed_jobs + failed_jobs,
        completed_jobs,
        failed_jobs,
        last_event_time: last.map(Timestamp::from_micros),
    })
}

/// Each transaction writes its events with their places, so all that is finished has one.
pub(super) fn totals_at(connection: &Connection) -> rusqlite::Result<(Totals, LogCursor)> {
    let (epoch, _, position) = log(connection)?;
    Ok((totals(connection)?, LogCursor { epoch, position }))
}

pub(super) fn queues(connection: &Connection) -> rusqlite::Result<Vec<(QueueSettings, QueueTotals)>> {
    let mut all: BTreeMap<String, (QueueSettings, QueueTotals)> = BTreeMap::new();
    let unknown = |name: &str| {
        let settings = QueueSettings { name: name.to_owned(), concurrency: 0, max_backlog: 0 };
        (settings, QueueTotals { queue: name.to_owned(), ..QueueTotals::default() })
    };
    let mut statement = connection
        .prepare_cached(
            "SELECT name, concurrency, max_backlog, paused_at, max_running, max_running_per_key, rate, rate_per_key, labels,
                    pause, resumes
             FROM queues",
        )?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let (settings, totals) = all.entry(name.clone()).or_insert_with(|| unknown(&name));
        totals.paused_at = optional_time(row, 3)?;
        totals.limits = limits(row, 4)?;
        totals.labels = labels_of(row.get(8)?);
        totals.pause = queue_pause::of_text(row.get(9)?, totals.paused_at);
        totals.resumes = row.get(10)?;
        settings.concurrency = row.get(1)?;
        settings.max_backlog = row.get::<_, i64>(2)?.try_into().unwrap_or(0);
    }
    let mut statement = connection.prepare_cached("SELECT queue, state, count FROM totals")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let state = state_of(row.get(1)?) as usize;
        let (_, totals) = all.entry(name.clone()).or_insert_with(|| unknown(&name));
        totals.counts[state] = row.get::<_, i64>(2)?.try_into().unwrap_or(0);
    }
    let mut oldest = connection.prepare_cached(
        // The index has them by priority first: the oldest of each level is found at once, and there are few levels.
        // Jobs with a key have an index by age.
        "WITH RECURSIVE levels (priority) AS (
             SELECT max(priority) FROM jobs WHERE queue = ?1 AND state = 2 AND parked IS NULL AND partition_key IS NULL
             UNION ALL
             SELECT (SELECT max(priority) FROM jobs
                     WHERE queue = ?1 AND state = 2 AND parked IS NULL AND partition_key IS NULL AND priority < levels.priority)
             FROM levels WHERE levels.priority IS NOT NULL
         ), oldest (at) AS (
             SELECT (SELECT min(scheduled_at) FROM jobs
                     WHERE queue = ?1 AND state = 2 AND parked IS NULL AND partition_key IS NULL AND priority = levels.priority)
             FROM levels WHERE levels.priority IS NOT NULL
             UNION ALL
             SELECT (SELECT min(scheduled_at) FROM jobs
                     WHERE queue = ?1 AND state = 2 AND parked IS NULL AND partition_key <> '')
         )
         SELECT min(at) FROM oldest",
    )?;
    for (name, (_, totals)) in &mut all {
        if totals.count(JobState::Available) > 0 {
            totals.oldest_available_at = oldest.query_row([name], |row| optional_time(row, 0))?;
        }
    }
    Ok(all.into_values().collect())
}

fn limits(row: &Row<'_>, first: usize) -> rusqlite::Result<Limits> {
    Ok(Limits {
        max_running: row.get(first)?,
        max_running_per_key: row.get(first + 1)?,
        rate: rate_of(row.get(first + 2)?),
        rate_per_key: rate_of(row.get(first + 3)?),
    })
}

/// The limits of a queue, if it was made known.
pub(super) fn limits_of(connection: &Connection, queue: &str) -> rusqlite::Result<Option<Limits>> {
    let mut statement = connection.prepare_cached(
        "SELECT max_running, max_running_per_key, rate, rate_per_key FROM queues WHERE name = ?1",
    )?;
    statement.query_row([queue], |row| limits(row, 0)).optional()
}

/// What was claimed of a key, or with an empty one of the whole queue.
pub(super) fn used(
    connection: &Connection,
    queue: &str,
    key: &str,
    window: &Window,
) -> rusqlite::Result<Used> {
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(sum(claims), 0), min(slice) FROM claim_counts
         WHERE queue = ?1 AND partition_key = ?2 AND slice BETWEEN ?3 AND ?4",
    )?;
    statement.query_row(params![queue, key, window.first, window.last], |row| {
        Ok(Used { claims: row.get::<_, i64>(0)?.try_into().unwrap_or(0), oldest: row.get(1)? })
    })
}

/// How many jobs of a key are with a node.
pub(super) fn executing(connection: &Connection, queue: &str, key: &str) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(
        "SELECT count(*) FROM jobs WHERE queue = ?1 AND state = 3 AND partition_key IS NOT NULL AND partition_key = ?2",
    )?;
    statement.query_row([queue, key], |row| Ok(row.get::<_, i64>(0)?.try_into().unwrap_or(0)))
}

pub(super) fn standing(
    connection: &Connection,
    queue: &str,
    key: Option<&str>,
    now: Timestamp,
) -> rusqlite::Result<Standing> {
    let limits = limits_of(connection, queue)?.unwrap_or_default();
    let free_at = |rate: Option<Rate>, key: &str| match rate {
        Some(rate) => {
            let window = Window::of(rate, now);
            used(connection, queue, key, &window).map(|used| window.free_at(used))
        }
        None => Ok(None),
    };
    Ok(Standing {
        executing: key.map_or(Ok(0), |key| executing(connection, queue, key))?,
        rate_free_at: free_at(limits.rate, "")?,
        key_free_at: key.map_or(Ok(None), |key| free_at(limits.rate_per_key, key))?,
    })
}

pub(super) fn job_types(connection: &Connection) -> rusqlite::Result<Vec<JobTypeRecord>> {
    let mut statement = connection.prepare_cached(
        "SELECT name, description, queue, payload_schema, result_schema, max_attempts, timeout FROM job_types
         ORDER BY name",
    )?;
    let types = statement.query_map((), |row| {
        Ok(JobTypeRecord {
            job_type: row.get(0)?,
            description: row.get(1)?,
            queue: row.get(2)?,
            payload_schema: row.get(3)?,
            result_schema: row.get(4)?,
            max_attempts: row.get(5)?,
            timeout: Duration::from_micros(row.get(6)?),
        })
    })?;
    types.collect()
}

pub(super) fn open_sessions(connection: &Connection) -> rusqlite::Result<Vec<OpenSession>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, node, seen_at, (SELECT count(*) FROM jobs WHERE state = 3 AND session = sessions.id)
         FROM sessions WHERE closed_at IS NULL ORDER BY seen_at",
    )?;
    statement.query_map((), read_session)?.collect()
}

pub(super) fn setting(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT value FROM settings WHERE key = ?1")?;
    statement.query_row([key], |row| row.get(0)).optional()
}
