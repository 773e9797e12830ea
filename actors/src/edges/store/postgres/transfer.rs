//! Export and import of a database.

use std::{
    collections::HashMap,
    io::{BufRead, Write},
    time::Duration,
};

use callboard_contracts::{JobState, Timestamp};
use futures_util::TryStreamExt;
use serde_json::value::RawValue;
use sqlx::{Connection, Executor, PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    PostgresOptions,
    columns::{as_integer, as_long, count, long, optional_time, time, wide},
    cron,
    error::translate,
    signals, unique, workflows,
};
use crate::edges::store::{
    StoreError, queue_pause,
    transfer::{
        AttemptLine, BulkLine, Counts, EdgeLine, EditLine, EventLine, Header, InboxLine, JobLine, KeyLine,
        Line, LogLine, OWN_SETTINGS, Progress, ProgressLine, PublishedLine, QueueLine, Reader, ReportLine,
        SettingLine, SignalLine, TotalLine, TransferError, Writer, hand_back, next_epoch, raw,
    },
    transition::{
        code::{event_code, event_of, outcome_code, outcome_of, rate_of, state_of},
        needs,
        report::{level_code, level_of},
    },
};

/// Rows that are read or written at a time, and bytes of them that are gathered before they are written.
const ROWS: usize = 500;
const BYTES: usize = 8 * 1024 * 1024;
/// A session that has said so lately that it lives is one of a server that runs.
const LIVES: Duration = Duration::from_secs(30);
/// The setting under which an export has the time of the newest end of a job.
const LAST_FINISHED: &str = "last_finished_at";

fn failed(error: sqlx::Error) -> TransferError {
    TransferError::Store(translate(error))
}

/// JSON out of the database; what is none is damage.
fn json(text: Option<String>, of: &str, id: Uuid) -> Result<Option<Box<RawValue>>, TransferError> {
    let damaged = |error| StoreError::Corrupt(format!("the {of} of {id} is no JSON: {error}"));
    Ok(text.map(|text| raw(text).map_err(damaged)).transpose()?)
}

/// The connection's statements may take as long as they take: what they wait for is the other end of the transfer.
pub(super) async fn without_limits(connection: &mut PgConnection) -> Result<(), TransferError> {
    let lift = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0";
    connection.execute(sqlx::raw_sql(lift)).await.map_err(failed)?;
    Ok(())
}

/// Writes all that the database holds, as of one moment.
pub(super) async fn export(
    connection: &mut PgConnection,
    events: bool,
    to: &mut dyn Write,
    progress: Progress<'_>,
) -> Result<Counts, TransferError> {
    without_limits(connection).await?;
    let mut snapshot =
        connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(failed)?;
    // Sequences stand outside of transactions: read after the snapshot was taken, they are no older.
    let row = sqlx::query(
        "SELECT epoch,
                position + (SELECT coalesce(sum(size), 0) FROM event_batches WHERE first_position IS NULL)::bigint AS position,
                coalesce(pg_sequence_last_value('lease_token'), 0) AS token,
                coalesce(pg_sequence_last_value('job_sequence'), 0) AS sequence
         FROM log",
    );
    let row = row.fetch_one(&mut *snapshot).await.map_err(failed)?;
    let header = || {
        Ok(Header {
            format: 1,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            backend: "postgres".to_owned(),
            exported_at: Timestamp::now(),
            epoch: long(&row, "epoch")?,
            position: long(&row, "position")?,
            token: long(&row, "token")?,
            sequence: long(&row, "sequence")?,
            events,
        })
    };
    let mut writer = Writer::begin(to, progress, header().map_err(failed)?)?;
    export_settings(&mut snapshot, &mut writer).await?;
    export_queues(&mut snapshot, &mut writer).await?;
    export_edges(&mut snapshot, &mut writer).await?;
    export_cron(&mut snapshot, &mut writer).await?;
    export_keys(&mut snapshot, &mut writer).await?;
    export_inbox(&mut snapshot, &mut writer).await?;
    export_dead_jobs(&mut snapshot, &mut writer).await?;
    export_jobs(&mut snapshot, &mut writer).await?;
    for workflow in workflows::all(&mut snapshot).await.map_err(failed)? {
        let line = workflows::line(&mut snapshot, workflow).await.map_err(failed)?;
        writer.write(&Line::Workflow(Box::new(line)))?;
    }
    if events {
        export_events(&mut snapshot, &mut writer).await?;
    }
    writer.end()
}

async fn export_settings(
    connection: &mut PgConnection,
    writer: &mut Writer<'_>,
) -> Result<(), TransferError> {
    let settings: Vec<(String, String)> = sqlx::query_as("SELECT key, value FROM settings ORDER BY key")
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?;
    let last: Option<i64> = sqlx::query_scalar("SELECT max(last_at) FROM totals WHERE state >= 5")
        .fetch_one(connection)
        .await
        .map_err(failed)?;
    let last = last.map(|last| (LAST_FINISHED.to_owned(), last.to_string()));
    for (key, value) in settings.into_iter().filter(|(key, _)| !OWN_SETTINGS.contains(&&**key)).chain(last) {
        let damaged = |error| StoreError::Corrupt(format!("the setting {key} is no JSON: {error}"));
        let value = raw(value).map_err(damaged)?;
        writer.write(&Line::Setting(SettingLine { key, value }))?;
    }
    Ok(())
}

