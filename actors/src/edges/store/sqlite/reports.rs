//! What runs say of themselves: how far they are, and their logs.

use callboard_contracts::{
    JobState, Timestamp,
    api::{JobLogPage, JobLogPosition, JobLogQuery, JobProgress},
};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;
use uuid::Uuid;

use super::{
    jobs::{hex, optional_time, time},
    signals,
    transaction::Transaction,
};
use crate::edges::store::{
    Operation, OperationResult,
    report::{RUNS, Report},
    signals::PublishedRecord,
    transition::{
        attempt::leased_job,
        code::state_of,
        report::{Accepted, accept, level_code, limit, line, page},
    },
};

/// A group of reports.
pub(super) fn run(tx: &mut Transaction<'_>, group: &[Operation]) -> rusqlite::Result<Vec<OperationResult>> {
    tx.load(group.iter().filter_map(leased_job))?;
    let (accepted, results) = accept(&mut tx.changes, group);
    let news = write_heads(tx.connection, &accepted)?;
    accepted.tell(&mut tx.changes, &news);
    for report in &accepted.reports {
        write_lines(tx.connection, report)?;
        let head = accepted.heads.get(&(report.lease.id, report.lease.token));
        let attempt = head.map_or(0, |head| head.attempt);
        signals::write_report(tx.connection, report, attempt, tx.changes.now)?;
    }
    for ((job, _), head) in &accepted.heads {
        if head.first {
            forget_old_runs(tx.connection, *job)?;
        }
    }
    Ok(results)
}

/// Of which attempts the progress is news.
fn write_heads(connection: &Connection, accepted: &Accepted<'_>) -> rusqlite::Result<Vec<(Uuid, u64)>> {
    let mut write = connection.prepare_cached(
        "INSERT INTO attempt_reports (job, token, attempt, fraction, message, progressed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (job, token) DO UPDATE SET
            fraction = excluded.fraction, message = excluded.message, progressed_at = excluded.progressed_at
         WHERE attempt_reports.progressed_at IS NULL OR excluded.progressed_at > attempt_reports.progressed_at",
    )?;
    let mut news = Vec::new();
    for (key @ (job, token), head) in &accepted.heads {
        let progress = head.progress;
        let written = write.execute(params![
            job.as_bytes(),
            token,
            head.attempt,
            progress.map(|progress| progress.fraction),
            progress.and_then(|progress| progress.message.as_deref()),
            progress.map(|progress| progress.at.as_micros()),
        ])?;
        if written > 0 && progress.is_some() {
            news.push(*key);
        }
    }
    Ok(news)
}

fn write_lines(connection: &Connection, report: &Report) -> rusqlite::Result<()> {
    let (job, token) = (report.lease.id, report.lease.token);
    let mut write = connection.prepare_cached(
        "INSERT INTO attempt_log (job, token, number, at, level, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (job, token, number) DO NOTHING",
    )?;
    for line in &report.lines {
        let at = line.at.as_micros();
        write.execute(params![job.as_bytes(), token, line.number, at, level_code(line.level), line.text])?;
    }
    if let Some((first, last)) = report.forget {
        let mut forget = connection.prepare_cached(
            "DELETE FROM attempt_log WHERE job = ?1 AND token = ?2 AND number BETWEEN ?3 AND ?4",
        )?;
        forget.execute(params![job.as_bytes(), token, first, last])?;
    }
    Ok(())
}

/// Only the last runs of a job are kept.
fn forget_old_runs(connection: &Connection, job: Uuid) -> rusqlite::Result<()> {
    let mut find = connection.prepare_cached(
        "SELECT token FROM attempt_reports WHERE job = ?1 ORDER BY token DESC LIMIT 1 OFFSET ?2",
    )?;
    let last: Option<u64> = find.query_row(params![job.as_bytes(), RUNS], |row| row.get(0)).optional()?;
    let Some(last) = last else { return Ok(()) };
    for table in ["attempt_log", "attempt_reports"] {
        let sql = format!("DELETE FROM {table} WHERE job = ?1 AND token <= ?2");
        connection.prepare_cached(&sql)?.execute(params![job.as_bytes(), last])?;
    }
    Ok(())
}

