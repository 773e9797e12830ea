//! How fast the queues are.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use callboard_contracts::Timestamp;

/// Over how many seconds a rate is.
const OVER: usize = 10;
/// How often is counted.
const EVERY: Duration = Duration::from_millis(950);

/// What was counted over the last seconds.
#[derive(Debug, Default)]
pub struct Numbers {
    counted_at: Option<Timestamp>,
    ended: BTreeMap<String, VecDeque<(Timestamp, u64)>>,
}

impl Numbers {
    /// Whether it is time to count again.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.counted_at.is_none_or(|at| now.saturating_since(at) >= EVERY)
    }

    /// Takes how many jobs each queue has ended so far.
    pub fn take(&mut self, queues: &[(String, u64)], now: Timestamp) {
        self.counted_at = Some(now);
        self.ended.retain(|name, _| queues.iter().any(|(queue, _)| queue == name));
        for (queue, ended) in queues {
            let samples = self.ended.entry(queue.clone()).or_default();
            if samples.len() > OVER {
                samples.pop_front();
            }
            samples.push_back((now, *ended));
        }
    }

    /// Jobs that a queue has ended in a second; none before it was counted twice.
    pub fn throughput(&self, queue: &str) -> Option<f64> {
        let samples = self.ended.get(queue)?;
        let ((since, before), (until, after)) = (samples.front()?, samples.back()?);
        let seconds = until.saturating_since(*since).as_secs_f64();
        (seconds > 0.0).then(|| after.saturating_sub(*before) as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_over_the_last_seconds() {
        let mut numbers = Numbers::default();
        let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
        let count = |numbers: &mut Numbers, second: i64, ended: u64| {
            numbers.take(&[("mail".to_owned(), ended)], at(second));
        };
        count(&mut numbers, 0, 100);
        assert_eq!(numbers.throughput("mail"), None);
        assert!(!numbers.is_due(at(0)) && numbers.is_due(at(1)));
        count(&mut numbers, 2, 110);
        assert_eq!(numbers.throughput("mail"), Some(5.0));
        for second in 3..=30 {
            count(&mut numbers, second, 110);
        }
        assert_eq!(numbers.throughput("mail"), Some(0.0));
        numbers.take(&[], at(31));
        assert_eq!(numbers.throughput("mail"), None, "a queue that is gone is forgotten");
    }
}