async fn export_queues(connection: &mut PgConnection, writer: &mut Writer<'_>) -> Result<(), TransferError> {
    let queue = |row: &PgRow| {
        Ok(QueueLine {
            name: row.try_get("name")?,
            concurrency: wide(row, "concurrency")?,
            max_backlog: row.try_get("max_backlog")?,
            max_running: row.try_get("max_running")?,
            max_running_per_key: row.try_get("max_running_per_key")?,
            rate: rate_of(row.try_get("rate")?),
            rate_per_key: rate_of(row.try_get("rate_per_key")?),
            paused_at: optional_time(row, "paused_at")?,
            pause: queue_pause::of_text(row.try_get("pause")?, optional_time(row, "paused_at")?)
                .map(Box::new),
            updated_at: time(row, "updated_at")?,
        })
    };
    let sql =
        "SELECT name, concurrency, max_backlog, max_running, max_running_per_key, rate, rate_per_key, paused_at, pause,
                updated_at
         FROM queues ORDER BY name";
    for row in sqlx::query(sql).fetch_all(&mut *connection).await.map_err(failed)? {
        writer.write(&Line::Queue(queue(&row).map_err(failed)?))?;
    }
    let totals: Vec<(String, i16, i64)> = sqlx::query_as(
        "SELECT queue, state, sum(count)::bigint FROM totals WHERE state >= 5 GROUP BY queue, state HAVING sum(count) > 0
         ORDER BY queue, state",
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    for (queue, state, count) in totals {
        writer.write(&Line::Total(TotalLine { queue, state: state_of(state.into()), count }))?;
    }
    Ok(())
}

async fn export_edges(connection: &mut PgConnection, writer: &mut Writer<'_>) -> Result<(), TransferError> {
    let edge = |row: &PgRow| {
        Ok(EdgeLine {
            name: row.try_get("name")?,
            tripped_at: optional_time(row, "tripped_at")?,
            until: optional_time(row, "until")?,
            reason: row.try_get("reason")?,
            set_by: row.try_get("set_by")?,
            set_at: time(row, "set_at")?,
        })
    };
    let sql = "SELECT name, tripped_at, until, reason, set_by, set_at FROM edges ORDER BY name";
    for row in sqlx::query(sql).fetch_all(connection).await.map_err(failed)? {
        writer.write(&Line::Edge(edge(&row).map_err(failed)?))?;
    }
    Ok(())
}

async fn export_cron(connection: &mut PgConnection, writer: &mut Writer<'_>) -> Result<(), TransferError> {
    for entry in cron::all(connection).await.map_err(failed)? {
        writer.write(&Line::Cron(Box::new(entry)))?;
    }
    Ok(())
}

async fn export_keys(connection: &mut PgConnection, writer: &mut Writer<'_>) -> Result<(), TransferError> {
    let sql = "SELECT scope, key, fingerprint, answer, created_at FROM idempotency_keys ORDER BY scope, key";
    let mut rows = sqlx::query(sql).fetch(connection);
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        let damaged = |error| StoreError::Corrupt(format!("the answer to a key is no JSON: {error}"));
        let answer = raw(row.try_get("answer").map_err(failed)?).map_err(damaged)?;
        let rest = || {
            let (scope, key) = (row.try_get("scope")?, row.try_get("key")?);
            let (fingerprint, created_at) = (row.try_get("fingerprint")?, time(&row, "created_at")?);
            Ok(KeyLine { scope, key, fingerprint, answer, created_at })
        };
        writer.write(&Line::Key(rest().map_err(failed)?))?;
    }
    Ok(())
}

async fn export_inbox(connection: &mut PgConnection, writer: &mut Writer<'_>) -> Result<(), TransferError> {
    let sql = "SELECT event, job, producer, occurred_at, received_at FROM inbox ORDER BY number";
    let mut rows = sqlx::query(sql).fetch(connection);
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        let line = || {
            Ok(InboxLine {
                event: row.try_get("event")?,
                job: row.try_get("job")?,
                producer: row.try_get("producer")?,
                occurred_at: time(&row, "occurred_at")?,
                received_at: time(&row, "received_at")?,
            })
        };
        writer.write(&Line::Inbox(line().map_err(failed)?))?;
    }
    Ok(())
}

/// What was changed in replays, and bulk operations.
async fn export_dead_jobs(
    connection: &mut PgConnection,
    writer: &mut Writer<'_>,
) -> Result<(), TransferError> {
    let sql = "SELECT replay, original, patch, reason, by, at FROM job_edits ORDER BY at, replay";
    let mut rows = sqlx::query(sql).fetch(&mut *connection);
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        let replay: Uuid = row.try_get("replay").map_err(failed)?;
        let patch = json(row.try_get("patch").map_err(failed)?, "edit", replay)?;
        let rest = || {
            let (original, reason) = (row.try_get("original")?, row.try_get("reason")?);
            Ok(EditLine { replay, original, patch, reason, by: row.try_get("by")?, at: time(&row, "at")? })
        };
        writer.write(&Line::Edit(rest().map_err(failed)?))?;
    }
    drop(rows);
    let mut records =
        sqlx::query_scalar("SELECT record FROM bulk_operations ORDER BY started_at, id").fetch(connection);
    while let Some(record) = records.try_next().await.map_err(failed)? {
        let damaged = |error| StoreError::Corrupt(format!("a bulk operation is no JSON: {error}"));
        writer.write(&Line::Bulk(BulkLine::of(record).map_err(damaged)?))?;
    }
    Ok(())
}

const JOBS: &str =
    "SELECT jobs.*, body.payload, body.metadata, body.document, body.fingerprint, body.created_event_id,
    body.replay_of, body.idempotency_key, body.tags, body.trace_context
    FROM jobs JOIN job_bodies AS body ON body.id = jobs.id ";

