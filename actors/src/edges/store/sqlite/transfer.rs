//! Export and import of a file.

use std::{
    fs::{self, File},
    io::{BufRead, Write},
    path::{Path, PathBuf},
};

use callboard_contracts::{JobState, Timestamp};
use rusqlite::{Connection, Row, params};
use serde_json::{json, value::RawValue};
use uuid::Uuid;

use super::{
    SqliteOptions, cron,
    error::translate,
    jobs::{id, optional_id, optional_time, time},
    open::{self, FileLock},
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

/// Jobs that are handed back in one go.
const BATCH: usize = 1000;

const JOB: &str = "id, sequence, type, queue, state, priority, payload, metadata, document, fingerprint, result, attempt, \
    max_attempts, timeout, token, wait_reason, last_error, correlation_id, created_event_id, replay_of, created_at, \
    updated_at, scheduled_at, claimed_at, started_at, finished_at, cancel_requested_at, claims, was_started, deaths, \
    idempotency_key, partition_key, tags, trace_context, needs, cause";
const EVENT: &str = "position, id, type, occurred_at, job, job_type, queue, job_created_at, correlation_id, attempt, \
    error, duration, instance, version, progress";
const ATTEMPT: &str = "number, token, outcome, node, claimed_at, started_at, finished_at, error";

fn failed(error: rusqlite::Error) -> TransferError {
    TransferError::Store(translate(error))
}

/// JSON out of the database; what is none is damage.
fn json(text: Option<String>, of: &str) -> Result<Option<Box<RawValue>>, TransferError> {
    let damaged = |error| TransferError::Store(StoreError::Corrupt(format!("{of} is no JSON: {error}")));
    text.map(|text| raw(text).map_err(damaged)).transpose()
}

/// Writes all that the file holds, as of one moment.
pub(super) fn export(
    connection: &Connection,
    events: bool,
    to: &mut dyn Write,
    progress: Progress<'_>,
) -> Result<Counts, TransferError> {
    let snapshot = connection.unchecked_transaction().map_err(failed)?;
    let memory = super::transaction::Memory::load(&snapshot).map_err(failed)?;
    let header = Header {
        format: 1,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        backend: "sqlite".to_owned(),
        exported_at: Timestamp::now(),
        epoch: memory.epoch,
        position: memory.position,
        token: memory.token,
        sequence: memory.sequence,
        events,
    };
    let mut writer = Writer::begin(to, progress, header)?;
    export_settings(&snapshot, &mut writer)?;
    export_queues(&snapshot, &mut writer)?;
    export_edges(&snapshot, &mut writer)?;
    export_cron(&snapshot, &mut writer)?;
    export_keys(&snapshot, &mut writer)?;
    export_inbox(&snapshot, &mut writer)?;
    export_dead_jobs(&snapshot, &mut writer)?;
    export_jobs(&snapshot, &mut writer)?;
    for workflow in workflows::all(&snapshot).map_err(failed)? {
        let line = workflows::line(&snapshot, workflow).map_err(failed)?;
        writer.write(&Line::Workflow(Box::new(line)))?;
    }
    if events {
        export_events(&snapshot, &mut writer)?;
    }
    writer.end()
}

fn export_settings(connection: &Connection, writer: &mut Writer<'_>) -> Result<(), TransferError> {
    let mut statement = connection.prepare("SELECT key, value FROM settings ORDER BY key").map_err(failed)?;
    let mut rows = statement.query(()).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let key: String = row.get(0).map_err(failed)?;
        if OWN_SETTINGS.contains(&&*key) {
            continue;
        }
        let value = json(row.get(1).map_err(failed)?, &format!("the setting {key}"))?;
        if let Some(value) = value {
            writer.write(&Line::Setting(SettingLine { key, value }))?;
        }
    }
    Ok(())
}

