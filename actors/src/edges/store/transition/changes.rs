//! [`Changes`]: all that one transaction changes.

use std::collections::BTreeMap;
#[cfg(feature = "postgres")]
use std::collections::BTreeSet;

use callboard_contracts::{JobState, Timestamp};
use uuid::Uuid;

use super::{EndedAttempt, Event, JobRow};

/// What one transaction changes, until it is written.
#[derive(Clone, Debug)]
pub(crate) struct Changes {
    /// The transaction's time.
    pub(crate) now: Timestamp,
    /// Jobs that were loaded and may have changed.
    pub(crate) rows: BTreeMap<Uuid, JobRow>,
    /// In the order in which they happened.
    pub(crate) events: Vec<Event>,
    /// Attempts that have ended.
    pub(crate) attempts: Vec<EndedAttempt>,
    /// By how many jobs each state of each queue has grown, in the order of [`JobState::ALL`]. Final states only grow.
    pub(crate) totals: BTreeMap<String, [i64; 8]>,
    /// Whether a job has reached a final state.
    pub(crate) finished: bool,
    /// Queues of which jobs can be claimed again that could not, for other nodes.
    #[cfg(feature = "postgres")]
    pub(crate) unparked: BTreeSet<String>,
}

impl Changes {
    pub(crate) fn new(now: Timestamp) -> Self {
        Changes {
            now,
            rows: BTreeMap::new(),
            events: Vec::new(),
            attempts: Vec::new(),
            totals: BTreeMap::new(),
            finished: false,
            #[cfg(feature = "postgres")]
            unparked: BTreeSet::new(),
        }
    }

    /// Counts a job's move between two states; `None`: it was not there.
    pub(crate) fn count(&mut self, queue: &str, from: Option<JobState>, to: JobState) {
        if !self.totals.contains_key(queue) {
            self.totals.insert(queue.to_owned(), [0; 8]);
        }
        if let Some(totals) = self.totals.get_mut(queue) {
            if let Some(from) = from.filter(|from| !from.is_final()) {
                totals[from as usize] -= 1;
            }
            totals[to as usize] += 1;
        }
        self.finished |= to.is_final();
    }

    /// Adds what storing new jobs has changed, and nothing else has: their events and counts.
    pub(crate) fn take_in_new_jobs(&mut self, stored: Changes) {
        self.events.extend(stored.events);
        for (queue, grown) in stored.totals {
            let totals = self.totals.entry(queue).or_insert([0; 8]);
            totals.iter_mut().zip(grown).for_each(|(total, grown)| *total += grown);
        }
    }

    /// Moves a job to another state and counts that.
    pub(crate) fn enter(&mut self, row: &mut JobRow, state: JobState) {
        self.count(&row.queue, Some(row.state), state);
        let waited_for_its_time = matches!(row.state, JobState::Scheduled | JobState::Retryable);
        row.state = state;
        row.changed = true;
        if state.is_final() {
            row.finished_at = Some(self.now);
        }
        if state == JobState::Available {
            // What was due first goes first, however late and in whatever order they were made available.
            row.scheduled_at = if waited_for_its_time { row.scheduled_at.min(self.now) } else { self.now };
            row.wait_reason = None;
        }
        if state != JobState::Executing {
            row.session = None;
        }
    }

    /// The queues that have more jobs to be claimed than before.
    #[cfg(feature = "postgres")]
    pub(crate) fn queues_grown(&self) -> impl Iterator<Item = String> {
        let grown = self.totals.iter().filter(|(_, grown)| grown[JobState::Available as usize] > 0);
        grown.map(|(queue, _)| queue).chain(&self.unparked).cloned()
    }

    /// By how many jobs that wait all queues together have grown.
    pub(crate) fn total_grown(&self) -> i64 {
        self.totals.values().map(backlog).sum()
    }

    /// By how many jobs that wait the queue has grown.
    pub(crate) fn backlog_grown(&self, queue: &str) -> i64 {
        self.totals.get(queue).map_or(0, backlog)
    }
}

/// Jobs that wait, by the counts of their states.
pub(crate) fn backlog(totals: &[i64; 8]) -> i64 {
    use JobState::{Available, Pending, Retryable, Scheduled};
    [Pending, Scheduled, Available, Retryable].into_iter().map(|state| totals[state as usize]).sum()
}
