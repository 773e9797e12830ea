//! [`Enqueued`]: a job that was stored and has not run.

use callboard_contracts::{JobState, Timestamp};
use uuid::Uuid;

/// A job that was stored and has not come to its end.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Enqueued<J> {
    /// Its id.
    pub id: Uuid,
    /// What it is about.
    pub job: J,
    /// Its queue.
    pub queue: String,
    /// Where it is on its way.
    pub state: JobState,
    /// Its priority.
    pub priority: i16,
    /// When it may run at the earliest, by the app's clock; else since when it may.
    pub scheduled_at: Timestamp,
    /// Its tags.
    pub tags: Vec<String>,
    /// By what it takes turns with the other jobs of its queue, and is limited.
    pub partition_key: Option<String>,
}
