//! Pauses between tries.

use std::time::Duration;

use crate::jobs::{RetryPolicy, retry};

const POLICY: RetryPolicy = RetryPolicy::Exponential {
    first: Duration::from_millis(100),
    max: Duration::from_secs(2),
    factor: 2.0,
    jitter: 0.2,
};

/// Pauses that grow from a tenth of a second to two seconds, with jitter, until something succeeds. Short enough that work
/// flows again soon after an outage, though several of them may follow one another.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It failed again: waits.
    pub(crate) async fn pause(&mut self) {
        self.failures = self.failures.saturating_add(1);
        let pause = POLICY.delay(self.failures, retry::random());
        tokio::time::sleep(pause.unwrap_or_default()).await;
    }

    /// It succeeded.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}
