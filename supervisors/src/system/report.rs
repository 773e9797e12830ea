//! [`ShutdownReport`].

use std::time::Duration;

/// What became of one phase of a shutdown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhaseReport {
    /// Its name in the plan.
    pub name: String,
    /// How long it took.
    pub elapsed: Duration,
    /// Paths of what had not stopped when the phase was over.
    pub unstopped: Vec<String>,
}

/// What became of a shutdown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// How long it took.
    pub elapsed: Duration,
    /// What became of the phases of the plan, in order.
    pub phases: Vec<PhaseReport>,
    /// Paths of what had not stopped by the deadline, and was killed.
    pub unstopped: Vec<String>,
    /// Paths of what did not end although it was killed: it blocks its thread, which is left behind.
    pub stuck: Vec<String>,
    /// Executor threads that did not end.
    pub blocked_threads: usize,
}

impl ShutdownReport {
    /// Whether everything stopped in order and in time, the phases included.
    pub fn is_clean(&self) -> bool {
        self.phases.iter().all(|phase| phase.unstopped.is_empty())
            && self.unstopped.is_empty()
            && self.stuck.is_empty()
            && self.blocked_threads == 0
    }
}
