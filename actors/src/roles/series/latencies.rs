//! How long waits and runs took, over time.

use std::{collections::VecDeque, time::Duration};

use callboard_contracts::api::Latency;

use super::{Resolution, histogram::Histogram, ring::Ring};

/// Steps of ten seconds that make what is said of the last minute, with the one that is not over.
const RECENT: usize = 6;

/// Names of the columns.
pub(super) const NAMES: [&str; 4] = ["wait_p50_ms", "wait_p99_ms", "run_p50_ms", "run_p99_ms"];

/// What waits and runs took.
#[derive(Clone, Debug, Default)]
pub(super) struct Took {
    wait: Histogram,
    run: Histogram,
}

impl Took {
    pub(super) fn waited(&mut self, times: &[Duration]) {
        times.iter().for_each(|&took| self.wait.observe(took));
    }

    pub(super) fn ran(&mut self, times: &[Duration]) {
        times.iter().for_each(|&took| self.run.observe(took));
    }

    fn add(&mut self, other: &Took) {
        self.wait.add(&other.wait);
        self.run.add(&other.run);
    }

    pub(super) fn clear(&mut self) {
        self.wait.clear();
        self.run.clear();
    }

    fn numbers(&self) -> [f32; 4] {
        let read = |histogram: &Histogram, share| {
            histogram.quantile_ms(share).map_or(f32::NAN, |milliseconds| milliseconds as f32)
        };
        [read(&self.wait, 0.5), read(&self.wait, 0.99), read(&self.run, 0.5), read(&self.run, 0.99)]
    }
}

/// One resolution. Quantiles cannot be added up, so what they are made of is kept until a step is over.
#[derive(Debug)]
struct Level {
    seconds: u64,
    ring: Ring<4>,
    step: Option<u64>,
    took: Took,
}

/// Quantiles of waits and runs at each resolution.
#[derive(Debug)]
pub(super) struct Latencies {
    levels: [Level; 3],
    /// The last tens of seconds that are over, newest last.
    recent: VecDeque<Took>,
}

impl Default for Latencies {
    fn default() -> Self {
        let level = |resolution: Resolution| Level {
            seconds: resolution.seconds(),
            ring: Ring::new(resolution.steps()),
            step: None,
            took: Took::default(),
        };
        Latencies { levels: Resolution::ALL.map(level), recent: VecDeque::new() }
    }
}

impl Latencies {
    /// What was seen up to this second of Unix time, since the sample before.
    pub(super) fn sample(&mut self, second: u64, took: &Took) {
        for (level, resolution) in self.levels.iter_mut().zip(Resolution::ALL) {
            let step = second / level.seconds;
            if let Some(over) = level.step.filter(|&before| before != step) {
                level.ring.put(over, level.took.numbers());
                let closed = std::mem::take(&mut level.took);
                if resolution == Resolution::TenSeconds {
                    self.recent.push_back(closed);
                    // Of a silence nothing is left either.
                    let over = usize::try_from(step.saturating_sub(over)).unwrap_or(RECENT);
                    let kept = RECENT.saturating_sub(over);
                    while self.recent.len() > kept {
                        self.recent.pop_front();
                    }
                }
            }
            level.step = Some(step);
            level.took.add(took);
        }
    }

    /// Of the last minute, or up to ten seconds less of it: waits and runs.
    pub(super) fn last_minute(&self) -> [Option<Latency>; 2] {
        let mut all = self.levels[Resolution::TenSeconds as usize].took.clone();
        self.recent.iter().for_each(|took| all.add(took));
        [&all.wait, &all.run].map(|histogram| {
            let rounded = |share| Some((histogram.quantile_ms(share)? * 1e3).round() / 1e3);
            Some(Latency { p50_ms: rounded(0.5)?, p95_ms: rounded(0.95)?, p99_ms: rounded(0.99)? })
        })
    }

    /// The newest `count` steps of one column that are over, oldest first.
    pub(super) fn column(
        &self,
        resolution: Resolution,
        column: usize,
        count: usize,
    ) -> impl Iterator<Item = Option<f64>> {
        self.levels[resolution as usize].ring.column(column, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(milliseconds: u64) -> Took {
        let mut took = Took::default();
        took.waited(&[Duration::from_millis(milliseconds)]);
        took.ran(&[Duration::from_millis(2 * milliseconds)]);
        took
    }

    #[test]
    fn the_last_minute_forgets_what_is_older_and_steps_keep_it() {
        let mut latencies = Latencies::default();
        for second in 0..10 {
            latencies.sample(second, &took(1000));
        }
        for second in 10..60 {
            latencies.sample(second, &took(10));
        }
        let [wait, run] = latencies.last_minute().map(Option::unwrap);
        assert!((wait.p50_ms - 10.0).abs() < 1.0 && (wait.p99_ms - 1000.0).abs() < 100.0, "{wait:?}");
        assert!((run.p50_ms - 20.0).abs() < 2.0, "{run:?}");
        latencies.sample(60, &took(10));
        let [wait, _] = latencies.last_minute().map(Option::unwrap);
        assert!((wait.p99_ms - 10.0).abs() < 1.0, "{wait:?}");
        let minute: Vec<_> = latencies.column(Resolution::Minute, 1, 10).flatten().collect();
        assert!(matches!(minute[..], [p99] if (p99 - 1000.0).abs() < 100.0), "{minute:?}");
        let tens: Vec<_> = latencies.column(Resolution::TenSeconds, 0, 10).flatten().collect();
        assert_eq!(tens.len(), 6);
    }

    #[test]
    fn after_a_silence_nothing_is_said() {
        let mut latencies = Latencies::default();
        latencies.sample(0, &took(5));
        latencies.sample(300, &Took::default());
        assert_eq!(latencies.last_minute(), [None, None]);
    }
}
