//! What runs say of themselves: how far they are, and their logs.

use callboard_contracts::{
    JobState,
    api::{JobLogPage, JobLogPosition, JobLogQuery, JobProgress},
};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{
    columns::{as_integer, as_long, as_text, count, long, optional_time, time},
    signals,
    transaction::Transaction,
};
use crate::edges::store::{
    Operation, OperationResult,
    report::{RUNS, ReportedLine},
    signals::PublishedRecord,
    transition::{
        attempt::leased_job,
        code::state_of,
        report::{Accepted, accept, level_code, limit, line, page},
    },
};

/// A group of reports.
pub(super) async fn run(tx: &mut Transaction<'_>, group: &[Operation]) -> sqlx::Result<Vec<OperationResult>> {
    tx.load(group.iter().filter_map(leased_job)).await?;
    let (accepted, results) = accept(&mut tx.changes, group);
    if accepted.reports.is_empty() {
        return Ok(results);
    }
    let news = write_heads(tx.connection, &accepted).await?;
    accepted.tell(&mut tx.changes, &news);
    write_lines(tx.connection, &accepted).await?;
    signals::write_reports(tx.connection, &accepted, tx.changes.now).await?;
    forget_lines(tx.connection, &accepted).await?;
    let first = accepted.heads.iter().filter(|(_, head)| head.first).map(|((job, _), _)| *job);
    forget_old_runs(tx.connection, first.collect()).await?;
    Ok(results)
}

/// Of which attempts the progress is news.
async fn write_heads(
    connection: &mut PgConnection,
    accepted: &Accepted<'_>,
) -> sqlx::Result<Vec<(Uuid, u64)>> {
    macro_rules! column {
        (|$key:ident, $head:ident| $value:expr) => {
            accepted.heads.iter().map(|($key, $head)| $value).collect::<Vec<_>>()
        };
    }
    let rows = sqlx::query(
        "INSERT INTO attempt_reports (job, token, attempt, fraction, message, progressed_at)
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::integer[], $4::double precision[], $5::text[], $6::bigint[])
         ON CONFLICT (job, token) DO UPDATE SET
            fraction = excluded.fraction, message = excluded.message, progressed_at = excluded.progressed_at
         WHERE excluded.progressed_at IS NOT NULL
            AND (attempt_reports.progressed_at IS NULL OR excluded.progressed_at > attempt_reports.progressed_at)
         RETURNING job, token",
    )
    .bind(column!(|key, _head| key.0))
    .bind(column!(|key, _head| as_long(key.1)))
    .bind(column!(|_key, head| as_integer(head.attempt)))
    .bind(column!(|_key, head| head.progress.map(|progress| progress.fraction)))
    .bind(column!(|_key, head| head
        .progress
        .and_then(|progress| progress.message.as_deref().map(as_text))))
    .bind(column!(|_key, head| head.progress.map(|progress| progress.at.as_micros())))
    .fetch_all(connection)
    .await?;
    let written = rows.iter().map(|row| Ok((row.try_get("job")?, long(row, "token")?)));
    let written = written.collect::<sqlx::Result<Vec<(Uuid, u64)>>>()?;
    // Those without progress of which this is the first word are no news.
    let news = written.into_iter().filter(|key| accepted.heads[key].progress.is_some());
    Ok(news.collect())
}

async fn write_lines(connection: &mut PgConnection, accepted: &Accepted<'_>) -> sqlx::Result<()> {
    let lines: Vec<(Uuid, u64, &ReportedLine)> = accepted
        .reports
        .iter()
        .flat_map(|report| report.lines.iter().map(|line| (report.lease.id, report.lease.token, line)))
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    macro_rules! column {
        (|$job:ident, $token:ident, $line:ident| $value:expr) => {
            lines.iter().map(|($job, $token, $line)| $value).collect::<Vec<_>>()
        };
    }
    sqlx::query(
        "INSERT INTO attempt_log (job, token, number, at, level, text)
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::smallint[], $6::text[])
         ON CONFLICT (job, token, number) DO NOTHING",
    )
    .bind(column!(|job, _token, _line| *job))
    .bind(column!(|_job, token, _line| as_long(*token)))
    .bind(column!(|_job, _token, line| as_long(line.number)))
    .bind(column!(|_job, _token, line| line.at.as_micros()))
    .bind(column!(|_job, _token, line| level_code(line.level)))
    .bind(column!(|_job, _token, line| as_text(&line.text)))
    .execute(connection)
    .await?;
    Ok(())
}

async fn forget_lines(connection: &mut PgConnection, accepted: &Accepted<'_>) -> sqlx::Result<()> {
    let (mut jobs, mut tokens, mut firsts, mut lasts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for report in &accepted.reports {
        if let Some((first, last)) = report.forget {
            jobs.push(report.lease.id);
            tokens.push(as_long(report.lease.token));
            firsts.push(as_long(first));
            lasts.push(as_long(last));
        }
    }
    if jobs.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM attempt_log AS log
         USING unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[]) AS gone (job, token, first, last)
         WHERE log.job = gone.job AND log.token = gone.token AND log.number BETWEEN gone.first AND gone.last",
    )
    .bind(jobs)
    .bind(tokens)
    .bind(firsts)
    .bind(lasts)
    .execute(connection)
    .await?;
    Ok(())
}

