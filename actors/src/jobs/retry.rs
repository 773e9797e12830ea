//! When a failed attempt is followed by the next.

use std::time::Duration;

use callboard_contracts::api::RetryView;

/// How long a job waits after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RetryPolicy {
    /// A failed attempt is the last one.
    Never,
    /// Always the same time.
    Fixed(Duration),
    /// `first` after the first attempt, then each time `factor` times as long, more or less by chance; at most `max`.
    Exponential {
        /// After the first attempt.
        first: Duration,
        /// At most.
        max: Duration,
        /// How many times longer each time, at least 1.
        factor: f64,
        /// The part that chance may add or take off, 0 (none) to 1 (all of it), so that what failed together does not
        /// come back together.
        jitter: f64,
    },
    /// As a function says; made by [`RetryPolicy::custom`].
    Custom(CustomDelay),
}

/// A function that says how long a job waits after a failed attempt.
#[derive(Clone, Copy, Debug)]
pub struct CustomDelay(fn(u32) -> Option<Duration>);

impl PartialEq for CustomDelay {
    /// Whether it is the same function, as far as its address tells.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::fn_addr_eq(self.0, other.0)
    }
}

impl Default for RetryPolicy {
    /// From one second to ten minutes, doubling, a tenth of it up or down left to chance.
    fn default() -> Self {
        RetryPolicy::exponential(Duration::from_secs(1), Duration::from_secs(600))
    }
}

impl RetryPolicy {
    /// Doubling from `first` to `max`, a tenth of it up or down left to chance.
    pub const fn exponential(first: Duration, max: Duration) -> Self {
        RetryPolicy::Exponential { first, max, factor: 2.0, jitter: 0.1 }
    }

    /// As `delay` says, given the number of the attempt that failed, from 1; `None`: there is no next one.
    ///
    /// ```
    /// use std::time::Duration;
    /// use callboard_actors::jobs::RetryPolicy;
    /// let steps = |attempt| [1, 60, 3600].get(attempt as usize - 1).copied().map(Duration::from_secs);
    /// let policy = RetryPolicy::custom(steps);
    /// assert_eq!(policy.delay(2, 0.5), Some(Duration::from_secs(60)));
    /// assert_eq!(policy.delay(4, 0.5), None);
    /// ```
    pub const fn custom(delay: fn(u32) -> Option<Duration>) -> Self {
        RetryPolicy::Custom(CustomDelay(delay))
    }

    /// How long to wait after the attempt of this number, from 1; `None`: there is no next one. `random` is uniform
    /// in 0..1.
    ///
    /// ```
    /// use std::time::Duration;
    /// use callboard_actors::jobs::RetryPolicy;
    /// let policy = RetryPolicy::exponential(Duration::from_secs(1), Duration::from_secs(60));
    /// assert_eq!(policy.delay(3, 0.5), Some(Duration::from_secs(4)));
    /// assert_eq!(policy.delay(3, 0.0), Some(Duration::from_millis(3600)));
    /// assert!(policy.delay(100, 0.9) < Some(Duration::from_secs(60)));
    /// ```
    pub fn delay(&self, attempt: u32, random: f64) -> Option<Duration> {
        match *self {
            RetryPolicy::Never => None,
            RetryPolicy::Fixed(delay) => Some(delay),
            RetryPolicy::Custom(CustomDelay(delay)) => delay(attempt),
            RetryPolicy::Exponential { first, max, factor, jitter } => {
                let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
                let full = first.as_secs_f64() * factor.max(1.0).powi(exponent);
                // Zero times infinity is no number; a policy that begins with zero stays there.
                let full = if full.is_nan() { 0.0 } else { full };
                let jitter = jitter.clamp(0.0, 1.0);
                // The middle keeps a distance from `max`, else half of the draws would be cut to it and meet there.
                let middle = full.min(max.as_secs_f64() / (1.0 + jitter));
                let delay = middle * (1.0 + jitter * (2.0 * random.clamp(0.0, 1.0) - 1.0));
                Some(Duration::try_from_secs_f64(delay).unwrap_or(max).min(max))
            }
        }
    }
}

impl RetryPolicy {
    /// How the outside sees it.
    pub(crate) fn view(&self) -> RetryView {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        match *self {
            RetryPolicy::Never => RetryView::Never,
            RetryPolicy::Fixed(delay) => RetryView::Fixed { delay_ms: ms(delay) },
            RetryPolicy::Exponential { first, max, factor, jitter } => {
                RetryView::Exponential { first_ms: ms(first), max_ms: ms(max), factor, jitter }
            }
            RetryPolicy::Custom(_) => RetryView::Other,
        }
    }
}

/// Uniform in 0..1. Retries are rare, so the system's randomness is cheap enough.
pub(crate) fn random() -> f64 {
    let bits = uuid::Uuid::new_v4().as_u64_pair().1 & ((1 << 53) - 1);
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn delays_stay_within_their_bounds(
            first in 0_u64..100_000, max in 0_u64..10_000_000, factor in 0.0_f64..10.0, jitter in 0.0_f64..=1.0,
            attempt in 1_u32.., random in 0.0_f64..1.0,
        ) {
            let (first, max) = (Duration::from_millis(first), Duration::from_millis(max));
            let policy = RetryPolicy::Exponential { first, max, factor, jitter };
            let [lowest, delay, middle, highest] =
                [0.0, random, 0.5, 1.0].map(|random| policy.delay(attempt, random).unwrap());
            prop_assert!(lowest <= delay && delay <= highest && highest <= max);
            prop_assert!(lowest.as_secs_f64() >= middle.as_secs_f64() * (1.0 - jitter) - 1e-6);
        }

        #[test]
        fn delays_grow_with_the_attempt(first in 0_u64..100_000, factor in 1.0_f64..10.0, attempt in 1_u32..10_000) {
            let (first, max) = (Duration::from_millis(first), Duration::from_secs(3600));
            let policy = RetryPolicy::Exponential { first, max, factor, jitter: 0.0 };
            prop_assert!(policy.delay(attempt, 0.0) <= policy.delay(attempt + 1, 0.0));
        }
    }

    #[test]
    fn chance_is_spread_over_its_range() {
        let draws: Vec<f64> = (0..1000).map(|_| random()).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        assert!(draws.iter().any(|&draw| draw < 0.1) && draws.iter().any(|&draw| draw > 0.9));
    }
}
