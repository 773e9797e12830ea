//! [`Intensity`]: how many restarts within how long.

use std::{collections::VecDeque, time::Duration};

/// Up to so many restarts are known one by one. Of a larger budget those of one such part of the period are counted
/// together, as long as the last of them counts: so the window takes no more room, whatever its limit.
const SINGLE: u32 = 1024;

/// Restarts that are forgotten together.
#[derive(Clone, Copy, Debug)]
struct Spent {
    first: Duration,
    last: Duration,
    count: usize,
}

/// A window that slides over the restarts.
#[derive(Clone, Debug)]
pub(crate) struct Intensity {
    limit: usize,
    period: Duration,
    spent: VecDeque<Spent>,
}

impl Intensity {
    pub(crate) fn new(limit: usize, period: Duration) -> Self {
        Intensity { limit, period, spent: VecDeque::new() }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn period(&self) -> Duration {
        self.period
    }

    /// Takes one restart out of the budget. False: it is used up.
    pub(crate) fn spend(&mut self, now: Duration) -> bool {
        while self.spent.front().is_some_and(|spent| !self.is_recent(spent, now)) {
            self.spent.pop_front();
        }
        if self.recent(now) >= self.limit {
            return false;
        }
        let part = if self.limit > SINGLE as usize { self.period / SINGLE } else { Duration::ZERO };
        match self.spent.back_mut() {
            Some(spent) if now.saturating_sub(spent.first) < part => {
                spent.last = now;
                spent.count += 1;
            }
            _ => self.spent.push_back(Spent { first: now, last: now, count: 1 }),
        }
        true
    }

    /// Restarts within the period that ends now.
    pub(crate) fn recent(&self, now: Duration) -> usize {
        self.spent.iter().filter(|spent| self.is_recent(spent, now)).map(|spent| spent.count).sum()
    }

    /// Another budget from now on. What was spent stays spent.
    pub(crate) fn change(&mut self, limit: usize, period: Duration) {
        self.limit = limit;
        self.period = period;
    }

    pub(crate) fn reset(&mut self) {
        self.spent.clear();
    }

    fn is_recent(&self, spent: &Spent, now: Duration) -> bool {
        now.saturating_sub(spent.last) <= self.period
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_without_an_end_takes_no_more_room_than_a_large_one() {
        let mut intensity = Intensity::new(usize::MAX, Duration::from_secs(3600));
        let spent = (0..1_000_000).filter(|n| intensity.spend(Duration::from_millis(*n))).count();
        assert_eq!((spent, intensity.recent(Duration::from_secs(1000))), (1_000_000, 1_000_000));
        assert!(intensity.spent.len() <= SINGLE as usize + 2, "{}", intensity.spent.len());
    }

    #[test]
    fn a_large_budget_is_kept_and_is_free_again_after_its_period_and_a_thousandth() {
        let second = Duration::from_secs(1);
        let mut intensity = Intensity::new(5000, second);
        assert!((0..5000).all(|n| intensity.spend(Duration::from_micros(10 * n))));
        assert!(!intensity.spend(Duration::from_millis(50)));
        let after = Duration::from_millis(50) + second + second / SINGLE;
        assert_eq!(intensity.recent(after), 0);
        assert!(intensity.spend(after));
    }

    #[test]
    fn another_budget_counts_what_was_spent_before() {
        let mut intensity = Intensity::new(3, Duration::from_secs(10));
        assert!(intensity.spend(Duration::from_secs(1)) && intensity.spend(Duration::from_secs(2)));
        intensity.change(2, Duration::from_secs(10));
        assert!(!intensity.spend(Duration::from_secs(3)));
        intensity.change(3, Duration::from_secs(10));
        assert!(intensity.spend(Duration::from_secs(4)));
        intensity.change(3, Duration::from_secs(1));
        assert_eq!(intensity.recent(Duration::from_secs(4)), 1);
    }

    #[test]
    fn a_small_budget_is_kept_to_the_restart() {
        let mut intensity = Intensity::new(2, Duration::from_secs(10));
        let spent: Vec<bool> =
            [0, 1, 2, 10, 11, 12].iter().map(|at| intensity.spend(Duration::from_secs(*at))).collect();
        assert_eq!(spent, [true, true, false, false, true, true]);
    }
}
