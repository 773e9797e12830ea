//! What is read, each within one snapshot.

use std::{collections::BTreeMap, time::Duration};

use callboard_contracts::{
    EventEnvelope, JobState, Timestamp,
    api::{AttemptView, LogCursor, Totals},
};
use futures_util::{TryFutureExt, future::BoxFuture};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, QueryBuilder, Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    columns::{as_long, count, limits, long, micros, optional_time, time, wide},
    error::translate,
    reports, turns,
};
use crate::edges::store::{
    StoreError,
    port::OpenSession,
    queue_pause,
    record::{
        CountedLog, EventCount, JobFilter, JobRecord, JobTypeRecord, JobWithAttempts, LogPage, LoggedEvent,
        QueueSettings, QueueTotals, Standing,
    },
    transition::{
        code::{event_of, outcome_of, state_of, trace_of},
        fleet::labels_of,
        needs,
        stored_event::{StoredEvent, read_from},
        window::Window,
    },
};

/// Attempts of one job that are shown.
const ATTEMPTS: i64 = 100;
/// Jobs that one lookup gives at most.
const LOOKUP: i64 = 1000;

/// Reads within one snapshot.
pub(super) async fn snapshot<T>(
    pool: PgPool,
    read: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>>,
) -> Result<T, StoreError> {
    let read = async {
        let mut snapshot = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let found = read(&mut snapshot).await?;
        snapshot.commit().await?;
        Ok(found)
    };
    read.map_err(|error| match error {
        sqlx::Error::PoolTimedOut => StoreError::NotReady("the database cannot be reached".to_owned()),
        error => translate(error),
    })
    .await
}

/// Where the columns of [`JobRecord`] come from.
const FROM: &str = "FROM jobs JOIN job_bodies AS body ON body.id = jobs.id ";

/// The same for jobs with a tag. Each of them is looked up by itself, in the tag's order, until there are enough: left the
/// choice, the server goes through all jobs beside the tag's, which takes long where the newest of those is old.
const FROM_TAGGED: &str = "FROM job_tags
         CROSS JOIN LATERAL (SELECT * FROM job_bodies WHERE job_bodies.sequence = job_tags.sequence OFFSET 0) AS body
         CROSS JOIN LATERAL (SELECT * FROM jobs WHERE jobs.id = body.id OFFSET 0) AS jobs ";

/// The columns of [`JobRecord`]; in lists what is long stays away.
fn columns(full: bool) -> &'static str {
    if full {
        "SELECT jobs.*, body.payload, body.metadata, body.document, body.created_event_id, body.replay_of,
                body.tags, body.trace_context "
    } else {
        "SELECT jobs.sequence, jobs.id, jobs.type, jobs.queue, jobs.state, '' AS payload, NULL AS metadata,
                NULL AS result, body.document, attempt, max_attempts, timeout, wait_reason, last_error, correlation_id,
                body.created_event_id, body.replay_of, body.tags, priority, created_at, updated_at, scheduled_at, claimed_at, started_at,
                finished_at, cancel_requested_at, jobs.needs, partition_key, NULL AS trace_context, jobs.cause "
    }
}

fn record(row: &PgRow) -> sqlx::Result<JobRecord> {
    Ok(JobRecord {
        sequence: long(row, "sequence")?,
        id: row.try_get("id")?,
        job_type: row.try_get("type")?,
        queue: row.try_get("queue")?,
        state: state_of(row.try_get::<i16, _>("state")?.into()),
        payload: row.try_get("payload")?,
        metadata: row.try_get("metadata")?,
        result: row.try_get("result")?,
        document: row.try_get("document")?,
        attempt: count(row, "attempt")?,
        max_attempts: wide(row, "max_attempts")?,
        timeout: micros(row, "timeout")?,
        wait_reason: row.try_get("wait_reason")?,
        last_error: row.try_get("last_error")?,
        correlation_id: row.try_get("correlation_id")?,
        created_event_id: row.try_get("created_event_id")?,
        replay_of: row.try_get("replay_of")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        scheduled_at: time(row, "scheduled_at")?,
        claimed_at: optional_time(row, "claimed_at")?,
        started_at: optional_time(row, "started_at")?,
        finished_at: optional_time(row, "finished_at")?,
        cancel_requested_at: optional_time(row, "cancel_requested_at")?,
        priority: row.try_get("priority")?,
        tags: tags(row.try_get::<Option<&str>, _>("tags")?),
        needs: needs::named(row.try_get("needs")?),
        partition_key: row.try_get("partition_key")?,
        trace: trace_of(row.try_get("trace_context")?),
        cause: row.try_get("cause")?,
    })
}