/// Only the last runs of a job are kept.
async fn forget_old_runs(connection: &mut PgConnection, jobs: Vec<Uuid>) -> sqlx::Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let old: Vec<(Uuid, i64)> = sqlx::query_as(
        "SELECT job, last.token FROM unnest($1::uuid[]) AS said (job)
         CROSS JOIN LATERAL (SELECT token FROM attempt_reports AS run WHERE run.job = said.job
                             ORDER BY token DESC LIMIT 1 OFFSET $2) AS last",
    )
    .bind(jobs)
    .bind(i64::from(RUNS))
    .fetch_all(&mut *connection)
    .await?;
    if old.is_empty() {
        return Ok(());
    }
    let (jobs, tokens): (Vec<Uuid>, Vec<i64>) = old.into_iter().unzip();
    for delete in [
        "DELETE FROM attempt_log AS said USING unnest($1::uuid[], $2::bigint[]) AS old (job, token)
         WHERE said.job = old.job AND said.token <= old.token",
        "DELETE FROM attempt_reports AS said USING unnest($1::uuid[], $2::bigint[]) AS old (job, token)
         WHERE said.job = old.job AND said.token <= old.token",
    ] {
        sqlx::query(delete).bind(&jobs).bind(&tokens).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Deletes what runs of these jobs have said, lines at most `limit`; false if there are more of them.
pub(super) async fn delete(connection: &mut PgConnection, jobs: &[Uuid], limit: u64) -> sqlx::Result<bool> {
    let lines = sqlx::query(
        // By their places: whatever the planner thinks of how many there are, the rest of the table is not looked at.
        "DELETE FROM attempt_log WHERE ctid = ANY(ARRAY(SELECT ctid FROM attempt_log WHERE job = ANY($1) LIMIT $2))",
    );
    let deleted = lines.bind(jobs).bind(as_long(limit)).execute(&mut *connection).await?.rows_affected();
    if deleted >= limit {
        return Ok(false);
    }
    sqlx::query("DELETE FROM attempt_reports WHERE job = ANY($1)").bind(jobs).execute(connection).await?;
    Ok(true)
}

/// How far the newest run of a job has said that it is, and what it shows of itself. A run whose lease was taken from it is the
/// newest one until the next is claimed.
pub(super) async fn newest(
    connection: &mut PgConnection,
    job: Uuid,
    state: JobState,
    token: u64,
) -> sqlx::Result<(Option<JobProgress>, Option<PublishedRecord>)> {
    let row = sqlx::query(
        "SELECT fraction, message, progressed_at, attempt, published, published_at FROM attempt_reports
         WHERE job = $1 AND (progressed_at IS NOT NULL OR published_at IS NOT NULL)
            AND (token = $2 OR ($3 AND token = (SELECT max(token) FROM attempts WHERE job = $1)))
         ORDER BY token DESC LIMIT 1",
    )
    .bind(job)
    .bind(as_long(token))
    .bind(state != JobState::Executing)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok((None, None)) };
    let attempt = count(&row, "attempt")?;
    let progress = match optional_time(&row, "progressed_at")? {
        Some(at) => {
            let (fraction, message) = (row.try_get("fraction")?, row.try_get("message")?);
            Some(JobProgress { fraction, message, at, attempt })
        }
        None => None,
    };
    let published = match optional_time(&row, "published_at")? {
        Some(at) => Some(PublishedRecord { attempt, at, value: row.try_get("published")? }),
        None => None,
    };
    Ok((progress, published))
}

/// A part of what the runs of a job have said.
pub(super) async fn job_log(
    connection: &mut PgConnection,
    job: Uuid,
    query: JobLogQuery,
) -> sqlx::Result<Option<JobLogPage>> {
    let found = sqlx::query("SELECT state, attempt FROM jobs WHERE id = $1").bind(job);
    let Some(found) = found.fetch_optional(&mut *connection).await? else { return Ok(None) };
    let state = state_of(found.try_get::<i16, _>("state")?.into());
    let attempt = count(&found, "attempt")?;
    let after = query.after.unwrap_or_default();
    let rows = sqlx::query(
        "SELECT log.token, log.number, run.attempt, log.at, log.level, log.text
         FROM attempt_log AS log JOIN attempt_reports AS run ON run.job = log.job AND run.token = log.token
         WHERE log.job = $1 AND (log.token, log.number) > ($2, $3) AND ($4::integer IS NULL OR run.attempt = $4)
         ORDER BY log.token, log.number LIMIT $5",
    )
    .bind(job)
    .bind(as_long(after.token))
    .bind(as_long(after.number))
    .bind(query.attempt.map(as_integer))
    // One more than asked for tells whether there is more.
    .bind(i64::from(limit(&query)) + 1)
    .fetch_all(connection)
    .await?;
    let lines = rows.iter().map(|row| {
        let position = JobLogPosition { token: long(row, "token")?, number: long(row, "number")? };
        let level = row.try_get::<i16, _>("level")?.into();
        Ok(line(position, count(row, "attempt")?, time(row, "at")?, level, row.try_get("text")?))
    });
    let lines = lines.collect::<sqlx::Result<Vec<_>>>()?;
    Ok(Some(page(&query, lines, state, attempt)))
}
