//! [`ShutdownReport`].

use std::time::Duration;

/// What became of a shutdown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// How long it took.
    pub elapsed: Duration,
    /// Paths of what had not stopped by the deadline, and was killed.
    pub unstopped: Vec<String>,
    /// Paths of what did not end although it was killed: it blocks its thread, which is left behind.
    pub stuck: Vec<String>,
    /// Executor threads that did not end.
    pub blocked_threads: usize,
}

impl ShutdownReport {
    /// Whether everything stopped in order and in time.
    pub fn is_clean(&self) -> bool {
        self.unstopped.is_empty() && self.stuck.is_empty() && self.blocked_threads == 0
    }
}
