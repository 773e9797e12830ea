//! Pausing queues, and letting them go on.
//!
//! Whoever pauses a queue because of what crashed has counted since some moment, and a person may have let the queue go on since
//! then. So the store counts how often each queue was let go on ([`QueueTotals::resumes`](super::record::QueueTotals)):
//! [`QueueOperation::Trip`] names the number that held while the crashes were counted, and does nothing under another one.

use callboard_contracts::api::QueuePause;

use super::record::NewAudit;

/// What is done to a queue's pause. The queue must have been made known.
#[derive(Clone, Debug, PartialEq)]
pub enum QueueOperation {
    /// Let nothing be claimed from it any more. What is claimed goes on. One that is paused already stays so since when it was,
    /// with the reason that it has. Answer: [`Outcome::Done`](super::Outcome::Done).
    Pause {
        /// The queue.
        queue: String,
        /// Why.
        pause: Box<QueuePause>,
    },
    /// Let it go on, and count that somebody has wanted so, whether it was paused or not. Answer:
    /// [`Outcome::Done`](super::Outcome::Done).
    Resume {
        /// The queue.
        queue: String,
    },
    /// As `Pause`, because of what crashed. Only what has paused it is kept in the audit trail.
    Trip(Box<Trip>),
}

/// A pause because of crashes.
#[derive(Clone, Debug, PartialEq)]
pub struct Trip {
    /// The queue.
    pub queue: String,
    /// Why.
    pub pause: QueuePause,
    /// How often it had been let go on when the first of the crashes was counted.
    pub resumes: u64,
    /// What the audit trail says if this pauses it.
    pub entry: NewAudit,
}

/// What became of a [`QueueOperation::Trip`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueOutcome {
    /// The queue is paused by it.
    Tripped,
    /// It was paused before, and nothing has changed.
    PausedBefore,
    /// Somebody has let it go on since the crashes were counted: it does.
    GoesOn,
}

impl QueueOutcome {
    /// The outcome for a queue that is found so; [`Tripped`](Self::Tripped): it is to be paused.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(super) fn of(trip: &Trip, paused: bool, resumes: u64) -> Self {
        match () {
            () if resumes != trip.resumes => QueueOutcome::GoesOn,
            () if paused => QueueOutcome::PausedBefore,
            () => QueueOutcome::Tripped,
        }
    }
}

/// A pause, as it is stored.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) fn text(pause: &QueuePause) -> String {
    // It has no keys but strings, which is all that JSON refuses.
    serde_json::to_string(pause).unwrap_or_default()
}

/// A stored pause; `None` for one that a newer program has written otherwise.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) fn of_text(text: Option<String>) -> Option<QueuePause> {
    serde_json::from_str(&text?).ok()
}
