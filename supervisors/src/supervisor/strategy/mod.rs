//! [`Plan`]: what a supervisor does, as a pure function of its state and an event to actions.
//!
//! No clock is read and nothing is done in here: times and randomness come in as values, and what is to be done goes
//! out as a list. The children's order is the order of their keys.

mod bounds;
mod plan;
mod stopping;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tree_tests;

use std::time::Duration;

pub(crate) use plan::Plan;

use crate::{
    supervisor::{AutoShutdown, Backoff, OnExhausted, OnStartFailure, Restart, Shutdown, Strategy},
    task::Cause,
};

/// A child that was killed has this long to end; after it, it is stuck.
pub(crate) const KILL_GRACE: Duration = Duration::from_secs(1);

/// A child of one supervisor; keys only grow.
pub(crate) type Key = u64;

/// What the plan knows of a child that it is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) significant: bool,
    /// A supervisor: it holds no thread, and always ends when it is killed, as soon as it has given up what is stuck
    /// below it.
    pub(crate) supervises: bool,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// The supervisor is to start its children.
    Start,
    Started {
        child: Key,
        generation: u64,
    },
    Exited {
        child: Key,
        generation: u64,
        cause: Cause,
        ended: bool,
    },
    /// The supervisor is to stop its children orderly.
    Stop {
        for_good: bool,
    },
    /// The supervisor is to end its children at once.
    Abort {
        for_good: bool,
    },
    /// The time that was last armed is over.
    Deadline,
    /// A child that somebody killed has not ended in time.
    Overdue {
        child: Key,
        generation: u64,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Start {
        child: Key,
        generation: u64,
        after: Duration,
    },
    Halt {
        child: Key,
        for_good: bool,
    },
    Abort {
        child: Key,
        for_good: bool,
    },
    /// The child is gone for good: forget it, and close its address if it is not closed yet.
    Close {
        child: Key,
    },
    /// It holds its thread: report it, and go on without it.
    Stuck {
        child: Key,
    },
    /// Replaces the time armed before. None: no time is awaited any more.
    Arm(Option<Duration>),
    /// All children have started.
    Ready,
    /// No child runs any more.
    Down(Outcome),
}

/// Why a supervisor went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was told to.
    Ordered { for_good: bool },
    /// This child could not be started.
    StartFailed(Key),
    /// This child used up the budget.
    Escalated(Key),
    /// Its significant children have ended.
    AutoShutdown,
}

/// The rules a supervisor follows.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) strategy: Strategy,
    pub(crate) intensity: usize,
    pub(crate) period: Duration,
    pub(crate) backoff: Backoff,
    pub(crate) on_start_failure: OnStartFailure,
    pub(crate) on_exhausted: OnExhausted,
    pub(crate) auto_shutdown: AutoShutdown,
    /// Children come and go: they are stopped together, and none outlives the supervisor's generation.
    pub(crate) dynamic: bool,
}

impl Rules {
    /// The library's defaults.
    pub(crate) fn new(dynamic: bool) -> Self {
        Rules {
            strategy: Strategy::OneForOne,
            intensity: 8,
            period: Duration::from_secs(60),
            backoff: Backoff::default(),
            on_start_failure: OnStartFailure::default(),
            on_exhausted: OnExhausted::default(),
            auto_shutdown: AutoShutdown::default(),
            dynamic,
        }
    }
}
