//! Times of which there are too many to keep.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::statistics::Percentiles;

/// Steps of a doubling: a time is known to one part in 64.
const STEPS: u32 = 64;
/// Doublings from a microsecond to more than an hour.
const DOUBLINGS: u32 = 33;

/// Counts of times, which threads share.
pub(super) struct Histogram {
    counts: Vec<AtomicU64>,
    longest: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        let counts = (0..STEPS * DOUBLINGS).map(|_| AtomicU64::new(0)).collect();
        Histogram { counts, longest: AtomicU64::new(0) }
    }
}

impl Histogram {
    pub(super) fn add(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.longest.fetch_max(micros, Relaxed);
        if let Some(count) = self.counts.get(place(micros)).or(self.counts.last()) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn percentiles(&self) -> Percentiles {
        let counts: Vec<u64> = self.counts.iter().map(|count| count.load(Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let longest = self.longest.load(Relaxed);
        let at = |percent: u64| {
            let rank = (all * percent).div_ceil(100).max(1);
            let mut passed = 0;
            let found = counts.iter().position(|count| {
                passed += count;
                passed >= rank
            });
            Duration::from_micros(found.map_or(longest, |place| upper(place).min(longest)))
        };
        Percentiles::known([at(50), at(95), at(99), Duration::from_micros(longest)])
    }
}

/// Below [`STEPS`] each microsecond has a place; above, each doubling has as many.
fn place(micros: u64) -> usize {
    let doubling = micros.checked_ilog2().unwrap_or(0).saturating_sub(STEPS.ilog2());
    let step = micros >> doubling;
    usize::try_from(u64::from(doubling * STEPS) + step).unwrap_or(usize::MAX)
}

/// The longest time, in microseconds, that has this place.
fn upper(place: usize) -> u64 {
    let (place, steps) = (place as u64, u64::from(STEPS));
    let doubling = (place / steps).saturating_sub(1);
    ((place - doubling * steps + 1) << doubling) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_below_the_end_of_its_place_and_not_far() {
        for micros in
            (0..5000).chain((13..40).map(|power| (1 << power) + 12_345)).chain([u64::from(u32::MAX)])
        {
            let end = upper(place(micros));
            assert!(end >= micros && end - micros <= micros / 32, "{micros}: {end}");
            assert!(micros == 0 || upper(place(micros) - 1) < micros, "{micros}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_times() {
        let histogram = Histogram::default();
        (1..=1000).for_each(|millis| histogram.add(Duration::from_millis(millis)));
        histogram.add(Duration::MAX);
        let json = serde_json::to_value(histogram.percentiles()).unwrap();
        for (name, expected) in [("p50_ms", 500.0), ("p95_ms", 951.0), ("p99_ms", 991.0)] {
            let found = json[name].as_f64().unwrap();
            assert!((expected..expected * 1.04).contains(&found), "{name}: {found}");
        }
        assert_eq!(Histogram::default().percentiles(), Percentiles::of(Vec::new()));
    }
}
