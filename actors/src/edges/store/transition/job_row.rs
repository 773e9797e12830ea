//! A job as a writer holds it while it changes it.

use callboard_contracts::{JobState, Timestamp};
use uuid::Uuid;

/// What can change of a job, and what its events need of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JobRow {
    pub(crate) sequence: i64,
    pub(crate) id: Uuid,
    pub(crate) job_type: String,
    pub(crate) queue: String,
    pub(crate) correlation_id: Uuid,
    pub(crate) created_at: Timestamp,
    pub(crate) max_attempts: u32,
    pub(crate) state: JobState,
    pub(crate) attempt: u32,
    pub(crate) token: u64,
    pub(crate) session: Option<Uuid>,
    pub(crate) wait_reason: Option<String>,
    pub(crate) last_error: Option<String>,
    /// The fingerprint of what it died of. Only what this transaction sets.
    pub(crate) cause: Option<String>,
    /// Only what this transaction sets.
    pub(crate) result: Option<String>,
    pub(crate) scheduled_at: Timestamp,
    pub(crate) claimed_at: Option<Timestamp>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) cancel_requested_at: Option<Timestamp>,
    pub(crate) was_started: bool,
    /// Runs that died with their node since somebody last ran the job by hand.
    pub(crate) deaths: u32,
    /// It is to be written back.
    pub(crate) changed: bool,
    /// It is to be given a new token, larger than its last, when it is written back.
    pub(crate) needs_token: bool,
}

impl JobRow {
    /// Whether it waits for somebody to run it again, because too many of its runs died with their nodes.
    pub(crate) fn is_quarantined(&self) -> bool {
        self.state == JobState::Pending && self.deaths > 0
    }

    /// Whether `token` is that of the job's newest lease.
    pub(crate) fn has_token(&self, token: u64) -> bool {
        self.token == token && !self.needs_token
    }
}