fn export_queues(connection: &Connection, writer: &mut Writer<'_>) -> Result<(), TransferError> {
    let queue = |row: &Row<'_>| {
        Ok(QueueLine {
            name: row.get(0)?,
            concurrency: row.get(1)?,
            max_backlog: row.get(2)?,
            paused_at: optional_time(row, 3)?,
            updated_at: time(row, 4)?,
            max_running: row.get(5)?,
            max_running_per_key: row.get(6)?,
            rate: rate_of(row.get(7)?),
            rate_per_key: rate_of(row.get(8)?),
            pause: queue_pause::of_text(row.get(9)?, optional_time(row, 3)?).map(Box::new),
        })
    };
    let mut statement = connection
        .prepare(
            "SELECT name, concurrency, max_backlog, paused_at, updated_at, max_running, max_running_per_key, rate,
                    rate_per_key, pause
             FROM queues ORDER BY name",
        )
        .map_err(failed)?;
    for queue in statement.query_map((), queue).map_err(failed)? {
        writer.write(&Line::Queue(queue.map_err(failed)?))?;
    }
    let total = |row: &Row<'_>| {
        Ok(TotalLine { queue: row.get(0)?, state: state_of(row.get(1)?), count: row.get(2)? })
    };
    let mut statement = connection
        .prepare(
            "SELECT queue, state, count FROM totals WHERE state >= 5 AND count > 0 ORDER BY queue, state",
        )
        .map_err(failed)?;
    for total in statement.query_map((), total).map_err(failed)? {
        writer.write(&Line::Total(total.map_err(failed)?))?;
    }
    Ok(())
}

fn export_edges(connection: &Connection, writer: &mut Writer<'_>) -> Result<(), TransferError> {
    let edge = |row: &Row<'_>| {
        Ok(EdgeLine {
            name: row.get(0)?,
            tripped_at: optional_time(row, 1)?,
            until: optional_time(row, 2)?,
            reason: row.get(3)?,
            set_by: row.get(4)?,
            set_at: time(row, 5)?,
        })
    };
    let mut statement = connection
        .prepare("SELECT name, tripped_at, until, reason, set_by, set_at FROM edges ORDER BY name")
        .map_err(failed)?;
    for edge in statement.query_map((), edge).map_err(failed)? {
        writer.write(&Line::Edge(edge.map_err(failed)?))?;
    }
    Ok(())
}

fn export_cron(connection: &Connection, writer: &mut Writer<'_>) -> Result<(), TransferError> {
    for entry in cron::all(connection).map_err(failed)? {
        writer.write(&Line::Cron(Box::new(entry)))?;
    }
    Ok(())
}

fn export_keys(connection: &Connection, writer: &mut Writer<'_>) -> Result<(), TransferError> {
    let mut statement = connection
        .prepare(
            "SELECT scope, key, fingerprint, answer, created_at FROM idempotency_keys ORDER BY scope, key",
        )
        .map_err(failed)?;
    let mut rows = statement.query(()).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let answer = json(row.get(3).map_err(failed)?, "the answer to a key")?;
        let answer = answer.ok_or_else(|| StoreError::Corrupt("a key has no answer".to_owned()))?;
        let rest = || {
            let (scope, key) = (row.get(0)?, row.get(1)?);
            Ok(KeyLine { scope, key, fingerprint: row.get(2)?, answer, created_at: time(row, 4)? })
        };
        writer.write(&Line::Key(rest().map_err(failed)?))?;
    }
    Ok(())
}

fn export_inbox(connection: &Connection, writer: &mut Writer<'_>) -> Result<(), TransferError> {
    let line = |row: &Row<'_>| {
        Ok(InboxLine {
            event: id(row, 0)?,
            job: id(row, 1)?,
            producer: row.get(2)?,
            occurred_at: time(row, 3)?,
            received_at: time(row, 4)?,
        })
    };
    let mut statement = connection
        .prepare("SELECT event, job, producer, occurred_at, received_at FROM inbox ORDER BY number")
        .map_err(failed)?;
    for line in statement.query_map((), line).map_err(failed)? {
        writer.write(&Line::Inbox(line.map_err(failed)?))?;
    }
    Ok(())
}

/// What was changed in replays, and bulk operations.
fn export_dead_jobs(connection: &Connection, writer: &mut Writer<'_>) -> Result<(), TransferError> {
    let mut statement = connection
        .prepare("SELECT replay, original, reason, by, at, patch FROM job_edits ORDER BY at, replay")
        .map_err(failed)?;
    let mut rows = statement.query(()).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let patch = json(row.get(5).map_err(failed)?, "what was changed in a replay")?;
        let rest = || {
            let (replay, original) = (id(row, 0)?, id(row, 1)?);
            Ok(EditLine { replay, original, patch, reason: row.get(2)?, by: row.get(3)?, at: time(row, 4)? })
        };
        writer.write(&Line::Edit(rest().map_err(failed)?))?;
    }
    let mut statement =
        connection.prepare("SELECT record FROM bulk_operations ORDER BY started_at, id").map_err(failed)?;
    let mut rows = statement.query(()).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let damaged = |error| StoreError::Corrupt(format!("a bulk operation is no JSON: {error}"));
        let line = BulkLine::of(row.get(0).map_err(failed)?).map_err(damaged)?;
        writer.write(&Line::Bulk(line))?;
    }
    Ok(())
}

