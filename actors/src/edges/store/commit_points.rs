//! The failpoints around a commit, by what the transaction changes.
//!
//! A backend calls [`before`] when everything is written and not committed, and [`after`] when it is committed and nobody
//! has been answered. What changes nothing (a claim that finds no job) is no hit.

use callboard_contracts::JobState;

use super::{Operation, OperationResult, Outcome};
use crate::failpoint::reached;

/// Before the commit and after it.
type Points = (&'static str, &'static str);

pub(super) fn before(operations: &[Operation], results: &[OperationResult]) {
    hit(operations, results, |points| points.0);
}

pub(super) fn after(operations: &[Operation], results: &[OperationResult]) {
    hit(operations, results, |points| points.1);
}

/// Each kind of change is one hit of a transaction, however many jobs it changes.
fn hit(operations: &[Operation], results: &[OperationResult], which: fn(Points) -> &'static str) {
    let mut names: Vec<&str> = operations
        .iter()
        .zip(results)
        .filter_map(|(operation, result)| points(operation, result.as_ref().ok()?).map(which))
        .collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().for_each(reached);
}

fn points(operation: &Operation, outcome: &Outcome) -> Option<Points> {
    Some(match (operation, outcome) {
        (_, Outcome::Enqueued { .. } | Outcome::EnqueuedOnce { replayed: false, .. }) => {
            ("enqueue.commit.before", "enqueue.commit.after")
        }
        (_, Outcome::Claimed(jobs) | Outcome::ClaimedInPart { jobs, .. }) if !jobs.is_empty() => {
            ("claim.commit.before", "claim.commit.after")
        }
        (_, Outcome::Started { .. }) => ("start.commit.before", "start.commit.after"),
        (_, Outcome::Finished { state }) => match state {
            JobState::Completed => ("complete.commit.before", "complete.commit.after"),
            JobState::Retryable | JobState::Scheduled => ("retry.commit.before", "retry.commit.after"),
            JobState::Discarded => ("discard.commit.before", "discard.commit.after"),
            JobState::Cancelled => ("cancelled.commit.before", "cancelled.commit.after"),
            _ => ("release.commit.before", "release.commit.after"),
        },
        (Operation::Promote { .. }, Outcome::Moved { count: 1.., .. }) => {
            ("promote.commit.before", "promote.commit.after")
        }
        (Operation::Rescue { leader: None, .. }, Outcome::Moved { .. }) => {
            ("session.close.commit.before", "session.close.commit.after")
        }
        (Operation::Rescue { .. }, Outcome::Moved { count: 1.., .. }) => {
            ("rescue.commit.before", "rescue.commit.after")
        }
        (_, Outcome::CancelRequested { .. }) => ("cancel.commit.before", "cancel.commit.after"),
        (_, Outcome::Replayed { .. }) => ("replay.commit.before", "replay.commit.after"),
        (Operation::OpenSession(_), _) => ("session.open.commit.before", "session.open.commit.after"),
        (_, Outcome::Pruned { jobs, events, .. }) if jobs + events > 0 => {
            ("prune.commit.before", "prune.commit.after")
        }
        _ => return None,
    })
}
