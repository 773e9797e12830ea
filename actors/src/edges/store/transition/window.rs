//! What a rate still allows.
//!
//! Claims are counted in slices of a tenth of the rate's period. What was claimed in the current slice and the ten before
//! counts: that covers any period up to now, so in none is there ever more than the rate allows, however it lies. What
//! was claimed in a slice stops counting after eleven slices, so at least the rate's jobs are allowed in 1.1 periods.

use callboard_contracts::{Rate, Timestamp};

/// Slices of a period.
const SLICES: i64 = 10;

/// The slices that count now, by their beginnings in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// The first.
    pub(crate) first: i64,
    /// The current one.
    pub(crate) current: i64,
    /// The last: what a clock has counted that was put back since, but no further, so that nothing waits for it long.
    pub(crate) last: i64,
    slice: i64,
    jobs: u32,
}

/// What was claimed in a [`Window`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) claims: u64,
    /// The beginning of the first slice in which something was claimed.
    pub(crate) oldest: Option<i64>,
}

impl Window {
    pub(crate) fn of(rate: Rate, now: Timestamp) -> Self {
        // A period is whole seconds.
        let slice = i64::try_from(rate.period().as_micros()).unwrap_or(i64::MAX / 64) / SLICES;
        let current = now.as_micros().div_euclid(slice) * slice;
        Window {
            first: current - SLICES * slice,
            current,
            last: current + SLICES * slice,
            slice,
            jobs: rate.jobs(),
        }
    }

    /// How many may be claimed.
    pub(crate) fn left(&self, used: Used) -> u32 {
        u32::try_from(u64::from(self.jobs).saturating_sub(used.claims)).unwrap_or(u32::MAX)
    }

    /// When the first of what was claimed, before or just now, stops counting.
    pub(crate) fn next_free_at(&self, used: Used) -> Timestamp {
        Timestamp::from_micros(Self::expiry(used.oldest.unwrap_or(self.current), self.slice))
    }

    /// When something may be claimed again, if nothing may now.
    pub(crate) fn free_at(&self, used: Used) -> Option<Timestamp> {
        (self.left(used) == 0).then(|| self.next_free_at(used))
    }

    /// When what is claimed now stops counting.
    pub(crate) fn expires_at(&self) -> i64 {
        Self::expiry(self.current, self.slice)
    }

    fn expiry(slice: i64, length: i64) -> i64 {
        slice + (SLICES + 1) * length
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Counts as the stores do.
    #[derive(Default)]
    struct Counts(BTreeMap<i64, u64>);

    impl Counts {
        fn used(&self, window: &Window) -> Used {
            let counted = || self.0.range(window.first..=window.last);
            Used {
                claims: counted().map(|(_, claims)| claims).sum(),
                oldest: counted().next().map(|(slice, _)| *slice),
            }
        }
    }

    proptest! {
        /// Whoever asks for more than there is, at whatever times, never gets more than the rate in any period; and
        /// whoever comes when he is told to gets something.
        #[test]
        fn in_no_period_is_more_allowed_than_the_rate_says(
            jobs in 1_u32..20,
            seconds in 1_u32..100,
            asks in proptest::collection::vec((0_i64..3_000_000, 1_u32..30, any::<bool>()), 1..200),
        ) {
            let rate: Rate = format!("{jobs}/{seconds}s").parse().unwrap();
            let (mut counts, mut given, mut now) = (Counts::default(), Vec::new(), 1_000_003_i64);
            let mut told = None;
            for (pause, asked, obey) in asks {
                now = match told {
                    Some(at) if obey => at,
                    _ => now + pause,
                };
                let window = Window::of(rate, Timestamp::from_micros(now));
                let used = counts.used(&window);
                let left = window.left(used);
                prop_assert!(told != Some(now) || left > 0, "told to come at {now}");
                told = (left == 0).then(|| window.next_free_at(used).as_micros());
                prop_assert!(told.is_none_or(|at| at > now && at <= now + i64::from(seconds) * 1_100_000));
                let claims = left.min(asked);
                if claims > 0 {
                    *counts.0.entry(window.current).or_default() += u64::from(claims);
                    given.push((now, u64::from(claims)));
                }
            }
            let period = i64::from(seconds) * 1_000_000;
            for (from, _) in &given {
                let within = given.iter().filter(|(at, _)| (*from..from + period).contains(at));
                prop_assert!(within.map(|(_, claims)| claims).sum::<u64>() <= u64::from(jobs));
            }
        }

        /// In 1.1 periods as many are allowed as the rate says.
        #[test]
        fn who_always_asks_gets_what_the_rate_says(jobs in 1_u32..50, seconds in 1_u32..60, begin in 0_i64..10_000_000) {
            let rate: Rate = format!("{jobs}/{seconds}s").parse().unwrap();
            let mut counts = Counts::default();
            let (mut now, mut given) = (begin, 0);
            let end = begin + i64::from(seconds) * 11_000_000;
            while now <= end {
                let window = Window::of(rate, Timestamp::from_micros(now));
                let left = window.left(counts.used(&window));
                *counts.0.entry(window.current).or_default() += u64::from(left);
                given += u64::from(left);
                now = window.next_free_at(counts.used(&window)).as_micros();
            }
            prop_assert!(given >= 10 * u64::from(jobs), "{given}");
        }
    }

    #[test]
    fn what_a_clock_has_counted_that_was_put_back_does_not_hold_anything_up_for_long() {
        let rate: Rate = "5/10s".parse().unwrap();
        let counts = Counts(BTreeMap::from([(3_600_000_000, 5)]));
        let now = Window::of(rate, Timestamp::from_micros(0));
        assert_eq!(now.left(counts.used(&now)), 5);
    }
}
