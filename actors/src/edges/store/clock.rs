//! What a store takes for now.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use callboard_contracts::Timestamp;

/// What the store takes for now.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The backend's own clock.
    #[default]
    System,
    /// What a test says, in microseconds since 1970.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The time that a test has set, if one does.
    pub(crate) fn manual(&self) -> Option<Timestamp> {
        match self {
            Clock::System => None,
            Clock::Manual(micros) => Some(Timestamp::from_micros(micros.load(Relaxed))),
        }
    }

    /// The time by this process's system.
    pub(crate) fn now(&self) -> Timestamp {
        self.manual().unwrap_or_else(Timestamp::now)
    }
}
