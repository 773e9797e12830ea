//! [`Intensity`]: how many restarts within how long.

use std::{collections::VecDeque, time::Duration};

/// A window that slides over the restarts.
#[derive(Clone, Debug)]
pub(crate) struct Intensity {
    limit: usize,
    period: Duration,
    /// At most `limit` of them.
    restarts: VecDeque<Duration>,
}

impl Intensity {
    pub(crate) fn new(limit: usize, period: Duration) -> Self {
        Intensity { limit, period, restarts: VecDeque::new() }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn period(&self) -> Duration {
        self.period
    }

    /// Takes one restart out of the budget. False: it is used up.
    pub(crate) fn spend(&mut self, now: Duration) -> bool {
        self.forget(now);
        if self.restarts.len() >= self.limit {
            return false;
        }
        self.restarts.push_back(now);
        true
    }

    /// Restarts within the period that ends now.
    pub(crate) fn recent(&self, now: Duration) -> usize {
        self.restarts.iter().filter(|at| self.is_recent(**at, now)).count()
    }

    pub(crate) fn reset(&mut self) {
        self.restarts.clear();
    }

    fn is_recent(&self, at: Duration, now: Duration) -> bool {
        now.saturating_sub(at) <= self.period
    }

    fn forget(&mut self, now: Duration) {
        while self.restarts.front().is_some_and(|at| !self.is_recent(*at, now)) {
            self.restarts.pop_front();
        }
    }
}
