//! Signals, and the states that runs publish.

use callboard_contracts::{Timestamp, api::MOST_ACKNOWLEDGED};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    columns::{as_integer, as_long, as_text, count, long, optional_time, time},
    reports,
    transaction::Transaction,
};
use crate::edges::store::{
    Outcome,
    record::Lease,
    signals::{JobStateRecord, NewSignal, SignalOperation, SignalOutcome, SignalRecord},
    transfer::SignalLine,
    transition::{
        code::state_of,
        report::Accepted,
        signals::{Held, acknowledges, send},
    },
};

/// The job is loaded, and so locked: signals of one job are numbered one after the other.
pub(super) async fn run(tx: &mut Transaction<'_>, operation: &SignalOperation) -> sqlx::Result<Outcome> {
    tx.load(std::iter::once(operation.job())).await?;
    match operation {
        SignalOperation::Send(signal) => store(tx, signal).await,
        SignalOperation::Acknowledge { lease, number } => acknowledge(tx, *lease, *number).await,
    }
}

async fn store(tx: &mut Transaction<'_>, signal: &NewSignal) -> sqlx::Result<Outcome> {
    let held = held(tx.connection, signal).await?;
    let outcome = send(&mut tx.changes, signal, &held);
    if let Outcome::Signals(SignalOutcome::Stored { number, .. }) = outcome {
        sqlx::query(
            "INSERT INTO job_signals (job, number, id, name, value, by, at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(signal.job)
        .bind(as_integer(number))
        .bind(signal.id)
        .bind(&signal.name)
        .bind(&signal.value)
        .bind(as_text(&signal.by))
        .bind(tx.changes.now.as_micros())
        .execute(&mut *tx.connection)
        .await?;
    }
    Ok(outcome)
}

async fn held(connection: &mut PgConnection, signal: &NewSignal) -> sqlx::Result<Held> {
    let (last, signals, bytes): (i32, i64, i64) = sqlx::query_as(
        "SELECT coalesce(max(number), 0), count(*) FILTER (WHERE acknowledged_at IS NULL),
                coalesce(sum(octet_length(value)) FILTER (WHERE acknowledged_at IS NULL), 0)::bigint
         FROM job_signals WHERE job = $1",
    )
    .bind(signal.job)
    .fetch_one(&mut *connection)
    .await?;
    let same: Option<(i32, String, String)> =
        sqlx::query_as("SELECT number, name, value FROM job_signals WHERE job = $1 AND id = $2")
            .bind(signal.job)
            .bind(signal.id)
            .fetch_optional(connection)
            .await?;
    Ok(Held {
        last: u32::try_from(last).unwrap_or(0),
        signals: u32::try_from(signals).unwrap_or(u32::MAX),
        bytes: u64::try_from(bytes).unwrap_or(0),
        same: same.map(|(number, name, value)| (u32::try_from(number).unwrap_or(0), name, value)),
    })
}

async fn acknowledge(tx: &mut Transaction<'_>, lease: Lease, number: u32) -> sqlx::Result<Outcome> {
    let Some(attempt) = acknowledges(&mut tx.changes, lease) else { return Ok(Outcome::Stale) };
    sqlx::query(
        "UPDATE job_signals SET acknowledged_at = $4, taken_by = $3, taken_at = $4
         WHERE job = $1 AND number = $2 AND acknowledged_at IS NULL",
    )
    .bind(lease.id)
    .bind(as_integer(number))
    .bind(as_integer(attempt))
    .bind(tx.changes.now.as_micros())
    .execute(&mut *tx.connection)
    .await?;
    sqlx::query(
        "DELETE FROM job_signals WHERE job = $1 AND acknowledged_at IS NOT NULL AND number <=
            (SELECT number FROM job_signals WHERE job = $1 AND acknowledged_at IS NOT NULL
             ORDER BY number DESC LIMIT 1 OFFSET $2)",
    )
    .bind(lease.id)
    .bind(i64::from(MOST_ACKNOWLEDGED))
    .execute(&mut *tx.connection)
    .await?;
    Ok(Outcome::Signals(SignalOutcome::Acknowledged))
}

/// What runs publish, and which signals they have taken. There is a row for what each of them says.
pub(super) async fn write_reports(
    connection: &mut PgConnection,
    accepted: &Accepted<'_>,
    now: Timestamp,
) -> sqlx::Result<()> {
    let reports = &accepted.reports;
    // A report, and what is said with the end of its attempt, can meet: the later of the two is written.
    let mut published = std::collections::BTreeMap::new();
    for report in reports {
        if let Some(new) = &report.published {
            let key = (report.lease.id, report.lease.token);
            let known = published.entry(key).or_insert(new);
            if known.at < new.at {
                *known = new;
            }
        }
    }
    if !published.is_empty() {
        sqlx::query(
            "UPDATE attempt_reports AS run SET published = new.value, published_at = new.at
             FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[]) AS new (job, token, value, at)
             WHERE run.job = new.job AND run.token = new.token
                AND (run.published_at IS NULL OR run.published_at < new.at)",
        )
        .bind(published.keys().map(|(job, _)| *job).collect::<Vec<_>>())
        .bind(published.keys().map(|(_, token)| as_long(*token)).collect::<Vec<_>>())
        .bind(published.values().map(|new| new.value.as_str()).collect::<Vec<_>>())
        .bind(published.values().map(|new| new.at.as_micros()).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    }
    let taken = || {
        reports.iter().flat_map(|report| {
            let attempt = accepted.heads.get(&(report.lease.id, report.lease.token)).map(|head| head.attempt);
            let attempt = attempt.unwrap_or_default();
            report.taken.iter().map(move |number| (report.lease.id, *number, attempt))
        })
    };
    if taken().next().is_none() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE job_signals AS signal SET taken_by = new.attempt, taken_at = $4
         FROM (SELECT DISTINCT * FROM unnest($1::uuid[], $2::integer[], $3::integer[])) AS new (job, number, attempt)
         WHERE signal.job = new.job AND signal.number = new.number
            AND signal.taken_by IS DISTINCT FROM new.attempt AND signal.acknowledged_at IS NULL",
    )
    .bind(taken().map(|(job, ..)| job).collect::<Vec<_>>())
    .bind(taken().map(|(_, number, _)| as_integer(number)).collect::<Vec<_>>())
    .bind(taken().map(|(.., attempt)| as_integer(attempt)).collect::<Vec<_>>())
    .bind(now.as_micros())
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes those of jobs that are deleted.
pub(super) const DELETE: &str = "DELETE FROM job_signals WHERE job = ANY($1)";

fn record(row: &PgRow) -> sqlx::Result<SignalRecord> {
    let taken_by: Option<i32> = row.try_get("taken_by")?;
    Ok(SignalRecord {
        number: count(row, "number")?,
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        value: row.try_get("value")?,
        by: row.try_get("by")?,
        at: time(row, "at")?,
        taken: taken_by.and_then(|attempt| u32::try_from(attempt).ok()).zip(optional_time(row, "taken_at")?),
        acknowledged_at: optional_time(row, "acknowledged_at")?,
    })
}

/// All of a job, in the order of their numbers; `None` if there is no such job.
pub(super) async fn all(connection: &mut PgConnection, job: Uuid) -> sqlx::Result<Option<Vec<SignalRecord>>> {
    let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM jobs WHERE id = $1)")
        .bind(job)
        .fetch_one(&mut *connection)
        .await?;
    if !known {
        return Ok(None);
    }
    of_job(connection, job).await.map(Some)
}

