//! Attempts that have ended.

use callboard_contracts::{Timestamp, api::AttemptOutcome};
use rusqlite::Connection;
use serde_json::{Value, json};
use uuid::Uuid;

use super::code::{hex, outcome_code};

/// An attempt that ended in this transaction.
#[derive(Clone, Debug)]
pub(super) struct EndedAttempt {
    pub(super) job: Uuid,
    pub(super) number: u32,
    pub(super) token: u64,
    pub(super) outcome: AttemptOutcome,
    pub(super) claimed_at: Timestamp,
    pub(super) started_at: Option<Timestamp>,
    pub(super) finished_at: Timestamp,
    pub(super) error: Option<String>,
}

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
