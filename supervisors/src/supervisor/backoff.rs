//! [`Backoff`]: how long a crashed child waits.

use std::time::Duration;

/// How long a child waits before it is restarted: `min`, then `factor` times as long with every further crash, up to
/// `max`; each spread evenly by `jitter` to either side. A child that was healthy for `reset_after` begins at `min`
/// again.
///
/// A `min` beyond `max`, a `factor` below 1 and a `jitter` out of its range are refused at the start.
///
/// ```
/// # use callboard_supervisors::*;
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// use std::time::Duration;
///
/// let brisk = Backoff { min: Duration::from_millis(5), max: Duration::from_secs(1), ..Backoff::default() };
/// let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").backoff(brisk)).await?;
///
/// let wrong = SupervisorSpec::new("wrong").backoff(Backoff { factor: 0.5, ..brisk });
/// let error = system.root().start_supervisor(wrong).await.expect_err("it would shrink");
/// assert_eq!(error.to_string(), "`wrong`: the backoff's factor must be at least 1, not 0.5");
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// Before the first restart. 0 is allowed: at once.
    pub min: Duration,
    /// Before any restart, jitter aside.
    pub max: Duration,
    /// At least 1.
    pub factor: f64,
    /// From 0 to 1: 0.2 is 20 % to either side.
    pub jitter: f64,
    /// How long a child must run to be taken for healthy.
    pub reset_after: Duration,
}

/// 100 ms to 10 s, doubled each time, 20 % jitter, reset after 10 s.
impl Default for Backoff {
    fn default() -> Self {
        Backoff {
            min: Duration::from_millis(100),
            max: Duration::from_secs(10),
            factor: 2.0,
            jitter: 0.2,
            reset_after: Duration::from_secs(10),
        }
    }
}

impl Backoff {
    /// The pause before restart number `attempt` (from 0) in a row. `random` is in `0.0..1.0`.
    pub(crate) fn pause(&self, attempt: u32, random: f64) -> Duration {
        let exponent = i32::try_from(attempt).unwrap_or(i32::MAX);
        let grown = self.min.as_secs_f64() * self.factor.powi(exponent);
        self.spread(grown.min(self.max.as_secs_f64()), random)
    }

    /// Seconds of the pauses before so many restarts in a row, jitter aside. A sum, not a loop: a budget may be as good
    /// as endless.
    pub(crate) fn total(&self, restarts: usize) -> f64 {
        let (min, max) = (self.min.as_secs_f64(), self.max.as_secs_f64());
        let restarts = f64::from(u32::try_from(restarts).unwrap_or(u32::MAX));
        if min == 0.0 {
            return 0.0;
        }
        let growth = self.factor.ln();
        if growth <= 0.0 {
            return min * restarts;
        }
        let growing = ((max / min).ln() / growth).ceil().clamp(0.0, restarts);
        min * (growing * growth).exp_m1() / growth.exp_m1() + max * (restarts - growing)
    }

    /// The longest pause.
    pub(crate) fn longest(&self, random: f64) -> Duration {
        self.spread(self.max.as_secs_f64(), random)
    }

    fn spread(&self, seconds: f64, random: f64) -> Duration {
        let spread = seconds * (1.0 + self.jitter * (2.0 * random - 1.0));
        Duration::try_from_secs_f64(spread).unwrap_or(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_sum_of_the_pauses() {
        for (min, max, factor) in
            [(100, 10_000, 2.0), (1, 1000, 1.1), (7, 7, 3.0), (5, 900, 1.0), (0, 50, 2.0)]
        {
            let (min, max) = (Duration::from_millis(min), Duration::from_millis(max));
            let backoff = Backoff { min, max, factor, jitter: 0.0, ..Backoff::default() };
            let mut sum = 0.0;
            for restarts in 0..200 {
                let total = backoff.total(restarts);
                assert!((total - sum).abs() < 1e-6, "{backoff:?}: {restarts} take {sum} s, not {total} s");
                sum += backoff.pause(u32::try_from(restarts).expect("few"), 0.5).as_secs_f64();
            }
        }
    }
}
