//! [`Drained`]: what became of the jobs that were let run.

use std::collections::BTreeMap;

use callboard_actors::edges::store::record::LoggedEvent;
use callboard_contracts::{EventType, JobState};
use uuid::Uuid;

/// What became of the jobs that were let run, each list in the order in which it happened. A job that failed and was tried again within the
/// same [`drain`](super::TestApp::drain) is only where it came to in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Those that are done.
    pub completed: Vec<Uuid>,
    /// Those whose last attempt failed.
    pub discarded: Vec<Uuid>,
    /// Those that were called off.
    pub cancelled: Vec<Uuid>,
    /// Those that failed and will be tried again at a later time of the app's clock.
    pub retryable: Vec<Uuid>,
    /// Those that have put themselves off to a later time of the app's clock.
    pub scheduled: Vec<Uuid>,
    /// Those that are available and nonetheless did not run: an edge that they need is tripped, or a limit or rate of their queue holds
    /// them back.
    pub waiting: Vec<Uuid>,
}

impl Drained {
    /// Puts each job of which these events tell where it is now.
    pub(super) fn of(events: &[LoggedEvent], states: &BTreeMap<Uuid, JobState>) -> Self {
        let mut drained = Drained::default();
        let mut last: BTreeMap<Uuid, usize> = BTreeMap::new();
        let job = |event: &LoggedEvent| event.event.payload["id"].as_str()?.parse::<Uuid>().ok();
        for (place, event) in events.iter().enumerate() {
            let began = event.event.event_type != EventType::Created;
            if let Some(job) = job(event).filter(|_| began) {
                last.insert(job, place);
            }
        }
        let mut ended: Vec<(usize, Uuid)> = last.into_iter().map(|(job, place)| (place, job)).collect();
        ended.sort_unstable();
        for (_, job) in ended {
            let list = match states.get(&job) {
                Some(JobState::Completed) => &mut drained.completed,
                Some(JobState::Discarded) => &mut drained.discarded,
                Some(JobState::Cancelled) => &mut drained.cancelled,
                Some(JobState::Retryable) => &mut drained.retryable,
                Some(JobState::Scheduled) => &mut drained.scheduled,
                _ => continue,
            };
            list.push(job);
        }
        drained
    }

    /// How many came to an end of their attempt.
    pub fn ended(&self) -> usize {
        [&self.completed, &self.discarded, &self.cancelled, &self.retryable, &self.scheduled]
            .into_iter()
            .map(Vec::len)
            .sum()
    }
}
