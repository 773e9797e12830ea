//! Events of other programs, each of which counts once.

use std::collections::{BTreeMap, BTreeSet};

use callboard_contracts::Timestamp;
use uuid::Uuid;

use super::{
    Changes,
    enqueue::Known,
    outside::{Attempt, hear},
};
use crate::edges::store::{
    Operation, OperationResult, Outcome,
    outside::{ReceivedEvent, ReceivedJob},
    record::NewJob,
};

/// The event that an operation is about.
pub(crate) fn event_of(operation: &Operation) -> Option<Uuid> {
    match operation {
        Operation::ReceiveJob(received) => Some(received.event.id),
        Operation::Hear(word) => Some(word.event.id),
        _ => None,
    }
}

/// That an event was dealt with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Note<'o> {
    pub(crate) event: &'o ReceivedEvent,
    pub(crate) job: Uuid,
}

/// Of a group of new jobs, of whose events these were seen before, those to be stored: the first of each event.
pub(crate) fn to_store<'o>(group: &'o [Operation], seen: &BTreeSet<Uuid>) -> Vec<&'o ReceivedJob> {
    let mut known = seen.clone();
    let received = group.iter().filter_map(|operation| match operation {
        Operation::ReceiveJob(received) => Some(&**received),
        _ => None,
    });
    received.filter(|received| known.insert(received.event.id)).collect()
}

/// Those of them of which another job seems to have the id.
pub(crate) fn conflicts<'o>(to_store: &[&'o ReceivedJob], outcomes: &[OperationResult]) -> Vec<&'o NewJob> {
    let all = to_store.iter().zip(outcomes);
    all.filter(|(_, outcome)| matches!(outcome, Ok(Outcome::Conflict))).map(|(new, _)| &new.job).collect()
}

/// Finds our own events of jobs, of which `known` are there: coming back from outside they do not have the document that was
/// submitted.
pub(crate) fn find_own(
    to_store: &[&ReceivedJob],
    outcomes: &mut [OperationResult],
    known: &BTreeMap<Uuid, Known>,
) {
    for (new, outcome) in to_store.iter().zip(outcomes) {
        let own = known.get(&new.job.id).filter(|known| known.event_id == new.event.id);
        if let (Ok(Outcome::Conflict), Some(known)) = (&outcome, own) {
            *outcome = Ok(Outcome::Duplicate { event_id: known.event_id, state: known.state });
        }
    }
}

/// What each of the group comes to, whose jobs to be stored came to these outcomes; and what is to be noted.
pub(crate) fn stored<'o>(
    group: &'o [Operation],
    to_store: &[&'o ReceivedJob],
    outcomes: Vec<OperationResult>,
) -> (Vec<OperationResult>, Vec<Note<'o>>) {
    let kept = |outcome: &OperationResult| {
        matches!(outcome, Ok(Outcome::Enqueued { .. } | Outcome::Duplicate { .. }))
    };
    let notes = to_store.iter().zip(&outcomes).filter(|(_, outcome)| kept(outcome));
    let notes = notes.map(|(received, _)| Note { event: &received.event, job: received.job.id }).collect();
    let mut first: BTreeMap<Uuid, OperationResult> =
        to_store.iter().map(|received| received.event.id).zip(outcomes).collect();
    let results = group.iter().map(|operation| {
        let Some(answer) = event_of(operation).and_then(|event| first.get_mut(&event)) else {
            return Ok(Outcome::Seen);
        };
        // Another one of this event is told that it was seen, if the first was stored.
        let next = if kept(answer) { Ok(Outcome::Seen) } else { answer.clone() };
        std::mem::replace(answer, next)
    });
    (results.collect(), notes)
}

/// What a group of words comes to.
#[derive(Default)]
pub(crate) struct HeardAll<'o> {
    pub(crate) results: Vec<OperationResult>,
    pub(crate) notes: Vec<Note<'o>>,
    /// When attempts lapse now that are kept alive; with their tokens.
    pub(crate) alive: BTreeMap<Uuid, (u64, Timestamp)>,
    /// Jobs whose attempts have ended.
    pub(crate) ended: Vec<Uuid>,
}

/// Hears a group of words, of whose events these were seen before, about jobs that are loaded if they are there.
pub(crate) fn hear_all<'o>(
    changes: &mut Changes,
    group: &'o [Operation],
    mut seen: BTreeSet<Uuid>,
) -> HeardAll<'o> {
    let mut all = HeardAll::default();
    for operation in group {
        let Operation::Hear(word) = operation else {
            all.results.push(Ok(Outcome::Done));
            continue;
        };
        if seen.contains(&word.event.id) {
            all.results.push(Ok(Outcome::Seen));
            continue;
        }
        let heard = hear(changes, word);
        let token = changes.rows.get(&word.job).map(|row| row.token);
        match heard.attempt {
            Attempt::Alive(lapses_at) => {
                all.alive.extend(lapses_at.zip(token).map(|(at, token)| (word.job, (token, at))));
            }
            Attempt::Ended => {
                all.alive.remove(&word.job);
                all.ended.push(word.job);
            }
            Attempt::Unchanged => {}
        }
        // What only says that it is alive does nothing twice. One without a token that comes too late could end the next
        // attempt when it comes again.
        if heard.attempt == Attempt::Ended || heard.outcome == Outcome::Stale {
            seen.insert(word.event.id);
            all.notes.push(Note { event: &word.event, job: word.job });
        }
        all.results.push(Ok(heard.outcome));
    }
    all
}
