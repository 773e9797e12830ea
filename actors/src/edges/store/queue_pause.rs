//! Pausing queues, and letting them go on.
//!
//! Whoever pauses a queue because of what crashed has counted since some moment, and a person may have let the queue go on since
//! then. So the store counts how often each queue was let go on ([`QueueTotals::resumes`](super::record::QueueTotals)):
//! [`QueueOperation::Trip`] names the number that held while the crashes were counted, and does nothing under another one.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use callboard_contracts::Timestamp;
use callboard_contracts::api::QueuePause;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use serde::{Deserialize, Serialize};

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

/// A pause, as it is stored: with the time at which it began, so that it is told from one that a program has made, or ended,
/// that knows of no reasons.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
#[derive(Serialize, Deserialize)]
struct Stored<P> {
    since: Timestamp,
    pause: P,
}

/// A pause that began then, as it is stored.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) fn text(pause: &QueuePause, since: Timestamp) -> String {
    // It has no keys but strings, which is all that JSON refuses.
    serde_json::to_string(&Stored { since, pause }).unwrap_or_default()
}

/// Why a queue is paused since then, if that is stored and can be read.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) fn of_text(text: Option<String>, paused_at: Option<Timestamp>) -> Option<QueuePause> {
    let stored: Stored<QueuePause> = serde_json::from_str(&text?).ok()?;
    (Some(stored.since) == paused_at).then_some(stored.pause)
}

#[cfg(all(test, any(feature = "postgres", feature = "sqlite")))]
mod tests {
    use callboard_contracts::api::PauseCause;

    use super::*;

    #[test]
    fn a_reason_is_of_the_pause_that_it_was_stored_with() {
        let pause = QueuePause {
            cause: PauseCause::Requested,
            by: "ci".to_owned(),
            reason: Some("it's \"moved\"\u{0}".to_owned()),
            crashes: None,
        };
        let since = Timestamp::from_micros(1_700_000_000_123_456);
        let stored = Some(text(&pause, since));
        assert_eq!(of_text(stored.clone(), Some(since)), Some(pause));
        // A program of before has let the queue go on, and perhaps paused it again.
        assert_eq!(of_text(stored.clone(), None), None);
        assert_eq!(of_text(stored, Some(Timestamp::from_micros(1_700_000_000_123_457))), None);
        for unreadable in ["", "{}", "{\"since\":1}"] {
            assert_eq!(of_text(Some(unreadable.to_owned()), Some(since)), None, "{unreadable}");
        }
        assert_eq!(of_text(None, Some(since)), None);
    }
}
