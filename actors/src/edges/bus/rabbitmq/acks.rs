//! [`Acks`]: which deliveries can be acknowledged, with as few frames as possible.

use std::collections::VecDeque;

/// An acknowledgement for the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ack {
    pub(super) tag: u64,
    /// Whether it is for all deliveries up to this one.
    pub(super) multiple: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    InWork,
    /// It is done with, and the broker does not know yet.
    Done,
    /// The broker knows.
    Settled,
}

/// The deliveries of a channel that are not settled, and those after them.
#[derive(Debug, Default)]
pub(super) struct Acks(VecDeque<(u64, State)>);

impl Acks {
    /// It came in. Tags only grow.
    pub(super) fn delivered(&mut self, tag: u64) {
        self.0.push_back((tag, State::InWork));
    }

    /// It is done with, and is to be acknowledged.
    pub(super) fn done(&mut self, tag: u64) {
        self.set(tag, State::Done);
    }

    /// It was given back, and needs no acknowledgement.
    pub(super) fn settled(&mut self, tag: u64) {
        self.set(tag, State::Settled);
    }

    fn set(&mut self, tag: u64, state: State) {
        if let Ok(at) = self.0.binary_search_by_key(&tag, |(tag, _)| *tag) {
            self.0[at].1 = state;
        }
    }

    /// What is to be acknowledged now: one for all that stand before the first that is in work, and one for each that has
    /// overtaken it.
    pub(super) fn take(&mut self) -> Vec<Ack> {
        let mut acks = Vec::new();
        let (mut last, mut count) = (None, 0);
        while let Some(&(tag, state)) = self.0.front()
            && state != State::InWork
        {
            self.0.pop_front();
            if state == State::Done {
                (last, count) = (Some(tag), count + 1);
            }
        }
        if let Some(tag) = last {
            acks.push(Ack { tag, multiple: count > 1 });
        }
        for (tag, state) in self.0.iter_mut().filter(|(_, state)| *state == State::Done) {
            *state = State::Settled;
            acks.push(Ack { tag: *tag, multiple: false });
        }
        acks
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ack(tag: u64, multiple: bool) -> Ack {
        Ack { tag, multiple }
    }

    #[test]
    fn one_acknowledgement_is_for_all_that_come_before_the_first_in_work() {
        let mut acks = Acks::default();
        (1..=6).for_each(|tag| acks.delivered(tag));
        assert_eq!(acks.take(), []);
        [2, 1, 3, 5].into_iter().for_each(|tag| acks.done(tag));
        assert_eq!(acks.take(), [ack(3, true), ack(5, false)]);
        assert_eq!(acks.take(), []);
        acks.settled(4);
        assert_eq!(acks.take(), []);
        acks.done(6);
        assert_eq!(acks.take(), [ack(6, false)]);
        assert!(acks.0.is_empty());
    }

    proptest! {
        /// As the broker sees it: every delivery is settled once, none that is in work ever is, and at the end all are.
        #[test]
        fn every_delivery_is_acknowledged_once(order in proptest::collection::vec((0..40_usize, any::<bool>(), any::<bool>()), 0..120)) {
            let mut acks = Acks::default();
            (1..=40).for_each(|tag| acks.delivered(tag));
            let mut unsettled: BTreeSet<u64> = (1..=40).collect();
            let mut in_work: Vec<u64> = (1..=40).collect();
            let mut done = BTreeSet::new();
            let take = |acks: &mut Acks, done: &mut BTreeSet<u64>, unsettled: &mut BTreeSet<u64>| {
                for Ack { tag, multiple } in acks.take() {
                    let covered: Vec<u64> = match multiple {
                        true => unsettled.range(..=tag).copied().collect(),
                        false => vec![tag],
                    };
                    for tag in covered {
                        assert!(unsettled.remove(&tag), "{tag} is settled twice");
                        assert!(done.remove(&tag), "{tag} is still in work");
                    }
                }
            };
            let all = order.into_iter().chain((0..40).map(|_| (0, false, false)));
            for (at, back, look) in all {
                if in_work.is_empty() {
                    break;
                }
                let tag = in_work.remove(at % in_work.len());
                if back {
                    acks.settled(tag);
                    unsettled.remove(&tag);
                } else {
                    acks.done(tag);
                    done.insert(tag);
                }
                if look {
                    take(&mut acks, &mut done, &mut unsettled);
                    prop_assert!(done.is_empty());
                }
            }
            take(&mut acks, &mut done, &mut unsettled);
            prop_assert!(unsettled.is_empty() && acks.0.is_empty());
        }
    }
}
