//! What a system tells those who watch it.

mod undelivered;

use crate::task::caught;

pub(crate) use undelivered::UndeliveredHook;
pub use undelivered::{Undelivered, UndeliveredReason};

/// Shared by all nodes of a system. The default tells nobody.
#[derive(Default)]
pub(crate) struct Telemetry {
    undelivered: Option<UndeliveredHook>,
}

impl Telemetry {
    pub(crate) fn new(undelivered: Option<UndeliveredHook>) -> Self {
        Telemetry { undelivered }
    }

    /// Tells the hook, if there is one; `describe` is not called otherwise.
    pub(crate) fn undelivered(&self, describe: impl FnOnce() -> Undelivered) {
        if let Some(hook) = &self.undelivered
            && caught(|| hook(&describe())).is_err()
        {
            tracing::error!("the hook for undelivered messages panicked");
        }
    }
}