async fn export_jobs(connection: &mut PgConnection, writer: &mut Writer<'_>) -> Result<(), TransferError> {
    let mut after = 0;
    loop {
        let mut query = sqlx::QueryBuilder::<sqlx::Postgres>::new(JOBS);
        query.push("WHERE body.sequence > ").push_bind(after).push(" ORDER BY body.sequence LIMIT ");
        query.push_bind(ROWS as i64);
        let rows = query.build().fetch_all(&mut *connection).await.map_err(failed)?;
        let mut jobs = rows.iter().map(job_line).collect::<Result<Vec<_>, _>>()?;
        let Some(last) = jobs.last() else { return Ok(()) };
        after = as_long(last.sequence);
        add_attempts(connection, &mut jobs).await?;
        let ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
        let mut places = unique::of_jobs(connection, &ids).await.map_err(failed)?;
        let mut runs = runs(connection, &jobs).await?;
        let signalled = signals::signalled(connection, &ids).await.map_err(failed)?;
        for mut job in jobs {
            let id = job.id;
            job.place = places.remove(&id);
            writer.write(&Line::Job(Box::new(job)))?;
            // One at a time: their logs can be long.
            for (token, mut run) in runs.remove(&id).unwrap_or_default() {
                run.lines = log_lines(connection, id, token).await.map_err(failed)?;
                writer.write(&Line::Report(Box::new(run)))?;
            }
            if signalled.contains(&id) {
                export_signals(connection, id, writer).await?;
            }
        }
    }
}

/// What the runs of these jobs have said, without the lines of their logs.
async fn runs(
    connection: &mut PgConnection,
    jobs: &[JobLine],
) -> Result<HashMap<Uuid, Vec<(i64, ReportLine)>>, TransferError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
    let find =
        sqlx::query("SELECT * FROM attempt_reports WHERE job = ANY($1) ORDER BY job, token").bind(&ids);
    let mut by_job: HashMap<Uuid, Vec<(i64, ReportLine)>> = HashMap::new();
    for row in find.fetch_all(connection).await.map_err(failed)? {
        let run = || {
            let progress = optional_time(&row, "progressed_at")?
                .map(|at| {
                    let (fraction, message) = (row.try_get("fraction")?, row.try_get("message")?);
                    Ok::<_, sqlx::Error>(ProgressLine { fraction, message, at })
                })
                .transpose()?;
            let (token, attempt) = (long(&row, "token")?, count(&row, "attempt")?);
            let job = row.try_get("job")?;
            let run = ReportLine { job, token, attempt, progress, published: None, lines: Vec::new() };
            Ok((job, (row.try_get("token")?, run)))
        };
        let (job, mut run) = run().map_err(failed)?;
        let published = json(row.try_get("published").map_err(failed)?, "state", job)?;
        let at = optional_time(&row, "published_at").map_err(failed)?;
        run.1.published = published.zip(at).map(|(value, at)| PublishedLine { value, at });
        by_job.entry(job).or_default().push(run);
    }
    Ok(by_job)
}

async fn export_signals(
    connection: &mut PgConnection,
    job: Uuid,
    writer: &mut Writer<'_>,
) -> Result<(), TransferError> {
    for record in signals::of_job(connection, job).await.map_err(failed)? {
        let damaged = |error| StoreError::Corrupt(format!("a signal of {job} is no JSON: {error}"));
        writer.write(&Line::Signal(Box::new(SignalLine::of(job, record).map_err(damaged)?)))?;
    }
    Ok(())
}

async fn log_lines(connection: &mut PgConnection, job: Uuid, token: i64) -> sqlx::Result<Vec<LogLine>> {
    let rows = sqlx::query("SELECT * FROM attempt_log WHERE job = $1 AND token = $2 ORDER BY number")
        .bind(job)
        .bind(token)
        .fetch_all(connection)
        .await?;
    let line = |row: &PgRow| {
        let level = level_of(row.try_get::<i16, _>("level")?.into());
        Ok(LogLine { number: long(row, "number")?, at: time(row, "at")?, level, text: row.try_get("text")? })
    };
    rows.iter().map(line).collect()
}

async fn add_attempts(connection: &mut PgConnection, jobs: &mut [JobLine]) -> Result<(), TransferError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
    let mut rows = sqlx::query("SELECT * FROM attempts WHERE job = ANY($1) ORDER BY job, token")
        .bind(&ids)
        .fetch_all(connection)
        .await
        .map_err(failed)?
        .into_iter()
        .map(|row| Ok((row.try_get::<Uuid, _>("job").map_err(failed)?, row)))
        .collect::<Result<Vec<_>, TransferError>>()?;
    let mut by_job: HashMap<Uuid, Vec<PgRow>> = HashMap::new();
    for (job, row) in rows.drain(..) {
        by_job.entry(job).or_default().push(row);
    }
    for job in jobs {
        let attempts = by_job.remove(&job.id).unwrap_or_default();
        job.attempts = attempts.iter().map(|row| attempt_line(row, job.id)).collect::<Result<_, _>>()?;
    }
    Ok(())
}

fn job_line(row: &PgRow) -> Result<JobLine, TransferError> {
    let id: Uuid = row.try_get("id").map_err(failed)?;
    let text = |column: &str| json(row.try_get(column).map_err(failed)?, column, id);
    let payload =
        text("payload")?.ok_or_else(|| StoreError::Corrupt(format!("the job {id} has no payload")))?;
    let (metadata, document, result, tags) =
        (text("metadata")?, text("document")?, text("result")?, text("tags")?);
    let rest = || {
        Ok(JobLine {
            id,
            sequence: long(row, "sequence")?,
            job_type: row.try_get("type")?,
            queue: row.try_get("queue")?,
            state: state_of(row.try_get::<i16, _>("state")?.into()),
            priority: row.try_get::<i16, _>("priority")?.into(),
            payload,
            metadata,
            document,
            fingerprint: row.try_get("fingerprint")?,
            result,
            attempt: count(row, "attempt")?,
            max_attempts: wide(row, "max_attempts")?,
            timeout_us: long(row, "timeout")?,
            token: long(row, "token")?,
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
            claims: count(row, "claims")?,
            was_started: row.try_get("was_started")?,
            deaths: count(row, "deaths")?,
            idempotency_key: row.try_get("idempotency_key")?,
            partition_key: row.try_get("partition_key")?,
            tags,
            trace_context: row.try_get("trace_context")?,
            needs: needs::named(row.try_get("needs")?),
            place: None,
            cause: row.try_get("cause")?,
            attempts: Vec::new(),
        })
    };
    rest().map_err(failed)
}

