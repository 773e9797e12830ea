//! Attempts that have ended.

use callboard_contracts::Timestamp;
use rusqlite::{Connection, params};

use crate::edges::store::transition::{EndedAttempt, code::outcome_code};

/// Writes ended attempts.
pub(super) fn insert(connection: &Connection, attempts: &[EndedAttempt], node: &str) -> rusqlite::Result<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO attempts (job, number, token, outcome, claimed_at, started_at, finished_at, error, node)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for attempt in attempts {
        statement.execute(params![
            attempt.job.as_bytes(),
            attempt.number,
            attempt.token,
            outcome_code(attempt.outcome),
            attempt.claimed_at.as_micros(),
            attempt.started_at.map(Timestamp::as_micros),
            attempt.finished_at.as_micros(),
            attempt.error,
            node,
        ])?;
    }
    Ok(())
}