fn export_jobs(connection: &Connection, writer: &mut Writer<'_>) -> Result<(), TransferError> {
    let mut jobs =
        connection.prepare(&format!("SELECT {JOB} FROM jobs ORDER BY sequence")).map_err(failed)?;
    let mut attempts = connection
        .prepare(&format!("SELECT {ATTEMPT} FROM attempts WHERE job = ?1 ORDER BY token"))
        .map_err(failed)?;
    let mut rows = jobs.query(()).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let mut job = job_line(row)?;
        let mut rows = attempts.query([job.id.as_bytes()]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            job.attempts.push(attempt_line(row, &job)?);
        }
        let id = job.id;
        job.place = unique::of_job(connection, id).map_err(failed)?;
        writer.write(&Line::Job(Box::new(job)))?;
        export_reports(connection, id, writer)?;
        export_signals(connection, id, writer)?;
    }
    Ok(())
}

fn export_signals(connection: &Connection, job: Uuid, writer: &mut Writer<'_>) -> Result<(), TransferError> {
    for record in signals::of_job(connection, job).map_err(failed)? {
        let damaged = |error| StoreError::Corrupt(format!("a signal of the job {job} is no JSON: {error}"));
        writer.write(&Line::Signal(Box::new(SignalLine::of(job, record).map_err(damaged)?)))?;
    }
    Ok(())
}

/// What the runs of a job have said.
fn export_reports(connection: &Connection, job: Uuid, writer: &mut Writer<'_>) -> Result<(), TransferError> {
    let mut runs = connection
        .prepare_cached(
            "SELECT token, attempt, fraction, message, progressed_at, published, published_at
             FROM attempt_reports WHERE job = ?1 ORDER BY token",
        )
        .map_err(failed)?;
    let mut rows = runs.query([job.as_bytes()]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let mut report = report_line(connection, job, row).map_err(failed)?;
        let published = json(row.get(5).map_err(failed)?, "what a run shows of itself")?;
        let at = optional_time(row, 6).map_err(failed)?;
        report.published = published.zip(at).map(|(value, at)| PublishedLine { value, at });
        writer.write(&Line::Report(Box::new(report)))?;
    }
    Ok(())
}

fn report_line(connection: &Connection, job: Uuid, row: &Row<'_>) -> rusqlite::Result<ReportLine> {
    let token: u64 = row.get(0)?;
    let mut lines = connection.prepare_cached(
        "SELECT number, at, level, text FROM attempt_log WHERE job = ?1 AND token = ?2 ORDER BY number",
    )?;
    let line = |row: &Row<'_>| {
        let (at, level) = (time(row, 1)?, level_of(row.get(2)?));
        Ok(LogLine { number: row.get(0)?, at, level, text: row.get(3)? })
    };
    let lines = lines.query_map((job.as_bytes(), token), line)?.collect::<rusqlite::Result<_>>()?;
    let progress = optional_time(row, 4)?
        .map(|at| Ok::<_, rusqlite::Error>(ProgressLine { fraction: row.get(2)?, message: row.get(3)?, at }))
        .transpose()?;
    Ok(ReportLine { job, token, attempt: row.get(1)?, progress, published: None, lines })
}

