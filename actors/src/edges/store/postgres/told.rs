//! What a transaction tells besides what it has done to jobs: attempts that have ended, events, and counts. One statement,
//! since each costs a way to the server and back.

use callboard_contracts::Timestamp;
use sqlx::PgConnection;

use super::{
    PostgresOptions,
    columns::{as_integer, as_long, as_micros, as_text},
};
use crate::edges::store::transition::{
    Changes,
    code::{event_code, outcome_code},
};

/// Writes it. All rows of the jobs concerned are to be locked by this transaction: then the batches of a job's events are in
/// the order of its changes. Whether there are events, which wait for their places in the log.
///
/// The counts are taken last, and in the order of their keys: no transaction that holds one waits for another row.
pub(super) async fn write(
    connection: &mut PgConnection,
    options: &PostgresOptions,
    changes: &Changes,
    shard: i64,
) -> sqlx::Result<bool> {
    let Changes { now, events, attempts, totals, .. } = changes;
    let totals: Vec<(&str, i16, i64)> = totals
        .iter()
        .flat_map(|(queue, grown)| (0..).zip(grown).map(|(state, count)| (queue.as_str(), state, *count)))
        .filter(|(.., count)| *count != 0)
        .collect();
    if events.is_empty() && attempts.is_empty() && totals.is_empty() {
        return Ok(false);
    }
    macro_rules! column {
        ($rows:ident, |$row:pat_param| $value:expr) => {
            $rows.iter().map(|$row| $value).collect::<Vec<_>>()
        };
    }
    sqlx::query(
        "WITH attempt AS (
            INSERT INTO attempts (job, number, token, outcome, claimed_at, started_at, finished_at, error, node)
            SELECT unnest($3::uuid[]), unnest($4::integer[]), unnest($5::bigint[]), unnest($6::smallint[]),
                   unnest($7::bigint[]), unnest($8::bigint[]), unnest($9::bigint[]), unnest($10::text[]), $2
            ON CONFLICT (job, token) DO NOTHING
         ), batch AS (
            INSERT INTO event_batches (batch, size, occurred_at, instance, version)
            SELECT nextval('event_batch'), $11, $1, $2, $12 WHERE $11 > 0 RETURNING batch
         ), event AS (
            INSERT INTO events (batch, number, id, type, job, job_type, queue, job_created_at, correlation_id, attempt,
                                error, duration, progress)
            SELECT batch.batch, generate_series(0, $11 - 1), unnest($13::uuid[]), unnest($14::smallint[]),
                   unnest($15::uuid[]), unnest($16::text[]), unnest($17::text[]), unnest($18::bigint[]),
                   unnest($19::uuid[]), unnest($20::integer[]), unnest($21::text[]), unnest($22::bigint[]),
                   unnest($27::text[])
            FROM batch
         )
         INSERT INTO totals (queue, state, shard, count, last_at)
         SELECT queue, state, $26, count, $1 FROM unnest($23::text[], $24::smallint[], $25::bigint[])
            AS new (queue, state, count)
         ON CONFLICT (queue, state, shard)
         DO UPDATE SET count = totals.count + excluded.count, last_at = greatest(totals.last_at, excluded.last_at)",
    )
    .bind(now.as_micros())
    .bind(&options.node)
    .bind(column!(attempts, |attempt| attempt.job))
    .bind(column!(attempts, |attempt| as_integer(attempt.number)))
    .bind(column!(attempts, |attempt| as_long(attempt.token)))
    .bind(column!(attempts, |attempt| i16::try_from(outcome_code(attempt.outcome)).unwrap_or(i16::MAX)))
    .bind(column!(attempts, |attempt| attempt.claimed_at.as_micros()))
    .bind(column!(attempts, |attempt| attempt.started_at.map(Timestamp::as_micros)))
    .bind(column!(attempts, |attempt| attempt.finished_at.as_micros()))
    .bind(column!(attempts, |attempt| attempt.error.as_deref()))
    .bind(i32::try_from(events.len()).unwrap_or(i32::MAX))
    .bind(&options.version)
    .bind(column!(events, |event| event.id))
    .bind(column!(events, |event| i16::try_from(event_code(event.event)).unwrap_or(i16::MAX)))
    .bind(column!(events, |event| event.job))
    .bind(column!(events, |event| event.job_type.as_str()))
    .bind(column!(events, |event| event.queue.as_str()))
    .bind(column!(events, |event| event.job_created_at.as_micros()))
    .bind(column!(events, |event| event.correlation_id))
    .bind(column!(events, |event| as_integer(event.attempt)))
    .bind(column!(events, |event| event.error.as_deref().map(as_text)))
    .bind(column!(events, |event| event.duration.map(as_micros)))
    .bind(column!(totals, |(queue, ..)| *queue))
    .bind(column!(totals, |(_, state, _)| *state))
    .bind(column!(totals, |(.., count)| *count))
    .bind(shard)
    .bind(column!(events, |event| event.progress.as_deref().map(as_text)))
    .execute(connection)
    .await?;
    Ok(!events.is_empty())
}
