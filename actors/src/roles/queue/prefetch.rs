//! How many jobs a producer claims ahead.

use std::time::Duration;

/// Jobs that are claimed ahead at most: while they wait here, no other node can have them.
const MOST: u32 = 2000;
/// The weight of a new measurement.
const WEIGHT: f64 = 0.2;

/// Measures how long jobs and claims take. While a claim is under way, the jobs that run must have successors at hand:
/// as many as are done in that time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prefetch {
    run: Option<f64>,
    claim: Option<f64>,
}

impl Prefetch {
    /// A job has taken this long.
    pub(crate) fn ran(&mut self, time: Duration) {
        blend(&mut self.run, time);
    }

    /// A claim has taken this long.
    pub(crate) fn claimed(&mut self, time: Duration) {
        blend(&mut self.claim, time);
    }

    /// How many to claim beyond `concurrency`: twice as many as are done while a claim is under way, so that the next
    /// one can begin when half of them are gone.
    pub(crate) fn amount(&self, concurrency: u32) -> u32 {
        let (Some(run), Some(claim)) = (self.run, self.claim) else { return 0 };
        let done = f64::from(concurrency) * claim / run.max(1e-6);
        // A float becomes the nearest integer there is.
        (2.0 * done).round().min(f64::from(MOST)) as u32
    }
}

fn blend(mean: &mut Option<f64>, time: Duration) {
    let time = time.as_secs_f64();
    *mean = Some(mean.map_or(time, |mean| mean + WEIGHT * (time - mean)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(run: Duration, claim: Duration, concurrency: u32) -> u32 {
        let mut prefetch = Prefetch::default();
        assert_eq!(prefetch.amount(concurrency), 0);
        prefetch.ran(run);
        prefetch.claimed(claim);
        prefetch.amount(concurrency)
    }

    #[test]
    fn short_jobs_are_claimed_ahead_and_long_ones_are_not() {
        let (ms, us) = (Duration::from_millis, Duration::from_micros);
        assert_eq!(amount(us(20), ms(5), 50), MOST);
        assert_eq!(amount(ms(50), ms(5), 50), 10);
        assert_eq!(amount(ms(60_000), ms(5), 50), 0);
        assert_eq!(amount(Duration::ZERO, ms(5), 1), MOST);
    }

    #[test]
    fn measurements_follow_what_happens() {
        let mut prefetch = Prefetch::default();
        prefetch.claimed(Duration::from_millis(5));
        for _ in 0..50 {
            prefetch.ran(Duration::from_micros(20));
        }
        assert_eq!(prefetch.amount(50), MOST);
        for _ in 0..50 {
            prefetch.ran(Duration::from_secs(10));
        }
        assert_eq!(prefetch.amount(50), 0);
    }
}