fn job_line(row: &Row<'_>) -> Result<JobLine, TransferError> {
    let id = id(row, 0).map_err(failed)?;
    let text = |column: usize, name: &str| {
        let text: Option<String> = row.get(column).map_err(failed)?;
        json(text, &format!("the {name} of the job {id}"))
    };
    let payload = text(6, "payload")?;
    let payload = payload.ok_or_else(|| StoreError::Corrupt(format!("the job {id} has no payload")))?;
    let (metadata, document, result, tags) =
        (text(7, "metadata")?, text(8, "document")?, text(10, "result")?, text(32, "tags")?);
    let rest = || {
        Ok(JobLine {
            id,
            sequence: row.get(1)?,
            job_type: row.get(2)?,
            queue: row.get(3)?,
            state: state_of(row.get(4)?),
            priority: row.get(5)?,
            payload,
            metadata,
            document,
            fingerprint: row.get(9)?,
            result,
            attempt: row.get(11)?,
            max_attempts: row.get(12)?,
            timeout_us: row.get(13)?,
            token: row.get(14)?,
            wait_reason: row.get(15)?,
            last_error: row.get(16)?,
            correlation_id: super::jobs::id(row, 17)?,
            created_event_id: super::jobs::id(row, 18)?,
            replay_of: optional_id(row, 19)?,
            created_at: time(row, 20)?,
            updated_at: time(row, 21)?,
            scheduled_at: time(row, 22)?,
            claimed_at: optional_time(row, 23)?,
            started_at: optional_time(row, 24)?,
            finished_at: optional_time(row, 25)?,
            cancel_requested_at: optional_time(row, 26)?,
            claims: row.get(27)?,
            was_started: row.get(28)?,
            deaths: row.get(29)?,
            idempotency_key: row.get(30)?,
            partition_key: row.get(31)?,
            tags,
            trace_context: row.get(33)?,
            needs: needs::named(row.get::<_, Option<String>>(34)?.as_deref()),
            place: None,
            cause: row.get(35)?,
            attempts: Vec::new(),
        })
    };
    rest().map_err(failed)
}

fn attempt_line(row: &Row<'_>, job: &JobLine) -> Result<AttemptLine, TransferError> {
    let error: Option<String> = row.get(7).map_err(failed)?;
    let error = json(error, &format!("an error of the job {}", job.id))?;
    let rest = || {
        Ok(AttemptLine {
            number: row.get(0)?,
            token: row.get(1)?,
            outcome: outcome_of(row.get(2)?),
            node: row.get(3)?,
            claimed_at: time(row, 4)?,
            started_at: optional_time(row, 5)?,
            finished_at: time(row, 6)?,
            error,
        })
    };
    rest().map_err(failed)
}

fn export_events(connection: &Connection, writer: &mut Writer<'_>) -> Result<(), TransferError> {
    let event = |row: &Row<'_>| {
        Ok(EventLine {
            position: row.get(0)?,
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
            duration_us: row.get(11)?,
            instance: row.get(12)?,
            version: row.get(13)?,
            progress: None,
        })
    };
    let mut statement =
        connection.prepare(&format!("SELECT {EVENT} FROM events ORDER BY position")).map_err(failed)?;
    let mut rows = statement.query(()).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let mut event = event(row).map_err(failed)?;
        event.progress = json(row.get(14).map_err(failed)?, "an event's progress")?;
        writer.write(&Line::Event(Box::new(event)))?;
    }
    Ok(())
}

/// Makes the file of an export. It stands under another name until it is whole, so whatever ends the import, the file is
/// as it was: missing, or empty.
pub(super) fn import(
    options: &SqliteOptions,
    from: &mut dyn BufRead,
    progress: Progress<'_>,
) -> Result<Counts, TransferError> {
    let mut reader = Reader::begin(from, progress)?;
    let options = SqliteOptions { path: target(&options.path)?, ..options.clone() };
    let _lock = FileLock::take(&options)?;
    refuse_filled(&options)?;
    let partial = Partial::new(&options.path)?;
    let counts = fill(&partial.path, &options, &mut reader)?;
    partial.take_the_place_of(&options.path)?;
    Ok(counts)
}

