//! What a system tells those who watch it.

mod changes;
mod latency;
mod span;
mod undelivered;

use std::num::NonZeroU32;

use crate::{meta::ActorId, task::caught};

pub(crate) use changes::Changes;
pub use changes::{Change, ChangeFeed, ChangeKind, Missed};
pub(crate) use latency::Latency;
pub use latency::LatencySnapshot;
pub(crate) use span::{Sender, span_of, spans_are_on};
pub(crate) use undelivered::UndeliveredHook;
pub use undelivered::{Undelivered, UndeliveredReason};

/// Of so many messages of an actor one is measured, unless said otherwise.
pub(crate) const SAMPLED: NonZeroU32 = NonZeroU32::new(64).expect("not zero");

/// Shared by all nodes of a system. The default tells nobody.
#[derive(Default)]
pub(crate) struct Telemetry {
    undelivered: Option<UndeliveredHook>,
    /// Of so many messages one is measured. A power of two; none: no message.
    sampled: Option<NonZeroU32>,
    pub(crate) changes: Changes,
}

impl Telemetry {
    pub(crate) fn new(undelivered: Option<UndeliveredHook>, sampled: Option<NonZeroU32>) -> Self {
        let sampled = sampled.and_then(|every| every.checked_next_power_of_two());
        Telemetry { undelivered, sampled, changes: Changes::default() }
    }

    /// A message is measured if its number, which is not 0, and this have no bit in common.
    pub(crate) fn sample_mask(&self) -> u64 {
        self.sampled.map_or(u64::MAX, |every| u64::from(every.get()) - 1)
    }

    /// Tells the hook, if there is one; `describe` is not called otherwise.
    pub(crate) fn undelivered(&self, describe: impl FnOnce() -> Undelivered) {
        if let Some(hook) = &self.undelivered
            && caught(|| hook(&describe())).is_err()
        {
            tracing::error!("the hook for undelivered messages panicked");
        }
    }

    /// Tells the feeds, if there are any; `path` and `kind` are not called otherwise.
    pub(crate) fn changed(
        &self,
        actor: ActorId,
        path: impl FnOnce() -> String,
        kind: impl FnOnce() -> ChangeKind,
    ) {
        self.changes.tell(actor, path, kind);
    }
}
