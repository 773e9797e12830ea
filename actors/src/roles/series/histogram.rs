//! How long things took, in few numbers.

use std::time::Duration;

/// Buckets of one doubling.
const STEPS: f64 = 8.0;
/// Doublings of a microsecond that are told apart: up to 19 hours.
const DOUBLINGS: usize = 36;
const BUCKETS: usize = DOUBLINGS * 8;

/// Counts durations in buckets, each an eighth of a doubling wide: what is read out of it is right within a tenth.
#[derive(Clone, Debug)]
pub(super) struct Histogram(Box<[u32; BUCKETS]>);

impl Default for Histogram {
    fn default() -> Self {
        Histogram(Box::new([0; BUCKETS]))
    }
}

impl Histogram {
    pub(super) fn observe(&mut self, took: Duration) {
        let micros = took.as_secs_f64() * 1e6;
        // What is below a microsecond counts as one; the conversion keeps within the range.
        let bucket = (micros.max(1.0).log2() * STEPS) as usize;
        let count = &mut self.0[bucket.min(BUCKETS - 1)];
        *count = count.saturating_add(1);
    }

    pub(super) fn add(&mut self, other: &Histogram) {
        for (count, more) in self.0.iter_mut().zip(&*other.0) {
            *count = count.saturating_add(*more);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.fill(0);
    }

    /// Milliseconds that this share of what was counted took at most. `None`: nothing was counted.
    pub(super) fn quantile_ms(&self, share: f64) -> Option<f64> {
        let total: u64 = self.0.iter().map(|&count| u64::from(count)).sum();
        if total == 0 {
            return None;
        }
        let rank = ((total as f64 * share).ceil() as u64).clamp(1, total);
        let mut seen = 0;
        let bucket = self.0.iter().position(|&count| {
            seen += u64::from(count);
            seen >= rank
        })?;
        // The middle of the bucket.
        Some(((bucket as f64 + 0.5) / STEPS).exp2() / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_has_no_quantile_and_extremes_are_kept_in_the_last_buckets() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_ms(0.5), None);
        histogram.observe(Duration::ZERO);
        assert!(histogram.quantile_ms(1.0).unwrap() < 0.0011);
        histogram.observe(Duration::MAX);
        assert!(histogram.quantile_ms(1.0).unwrap() > 6e7);
        histogram.clear();
        assert_eq!(histogram.quantile_ms(0.5), None);
    }

    proptest! {
        #[test]
        fn a_quantile_is_that_of_the_sorted_values_within_a_tenth(
            mut micros in prop::collection::vec(1_u64..10_000_000_000, 1..200), share in 0.01_f64..=1.0, split in 0_usize..200,
        ) {
            let (mut left, mut right) = (Histogram::default(), Histogram::default());
            for (index, &value) in micros.iter().enumerate() {
                let into = if index < split { &mut left } else { &mut right };
                into.observe(Duration::from_micros(value));
            }
            left.add(&right);
            micros.sort_unstable();
            let rank = ((micros.len() as f64 * share).ceil() as usize).clamp(1, micros.len());
            let exact = micros[rank - 1] as f64 / 1e3;
            let read = left.quantile_ms(share).unwrap();
            prop_assert!((read / exact - 1.0).abs() < 0.1, "{read} and {exact}");
        }
    }
}