/// The file's real path, of which the folder is made if it is missing.
fn target(path: &Path) -> Result<PathBuf, TransferError> {
    let found = || {
        if path.exists() {
            return fs::canonicalize(path);
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        Ok(fs::canonicalize(folder)?.join(path.file_name().unwrap_or_default()))
    };
    found().map_err(TransferError::Write)
}

fn refuse_filled(options: &SqliteOptions) -> Result<(), TransferError> {
    if fs::metadata(&options.path).map_or(0, |file| file.len()) == 0 {
        return Ok(());
    }
    // As a server would open it: what a killed one has left in its write-ahead log is looked at, too.
    let connection = open::writer(options)?;
    let count = |table: &str| {
        connection.query_row(&format!("SELECT count(*) FROM {table}"), (), |row| row.get(0)).map_err(failed)
    };
    let (jobs, events): (u64, u64) = (count("jobs")?, count("events")?);
    if jobs > 0 || events > 0 { Err(TransferError::NotEmpty { jobs, events }) } else { Ok(()) }
}

/// A file that is not finished. Dropped, it is removed.
pub(super) struct Partial {
    pub(super) path: PathBuf,
}

impl Partial {
    /// The one for this file; one that a killed process has left is removed.
    pub(super) fn new(of: &Path) -> Result<Self, TransferError> {
        let mut path = of.as_os_str().to_owned();
        path.push(".partial");
        let partial = Partial { path: PathBuf::from(path) };
        partial.remove().map_err(TransferError::Write)?;
        Ok(partial)
    }

    fn remove(&self) -> std::io::Result<()> {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            remove_if_there(&with_suffix(&self.path, suffix))?;
        }
        Ok(())
    }

    /// Puts it, durable, in the place of a file of which nothing is needed any more.
    pub(super) fn take_the_place_of(self, path: &Path) -> Result<(), TransferError> {
        let moved = || {
            File::open(&self.path)?.sync_all()?;
            // The log of the old file must never be taken for one of the new.
            for suffix in ["-wal", "-shm"] {
                remove_if_there(&with_suffix(path, suffix))?;
            }
            fs::rename(&self.path, path)?;
            File::open(
                path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")),
            )?
            .sync_all()
        };
        moved().map_err(TransferError::Write)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the rename there is nothing; else the next one tries again.
        let _ = self.remove();
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn fill(path: &Path, options: &SqliteOptions, reader: &mut Reader<'_>) -> Result<Counts, TransferError> {
    let connection = open::scratch(path, options)?;
    let transaction = connection.unchecked_transaction().map_err(failed)?;
    let mut import = Import { connection: &transaction, options, now: options.clock.now(), position: 0 };
    while let Some(line) = reader.next()? {
        import.line(line, reader)?;
    }
    let Header { epoch, position, token, sequence, events, .. } = reader.header;
    import.position = if events { position } else { 0 };
    import.hand_back()?;
    import.count()?;
    let counters = json!({ "position": import.position, "token": token, "sequence": sequence });
    import.setting("counters", &counters.to_string())?;
    import.setting("epoch", &next_epoch(epoch).to_string())?;
    transaction.commit().map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))?;
    Ok(reader.counts())
}

struct Import<'a> {
    connection: &'a Connection,
    options: &'a SqliteOptions,
    now: Timestamp,
    /// The newest event's.
    position: u64,
}

