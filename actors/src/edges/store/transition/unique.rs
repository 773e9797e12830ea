//! Which job has the place of its kind.

use std::collections::{BTreeMap, BTreeSet};

use callboard_contracts::{EventType, JobState, Timestamp};
use uuid::Uuid;

use super::{Changes, Event};
use crate::edges::store::{
    Outcome,
    record::{IfTaken, NewJob, Uniqueness},
};

/// The jobs that were the last to take the places of these kinds.
pub(crate) type Holders = BTreeMap<[u8; 32], Holder>;

/// A job that has taken the place of its kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Holder {
    pub(crate) job: Uuid,
    pub(crate) event_id: Uuid,
    pub(crate) queue: String,
    pub(crate) state: JobState,
    /// The states in which it has the place, as they are stored.
    pub(crate) states: i64,
    /// When it has the place no more, whatever its state.
    pub(crate) until: Option<Timestamp>,
}

impl Holder {
    fn has_place(&self, now: Timestamp) -> bool {
        self.states & bit(self.state) != 0 && self.until.is_none_or(|until| now < until)
    }
}

/// What a job finds at the place of its kind.
#[derive(Debug, PartialEq)]
pub(crate) enum Place<'h> {
    /// Nobody, or it asks for none.
    Free,
    /// A job that makes way for it.
    Replace(&'h Holder),
    /// A job that stays.
    Taken(Outcome),
}

/// Looks whether a new job may have the place of its kind.
pub(crate) fn place<'h>(job: &NewJob, holders: &'h Holders, now: Timestamp) -> Place<'h> {
    let Some(unique) = &job.unique else { return Place::Free };
    let Some(holder) = holders.get(&unique.key).filter(|holder| holder.has_place(now)) else {
        return Place::Free;
    };
    let (id, event_id, state) = (holder.job, holder.event_id, holder.state);
    match unique.if_taken {
        IfTaken::Keep => Place::Taken(Outcome::Kept { id, event_id, state }),
        // What has ended has nothing left that could be called off.
        IfTaken::Replace if state.is_final() => Place::Free,
        IfTaken::Replace if state != JobState::Executing => Place::Replace(holder),
        IfTaken::Refuse | IfTaken::Replace => Place::Taken(Outcome::NotUnique { id, state }),
    }
}

/// Calls the job off that waits, for the sake of another one. It is loaded.
pub(crate) fn replace(changes: &mut Changes, id: Uuid, by: Uuid) {
    let Some(mut row) = changes.rows.remove(&id) else { return };
    changes.enter(&mut row, JobState::Cancelled);
    row.wait_reason = None;
    changes.events.push(Event::of(&row, EventType::Failed).error(&format!("replaced by job {by}")));
    changes.rows.insert(id, row);
}

/// The jobs that may be replaced, for which their rows are needed.
pub(crate) fn replaceable<'j>(jobs: &[&'j NewJob], holders: &Holders) -> Vec<Uuid> {
    let of = |job: &&'j NewJob| {
        let unique = job.unique.as_ref().filter(|unique| unique.if_taken == IfTaken::Replace)?;
        Some(holders.get(&unique.key)?.job)
    };
    jobs.iter().filter_map(of).collect()
}

/// Of the jobs that are loaded, the states are those that they have now.
pub(crate) fn as_loaded(holders: &mut Holders, changes: &Changes) {
    for holder in holders.values_mut() {
        if let Some(row) = changes.rows.get(&holder.job) {
            holder.state = row.state;
        }
    }
}

/// Parts jobs, in their order, so that no two of a part are of one kind: what the first does to the place of their kind is to
/// be stored before the next one looks.
pub(crate) fn parts<'a, 'j>(jobs: &'a [&'j NewJob]) -> impl Iterator<Item = &'a [&'j NewJob]> {
    let mut left = jobs;
    std::iter::from_fn(move || {
        let mut kinds = BTreeSet::new();
        let doubled = |job: &&NewJob| job.unique.as_ref().is_some_and(|unique| !kinds.insert(unique.key));
        let end = left.iter().position(doubled).unwrap_or(left.len());
        let (part, rest) = left.split_at(end);
        left = rest;
        (!part.is_empty()).then_some(part)
    })
}

/// The kinds of these jobs, each once and in order.
pub(crate) fn keys(jobs: &[&NewJob]) -> BTreeSet<[u8; 32]> {
    jobs.iter().filter_map(|job| Some(job.unique.as_ref()?.key)).collect()
}

/// A set of states as it is stored: a bit each.
pub(crate) fn bits(states: &BTreeSet<JobState>) -> i64 {
    states.iter().fold(0, |bits, state| bits | bit(*state))
}

/// The set of states that is stored so.
pub(crate) fn states(bits: i64) -> BTreeSet<JobState> {
    JobState::ALL.into_iter().filter(|state| bits & bit(*state) != 0).collect()
}