fn attempt_line(row: &PgRow, job: Uuid) -> Result<AttemptLine, TransferError> {
    let error = json(row.try_get("error").map_err(failed)?, "attempt", job)?;
    let rest = || {
        Ok(AttemptLine {
            number: count(row, "number")?,
            token: long(row, "token")?,
            outcome: outcome_of(row.try_get::<i16, _>("outcome")?.into()),
            node: row.try_get("node")?,
            claimed_at: time(row, "claimed_at")?,
            started_at: optional_time(row, "started_at")?,
            finished_at: time(row, "finished_at")?,
            error,
        })
    };
    rest().map_err(failed)
}

/// Batches in the order of their places; those that have none yet are given the ones that they would get next.
async fn export_events(connection: &mut PgConnection, writer: &mut Writer<'_>) -> Result<(), TransferError> {
    let mut after = 0_i64;
    loop {
        let batches: Vec<(i64, i64, i32)> = sqlx::query_as(
            "SELECT batch, first_position, size FROM (
                (SELECT batch, first_position, size FROM event_batches
                 WHERE first_position > $1 ORDER BY first_position LIMIT $2)
                UNION ALL
                (SELECT batch, (position + 1 + sum(size) OVER (ORDER BY batch) - size)::bigint, size
                 FROM event_batches, log WHERE first_position IS NULL)
             ) AS placed (batch, first_position, size)
             WHERE first_position > $1 ORDER BY first_position LIMIT $2",
        )
        .bind(after)
        .bind(ROWS as i64)
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?;
        let Some((_, last, _)) = batches.last() else { return Ok(()) };
        after = *last;
        let (batches, first): (Vec<i64>, Vec<i64>) =
            batches.iter().map(|(batch, first, _)| (*batch, *first)).unzip();
        let query = sqlx::query(
            "SELECT events.*, placed.first_position + events.number AS position, whole.occurred_at, whole.instance,
                    whole.version
             FROM unnest($1::bigint[], $2::bigint[]) AS placed (batch, first_position)
             JOIN event_batches AS whole ON whole.batch = placed.batch
             JOIN events ON events.batch = placed.batch
             ORDER BY placed.first_position, events.number",
        )
        .bind(&batches)
        .bind(&first);
        let mut rows = query.fetch(&mut *connection);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let mut event = event_line(&row).map_err(failed)?;
            event.progress = json(row.try_get("progress").map_err(failed)?, "progress", event.id)?;
            writer.write(&Line::Event(Box::new(event)))?;
        }
    }
}

fn event_line(row: &PgRow) -> sqlx::Result<EventLine> {
    Ok(EventLine {
        position: long(row, "position")?,
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
        duration_us: row
            .try_get::<Option<i64>, _>("duration")?
            .and_then(|duration| u64::try_from(duration).ok()),
        progress: None,
        instance: row.try_get("instance")?,
        version: row.try_get("version")?,
    })
}

/// Fills the database, whose tables are there, in one transaction.
pub(super) async fn import(
    connection: &mut PgConnection,
    options: &PostgresOptions,
    from: &mut dyn BufRead,
    progress: Progress<'_>,
) -> Result<Counts, TransferError> {
    let mut reader = Reader::begin(from, progress)?;
    without_limits(connection).await?;
    let mut transaction = connection.begin().await.map_err(failed)?;
    // Whoever writes waits until all is there, or nothing.
    let lock = "LOCK TABLE log, jobs, job_bodies, job_tags, attempts, event_batches, events, totals, queues, settings,
                attempt_log, attempt_reports, job_signals, edges, idempotency_keys, inbox, unique_jobs, cron, bulk_operations, job_edits,
                workflows, workflow_steps, workflow_edges
                IN EXCLUSIVE MODE";
    transaction.execute(sqlx::raw_sql(lock)).await.map_err(failed)?;
    refuse_filled(&mut transaction).await?;
    refuse_served(&mut transaction).await?;
    let mut import = Import {
        connection: &mut transaction,
        options,
        now: options.clock.now(),
        jobs: Vec::new(),
        reports: Vec::new(),
        events: Vec::new(),
        bytes: 0,
        batch: 0,
        position: 0,
        totals: Vec::new(),
        last_finished_at: 0,
    };
    while let Some(line) = reader.next()? {
        import.line(line, &reader).await.map_err(|error| explain(error, &reader))?;
    }
    import.write().await.map_err(|error| explain(error, &reader))?;
    let Header { epoch, position, token, sequence, events, .. } = reader.header;
    import.position = if events { position } else { 0 };
    import.finish(next_epoch(epoch), token, sequence).await?;
    transaction.commit().await.map_err(failed)?;
    // Else the first queries would be planned for empty tables. It changes nothing, so its failure means nothing.
    let _ = connection.execute(sqlx::raw_sql("ANALYZE")).await;
    Ok(reader.counts())
}

/// A member that does not fit to the others is the export's fault, not the database's.
fn explain(error: TransferError, reader: &Reader<'_>) -> TransferError {
    match error {
        TransferError::Line { problem, .. } => reader.wrong(problem),
        other => other,
    }
}

/// Of a write: what does not fit to the others is told as a problem of the export.
fn unfit(error: sqlx::Error) -> TransferError {
    let code = error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
    match code {
        Some(code) if code.starts_with("23") || code.starts_with("22") => {
            let problem = format!("what stands here or shortly before does not fit to the rest: {error}");
            TransferError::Line { line: 0, problem }
        }
        _ => failed(error),
    }
}

