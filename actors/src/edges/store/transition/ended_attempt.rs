//! Attempts that have ended.

use callboard_contracts::{
    Timestamp,
    api::{AttemptError, AttemptOutcome},
};
use uuid::Uuid;

use super::JobRow;

/// An attempt that ended in this transaction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EndedAttempt {
    pub(crate) job: Uuid,
    pub(crate) number: u32,
    pub(crate) token: u64,
    pub(crate) outcome: AttemptOutcome,
    pub(crate) claimed_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Timestamp,
    /// JSON text.
    pub(crate) error: Option<String>,
}

impl EndedAttempt {
    /// The attempt under way of this job, that ends now.
    pub(crate) fn of(
        row: &JobRow,
        outcome: AttemptOutcome,
        error: Option<&AttemptError>,
        now: Timestamp,
    ) -> Self {
        EndedAttempt {
            job: row.id,
            number: row.attempt,
            token: row.token,
            outcome,
            claimed_at: row.claimed_at.unwrap_or(now),
            started_at: row.started_at,
            finished_at: now,
            // What serialises by derive, of strings and booleans, does not fail.
            error: error.and_then(|error| serde_json::to_string(error).ok()),
        }
    }
}
