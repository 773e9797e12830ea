//! Jobs as the writers hold them while they change them.

use callboard_contracts::Timestamp;
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::columns::{as_integer, as_long, as_text, count, long, optional_time, time, wide};
use crate::edges::store::transition::{JobRow, code::state_of};

/// A job as a statement gives it that selects what [`lock`] does.
pub(super) fn read(row: &PgRow) -> sqlx::Result<JobRow> {
    Ok(JobRow {
        sequence: row.try_get("sequence")?,
        id: row.try_get("id")?,
        job_type: row.try_get("type")?,
        queue: row.try_get("queue")?,
        correlation_id: row.try_get("correlation_id")?,
        created_at: time(row, "created_at")?,
        max_attempts: wide(row, "max_attempts")?,
        state: state_of(row.try_get::<i16, _>("state")?.into()),
        attempt: count(row, "attempt")?,
        token: long(row, "token")?,
        session: row.try_get("session")?,
        wait_reason: row.try_get("wait_reason")?,
        last_error: row.try_get("last_error")?,
        cause: None,
        result: None,
        scheduled_at: time(row, "scheduled_at")?,
        claimed_at: optional_time(row, "claimed_at")?,
        started_at: optional_time(row, "started_at")?,
        finished_at: optional_time(row, "finished_at")?,
        cancel_requested_at: optional_time(row, "cancel_requested_at")?,
        was_started: row.try_get("was_started")?,
        deaths: count(row, "deaths")?,
        changed: false,
        needs_token: false,
    })
}

/// Locks these jobs, as far as they exist; in the order of their ids, so that no two transactions wait for each other.
pub(super) async fn lock(connection: &mut PgConnection, ids: Vec<Uuid>) -> sqlx::Result<Vec<JobRow>> {
    let rows = sqlx::query(
        "SELECT sequence, id, type, queue, correlation_id, created_at, max_attempts, state, attempt, token, session,
                wait_reason, last_error, scheduled_at, claimed_at, started_at, finished_at, cancel_requested_at,
                was_started, deaths
         FROM jobs WHERE id = ANY($1) ORDER BY id FOR UPDATE",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    rows.iter().map(read).collect()
}

/// Writes jobs back in one statement.
pub(super) async fn write_back<'r>(
    connection: &mut PgConnection,
    rows: impl Iterator<Item = &'r JobRow>,
    now: Timestamp,
) -> sqlx::Result<()> {
    let rows: Vec<&JobRow> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    macro_rules! column {
        (|$row:ident| $value:expr) => {
            rows.iter().map(|$row| $value).collect::<Vec<_>>()
        };
    }
    let micros = |at: Option<Timestamp>| at.map(Timestamp::as_micros);
    sqlx::query(
        "UPDATE jobs SET
            state = new.state, attempt = new.attempt,
            token = CASE WHEN new.needs_token THEN nextval('lease_token') ELSE new.token END,
            session = new.session, wait_reason = new.wait_reason, last_error = new.last_error,
            result = coalesce(new.result, jobs.result), scheduled_at = new.scheduled_at, claimed_at = new.claimed_at,
            started_at = new.started_at, finished_at = new.finished_at,
            cancel_requested_at = new.cancel_requested_at, was_started = new.was_started, deaths = new.deaths,
            updated_at = $17, parked = CASE WHEN new.state = 2 THEN jobs.parked END,
            cause = coalesce(new.cause, jobs.cause)
         FROM (SELECT unnest($1::uuid[]) AS id, unnest($2::smallint[]) AS state, unnest($3::integer[]) AS attempt,
                      unnest($4::bigint[]) AS token, unnest($5::boolean[]) AS needs_token,
                      unnest($6::uuid[]) AS session, unnest($7::text[]) AS wait_reason,
                      unnest($8::text[]) AS last_error, unnest($9::text[]) AS result,
                      unnest($10::bigint[]) AS scheduled_at, unnest($11::bigint[]) AS claimed_at,
                      unnest($12::bigint[]) AS started_at, unnest($13::bigint[]) AS finished_at,
                      unnest($14::bigint[]) AS cancel_requested_at, unnest($15::boolean[]) AS was_started,
                      unnest($16::integer[]) AS deaths, unnest($18::text[]) AS cause) AS new
         WHERE jobs.id = new.id",
    )
    .bind(column!(|row| row.id))
    .bind(column!(|row| row.state as i16))
    .bind(column!(|row| as_integer(row.attempt)))
    .bind(column!(|row| as_long(row.token)))
    .bind(column!(|row| row.needs_token))
    .bind(column!(|row| row.session))
    .bind(column!(|row| row.wait_reason.as_deref().map(as_text)))
    .bind(column!(|row| row.last_error.as_deref().map(as_text)))
    .bind(column!(|row| row.result.as_deref()))
    .bind(column!(|row| row.scheduled_at.as_micros()))
    .bind(column!(|row| micros(row.claimed_at)))
    .bind(column!(|row| micros(row.started_at)))
    .bind(column!(|row| micros(row.finished_at)))
    .bind(column!(|row| micros(row.cancel_requested_at)))
    .bind(column!(|row| row.was_started))
    .bind(column!(|row| as_integer(row.deaths)))
    .bind(now.as_micros())
    .bind(column!(|row| row.cause.as_deref()))
    .execute(connection)
    .await?;
    Ok(())
}
