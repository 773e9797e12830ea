//! What is kept of a request that has a key.

use callboard_contracts::JobState;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::edges::store::{
    KeyedAnswer, Outcome, StoreError,
    record::{KeyedJobs, RequestKey},
};

/// The answers to a request, as they are stored. Fields are only ever added.
#[derive(Serialize, Deserialize)]
struct Kept {
    jobs: Vec<KeptJob>,
    note: String,
}

#[derive(Serialize, Deserialize)]
struct KeptJob {
    id: Uuid,
    event_id: Uuid,
    queue: String,
    outcome: KeptOutcome,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeptOutcome {
    Enqueued(JobState),
    Duplicate { event_id: Uuid, state: JobState },
    Conflict,
    BacklogFull { waiting: u64, limit: u64 },
    StoreFull { waiting: u64, limit: u64 },
    EnqueuedInstead { state: JobState, replaced: Uuid },
    Kept { id: Uuid, event_id: Uuid, state: JobState },
    NotUnique { id: Uuid, state: JobState },
}

impl KeptOutcome {
    fn of(outcome: &Outcome) -> Result<Self, StoreError> {
        match outcome {
            Outcome::Enqueued { state } => Ok(KeptOutcome::Enqueued(*state)),
            Outcome::Duplicate { event_id, state } => {
                Ok(KeptOutcome::Duplicate { event_id: *event_id, state: *state })
            }
            Outcome::Conflict => Ok(KeptOutcome::Conflict),
            Outcome::BacklogFull { waiting, limit } => {
                Ok(KeptOutcome::BacklogFull { waiting: *waiting, limit: *limit })
            }
            Outcome::StoreFull { waiting, limit } => {
                Ok(KeptOutcome::StoreFull { waiting: *waiting, limit: *limit })
            }
            Outcome::EnqueuedInstead { state, replaced } => {
                Ok(KeptOutcome::EnqueuedInstead { state: *state, replaced: *replaced })
            }
            Outcome::Kept { id, event_id, state } => {
                Ok(KeptOutcome::Kept { id: *id, event_id: *event_id, state: *state })
            }
            Outcome::NotUnique { id, state } => Ok(KeptOutcome::NotUnique { id: *id, state: *state }),
            other => Err(StoreError::Failed(format!("a new job was answered with {other:?}"))),
        }
    }

    fn outcome(self) -> Outcome {
        match self {
            KeptOutcome::Enqueued(state) => Outcome::Enqueued { state },
            KeptOutcome::Duplicate { event_id, state } => Outcome::Duplicate { event_id, state },
            KeptOutcome::Conflict => Outcome::Conflict,
            KeptOutcome::BacklogFull { waiting, limit } => Outcome::BacklogFull { waiting, limit },
            KeptOutcome::StoreFull { waiting, limit } => Outcome::StoreFull { waiting, limit },
            KeptOutcome::EnqueuedInstead { state, replaced } => Outcome::EnqueuedInstead { state, replaced },
            KeptOutcome::Kept { id, event_id, state } => Outcome::Kept { id, event_id, state },
            KeptOutcome::NotUnique { id, state } => Outcome::NotUnique { id, state },
        }
    }
}

/// What a request is answered whose jobs came to these outcomes, and the text that is to be kept of it: none if nothing
/// was stored, so that it may be tried again.
pub(crate) fn answer(
    request: &KeyedJobs,
    outcomes: Vec<Outcome>,
) -> Result<(Outcome, Option<String>), StoreError> {
    let stored = |outcome: &Outcome| {
        matches!(
            outcome,
            Outcome::Enqueued { .. }
                | Outcome::EnqueuedInstead { .. }
                | Outcome::Kept { .. }
                | Outcome::Duplicate { .. }
        )
    };
    let keep = outcomes.iter().any(stored);
    let mut jobs = Vec::with_capacity(outcomes.len());
    let mut answers = Vec::with_capacity(outcomes.len());
    for (job, outcome) in request.jobs.iter().zip(outcomes) {
        let (id, event_id, queue) = (job.id, job.event_id, job.queue.clone());
        jobs.push(KeptJob { id, event_id, queue: queue.clone(), outcome: KeptOutcome::of(&outcome)? });
        answers.push(KeyedAnswer { id, event_id, queue, outcome });
    }
    let kept = Kept { jobs, note: request.note.clone() };
    let text = serde_json::to_string(&kept).map_err(|error| StoreError::Failed(error.to_string()))?;
    let outcome = Outcome::EnqueuedOnce { answers, note: kept.note, replayed: false };
    Ok((outcome, keep.then_some(text)))
}

/// What a request is answered under a key that was used before, with this fingerprint and this text.
pub(crate) fn again(key: &RequestKey, fingerprint: &[u8], kept: &str) -> Result<Outcome, StoreError> {
    if fingerprint != key.fingerprint {
        return Ok(Outcome::KeyTaken);
    }
    let Kept { jobs, note } = serde_json::from_str(kept)
        .map_err(|error| StoreError::Corrupt(format!("an answer that was kept cannot be read: {error}")))?;
    let answers = jobs.into_iter().map(|KeptJob { id, event_id, queue, outcome }| KeyedAnswer {
        id,
        event_id,
        queue,
        outcome: outcome.outcome(),
    });
    Ok(Outcome::EnqueuedOnce { answers: answers.collect(), note, replayed: true })
}
