//! How the actors of a queue are supervised, and what pauses it.

use std::time::Duration;

use callboard_contracts::api::ErrorKind;
use callboard_supervisors::{Backoff, Strategy};

/// How a queue's own actors are restarted, and after which crashes it is paused, on all nodes, until somebody lets it go on. Each
/// node counts what crashes on it.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSupervision {
    /// Which of the queue's actors a crash of one of them concerns: first its jobs, then its producer. Default: one for one.
    pub strategy: Strategy,
    /// Restarts of the queue's actors within `restart_period` after which one more crash pauses the queue. Default: 8.
    pub max_restarts: usize,
    /// The period of `max_restarts`. Default: a minute.
    pub restart_period: Duration,
    /// The shortest pause before a restart. Default: 100 ms.
    pub restart_backoff_min: Duration,
    /// The longest, which also follows when `max_restarts` is used up. Default: 10 s.
    pub restart_backoff_max: Duration,
    /// Attempts that crash within `crash_period` after which the queue is paused; 0: never. Default: 20.
    pub pause_after_crashes: u32,
    /// The period of `pause_after_crashes`. Default: a minute.
    pub crash_period: Duration,
    /// The ends of an attempt that are crashes. Default: panicked, and lost: its actor was killed, or ended otherwise before it had
    /// said how the job ended.
    pub crash_kinds: Vec<ErrorKind>,
}

impl Default for QueueSupervision {
    fn default() -> Self {
        QueueSupervision {
            strategy: Strategy::OneForOne,
            max_restarts: 8,
            restart_period: Duration::from_secs(60),
            restart_backoff_min: Duration::from_millis(100),
            restart_backoff_max: Duration::from_secs(10),
            pause_after_crashes: 20,
            crash_period: Duration::from_secs(60),
            crash_kinds: vec![ErrorKind::Panicked, ErrorKind::Lost],
        }
    }
}

impl QueueSupervision {
    /// Crashes that a node remembers of a queue at most.
    pub const MOST_CRASHES: u32 = 10_000;

    /// The pauses before restarts.
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff { min: self.restart_backoff_min, max: self.restart_backoff_max, ..Backoff::default() }
    }

    /// Takes from another what can change while the queue's actors run.
    pub(crate) fn take_live(&mut self, from: &QueueSupervision) {
        self.max_restarts = from.max_restarts;
        self.restart_period = from.restart_period;
        self.pause_after_crashes = from.pause_after_crashes;
        self.crash_period = from.crash_period;
        self.crash_kinds.clone_from(&from.crash_kinds);
    }

    /// What is wrong with it.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.restart_period.is_zero() || self.crash_period.is_zero() {
            return Some("restart_period and crash_period must be longer than zero".to_owned());
        }
        if self.restart_backoff_min > self.restart_backoff_max {
            return Some("restart_backoff_min must not be longer than restart_backoff_max".to_owned());
        }
        if self.pause_after_crashes > Self::MOST_CRASHES {
            return Some(format!("pause_after_crashes must be at most {}", Self::MOST_CRASHES));
        }
        None
    }
}
