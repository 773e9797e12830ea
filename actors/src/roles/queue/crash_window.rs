//! Crashes within a period.

use std::{collections::VecDeque, time::Duration};

/// A window that slides over crashes. It takes no more room than the limit that it is asked about.
#[derive(Clone, Debug, Default)]
pub(crate) struct CrashWindow {
    /// When they were, on any clock that only goes forward; the oldest first.
    crashes: VecDeque<Duration>,
}

impl CrashWindow {
    /// There is a crash now. How many there are within `period` with it, if they are `limit` or more; with a limit of 0 there are
    /// never too many.
    pub(crate) fn record(&mut self, now: Duration, limit: u32, period: Duration) -> Option<u32> {
        let limit = limit as usize;
        if limit == 0 {
            self.reset();
            return None;
        }
        self.crashes.push_back(now);
        while self.crashes.front().is_some_and(|at| now.saturating_sub(*at) >= period) {
            self.crashes.pop_front();
        }
        // Fewer may be allowed than before.
        while self.crashes.len() > limit {
            self.crashes.pop_front();
        }
        // It has held no more than a number of this type.
        (self.crashes.len() == limit).then_some(limit as u32)
    }

    /// Forgets them.
    pub(crate) fn reset(&mut self) {
        self.crashes = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn as_many_as_the_limit_within_the_period_are_too_many() {
        let mut window = CrashWindow::default();
        let told: Vec<_> =
            [0, 30, 60, 70, 89, 90].iter().map(|second| window.record(at(*second), 3, MINUTE)).collect();
        // At 60 the one at 0 counts no more, and at 90 the one at 30.
        assert_eq!(told, [None, None, None, Some(3), Some(3), Some(3)]);
        assert_eq!(CrashWindow::default().record(at(5), 1, MINUTE), Some(1));
    }

    #[test]
    fn nothing_is_too_much_without_a_limit_and_nothing_is_kept() {
        let mut window = CrashWindow::default();
        assert!((0..10_000).all(|second| window.record(at(second / 1000), 0, MINUTE).is_none()));
        assert!(window.crashes.is_empty());
        assert_eq!(window.record(at(10), 2, MINUTE), None);
    }

    #[test]
    fn another_limit_holds_from_the_next_crash_on() {
        let mut window = CrashWindow::default();
        for second in 0..4 {
            assert_eq!(window.record(at(second), 10, MINUTE), None);
        }
        assert_eq!(window.record(at(4), 3, MINUTE), Some(3));
        assert_eq!(window.record(at(5), 4, MINUTE), Some(4));
        assert_eq!(window.record(at(6), 4, Duration::from_secs(1)), None);
    }

    proptest! {
        /// Against a window that keeps everything.
        #[test]
        fn it_tells_what_a_full_count_tells(
            steps in prop::collection::vec((0u64..40, prop::bool::weighted(0.05)), 0..300),
            limit in 1u32..12,
            period in 1u64..120,
        ) {
            let (mut window, mut all, mut now) = (CrashWindow::default(), Vec::new(), 0);
            for (step, reset) in steps {
                now += step;
                if reset {
                    window.reset();
                    all.clear();
                }
                all.push(now);
                let within = all.iter().filter(|at| now - **at < period).count();
                let told = window.record(at(now), limit, at(period));
                prop_assert_eq!(told.is_some(), within >= limit as usize);
                prop_assert!(window.crashes.len() <= limit as usize);
            }
        }
    }
}