async fn refuse_filled(connection: &mut PgConnection) -> Result<(), TransferError> {
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM jobs) AS jobs, (SELECT coalesce(sum(size), 0)::bigint FROM event_batches) AS events",
    );
    let row = row.fetch_one(connection).await.map_err(failed)?;
    let (jobs, events) = (long(&row, "jobs").map_err(failed)?, long(&row, "events").map_err(failed)?);
    if jobs > 0 || events > 0 { Err(TransferError::NotEmpty { jobs, events }) } else { Ok(()) }
}

async fn refuse_served(connection: &mut PgConnection) -> Result<(), TransferError> {
    let nodes: Vec<String> = sqlx::query_scalar(
        "SELECT node FROM sessions WHERE closed_at IS NULL
            AND seen_at > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - $1 ORDER BY node LIMIT 10",
    )
    .bind(super::columns::as_micros(LIVES))
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    if nodes.is_empty() { Ok(()) } else { Err(TransferError::InUse { nodes: nodes.join(", ") }) }
}

struct Import<'a> {
    connection: &'a mut PgConnection,
    options: &'a PostgresOptions,
    now: Timestamp,
    /// Not yet written.
    jobs: Vec<JobLine>,
    reports: Vec<ReportLine>,
    events: Vec<EventLine>,
    /// About those of `jobs` and `reports`.
    bytes: usize,
    /// The newest batch of events.
    batch: i64,
    /// The newest event's.
    position: u64,
    totals: Vec<TotalLine>,
    last_finished_at: i64,
}

/// The text without what PostgreSQL keeps in no text.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