/// All of a job, in the order of their numbers.
pub(super) async fn of_job(connection: &mut PgConnection, job: Uuid) -> sqlx::Result<Vec<SignalRecord>> {
    let rows = sqlx::query("SELECT * FROM job_signals WHERE job = $1 ORDER BY number").bind(job);
    rows.fetch_all(connection).await?.iter().map(record).collect()
}

/// Those of these jobs that are unacknowledged, each behind its number.
pub(super) async fn after(
    connection: &mut PgConnection,
    jobs: &[(Uuid, u32)],
    limit: u32,
) -> sqlx::Result<Vec<(Uuid, SignalRecord)>> {
    let rows = sqlx::query(
        "SELECT signal.* FROM unnest($1::uuid[], $2::integer[]) AS wanted (job, number)
         CROSS JOIN LATERAL (SELECT * FROM job_signals AS signal
                             WHERE signal.job = wanted.job AND signal.number > wanted.number
                                AND acknowledged_at IS NULL ORDER BY signal.number LIMIT $3) AS signal
         ORDER BY job, number LIMIT $3",
    )
    .bind(jobs.iter().map(|(job, _)| *job).collect::<Vec<_>>())
    .bind(jobs.iter().map(|(_, after)| as_integer(*after)).collect::<Vec<_>>())
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("job")?, record(row)?))).collect()
}

/// What a job shows. A run whose lease was taken from it is the newest one until the next is claimed.
pub(super) async fn job_state(
    connection: &mut PgConnection,
    job: Uuid,
) -> sqlx::Result<Option<JobStateRecord>> {
    let found = sqlx::query("SELECT state, attempt, token FROM jobs WHERE id = $1").bind(job);
    let Some(found) = found.fetch_optional(&mut *connection).await? else { return Ok(None) };
    let state = state_of(found.try_get::<i16, _>("state")?.into());
    let (_, published) = reports::newest(connection, job, state, long(&found, "token")?).await?;
    Ok(Some(JobStateRecord { state, attempt: count(&found, "attempt")?, published }))
}

/// Those of these jobs that have signals.
pub(super) async fn signalled(connection: &mut PgConnection, jobs: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    let found = sqlx::query_scalar("SELECT DISTINCT job FROM job_signals WHERE job = ANY($1)").bind(jobs);
    found.fetch_all(connection).await
}

/// Of an export.
pub(super) async fn import(connection: &mut PgConnection, line: &SignalLine) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO job_signals (job, number, id, name, value, by, at, taken_by, taken_at, acknowledged_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(line.job)
    .bind(as_integer(line.number))
    .bind(line.id)
    .bind(as_text(&line.name))
    .bind(line.value.get())
    .bind(as_text(&line.by))
    .bind(line.at.as_micros())
    .bind(line.taken_by.map(as_integer))
    .bind(line.taken_at.map(Timestamp::as_micros))
    .bind(line.acknowledged_at.map(Timestamp::as_micros))
    .execute(connection)
    .await?;
    Ok(())
}
