//! Between the database's types and ours.

use std::{borrow::Cow, time::Duration};

use callboard_contracts::Timestamp;
use sqlx::{Row, postgres::PgRow};

use crate::edges::store::{record::Limits, transition::code::rate_of};

pub(super) fn time(row: &PgRow, column: &str) -> sqlx::Result<Timestamp> {
    row.try_get(column).map(Timestamp::from_micros)
}

pub(super) fn optional_time(row: &PgRow, column: &str) -> sqlx::Result<Option<Timestamp>> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_micros))
}

/// A number that is never negative here.
pub(super) fn count(row: &PgRow, column: &str) -> sqlx::Result<u32> {
    Ok(u32::try_from(row.try_get::<i32, _>(column)?).unwrap_or(0))
}

/// A number that is never negative here, and has the whole range of ours.
pub(super) fn wide(row: &PgRow, column: &str) -> sqlx::Result<u32> {
    Ok(u32::try_from(row.try_get::<i64, _>(column)?).unwrap_or(u32::MAX))
}

/// A number that is never negative here.
pub(super) fn long(row: &PgRow, column: &str) -> sqlx::Result<u64> {
    Ok(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or(0))
}

pub(super) fn micros(row: &PgRow, column: &str) -> sqlx::Result<Duration> {
    long(row, column).map(Duration::from_micros)
}

/// Whole microseconds, at most what fits.
pub(super) fn as_micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn as_integer(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

pub(super) fn as_long(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Text that a program wrote freely. PostgreSQL holds no NUL, which must not keep an attempt from ending.
pub(super) fn as_text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// The limits of a queue.
pub(super) fn limits(row: &PgRow) -> sqlx::Result<Limits> {
    let count = |column: &str| -> sqlx::Result<Option<u32>> {
        let count: Option<i64> = row.try_get(column)?;
        Ok(count.map(|count| u32::try_from(count.max(0)).unwrap_or(u32::MAX)))
    };
    Ok(Limits {
        max_running: count("max_running")?,
        max_running_per_key: count("max_running_per_key")?,
        rate: rate_of(row.try_get("rate")?),
        rate_per_key: rate_of(row.try_get("rate_per_key")?),
    })
}
