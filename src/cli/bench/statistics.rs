//! What a set of measured times is summed up as.

use std::time::Duration;

use serde::Serialize;

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Percentiles {
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl Percentiles {
    /// Of times that are known already: the 50th, 95th and 99th percentile, and the longest.
    pub(super) fn known(times: [Duration; 4]) -> Self {
        let [p50_ms, p95_ms, p99_ms, max_ms] = times.map(|time| round(time.as_secs_f64() * 1e3));
        Percentiles { p50_ms, p95_ms, p99_ms, max_ms }
    }

    pub(super) fn p95_ms(&self) -> f64 {
        self.p95_ms
    }

    /// By nearest rank; nothing measured gives zeros.
    pub(super) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).max(1);
            times.get(rank - 1).map_or(0.0, |time| round(time.as_secs_f64() * 1e3))
        };
        Percentiles { p50_ms: at(50), p95_ms: at(95), p99_ms: at(99), max_ms: at(100) }
    }
}

/// Three decimals: what is beyond them is noise.
pub(super) fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// How many a second, as a whole number.
pub(super) fn per_second(count: usize, time: Duration) -> f64 {
    (count as f64 / time.as_secs_f64().max(1e-9)).round()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_nearest_ranks() {
        let times = (1..=200).rev().map(Duration::from_millis).collect();
        let expected = Percentiles { p50_ms: 100.0, p95_ms: 190.0, p99_ms: 198.0, max_ms: 200.0 };
        assert_eq!(Percentiles::of(times), expected);
        let one = Percentiles::of(vec![Duration::from_micros(1500)]);
        assert_eq!(one, Percentiles { p50_ms: 1.5, p95_ms: 1.5, p99_ms: 1.5, max_ms: 1.5 });
        assert_eq!(Percentiles::of(Vec::new()).max_ms, 0.0);
    }
}
