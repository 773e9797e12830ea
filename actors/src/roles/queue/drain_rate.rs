//! How fast a queue drains.

use std::time::Duration;

/// Over how many seconds it is measured.
const WINDOW: u64 = 60;

/// What a refused submitter is told when nothing was measured.
const UNMEASURED: Duration = Duration::from_secs(60);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(600);

/// Counts the jobs that leave a queue, second by second over the last minute.
#[derive(Clone, Debug)]
pub(crate) struct DrainRate {
    buckets: [u64; WINDOW as usize],
    /// The first second that was counted.
    first: Option<u64>,
    /// The newest.
    last: u64,
}

impl Default for DrainRate {
    fn default() -> Self {
        DrainRate { buckets: [0; WINDOW as usize], first: None, last: 0 }
    }
}

impl DrainRate {
    /// `count` jobs have left in this second of any clock that only goes forward.
    pub(crate) fn record(&mut self, second: u64, count: u64) {
        self.advance(second);
        self.first.get_or_insert(second);
        self.buckets[(self.last % WINDOW) as usize] += count;
    }

    /// Jobs a second, over the last minute or since the first one left.
    pub(crate) fn per_second(&mut self, second: u64) -> f64 {
        self.advance(second);
        let Some(first) = self.first else { return 0.0 };
        let seconds = (self.last - first + 1).min(WINDOW);
        self.buckets.iter().sum::<u64>() as f64 / seconds as f64
    }

    /// When it is worth trying again for one whose job found `waiting` of `limit` jobs: when a tenth of the room is
    /// free, between a second and ten minutes.
    pub(crate) fn retry_after(&mut self, second: u64, waiting: u64, limit: u64) -> Duration {
        let rate = self.per_second(second);
        if rate <= 0.0 {
            return UNMEASURED;
        }
        let excess = waiting.saturating_sub(limit) + (limit / 10).max(1);
        Duration::try_from_secs_f64(excess as f64 / rate).unwrap_or(LONGEST).clamp(SHORTEST, LONGEST)
    }

    fn advance(&mut self, second: u64) {
        if second <= self.last {
            return;
        }
        for passed in (self.last + 1)..=second.min(self.last + WINDOW) {
            self.buckets[(passed % WINDOW) as usize] = 0;
        }
        // All of the window may have passed: then every bucket was emptied, whichever second it now stands for.
        self.last = second;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_minute() {
        let mut rate = DrainRate::default();
        assert_eq!(rate.per_second(5), 0.0);
        assert_eq!(rate.retry_after(5, 10, 10), UNMEASURED);
        for second in 10..20 {
            rate.record(second, 30);
        }
        assert_eq!(rate.per_second(19), 30.0);
        assert_eq!(rate.per_second(39), 10.0);
        assert_eq!(rate.per_second(74), 2.5);
        assert_eq!(rate.per_second(10_000), 0.0);
        rate.record(9_999, 60);
        assert_eq!(rate.per_second(10_000), 1.0);
    }

    #[test]
    fn a_submitter_waits_for_a_tenth_of_the_room() {
        let mut rate = DrainRate::default();
        rate.record(1, 10);
        assert_eq!(rate.retry_after(1, 1000, 1000), Duration::from_secs(10));
        assert_eq!(rate.retry_after(1, 1, 1), SHORTEST);
        assert_eq!(rate.retry_after(1, 1_000_000, 1_000_000), LONGEST);
    }
}