/// Deletes what runs of these jobs have said, lines at most `limit`; false if there are more of them.
pub(super) fn delete(connection: &Connection, jobs: &[Uuid], limit: u64) -> rusqlite::Result<bool> {
    let list = json!(jobs.iter().copied().map(hex).collect::<Vec<_>>()).to_string();
    let mut lines = connection.prepare_cached(
        "DELETE FROM attempt_log WHERE (job, token, number) IN
            (SELECT job, token, number FROM attempt_log
             WHERE job IN (SELECT unhex(value) FROM json_each(?1)) LIMIT ?2)",
    )?;
    if lines.execute(params![list, limit])? as u64 >= limit {
        return Ok(false);
    }
    let mut reports = connection.prepare_cached(
        "DELETE FROM attempt_reports WHERE job IN (SELECT unhex(value) FROM json_each(?1))",
    )?;
    reports.execute([list])?;
    Ok(true)
}

/// How far the newest run of a job has said that it is, and what it shows of itself. A run whose lease was taken from it is the
/// newest one until the next is claimed.
pub(super) fn newest(
    connection: &Connection,
    job: Uuid,
    state: JobState,
) -> rusqlite::Result<(Option<JobProgress>, Option<PublishedRecord>)> {
    let mut find = connection.prepare_cached(
        "SELECT fraction, message, progressed_at, attempt, published, published_at FROM attempt_reports
         WHERE job = ?1 AND (progressed_at IS NOT NULL OR published_at IS NOT NULL)
            AND (token = (SELECT token FROM jobs WHERE id = ?1)
                 OR (?2 AND token = (SELECT max(token) FROM attempts WHERE job = ?1)))
         ORDER BY token DESC LIMIT 1",
    )?;
    let found = find.query_row(params![job.as_bytes(), state != JobState::Executing], |row| {
        let attempt = row.get(3)?;
        let progress = optional_time(row, 2)?
            .map(|at| {
                let (fraction, message) = (row.get(0)?, row.get(1)?);
                Ok::<_, rusqlite::Error>(JobProgress { fraction, message, at, attempt })
            })
            .transpose()?;
        let published = optional_time(row, 5)?
            .map(|at| Ok::<_, rusqlite::Error>(PublishedRecord { attempt, at, value: row.get(4)? }))
            .transpose()?;
        Ok((progress, published))
    });
    Ok(found.optional()?.unwrap_or_default())
}

/// A part of what the runs of a job have said.
pub(super) fn job_log(
    connection: &Connection,
    job: Uuid,
    query: &JobLogQuery,
) -> rusqlite::Result<Option<JobLogPage>> {
    let mut find = connection.prepare_cached("SELECT state, attempt FROM jobs WHERE id = ?1")?;
    let found = find.query_row([job.as_bytes()], |row| Ok((state_of(row.get(0)?), row.get::<_, u32>(1)?)));
    let Some((state, attempt)) = found.optional()? else { return Ok(None) };
    let mut find = connection.prepare_cached(
        "SELECT log.token, log.number, run.attempt, log.at, log.level, log.text
         FROM attempt_log AS log JOIN attempt_reports AS run ON run.job = log.job AND run.token = log.token
         WHERE log.job = ?1 AND (log.token, log.number) > (?2, ?3) AND (?4 IS NULL OR run.attempt = ?4)
         ORDER BY log.token, log.number LIMIT ?5",
    )?;
    let after = query.after.unwrap_or_default();
    // One more than asked for tells whether there is more.
    let most = limit(query) + 1;
    let parameters = params![job.as_bytes(), after.token, after.number, query.attempt, most];
    let lines = find.query_map(parameters, |row| {
        let position = JobLogPosition { token: row.get(0)?, number: row.get(1)? };
        let at: Timestamp = time(row, 3)?;
        Ok(line(position, row.get(2)?, at, row.get(4)?, row.get(5)?))
    })?;
    let lines = lines.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(Some(page(query, lines, state, attempt)))
}