impl Import<'_> {
    fn line(&self, line: Line, reader: &Reader<'_>) -> Result<(), TransferError> {
        let written = match &line {
            Line::Setting(setting) => {
                if OWN_SETTINGS.contains(&&*setting.key) {
                    return Ok(());
                }
                return self.setting(&setting.key, setting.value.get());
            }
            Line::Queue(queue) => self.queue(queue),
            Line::Edge(edge) => self.edge(edge),
            Line::Cron(entry) => cron::write(self.connection, entry),
            Line::Total(total) => self.total(total),
            Line::Key(key) => self.key(key),
            Line::Inbox(line) => self.inbox(line),
            Line::Edit(edit) => self.edit(edit),
            Line::Bulk(line) => {
                let record = line.read().map_err(|problem| reader.wrong(problem))?;
                super::bulk::put(self.connection, &record)
            }
            Line::Job(job) => {
                if job.token > reader.header.token || job.sequence > reader.header.sequence {
                    return Err(reader.wrong("the job is newer than the export"));
                }
                self.job(job)
            }
            Line::Report(report) => self.report(report),
            Line::Signal(signal) => signals::import(self.connection, signal),
            Line::Workflow(workflow) => {
                let edges = workflow.edges();
                let edges = edges.ok_or_else(|| reader.wrong("a step waits for one that is not there"))?;
                workflows::put(self.connection, workflow, &edges)
            }
            Line::Event(event) => self.event(event),
            Line::Export(_) | Line::End(_) => return Ok(()),
        };
        written.map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation) => {
                reader.wrong(format!("it does not fit to the others: {error}"))
            }
            _ => failed(error),
        })
    }

    fn setting(&self, key: &str, value: &str) -> Result<(), TransferError> {
        let sql = "INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        self.connection.prepare_cached(sql).and_then(|mut put| put.execute([key, value])).map_err(failed)?;
        Ok(())
    }

    fn queue(&self, queue: &QueueLine) -> rusqlite::Result<()> {
        // A reason is of a pause.
        let pause =
            queue.pause.as_deref().zip(queue.paused_at).map(|(pause, since)| queue_pause::text(pause, since));
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO queues (name, concurrency, max_backlog, paused_at, updated_at, max_running,
                                 max_running_per_key, rate, rate_per_key, pause)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        statement.execute(params![
            queue.name,
            queue.concurrency,
            queue.max_backlog,
            queue.paused_at.map(Timestamp::as_micros),
            queue.updated_at.as_micros(),
            queue.max_running,
            queue.max_running_per_key,
            queue.rate.map(|rate| rate.to_string()),
            queue.rate_per_key.map(|rate| rate.to_string()),
            pause,
        ])?;
        Ok(())
    }

    fn edge(&self, edge: &EdgeLine) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO edges (name, tripped_at, until, reason, set_by, set_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        let EdgeLine { name, tripped_at, until, reason, set_by, set_at } = edge;
        let (since, until) = (tripped_at.map(Timestamp::as_micros), until.map(Timestamp::as_micros));
        statement.execute(params![name, since, until, reason, set_by, set_at.as_micros()])?;
        Ok(())
    }

    /// Only those that nothing else tells: of jobs that have been deleted since.
    fn total(&self, total: &TotalLine) -> rusqlite::Result<()> {
        if total.state.is_final() {
            let mut statement = self
                .connection
                .prepare_cached("INSERT INTO totals (queue, state, count) VALUES (?1, ?2, ?3)")?;
            statement.execute(params![total.queue, total.state as i64, total.count])?;
        }
        Ok(())
    }

    fn key(&self, key: &KeyLine) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO idempotency_keys (scope, key, fingerprint, answer, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        let KeyLine { scope, key, fingerprint, answer, created_at } = key;
        statement.execute(params![scope, key, fingerprint, answer.get(), created_at.as_micros()])?;
        Ok(())
    }

    fn inbox(&self, line: &InboxLine) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO inbox (event, job, producer, occurred_at, received_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        let InboxLine { event, job, producer, occurred_at, received_at } = line;
        let (occurred_at, received_at) = (occurred_at.as_micros(), received_at.as_micros());
        statement.execute(params![event.as_bytes(), job.as_bytes(), producer, occurred_at, received_at])?;
        Ok(())
    }

    fn edit(&self, edit: &EditLine) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO job_edits (replay, original, patch, reason, by, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        let EditLine { replay, original, patch, reason, by, at } = edit;
        let patch = patch.as_ref().map(|patch| patch.get());
        statement.execute(params![
            replay.as_bytes(),
            original.as_bytes(),
            patch,
            reason,
            by,
            at.as_micros()
        ])?;
        Ok(())
    }

    fn job(&self, job: &JobLine) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(&format!(
            "INSERT INTO jobs ({JOB}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, \
             ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36)"
        ))?;
        let text = |value: &Option<Box<RawValue>>| value.as_ref().map(|value| value.get().to_owned());
        let micros = |at: Option<Timestamp>| at.map(Timestamp::as_micros);
        statement.execute(params![
            job.id.as_bytes(),
            job.sequence,
            job.job_type,
            job.queue,
            job.state as i64,
            job.priority,
            job.payload.get(),
            text(&job.metadata),
            text(&job.document),
            job.fingerprint,
            text(&job.result),
            job.attempt,
            job.max_attempts,
            job.timeout_us,
            job.token,
            job.wait_reason,
            job.last_error,
            job.correlation_id.as_bytes(),
            job.created_event_id.as_bytes(),
            job.replay_of.map(Uuid::into_bytes),
            job.created_at.as_micros(),
            job.updated_at.as_micros(),
            job.scheduled_at.as_micros(),
            micros(job.claimed_at),
            micros(job.started_at),
            micros(job.finished_at),
            micros(job.cancel_requested_at),
            job.claims,
            job.was_started,
            job.deaths,
            job.idempotency_key,
            // Jobs with an empty one would be nobody's.
            job.partition_key.as_deref().filter(|key| !key.is_empty()),
            text(&job.tags),
            job.trace_context,
            needs::stored(&job.needs),
            job.cause,
        ])?;
        job.place.iter().try_for_each(|place| unique::bring(self.connection, job.id, place))?;
        job.attempts.iter().try_for_each(|attempt| self.attempt(job.id, attempt))
    }

    fn report(&self, report: &ReportLine) -> rusqlite::Result<()> {
        let ReportLine { job, token, attempt, progress, published, lines } = report;
        let mut run = self.connection.prepare_cached(
            "INSERT INTO attempt_reports (job, token, attempt, fraction, message, progressed_at, published, published_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        run.execute(params![
            job.as_bytes(),
            token,
            attempt,
            progress.as_ref().map(|progress| progress.fraction),
            progress.as_ref().and_then(|progress| progress.message.as_deref()),
            progress.as_ref().map(|progress| progress.at.as_micros()),
            published.as_ref().map(|published| published.value.get()),
            published.as_ref().map(|published| published.at.as_micros()),
        ])?;
        let mut write = self.connection.prepare_cached(
            "INSERT INTO attempt_log (job, token, number, at, level, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for LogLine { number, at, level, text } in lines {
            write.execute(params![
                job.as_bytes(),
                token,
                number,
                at.as_micros(),
                level_code(*level),
                text
            ])?;
        }
        Ok(())
    }

    fn attempt(&self, job: Uuid, attempt: &AttemptLine) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(&format!(
            "INSERT INTO attempts (job, {ATTEMPT}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
        ))?;
        statement.execute(params![
            job.as_bytes(),
            attempt.number,
            attempt.token,
            outcome_code(attempt.outcome),
            attempt.node,
            attempt.claimed_at.as_micros(),
            attempt.started_at.map(Timestamp::as_micros),
            attempt.finished_at.as_micros(),
            attempt.error.as_ref().map(|error| error.get()),
        ])?;
        Ok(())
    }

    fn event(&self, event: &EventLine) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(&format!(
            "INSERT INTO events ({EVENT}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
        ))?;
        statement.execute(params![
            event.position,
            event.id.as_bytes(),
            event_code(event.event),
            event.occurred_at.as_micros(),
            event.job.as_bytes(),
            event.job_type,
            event.queue,
            event.job_created_at.as_micros(),
            event.correlation_id.as_bytes(),
            event.attempt,
            event.error,
            event.duration_us,
            event.instance,
            event.version,
            event.progress.as_ref().map(|progress| progress.get()),
        ])?;
        Ok(())
    }

    /// Makes the jobs that ran available again.
    fn hand_back(&mut self) -> Result<(), TransferError> {
        loop {
            let jobs = self.executing()?;
            if jobs.is_empty() {
                return Ok(());
            }
            for job in jobs {
                self.position += 1;
                let SqliteOptions { node, version, .. } = self.options;
                let (attempt, event) = hand_back(&job, self.now, node, version, self.position);
                self.attempt(job.id, &attempt).and_then(|()| self.event(&event)).map_err(failed)?;
                let sql = "UPDATE jobs SET state = ?2, attempt = max(attempt - 1, 0), started_at = NULL, updated_at = ?3 \
                           WHERE sequence = ?1";
                let available = JobState::Available as i64;
                let made = self.connection.prepare_cached(sql).and_then(|mut make| {
                    make.execute(params![job.sequence, available, self.now.as_micros()])
                });
                made.map_err(failed)?;
            }
        }
    }

    fn executing(&self) -> Result<Vec<JobLine>, TransferError> {
        let sql = format!("SELECT {JOB} FROM jobs WHERE state = 3 ORDER BY sequence LIMIT {BATCH}");
        let mut statement = self.connection.prepare_cached(&sql).map_err(failed)?;
        let mut rows = statement.query(()).map_err(failed)?;
        let mut jobs = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            jobs.push(job_line(row)?);
        }
        Ok(jobs)
    }

    /// Counts the jobs, and makes them known by their tags. Of the finished ones there may have been more, which are deleted.
    fn count(&self) -> Result<(), TransferError> {
        let sql = "INSERT INTO totals (queue, state, count) SELECT queue, state, count(*) FROM jobs GROUP BY queue, state \
                   ON CONFLICT (queue, state) DO UPDATE SET count = max(count, excluded.count)";
        let counted = self.connection.execute(sql, ());
        let sql = "INSERT INTO job_tags (tag, sequence) \
                   SELECT tag.value, jobs.sequence FROM jobs, json_each(jobs.tags) AS tag";
        counted.and_then(|_| self.connection.execute(sql, ())).map_err(failed)?;
        Ok(())
    }
}
