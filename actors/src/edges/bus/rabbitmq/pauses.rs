//! [`Pauses`]: between tries.

use std::time::Duration;

use super::RabbitSettings;
use crate::jobs::{RetryPolicy, retry};

/// Pauses that grow from the shortest to the longest, with jitter, until something succeeds.
#[derive(Debug)]
pub(super) struct Pauses {
    policy: RetryPolicy,
    failures: u32,
}

impl Pauses {
    pub(super) fn new(settings: &RabbitSettings) -> Self {
        let RabbitSettings { backoff_min: first, backoff_max: max, .. } = *settings;
        let policy = RetryPolicy::Exponential { first, max, factor: 2.0, jitter: 0.2 };
        Pauses { policy, failures: 0 }
    }

    /// It failed again: how long to wait.
    pub(super) fn next(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.policy.delay(self.failures, retry::random()).unwrap_or_default()
    }

    /// It succeeded.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}
