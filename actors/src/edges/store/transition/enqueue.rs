//! Which new jobs are stored.

use std::collections::{BTreeMap, HashMap};

use callboard_contracts::{EventType, JobState, Timestamp};
use uuid::Uuid;

use super::{
    Changes, Event, JobRow,
    unique::{Holders, Place, place, replace},
};
use crate::edges::store::{Outcome, record::NewJob};

/// A job that is there already.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Known {
    pub(crate) fingerprint: [u8; 32],
    pub(crate) event_id: Uuid,
    pub(crate) state: JobState,
}

impl Known {
    fn answer(&self, job: &NewJob) -> Outcome {
        if self.fingerprint == job.fingerprint {
            Outcome::Duplicate { event_id: self.event_id, state: self.state }
        } else {
            Outcome::Conflict
        }
    }
}

/// What becomes of new jobs.
#[derive(Debug)]
pub(crate) struct Enqueued<'j> {
    /// Those to be stored, each with its state.
    pub(crate) accepted: Vec<(&'j NewJob, JobState)>,
    /// One for each job, in order.
    pub(crate) outcomes: Vec<Outcome>,
}

/// Decides about new jobs, of which `known` are there already; `holders` have the places of their kinds, and of those that
/// may be replaced the rows are loaded. No two of the jobs are of one kind. `backlog` says how many jobs of a queue wait
/// before this group, and `total` how many of all queues do.
pub(crate) fn enqueue<'j>(
    changes: &mut Changes,
    jobs: &[&'j NewJob],
    mut known: BTreeMap<Uuid, Known>,
    holders: &Holders,
    backlog: impl Fn(&Changes, &str) -> u64,
    mut total: u64,
) -> Enqueued<'j> {
    let mut backlogs: HashMap<&str, u64> = HashMap::new();
    let mut accepted = Vec::with_capacity(jobs.len());
    let mut outcomes = Vec::with_capacity(jobs.len());
    for &job in jobs {
        if let Some(known) = known.get(&job.id) {
            outcomes.push(known.answer(job));
            continue;
        }
        let replaced = match place(job, holders, changes.now) {
            Place::Free => None,
            Place::Replace(holder) => Some(holder),
            Place::Taken(outcome) => {
                outcomes.push(outcome);
                continue;
            }
        };
        let waiting = *backlogs.entry(&job.queue).or_insert_with(|| backlog(changes, &job.queue));
        // The one that is replaced makes room.
        let room = u64::from(replaced.is_some_and(|holder| holder.queue == job.queue));
        if waiting - room.min(waiting) >= job.max_backlog {
            outcomes.push(Outcome::BacklogFull { waiting, limit: job.max_backlog });
            continue;
        }
        if total - total.min(u64::from(replaced.is_some())) >= job.max_total {
            outcomes.push(Outcome::StoreFull { waiting: total, limit: job.max_total });
            continue;
        }
        if let Some(holder) = replaced {
            replace(changes, holder.job, job.id);
            if let Some(waiting) = backlogs.get_mut(&*holder.queue) {
                *waiting = waiting.saturating_sub(1);
            }
            total = total.saturating_sub(1);
        }
        if let Some(waiting) = backlogs.get_mut(&*job.queue) {
            *waiting += 1;
        }
        total += 1;
        let state = match due(job, changes.now) {
            _ if job.held.is_some() => JobState::Pending,
            Some(_) => JobState::Scheduled,
            None => JobState::Available,
        };
        known.insert(job.id, Known { fingerprint: job.fingerprint, event_id: job.event_id, state });
        accepted.push((job, state));
        changes.count(&job.queue, None, state);
        changes.events.push(Event::created(job, changes.now));
        outcomes.push(match replaced {
            Some(holder) => Outcome::EnqueuedInstead { state, replaced: holder.job },
            None => Outcome::Enqueued { state },
        });
    }
    Enqueued { accepted, outcomes }
}

/// When the job falls due, if that is not yet.
pub(crate) fn due(job: &NewJob, now: Timestamp) -> Option<Timestamp> {
    job.scheduled_at.filter(|at| *at > now)
}

/// A finished job that is stored again as a new one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Replay {
    pub(crate) id: Uuid,
    /// That of its `job.created` event.
    pub(crate) event_id: Uuid,
    /// Available; or pending, for a step that waits.
    pub(crate) state: JobState,
    pub(crate) wait_reason: Option<&'static str>,
}

impl Replay {
    /// One that may run at once.
    pub(crate) fn available(id: Uuid, event_id: Uuid) -> Self {
        Replay { id, event_id, state: JobState::Available, wait_reason: None }
    }
}

/// A finished job was stored again as a new one.
pub(crate) fn replayed(changes: &mut Changes, of: &JobRow, replay: &Replay) -> Outcome {
    changes.count(&of.queue, None, replay.state);
    let event = Event {
        id: replay.event_id,
        job: replay.id,
        job_created_at: changes.now,
        attempt: 0,
        ..Event::of(of, EventType::Created)
    };
    changes.events.push(event);
    Outcome::Replayed { id: replay.id, queue: of.queue.clone(), state: replay.state }
}

/// The first of these jobs that is not stored, and why.
pub(crate) fn first_refused(outcomes: Vec<Outcome>) -> Option<(usize, Outcome)> {
    outcomes.into_iter().enumerate().find(|(_, outcome)| !matches!(outcome, Outcome::Enqueued { .. }))
}
