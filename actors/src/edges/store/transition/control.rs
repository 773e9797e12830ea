//! What operators and roles do to jobs: cancel, retry, and moves of many jobs at once.

use std::collections::BTreeSet;

use callboard_contracts::{EventType, JobState, Timestamp};
use uuid::Uuid;

use super::{Changes, Event, JobRow, outside};
use crate::edges::store::{Outcome, outside::OUTSIDE, record::Lease};

/// Calls a job off.
pub(crate) fn cancel(changes: &mut Changes, id: Uuid) -> Outcome {
    let Some(mut row) = changes.rows.remove(&id) else { return Outcome::NotFound };
    let outcome = match (row.state, row.session) {
        (state, _) if state.is_final() => Outcome::NotPossible { state },
        // Nobody waits for a worker that cannot be told.
        (JobState::Executing, Some(OUTSIDE)) => {
            outside::cancel(changes, &mut row);
            Outcome::Cancelled
        }
        (JobState::Executing, Some(session)) => {
            if row.cancel_requested_at.is_none() {
                row.cancel_requested_at = Some(changes.now);
                row.changed = true;
                changes.events.push(Event::of(&row, EventType::CancelRequested));
            }
            let lease = Lease { id, token: row.token };
            Outcome::CancelRequested { lease, queue: row.queue.clone(), session }
        }
        _ => {
            changes.enter(&mut row, JobState::Cancelled);
            row.wait_reason = None;
            changes.events.push(Event::of(&row, EventType::Failed).error("cancelled before it ran"));
            Outcome::Cancelled
        }
    };
    changes.rows.insert(id, row);
    outcome
}

/// What a retry comes to.
#[derive(Debug, PartialEq)]
pub(crate) enum Retry {
    /// This is the answer.
    Decided(Outcome),
    /// The job is finished: it is to be stored again, if the queue has room, and then told by
    /// [`replayed`](super::enqueue::replayed).
    Replay(Box<JobRow>),
}

/// Runs a waiting job now, or a finished one again as a new job. Both `id` and `replay_id` are to be loaded.
pub(crate) fn retry(changes: &mut Changes, id: Uuid, replay_id: Uuid) -> Retry {
    let Some(mut row) = changes.rows.remove(&id) else { return Retry::Decided(Outcome::NotFound) };
    let queue = row.queue.clone();
    let decision = match row.state {
        state if state.is_final() => match changes.rows.get(&replay_id) {
            // Asked again because the first answer was lost: the replay is there already.
            Some(replay) => Retry::Decided(Outcome::Replayed { id: replay_id, queue, state: replay.state }),
            None => Retry::Replay(Box::new(row.clone())),
        },
        JobState::Scheduled | JobState::Retryable => {
            make_available(changes, &mut row);
            Retry::Decided(Outcome::MadeAvailable { queue })
        }
        _ if row.is_quarantined() => {
            row.deaths = 0;
            make_available(changes, &mut row);
            Retry::Decided(Outcome::MadeAvailable { queue })
        }
        state => Retry::Decided(Outcome::NotPossible { state }),
    };
    changes.rows.insert(id, row);
    decision
}

/// The job may run from now on.
pub(crate) fn make_available(changes: &mut Changes, row: &mut JobRow) {
    changes.enter(row, JobState::Available);
    changes.events.push(Event::of(row, EventType::MadeAvailable));
}

/// There is a handler for the job now: it may run, at its time.
pub(crate) fn release(changes: &mut Changes, row: &mut JobRow) {
    if row.scheduled_at <= changes.now {
        return make_available(changes, row);
    }
    // It goes on waiting, so there is nothing to tell until its time has come.
    changes.enter(row, JobState::Scheduled);
    row.wait_reason = None;
}

/// Changes each of these jobs; gives the queues concerned.
pub(crate) fn each(
    changes: &mut Changes,
    ids: &[Uuid],
    mut change: impl FnMut(&mut Changes, &mut JobRow),
) -> Vec<String> {
    let mut queues = BTreeSet::new();
    for id in ids {
        let Some(mut row) = changes.rows.remove(id) else { continue };
        change(changes, &mut row);
        if !queues.contains(&row.queue) {
            queues.insert(row.queue.clone());
        }
        changes.rows.insert(*id, row);
    }
    queues.into_iter().collect()
}

/// The answer to a move of `count` jobs.
pub(crate) fn moved(queues: Vec<String>, count: usize, next_at: Option<Timestamp>) -> Outcome {
    Outcome::Moved { queues, count: u32::try_from(count).unwrap_or(u32::MAX), next_at }
}
