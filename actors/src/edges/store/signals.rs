//! Signals that are sent to jobs, and the states that runs publish: what is written of them, and read.

use callboard_contracts::{JobState, Timestamp};
use uuid::Uuid;

use super::record::Lease;

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum SignalOperation {
    /// Store a signal with its job, behind those that are there. The very same one again changes nothing.
    Send(Box<NewSignal>),
    /// A leased attempt has dealt with a signal for good: no later run gets it, and its place is free. Of those that were
    /// acknowledged, the newest [`MOST_ACKNOWLEDGED`](callboard_contracts::api::MOST_ACKNOWLEDGED) stay.
    Acknowledge {
        /// The lease.
        lease: Lease,
        /// The signal's number.
        number: u32,
    },
}

impl SignalOperation {
    /// The job that it concerns.
    pub fn job(&self) -> Uuid {
        match self {
            SignalOperation::Send(signal) => signal.job,
            SignalOperation::Acknowledge { lease, .. } => lease.id,
        }
    }
}

/// What a [`SignalOperation`] did. Others of its answers are those of [`Outcome`](super::Outcome) that fit: `NotFound`,
/// `NotPossible` of a job that has ended, and `Stale`.
#[derive(Clone, Debug, PartialEq)]
pub enum SignalOutcome {
    /// [`SignalOperation::Send`].
    Stored {
        /// The job.
        job: Uuid,
        /// The signal's number, from 1.
        number: u32,
        /// The job's state.
        state: JobState,
        /// Whose the running attempt is, if one is with a node.
        session: Option<Uuid>,
    },
    /// [`SignalOperation::Send`]: the very same signal is there already; nothing changed.
    Duplicate {
        /// Its number.
        number: u32,
        /// The job's state now.
        state: JobState,
    },
    /// [`SignalOperation::Send`]: another signal of the job has this id; nothing changed.
    OtherSignal,
    /// [`SignalOperation::Send`]: as many are unacknowledged as may be; nothing changed.
    TooMany {
        /// How many those are.
        signals: u32,
        /// Bytes of their values.
        bytes: u64,
    },
    /// [`SignalOperation::Send`]: the running attempt is with a worker outside, which nobody can tell; nothing changed.
    Outside,
    /// [`SignalOperation::Acknowledge`].
    Acknowledged,
}

/// A signal that is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSignal {
    /// The job.
    pub job: Uuid,
    /// Its id.
    pub id: Uuid,
    /// What it is.
    pub name: String,
    /// What it says, JSON text.
    pub value: String,
    /// Who sends it.
    pub by: String,
}

/// A signal that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalRecord {
    /// Its number among those of its job, from 1.
    pub number: u32,
    /// Its id.
    pub id: Uuid,
    /// What it is.
    pub name: String,
    /// What it says, JSON text.
    pub value: String,
    /// Who has sent it.
    pub by: String,
    /// When it was stored.
    pub at: Timestamp,
    /// The last attempt that has taken it, and when that was written.
    pub taken: Option<(u32, Timestamp)>,
    /// When it was acknowledged.
    pub acknowledged_at: Option<Timestamp>,
}

/// The state that a job shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStateRecord {
    /// Where the job is on its way.
    pub state: JobState,
    /// Attempts begun so far.
    pub attempt: u32,
    /// What its newest run has published.
    pub published: Option<PublishedRecord>,
}

/// What a run has published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedRecord {
    /// The attempt.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
    /// JSON text.
    pub value: String,
}