impl Import<'_> {
    async fn line(&mut self, line: Line, reader: &Reader<'_>) -> Result<(), TransferError> {
        match line {
            Line::Setting(setting) => self.setting(setting).await,
            Line::Queue(queue) => self.queue(queue).await,
            Line::Edge(edge) => self.edge(edge).await,
            Line::Cron(entry) => cron::write(&mut *self.connection, &entry).await.map_err(unfit),
            Line::Key(key) => self.key(key).await,
            Line::Inbox(line) => self.inbox(line).await,
            Line::Edit(edit) => self.edit(edit).await,
            Line::Bulk(line) => {
                let record = line.read().map_err(|problem| reader.wrong(problem))?;
                super::bulk::insert(self.connection, &record).await.map(drop).map_err(unfit)
            }
            // Of states that still can change the jobs themselves tell.
            Line::Total(total) => {
                self.totals.extend(Some(total).filter(|total| total.state.is_final()));
                Ok(())
            }
            Line::Job(job) => {
                if job.token > reader.header.token || job.sequence > reader.header.sequence {
                    return Err(reader.wrong("the job is newer than the export"));
                }
                let result = job.result.as_ref().map_or(0, |result| result.get().len());
                self.bytes += job.payload.get().len() + result;
                self.jobs.push(*job);
                if self.jobs.len() >= ROWS || self.bytes >= BYTES { self.write().await } else { Ok(()) }
            }
            Line::Report(report) => {
                self.bytes += report.lines.iter().map(|line| line.text.len() + 64).sum::<usize>();
                self.reports.push(*report);
                if self.reports.len() >= ROWS || self.bytes >= BYTES { self.write().await } else { Ok(()) }
            }
            Line::Signal(signal) => signals::import(self.connection, &signal).await.map_err(unfit),
            Line::Workflow(workflow) => {
                let edges = workflow.edges();
                let edges = edges.ok_or_else(|| reader.wrong("a step waits for one that is not there"))?;
                // Its jobs are to be there.
                self.write().await?;
                workflows::put(self.connection, &workflow, &edges).await.map_err(unfit)
            }
            Line::Event(event) => {
                self.events.push(*event);
                if self.events.len() >= ROWS { self.write().await } else { Ok(()) }
            }
            Line::Export(_) | Line::End(_) => Ok(()),
        }
    }

    async fn setting(&mut self, SettingLine { key, value }: SettingLine) -> Result<(), TransferError> {
        if key == LAST_FINISHED {
            self.last_finished_at = value.get().parse().unwrap_or(0);
            return Ok(());
        }
        if OWN_SETTINGS.contains(&&*key) {
            return Ok(());
        }
        let sql = "INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        let put = sqlx::query(sql).bind(key).bind(value.get().to_owned());
        put.execute(&mut *self.connection).await.map_err(unfit)?;
        Ok(())
    }

    async fn queue(&mut self, queue: QueueLine) -> Result<(), TransferError> {
        // A reason is of a pause.
        let pause =
            queue.pause.as_deref().zip(queue.paused_at).map(|(pause, since)| queue_pause::text(pause, since));
        sqlx::query(
            "INSERT INTO queues (name, concurrency, max_backlog, paused_at, updated_at, max_running,
                                 max_running_per_key, rate, rate_per_key, pause)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (name) DO UPDATE SET paused_at = excluded.paused_at, pause = excluded.pause",
        )
        .bind(queue.name)
        .bind(i64::from(queue.concurrency))
        .bind(queue.max_backlog)
        .bind(queue.paused_at.map(Timestamp::as_micros))
        .bind(queue.updated_at.as_micros())
        .bind(queue.max_running)
        .bind(queue.max_running_per_key)
        .bind(queue.rate.map(|rate| rate.to_string()))
        .bind(queue.rate_per_key.map(|rate| rate.to_string()))
        .bind(pause)
        .execute(&mut *self.connection)
        .await
        .map_err(unfit)?;
        Ok(())
    }

    async fn edge(&mut self, edge: EdgeLine) -> Result<(), TransferError> {
        sqlx::query(
            "INSERT INTO edges (name, tripped_at, until, reason, set_by, set_at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (name) DO UPDATE SET tripped_at = excluded.tripped_at, until = excluded.until,
                reason = excluded.reason, set_by = excluded.set_by, set_at = excluded.set_at",
        )
        .bind(edge.name)
        .bind(edge.tripped_at.map(Timestamp::as_micros))
        .bind(edge.until.map(Timestamp::as_micros))
        .bind(edge.reason.as_deref().map(clean))
        .bind(clean(&edge.set_by))
        .bind(edge.set_at.as_micros())
        .execute(&mut *self.connection)
        .await
        .map_err(unfit)?;
        Ok(())
    }

    async fn key(&mut self, key: KeyLine) -> Result<(), TransferError> {
        sqlx::query(
            "INSERT INTO idempotency_keys (scope, key, fingerprint, answer, created_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(key.scope)
        .bind(key.key)
        .bind(key.fingerprint)
        .bind(key.answer.get().to_owned())
        .bind(key.created_at.as_micros())
        .execute(&mut *self.connection)
        .await
        .map_err(unfit)?;
        Ok(())
    }

    async fn inbox(&mut self, line: InboxLine) -> Result<(), TransferError> {
        sqlx::query(
            "INSERT INTO inbox (event, job, producer, occurred_at, received_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(line.event)
        .bind(line.job)
        .bind(clean(&line.producer))
        .bind(line.occurred_at.as_micros())
        .bind(line.received_at.as_micros())
        .execute(&mut *self.connection)
        .await
        .map_err(unfit)?;
        Ok(())
    }

    async fn edit(&mut self, edit: EditLine) -> Result<(), TransferError> {
        sqlx::query(
            "INSERT INTO job_edits (replay, original, patch, reason, by, at) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(edit.replay)
        .bind(edit.original)
        .bind(edit.patch.map(|patch| patch.get().to_owned()))
        .bind(edit.reason.as_deref().map(clean))
        .bind(clean(&edit.by))
        .bind(edit.at.as_micros())
        .execute(&mut *self.connection)
        .await
        .map_err(unfit)?;
        Ok(())
    }

    /// Writes what was gathered.
    async fn write(&mut self) -> Result<(), TransferError> {
        let (jobs, events) = (std::mem::take(&mut self.jobs), std::mem::take(&mut self.events));
        self.bytes = 0;
        if !jobs.is_empty() {
            self.write_jobs(&jobs).await.map_err(unfit)?;
            let places = jobs.iter().filter_map(|job| Some((job.id, job.place.as_ref()?)));
            unique::bring(self.connection, places).await.map_err(unfit)?;
            let attempts: Vec<(Uuid, &AttemptLine)> = jobs
                .iter()
                .flat_map(|job| job.attempts.iter().map(move |attempt| (job.id, attempt)))
                .collect();
            self.write_attempts(&attempts).await.map_err(unfit)?;
        }
        let reports = std::mem::take(&mut self.reports);
        self.write_reports(&reports).await.map_err(unfit)?;
        self.write_events(&events).await.map_err(unfit)
    }

    async fn write_jobs(&mut self, jobs: &[JobLine]) -> sqlx::Result<()> {
        macro_rules! column {
            (|$job:ident| $value:expr) => {
                jobs.iter().map(|$job| $value).collect::<Vec<_>>()
            };
        }
        let text = |value: &Option<Box<RawValue>>| value.as_ref().map(|value| value.get().to_owned());
        let micros = |at: Option<Timestamp>| at.map(Timestamp::as_micros);
        sqlx::query(
            "WITH new AS (
                SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::smallint[], $6::smallint[], $7::text[],
                    $8::text[], $9::text[], $10::bytea[], $11::text[], $12::integer[], $13::bigint[], $14::bigint[],
                    $15::bigint[], $16::text[], $17::text[], $18::uuid[], $19::uuid[], $20::uuid[], $21::bigint[],
                    $22::bigint[], $23::bigint[], $24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[],
                    $28::integer[], $29::boolean[], $30::integer[], $31::text[], $32::text[], $33::text[], $34::text[], $35::text[],
                    $36::text[])
                AS new (id, sequence, type, queue, state, priority, payload, metadata, document, fingerprint, result, attempt,
                    max_attempts, timeout, token, wait_reason, last_error, correlation_id, created_event_id, replay_of,
                    created_at, updated_at, scheduled_at, claimed_at, started_at, finished_at, cancel_requested_at, claims,
                    was_started, deaths, idempotency_key, partition_key, tags, trace_context, needs, cause)
             ), bodies AS (
                INSERT INTO job_bodies (id, sequence, type, queue, payload, metadata, document, fingerprint, created_event_id,
                                        replay_of, idempotency_key, tags, trace_context)
                SELECT id, sequence, type, queue, payload, metadata, document, fingerprint, created_event_id, replay_of,
                       idempotency_key, tags, trace_context FROM new
             ), tags AS (
                INSERT INTO job_tags (tag, sequence)
                SELECT tag, sequence FROM new, json_array_elements_text(new.tags::json) AS tag WHERE tags IS NOT NULL
             )
             INSERT INTO jobs (id, sequence, type, queue, state, priority, attempt, max_attempts, timeout, token, wait_reason,
                               last_error, result, correlation_id, created_at, updated_at, scheduled_at, claimed_at, started_at,
                               finished_at, cancel_requested_at, claims, was_started, deaths, partition_key, needs, cause)
             SELECT id, sequence, type, queue, state, priority, attempt, max_attempts, timeout, token, wait_reason, last_error,
                    result, correlation_id, created_at, updated_at, scheduled_at, claimed_at, started_at, finished_at,
                    cancel_requested_at, claims, was_started, deaths, partition_key, needs, cause FROM new",
        )
        .bind(column!(|job| job.id))
        .bind(column!(|job| as_long(job.sequence)))
        .bind(column!(|job| job.job_type.as_str()))
        .bind(column!(|job| job.queue.as_str()))
        .bind(column!(|job| job.state as i16))
        .bind(column!(|job| i16::try_from(job.priority).unwrap_or(0)))
        .bind(column!(|job| job.payload.get()))
        .bind(column!(|job| text(&job.metadata)))
        .bind(column!(|job| text(&job.document)))
        .bind(column!(|job| job.fingerprint.as_slice()))
        .bind(column!(|job| text(&job.result)))
        .bind(column!(|job| as_integer(job.attempt)))
        .bind(column!(|job| i64::from(job.max_attempts)))
        .bind(column!(|job| as_long(job.timeout_us)))
        .bind(column!(|job| as_long(job.token)))
        .bind(column!(|job| job.wait_reason.as_deref().map(clean)))
        .bind(column!(|job| job.last_error.as_deref().map(clean)))
        .bind(column!(|job| job.correlation_id))
        .bind(column!(|job| job.created_event_id))
        .bind(column!(|job| job.replay_of))
        .bind(column!(|job| job.created_at.as_micros()))
        .bind(column!(|job| job.updated_at.as_micros()))
        .bind(column!(|job| job.scheduled_at.as_micros()))
        .bind(column!(|job| micros(job.claimed_at)))
        .bind(column!(|job| micros(job.started_at)))
        .bind(column!(|job| micros(job.finished_at)))
        .bind(column!(|job| micros(job.cancel_requested_at)))
        .bind(column!(|job| as_integer(job.claims)))
        .bind(column!(|job| job.was_started))
        .bind(column!(|job| as_integer(job.deaths)))
        .bind(column!(|job| job.idempotency_key.as_deref().map(clean)))
        // Jobs with an empty one would be nobody's.
        .bind(column!(|job| job.partition_key.as_deref().filter(|key| !key.is_empty()).map(clean)))
        .bind(column!(|job| text(&job.tags)))
        .bind(column!(|job| job.trace_context.as_deref().map(clean)))
        .bind(column!(|job| needs::stored(&job.needs).map(|needs| clean(&needs))))
        .bind(column!(|job| job.cause.as_deref().map(clean)))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn write_attempts(&mut self, attempts: &[(Uuid, &AttemptLine)]) -> sqlx::Result<()> {
        macro_rules! column {
            (|$job:ident, $attempt:ident| $value:expr) => {
                attempts.iter().map(|($job, $attempt)| $value).collect::<Vec<_>>()
            };
        }
        if attempts.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO attempts (job, number, token, outcome, node, claimed_at, started_at, finished_at, error)
             SELECT * FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::smallint[], $5::text[], $6::bigint[],
                                  $7::bigint[], $8::bigint[], $9::text[])",
        )
        .bind(column!(|job, _attempt| *job))
        .bind(column!(|_job, attempt| as_integer(attempt.number)))
        .bind(column!(|_job, attempt| as_long(attempt.token)))
        .bind(column!(|_job, attempt| i16::try_from(outcome_code(attempt.outcome)).unwrap_or(i16::MAX)))
        .bind(column!(|_job, attempt| clean(&attempt.node)))
        .bind(column!(|_job, attempt| attempt.claimed_at.as_micros()))
        .bind(column!(|_job, attempt| attempt.started_at.map(Timestamp::as_micros)))
        .bind(column!(|_job, attempt| attempt.finished_at.as_micros()))
        .bind(column!(|_job, attempt| attempt.error.as_ref().map(|error| error.get().to_owned())))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// What runs have said.
    async fn write_reports(&mut self, runs: &[ReportLine]) -> sqlx::Result<()> {
        if runs.is_empty() {
            return Ok(());
        }
        macro_rules! column {
            (|$run:ident| $value:expr) => {
                runs.iter().map(|$run| $value).collect::<Vec<_>>()
            };
        }
        sqlx::query(
            "INSERT INTO attempt_reports (job, token, attempt, fraction, message, progressed_at, published, published_at)
             SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::integer[], $4::double precision[], $5::text[], $6::bigint[],
                                  $7::text[], $8::bigint[])",
        )
        .bind(column!(|run| run.job))
        .bind(column!(|run| as_long(run.token)))
        .bind(column!(|run| as_integer(run.attempt)))
        .bind(column!(|run| run.progress.as_ref().map(|progress| progress.fraction)))
        .bind(column!(|run| run
            .progress
            .as_ref()
            .and_then(|progress| progress.message.as_deref().map(clean))))
        .bind(column!(|run| run.progress.as_ref().map(|progress| progress.at.as_micros())))
        .bind(column!(|run| run.published.as_ref().map(|published| published.value.get().to_owned())))
        .bind(column!(|run| run.published.as_ref().map(|published| published.at.as_micros())))
        .execute(&mut *self.connection)
        .await?;
        for run in runs {
            self.write_lines(run).await?;
        }
        Ok(())
    }

    async fn write_lines(&mut self, run: &ReportLine) -> sqlx::Result<()> {
        let lines = &run.lines;
        if lines.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO attempt_log (job, token, number, at, level, text)
             SELECT $1, $2, * FROM unnest($3::bigint[], $4::bigint[], $5::smallint[], $6::text[])",
        )
        .bind(run.job)
        .bind(as_long(run.token))
        .bind(lines.iter().map(|line| as_long(line.number)).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.at.as_micros()).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| level_code(line.level)).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| clean(&line.text)).collect::<Vec<_>>())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Events that happened together, in the same transaction or so, are one batch.
    async fn write_events(&mut self, events: &[EventLine]) -> sqlx::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let together = |a: &EventLine, b: &EventLine| {
            a.occurred_at == b.occurred_at && a.instance == b.instance && a.version == b.version
        };
        let (mut batches, mut places) = (Vec::new(), Vec::with_capacity(events.len()));
        for batch in events.chunk_by(together) {
            self.batch += 1;
            let first = &batch[0];
            let size = i32::try_from(batch.len()).unwrap_or(i32::MAX);
            batches.push((self.batch, size, as_long(first.position), first));
            places.extend((0..size).map(|number| (self.batch, number)));
        }
        sqlx::query(
            "INSERT INTO event_batches (batch, size, first_position, occurred_at, instance, version)
             SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[], $5::text[], $6::text[])",
        )
        .bind(batches.iter().map(|(batch, ..)| *batch).collect::<Vec<_>>())
        .bind(batches.iter().map(|(_, size, ..)| *size).collect::<Vec<_>>())
        .bind(batches.iter().map(|(_, _, first, _)| *first).collect::<Vec<_>>())
        .bind(batches.iter().map(|(.., event)| event.occurred_at.as_micros()).collect::<Vec<_>>())
        .bind(batches.iter().map(|(.., event)| clean(&event.instance)).collect::<Vec<_>>())
        .bind(batches.iter().map(|(.., event)| clean(&event.version)).collect::<Vec<_>>())
        .execute(&mut *self.connection)
        .await?;
        self.insert_events(events, &places).await
    }

    async fn insert_events(&mut self, events: &[EventLine], places: &[(i64, i32)]) -> sqlx::Result<()> {
        macro_rules! column {
            (|$event:ident| $value:expr) => {
                events.iter().map(|$event| $value).collect::<Vec<_>>()
            };
        }
        sqlx::query(
            "INSERT INTO events (batch, number, id, type, job, job_type, queue, job_created_at, correlation_id, attempt, error,
                                 duration, progress)
             SELECT * FROM unnest($1::bigint[], $2::integer[], $3::uuid[], $4::smallint[], $5::uuid[], $6::text[], $7::text[],
                                  $8::bigint[], $9::uuid[], $10::integer[], $11::text[], $12::bigint[], $13::text[])",
        )
        .bind(places.iter().map(|(batch, _)| *batch).collect::<Vec<_>>())
        .bind(places.iter().map(|(_, number)| *number).collect::<Vec<_>>())
        .bind(column!(|event| event.id))
        .bind(column!(|event| i16::try_from(event_code(event.event)).unwrap_or(i16::MAX)))
        .bind(column!(|event| event.job))
        .bind(column!(|event| event.job_type.as_str()))
        .bind(column!(|event| event.queue.as_str()))
        .bind(column!(|event| event.job_created_at.as_micros()))
        .bind(column!(|event| event.correlation_id))
        .bind(column!(|event| as_integer(event.attempt)))
        .bind(column!(|event| event.error.as_deref().map(clean)))
        .bind(column!(|event| event.duration_us.map(as_long)))
        .bind(column!(|event| event.progress.as_ref().map(|progress| clean(progress.get()))))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Makes the jobs that ran available again, counts, and sets the counters.
    async fn finish(&mut self, epoch: u64, token: u64, sequence: u64) -> Result<(), TransferError> {
        while self.hand_back().await? {}
        self.count().await.map_err(failed)?;
        let log = sqlx::query("UPDATE log SET epoch = $1, position = $2")
            .bind(as_long(epoch))
            .bind(as_long(self.position));
        log.execute(&mut *self.connection).await.map_err(failed)?;
        for (name, last) in [
            ("job_sequence", as_long(sequence)),
            ("lease_token", as_long(token)),
            ("event_batch", self.batch),
        ] {
            let set = sqlx::query("SELECT setval($1::regclass, $2, $3)")
                .bind(name)
                .bind(last.max(1))
                .bind(last > 0);
            set.execute(&mut *self.connection).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Whether there were any.
    async fn hand_back(&mut self) -> Result<bool, TransferError> {
        let mut query = sqlx::QueryBuilder::<sqlx::Postgres>::new(JOBS);
        query
            .push("WHERE state = ")
            .push_bind(JobState::Executing as i16)
            .push(" ORDER BY jobs.sequence LIMIT ");
        query.push_bind(ROWS as i64);
        let rows = query.build().fetch_all(&mut *self.connection).await.map_err(failed)?;
        let jobs = rows.iter().map(job_line).collect::<Result<Vec<_>, _>>()?;
        let PostgresOptions { node, version, .. } = self.options;
        let mut position = self.position;
        let ended = jobs.iter().map(|job| {
            position += 1;
            hand_back(job, self.now, node, version, position)
        });
        let (attempts, events): (Vec<AttemptLine>, Vec<EventLine>) = ended.unzip();
        self.position = position;
        let ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
        let attempts: Vec<(Uuid, &AttemptLine)> = ids.iter().copied().zip(&attempts).collect();
        self.write_attempts(&attempts).await.map_err(failed)?;
        self.write_events(&events).await.map_err(failed)?;
        let make = "UPDATE jobs SET state = $2, attempt = greatest(attempt - 1, 0), started_at = NULL, updated_at = $3
                    WHERE id = ANY($1)";
        sqlx::query(make)
            .bind(&ids)
            .bind(JobState::Available as i16)
            .bind(self.now.as_micros())
            .execute(&mut *self.connection)
            .await
            .map_err(failed)?;
        Ok(!ids.is_empty())
    }

    /// Counts the jobs. Of the finished ones there may have been more, which are deleted.
    async fn count(&mut self) -> sqlx::Result<()> {
        let (mut queues, mut states, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for TotalLine { queue, state, count } in &self.totals {
            queues.push(queue.as_str());
            states.push(*state as i16);
            counts.push(*count);
        }
        sqlx::query(
            "INSERT INTO totals (queue, state, shard, count, last_at)
             SELECT queue, state, 0, max(count), CASE WHEN state >= 5 THEN $4 ELSE $5 END
             FROM (SELECT queue, state, count(*) AS count FROM jobs GROUP BY queue, state
                   UNION ALL SELECT * FROM unnest($1::text[], $2::smallint[], $3::bigint[])) AS counted (queue, state, count)
             GROUP BY queue, state",
        )
        .bind(&queues)
        .bind(&states)
        .bind(&counts)
        .bind(self.last_finished_at)
        .bind(self.now.as_micros())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}