/// Tags as they are stored.
fn tags(text: Option<&str>) -> Vec<String> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

pub(super) async fn job(connection: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<JobWithAttempts>> {
    let mut query = QueryBuilder::<Postgres>::new(columns(true));
    query.push(FROM).push("WHERE jobs.id = ").push_bind(id);
    let Some(row) = query.build().fetch_optional(&mut *connection).await? else { return Ok(None) };
    let rows = sqlx::query(
        "SELECT number, outcome, node, claimed_at, started_at, finished_at, error FROM attempts WHERE job = $1
         ORDER BY token DESC LIMIT $2",
    )
    .bind(id)
    .bind(ATTEMPTS)
    .fetch_all(&mut *connection)
    .await?;
    let attempts = rows.iter().rev().map(|row| {
        let error: Option<String> = row.try_get("error")?;
        Ok(AttemptView {
            attempt: count(row, "number")?,
            outcome: outcome_of(row.try_get::<i16, _>("outcome")?.into()),
            node: row.try_get("node")?,
            claimed_at: time(row, "claimed_at")?,
            started_at: optional_time(row, "started_at")?,
            finished_at: time(row, "finished_at")?,
            error: error.and_then(|error| serde_json::from_str(&error).ok()),
        })
    });
    let attempts = attempts.collect::<sqlx::Result<_>>()?;
    let job = record(&row)?;
    let (progress, published) = reports::newest(connection, id, job.state, long(&row, "token")?).await?;
    Ok(Some(JobWithAttempts { job, progress, published, attempts }))
}

pub(super) async fn jobs_by_id(
    connection: &mut PgConnection,
    ids: Vec<Uuid>,
) -> sqlx::Result<Vec<JobRecord>> {
    let mut query = QueryBuilder::<Postgres>::new(columns(false));
    query.push(FROM).push("WHERE jobs.id = ANY(").push_bind(ids).push(") LIMIT ").push_bind(LOOKUP);
    query.build().fetch_all(connection).await?.iter().map(record).collect()
}

pub(super) async fn jobs(
    connection: &mut PgConnection,
    filter: JobFilter,
    limit: u32,
) -> sqlx::Result<Vec<JobRecord>> {
    if filter.states_that_fit().is_some_and(|states| states.is_empty()) {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::<Postgres>::new("");
    match is_of_few(connection, &filter).await? {
        true => push_list_of_few(&mut query, &filter, limit),
        false => push_lists(&mut query, &filter, limit),
    }
    query.build().fetch_all(connection).await?.iter().map(record).collect()
}

/// A list by state that is also by queue or type goes through all jobs of that queue or type if they are no more than so many, which
/// takes a tenth of a second: those of the state may be far more, with none of them among them.
const FEW: i64 = 5_000;

/// Whether few jobs have the queue or the type that the filter asks for, whatever their state.
async fn is_of_few(connection: &mut PgConnection, filter: &JobFilter) -> sqlx::Result<bool> {
    for (column, value) in filter.narrowing() {
        let sql =
            format!("SELECT count(*) FROM (SELECT FROM job_bodies WHERE {column} = $1 LIMIT $2) AS found");
        let count = sqlx::query_scalar(AssertSqlSafe(sql)).bind(value).bind(FEW + 1);
        let found: i64 = count.fetch_one(&mut *connection).await?;
        if found <= FEW {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The newest jobs that a filter lets pass, by way of their bodies, each of which is looked at.
pub(super) fn push_list_of_few(query: &mut QueryBuilder<Postgres>, filter: &JobFilter, limit: u32) {
    let JobFilter { states, queue, job_type, tag: _, cause: _, before } = filter;
    query.push(columns(false)).push(
        "FROM job_bodies AS body
            CROSS JOIN LATERAL (SELECT * FROM jobs WHERE jobs.id = body.id OFFSET 0) AS jobs WHERE true",
    );
    if let Some(before) = before {
        query.push(" AND body.sequence < ").push_bind(as_long(*before));
    }
    if let Some(queue) = queue {
        query.push(" AND body.queue = ").push_bind(queue.clone());
    }
    if let Some(job_type) = job_type {
        query.push(" AND body.type = ").push_bind(job_type.clone());
    }
    let states: Vec<i16> = states.iter().map(|state| *state as i16).collect();
    query.push(" AND jobs.state = ANY(").push_bind(states);
    query.push(") ORDER BY body.sequence DESC LIMIT ").push_bind(i64::from(limit));
}

/// The newest jobs that a filter lets pass. A state at a time: then an index gives the order, and the list is merged of one
/// such list for each.
pub(super) fn push_lists(query: &mut QueryBuilder<Postgres>, filter: &JobFilter, limit: u32) {
    query.push("SELECT * FROM (");
    match filter.states_that_fit().unwrap_or_default().as_slice() {
        [] => push_list(query, filter, None, limit),
        [first, others @ ..] => {
            push_list(query, filter, Some(*first), limit);
            for state in others {
                query.push(" UNION ALL ");
                push_list(query, filter, Some(*state), limit);
            }
        }
    }
    query.push(") AS found ORDER BY sequence DESC LIMIT ").push_bind(i64::from(limit));
}

/// The newest jobs that a filter lets pass, of one state or of all.
fn push_list(query: &mut QueryBuilder<Postgres>, filter: &JobFilter, state: Option<JobState>, limit: u32) {
    let JobFilter { states: _, queue, job_type, tag, cause, before } = filter;
    // The same number stands in three tables. Which one gives the order is said here, and that they are equal is not: the server
    // would take that for a second condition, think that next to no pair of rows meets both, and read all of them.
    let most_have_it = state.is_none_or(|state| state == JobState::Completed);
    let order = match tag {
        Some(_) => "job_tags.sequence",
        // Most jobs are completed, so the index of their queue or type passes over less.
        None if most_have_it && (state.is_none() || queue.is_some() || job_type.is_some()) => "body.sequence",
        None => "jobs.sequence",
    };
    query.push("(").push(columns(false)).push(if tag.is_some() { FROM_TAGGED } else { FROM });
    query.push("WHERE true");
    if let Some(tag) = tag {
        query.push(" AND job_tags.tag = ").push_bind(tag.clone());
    }
    if let Some(before) = before {
        query.push(" AND ").push(order).push(" < ").push_bind(as_long(*before));
    }
    // Queue and type never change, so the body has their indexes.
    if let Some(queue) = queue {
        query.push(" AND body.queue = ").push_bind(queue.clone());
    }
    if let Some(job_type) = job_type {
        query.push(" AND body.type = ").push_bind(job_type.clone());
    }
    if let Some(cause) = cause {
        query.push(" AND jobs.cause IS NOT NULL AND jobs.cause = ").push_bind(cause.clone());
    }
    if let Some(state) = state {
        // Written out, as an index of some states alone is of use only when it is known which one it is.
        query.push(format_args!(" AND jobs.state = {}", state as i16));
    }
    query.push(" ORDER BY ").push(order).push(" DESC LIMIT ").push_bind(i64::from(limit)).push(")");
}

/// An event with what its envelope says of the job.
const EVENT: &str = "SELECT batch.first_position + event.number AS position, event.id, event.type, batch.occurred_at,
        event.job, event.job_type, event.queue, event.job_created_at, event.correlation_id, event.attempt, event.error,
        event.duration, event.progress, batch.instance, batch.version, body.payload, body.metadata, body.document,
        CASE WHEN event.type = 3 THEN jobs.result END AS result
     FROM event_batches AS batch JOIN events AS event ON event.batch = batch.batch
        LEFT JOIN job_bodies AS body ON body.id = event.job LEFT JOIN jobs ON jobs.id = event.job ";

fn logged(row: &PgRow, epoch: u64) -> sqlx::Result<LoggedEvent> {
    let duration: Option<i64> = row.try_get("duration")?;
    let event = StoredEvent {
        cursor: LogCursor { epoch, position: long(row, "position")? },
        id: row.try_get("id")?,
        event: event_of(row.try_get::<i16, _>("type")?.into()),
        occurred_at: time(row, "occurred_at")?,
        job: row.try_get("job")?,
        job_type: row.try_get("job_type")?,
        queue: row.try_get("queue")?,
        job_created_at: time(row, "job_created_at")?,
        correlation_id: row.try_get("correlation_id")?,
        attempt: count(row, "attempt")?,
        error: row.try_get("error")?,
        duration: duration.and_then(|duration| u64::try_from(duration).ok()),
        instance: row.try_get("instance")?,
        version: row.try_get("version")?,
        payload: row.try_get("payload")?,
        metadata: row.try_get("metadata")?,
        document: row.try_get("document")?,
        result: row.try_get("result")?,
        progress: row.try_get("progress")?,
    };
    Ok(event.logged())
}

/// The log's epoch, and its oldest and newest positions.
async fn log(connection: &mut PgConnection) -> sqlx::Result<(u64, u64, u64)> {
    let row = sqlx::query(
        "SELECT epoch, position,
                (SELECT first_position FROM event_batches WHERE first_position IS NOT NULL
                 ORDER BY first_position LIMIT 1) AS oldest
         FROM log",
    )
    .fetch_one(connection)
    .await?;
    let newest = long(&row, "position")?;
    let oldest: Option<i64> = row.try_get("oldest")?;
    Ok((long(&row, "epoch")?, oldest.and_then(|at| u64::try_from(at).ok()).unwrap_or(newest + 1), newest))
}

pub(super) async fn events_after(
    connection: &mut PgConnection,
    after: LogCursor,
    job: Option<Uuid>,
    limit: u32,
) -> sqlx::Result<LogPage> {
    let (epoch, oldest, newest) = log(connection).await?;
    let (from, reset) = read_from(after, epoch, oldest, newest);
    let mut query = QueryBuilder::<Postgres>::new(EVENT);
    query.push("WHERE batch.first_position + event.number > ").push_bind(as_long(from));
    match job {
        Some(job) => {
            query.push(" AND event.job = ").push_bind(job);
        }
        // Without gaps, so many events are within so many positions.
        None => {
            query.push(
                " AND batch.first_position >= coalesce((SELECT max(first_position) FROM event_batches
                                                      WHERE first_position <= ",
            );
            query.push_bind(as_long(from) + 1).push("), 0) AND batch.first_position <= ");
            query.push_bind(as_long(from).saturating_add(i64::from(limit)));
        }
    }
    query.push(" ORDER BY batch.first_position, event.number LIMIT ").push_bind(i64::from(limit));
    let rows = query.build().fetch_all(connection).await?;
    Ok(LogPage {
        events: rows.iter().map(|row| logged(row, epoch)).collect::<sqlx::Result<_>>()?,
        oldest: LogCursor { epoch, position: oldest },
        newest: LogCursor { epoch, position: newest },
        reset,
    })
}

pub(super) async fn count_events_after(
    connection: &mut PgConnection,
    after: LogCursor,
    limit: u32,
) -> sqlx::Result<CountedLog> {
    let (epoch, oldest, newest) = log(connection).await?;
    let (from, reset) = read_from(after, epoch, oldest, newest);
    let last = newest.min(from.saturating_add(u64::from(limit)));
    let rows = sqlx::query(
        "SELECT event.type, event.queue, event.job_type, count(*) AS events,
                array_agg(event.duration) FILTER (WHERE event.duration IS NOT NULL) AS durations
         FROM event_batches AS batch JOIN events AS event ON event.batch = batch.batch
         WHERE batch.first_position >= coalesce((SELECT max(first_position) FROM event_batches
                                                 WHERE first_position <= $1 + 1), 0)
               AND batch.first_position <= $2 AND batch.first_position + event.number > $1
               AND batch.first_position + event.number <= $2
         GROUP BY event.type, event.queue, event.job_type",
    )
    .bind(as_long(from))
    .bind(as_long(last))
    .fetch_all(connection)
    .await?;
    let count = |row: &PgRow| {
        let durations: Option<Vec<i64>> = row.try_get("durations")?;
        let micros =
            durations.unwrap_or_default().into_iter().map(|micros| u64::try_from(micros).unwrap_or(0));
        Ok(EventCount {
            event_type: event_of(row.try_get::<i16, _>("type")?.into()),
            queue: row.try_get("queue")?,
            job_type: row.try_get("job_type")?,
            events: long(row, "events")?,
            durations: micros.map(Duration::from_micros).collect(),
        })
    };
    Ok(CountedLog {
        counts: rows.iter().map(count).collect::<sqlx::Result<_>>()?,
        last: LogCursor { epoch, position: last },
        newest: LogCursor { epoch, position: newest },
        reset,
    })
}

pub(super) async fn recent_events(
    connection: &mut PgConnection,
    job: Option<Uuid>,
    limit: u32,
) -> sqlx::Result<Vec<EventEnvelope>> {
    // Types 0 to 4 are those of contract 1.0.0.
    let mut query = QueryBuilder::<Postgres>::new(EVENT);
    query.push("WHERE event.type <= 4 AND batch.first_position IS NOT NULL");
    if let Some(job) = job {
        query.push(" AND event.job = ").push_bind(job);
    }
    query.push(" ORDER BY batch.first_position DESC, event.number DESC LIMIT ").push_bind(i64::from(limit));
    let rows = query.build().fetch_all(connection).await?;
    rows.iter().map(|row| Ok(logged(row, 1)?.event)).collect()
}

pub(super) async fn totals(connection: &mut PgConnection) -> sqlx::Result<Totals> {
    let row = sqlx::query(
        "SELECT coalesce(sum(count) FILTER (WHERE state = 5), 0)::bigint AS completed,
                coalesce(sum(count) FILTER (WHERE state > 5), 0)::bigint AS failed,
                max(last_at) FILTER (WHERE state >= 5) AS last_at
         FROM totals",
    )
    .fetch_one(connection)
    .await?;
    let (completed_jobs, failed_jobs) = (long(&row, "completed")?, long(&row, "failed")?);
    Ok(Totals {
        total_jobs: completed_jobs + failed_jobs,
        completed_jobs,
        failed_jobs,
        last_event_time: optional_time(&row, "last_at")?,
    })
}

/// One statement, so one view: of what it counts, the events that have no place in the same view are taken off again. There are
/// few: those of the last moments.
pub(super) async fn totals_at(connection: &mut PgConnection) -> sqlx::Result<(Totals, LogCursor)> {
    let row = sqlx::query(
        "SELECT log.epoch, log.position, counted.completed, counted.failed, counted.last_at,
                waiting.completed AS completed_later, waiting.failed AS failed_later
         FROM log,
            (SELECT coalesce(sum(count) FILTER (WHERE state = 5), 0)::bigint AS completed,
                    coalesce(sum(count) FILTER (WHERE state > 5), 0)::bigint AS failed,
                    max(last_at) FILTER (WHERE state >= 5) AS last_at
             FROM totals) AS counted,
            (SELECT count(*) FILTER (WHERE event.type = 3) AS completed, count(*) FILTER (WHERE event.type = 4) AS failed
             FROM event_batches AS batch JOIN events AS event ON event.batch = batch.batch
             WHERE batch.first_position IS NULL) AS waiting",
    )
    .fetch_one(connection)
    .await?;
    let less = |count: &str, later: &str| {
        Ok::<_, sqlx::Error>(long(&row, count)?.saturating_sub(long(&row, later)?))
    };
    let completed_jobs = less("completed", "completed_later")?;
    let failed_jobs = less("failed", "failed_later")?;
    let totals = Totals {
        total_jobs: completed_jobs + failed_jobs,
        completed_jobs,
        failed_jobs,
        last_event_time: optional_time(&row, "last_at")?,
    };
    Ok((totals, LogCursor { epoch: long(&row, "epoch")?, position: long(&row, "position")? }))
}

pub(super) async fn queues(connection: &mut PgConnection) -> sqlx::Result<Vec<(QueueSettings, QueueTotals)>> {
    let mut all: BTreeMap<String, (QueueSettings, QueueTotals)> = BTreeMap::new();
    let unknown = |name: &str| {
        let settings = QueueSettings { name: name.to_owned(), concurrency: 0, max_backlog: 0 };
        (settings, QueueTotals { queue: name.to_owned(), ..QueueTotals::default() })
    };
    let known = sqlx::query(
        "SELECT name, concurrency, max_backlog, paused_at, max_running, max_running_per_key, rate, rate_per_key,
                labels, pause, resumes
         FROM queues",
    )
    .fetch_all(&mut *connection);
    for row in known.await? {
        let name: String = row.try_get("name")?;
        let (settings, totals) = all.entry(name.clone()).or_insert_with(|| unknown(&name));
        totals.paused_at = row.try_get::<Option<i64>, _>("paused_at")?.map(Timestamp::from_micros);
        totals.limits = limits(&row)?;
        totals.labels = labels_of(row.try_get("labels")?);
        totals.pause = queue_pause::of_text(row.try_get("pause")?, totals.paused_at);
        totals.resumes = long(&row, "resumes")?;
        settings.concurrency = wide(&row, "concurrency")?;
        settings.max_backlog = long(&row, "max_backlog")?;
    }
    let counted = "SELECT queue, state, sum(count)::bigint AS count FROM totals GROUP BY queue, state";
    for row in sqlx::query(counted).fetch_all(&mut *connection).await? {
        let name: String = row.try_get("queue")?;
        let state = state_of(row.try_get::<i16, _>("state")?.into()) as usize;
        let (_, totals) = all.entry(name.clone()).or_insert_with(|| unknown(&name));
        totals.counts[state] = long(&row, "count")?;
    }
    for (name, (_, totals)) in &mut all {
        if totals.count(JobState::Available) > 0 {
            // The index has them by priority first: the oldest of each level is found at once, and there are few levels.
            // Jobs with a key have an index by age.
            let oldest: Option<i64> = sqlx::query_scalar(
                "WITH RECURSIVE levels (priority) AS (
                    SELECT max(priority) FROM jobs WHERE queue = $1 AND state = 2 AND parked IS NULL AND partition_key IS NULL
                    UNION ALL
                    SELECT (SELECT max(priority) FROM jobs
                            WHERE queue = $1 AND state = 2 AND parked IS NULL AND partition_key IS NULL AND priority < levels.priority)
                    FROM levels WHERE levels.priority IS NOT NULL
                 )
                 SELECT least(
                    (SELECT min((SELECT min(scheduled_at) FROM jobs
                                 WHERE queue = $1 AND state = 2 AND parked IS NULL AND partition_key IS NULL
                                    AND priority = levels.priority))
                     FROM levels WHERE levels.priority IS NOT NULL),
                    (SELECT min(scheduled_at) FROM jobs
                     WHERE queue = $1 AND state = 2 AND parked IS NULL AND partition_key <> ''))",
            )
            .bind(name)
            .fetch_one(&mut *connection)
            .await?;
            totals.oldest_available_at = oldest.map(Timestamp::from_micros);
        }
    }
    Ok(all.into_values().collect())
}

pub(super) async fn standing(
    connection: &mut PgConnection,
    queue: String,
    key: Option<String>,
    now: Timestamp,
) -> sqlx::Result<Standing> {
    let row = sqlx::query(
        "SELECT max_running, max_running_per_key, rate, rate_per_key FROM queues WHERE name = $1",
    )
    .bind(&queue)
    .fetch_optional(&mut *connection)
    .await?;
    let limits = row.as_ref().map(limits).transpose()?.unwrap_or_default();
    let mut standing = Standing::default();
    if let Some(rate) = limits.rate {
        let window = Window::of(rate, now);
        standing.rate_free_at = window.free_at(turns::used(connection, &queue, "", &window).await?);
    }
    let Some(key) = key else { return Ok(standing) };
    if let Some(rate) = limits.rate_per_key {
        let window = Window::of(rate, now);
        standing.key_free_at = window.free_at(turns::used(connection, &queue, &key, &window).await?);
    }
    let executing: i64 =
        sqlx::query_scalar("SELECT count(*) FROM jobs WHERE queue = $1 AND state = 3 AND partition_key = $2")
            .bind(&queue)
            .bind(&key)
            .fetch_one(connection)
            .await?;
    Ok(Standing { executing: u64::try_from(executing).unwrap_or(0), ..standing })
}

pub(super) async fn job_types(connection: &mut PgConnection) -> sqlx::Result<Vec<JobTypeRecord>> {
    let rows = sqlx::query(
        "SELECT name, description, queue, payload_schema, result_schema, max_attempts, timeout FROM job_types
         ORDER BY name",
    )
    .fetch_all(connection)
    .await?;
    let types = rows.iter().map(|row| {
        Ok(JobTypeRecord {
            job_type: row.try_get("name")?,
            description: row.try_get("description")?,
            queue: row.try_get("queue")?,
            payload_schema: row.try_get("payload_schema")?,
            result_schema: row.try_get("result_schema")?,
            max_attempts: wide(row, "max_attempts")?,
            timeout: micros(row, "timeout")?,
        })
    });
    types.collect()
}

pub(super) async fn open_sessions(connection: &mut PgConnection) -> sqlx::Result<Vec<OpenSession>> {
    let rows = sqlx::query(
        "SELECT id, node, seen_at, (SELECT count(*) FROM jobs WHERE state = 3 AND session = sessions.id) AS executing
         FROM sessions WHERE closed_at IS NULL ORDER BY seen_at",
    )
    .fetch_all(connection)
    .await?;
    let sessions = rows.iter().map(|row| {
        Ok(OpenSession {
            id: row.try_get("id")?,
            node: row.try_get("node")?,
            seen_at: time(row, "seen_at")?,
            executing: long(row, "executing")?,
        })
    });
    sessions.collect()
}

pub(super) async fn setting(connection: &mut PgConnection, key: String) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("SELECT value FROM settings WHERE key = $1").bind(key).fetch_optional(connection).await
}