/// When a job that is stored now loses its place at the latest.
pub(crate) fn until(unique: &Uniqueness, now: Timestamp) -> Option<Timestamp> {
    unique.period.map(|period| now.saturating_add(period))
}

fn bit(state: JobState) -> i64 {
    1 << state as i64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{super::tests::new_job, *};

    const WAITING: [JobState; 3] = [JobState::Pending, JobState::Scheduled, JobState::Available];

    fn unique(key: u8, if_taken: IfTaken) -> NewJob {
        let states = WAITING.into_iter().collect();
        NewJob { unique: Some(Uniqueness { key: [key; 32], states, period: None, if_taken }), ..new_job(9) }
    }

    fn holder(state: JobState, states: &[JobState], until: Option<Timestamp>) -> Holders {
        let holder = Holder {
            job: Uuid::from_u128(1),
            event_id: Uuid::from_u128(2),
            queue: "default".to_owned(),
            state,
            states: bits(&states.iter().copied().collect()),
            until,
        };
        Holders::from([([7; 32], holder)])
    }

    #[test]
    fn a_place_is_free_once_its_states_or_its_time_are_over() {
        let now = Timestamp::from_micros(1_000);
        let taken = |holders: &Holders| place(&unique(7, IfTaken::Refuse), holders, now) != Place::Free;
        for state in JobState::ALL {
            assert_eq!(taken(&holder(state, &WAITING, None)), WAITING.contains(&state), "{state}");
            assert!(taken(&holder(state, &JobState::ALL, None)), "{state}");
            assert!(!taken(&holder(state, &[], None)), "{state}");
        }
        for (until, expected) in [(999, false), (1_000, false), (1_001, true)] {
            let holders = holder(JobState::Available, &WAITING, Some(Timestamp::from_micros(until)));
            assert_eq!(taken(&holders), expected, "{until}");
        }
        assert_eq!(
            place(&unique(8, IfTaken::Refuse), &holder(JobState::Available, &WAITING, None), now),
            Place::Free
        );
        assert_eq!(place(&new_job(9), &holder(JobState::Available, &WAITING, None), now), Place::Free);
    }

    #[test]
    fn only_what_no_node_has_is_replaced() {
        let now = Timestamp::from_micros(0);
        for state in JobState::ALL {
            let holders = holder(state, &JobState::ALL, None);
            let found = place(&unique(7, IfTaken::Replace), &holders, now);
            match state {
                JobState::Executing => {
                    assert_eq!(found, Place::Taken(Outcome::NotUnique { id: Uuid::from_u128(1), state }));
                }
                state if state.is_final() => assert_eq!(found, Place::Free),
                _ => assert_eq!(found, Place::Replace(&holders[&[7; 32]])),
            }
        }
    }

    proptest! {
        #[test]
        fn parts_are_all_of_it_in_order_and_none_has_a_kind_twice(kinds in proptest::collection::vec(0_u8..4, 0..20)) {
            let jobs: Vec<NewJob> = kinds
                .iter()
                .map(|kind| if *kind == 0 { new_job(9) } else { unique(*kind, IfTaken::Keep) })
                .collect();
            let jobs: Vec<&NewJob> = jobs.iter().collect();
            let parts: Vec<&[&NewJob]> = parts(&jobs).collect();
            prop_assert_eq!(parts.concat().iter().map(|job| job.id).collect::<Vec<_>>(),
                            jobs.iter().map(|job| job.id).collect::<Vec<_>>());
            for part in &parts {
                let with_kind = part.iter().filter(|job| job.unique.is_some()).count();
                prop_assert_eq!(keys(part).len(), with_kind);
            }
            // As few as can be: each begins with a kind that the one before has.
            for pair in parts.windows(2) {
                let first = pair[1][0].unique.as_ref().map(|unique| unique.key);
                prop_assert!(first.is_some_and(|key| keys(pair[0]).contains(&key)));
            }
        }

        #[test]
        fn a_set_of_states_is_its_bits(states in proptest::collection::btree_set(0_usize..8, 0..8)) {
            let chosen: BTreeSet<JobState> = states.into_iter().map(|state| JobState::ALL[state]).collect();
            for state in JobState::ALL {
                prop_assert_eq!(bits(&chosen) & bit(state) != 0, chosen.contains(&state));
            }
            prop_assert_eq!(super::states(bits(&chosen)), chosen);
        }
    }

    #[test]
    fn a_time_that_never_comes_is_no_overflow() {
        let forever = Uniqueness {
            key: [0; 32],
            states: BTreeSet::new(),
            period: Some(Duration::MAX),
            if_taken: IfTaken::Keep,
        };
        let now = Timestamp::from_micros(5);
        assert!(until(&forever, now).is_some_and(|until| until > now));
    }
}
