//! The event log, write side: a transaction's events are one batch, which gets its place once it is committed.

use callboard_contracts::Timestamp;
use sqlx::PgConnection;

use super::{
    PostgresOptions,
    columns::{as_integer, as_micros, as_text},
};
use crate::edges::store::transition::{Event, code::event_code};

/// Writes the events as one batch without a place. All rows of the jobs concerned are to be locked by this transaction:
/// then the batches of a job are in the order of its changes.
pub(super) async fn insert(
    connection: &mut PgConnection,
    options: &PostgresOptions,
    now: Timestamp,
    events: &[Event],
) -> sqlx::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    macro_rules! column {
        (|$event:ident| $value:expr) => {
            events.iter().map(|$event| $value).collect::<Vec<_>>()
        };
    }
    sqlx::query(
        "WITH batch AS (
            INSERT INTO event_batches (batch, size, occurred_at, instance, version)
            VALUES (nextval('event_batch'), $11, $12, $13, $14) RETURNING batch
         )
         INSERT INTO events (batch, number, id, type, job, job_type, queue, job_created_at, correlation_id, attempt,
                             error, duration)
         SELECT batch.batch, generate_series(0, $11 - 1), unnest($1::uuid[]), unnest($2::smallint[]), unnest($3::uuid[]),
                unnest($4::text[]), unnest($5::text[]), unnest($6::bigint[]), unnest($7::uuid[]),
                unnest($8::integer[]), unnest($9::text[]), unnest($10::bigint[])
         FROM batch",
    )
    .bind(column!(|event| event.id))
    .bind(column!(|event| i16::try_from(event_code(event.event)).unwrap_or(i16::MAX)))
    .bind(column!(|event| event.job))
    .bind(column!(|event| event.job_type.as_str()))
    .bind(column!(|event| event.queue.as_str()))
    .bind(column!(|event| event.job_created_at.as_micros()))
    .bind(column!(|event| event.correlation_id))
    .bind(column!(|event| as_integer(event.attempt)))
    .bind(column!(|event| event.error.as_deref().map(as_text)))
    .bind(column!(|event| event.duration.map(as_micros)))
    .bind(i32::try_from(events.len()).unwrap_or(i32::MAX))
    .bind(now.as_micros())
    .bind(&options.node)
    .bind(&options.version)
    .execute(connection)
    .await?;
    Ok(())
}
