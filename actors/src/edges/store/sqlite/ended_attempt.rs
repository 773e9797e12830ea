//! Attempts that have ended.

use callboard_contracts::Timestamp;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::jobs::hex;
use crate::edges::store::transition::{EndedAttempt, code::outcome_code};

/// Writes ended attempts in one statement.
pub(super) fn insert(connection: &Connection, attempts: &[EndedAttempt], node: &str) -> rusqlite::Result<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    let rows: Vec<Value> = attempts
        .iter()
        .map(|attempt| {
            json!([
                hex(attempt.job),
                attempt.number,
                attempt.token,
                outcome_code(attempt.outcome),
                attempt.claimed_at.as_micros(),
                attempt.started_at.map(Timestamp::as_micros),
                attempt.finished_at.as_micros(),
                attempt.error,
            ])
        })
        .collect();
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO attempts (job, number, token, outcome, claimed_at, started_at, finished_at, error, node)
         SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
                value ->> 7, ?2
         FROM json_each(?1)",
    )?;
    statement.execute((Value::Array(rows).to_string(), node))?;
    Ok(())
}
