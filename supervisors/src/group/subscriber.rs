//! [`Subscriber`]: one subscriber, as the topic knows it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst},
};

use crate::{actix::Message, group::SlowSubscriber, reference::Recipient};

/// One subscriber, as the topic knows it.
pub(super) struct Subscriber<M: Message> {
    pub(super) recipient: Recipient<M>,
    pub(super) policy: SlowSubscriber,
    /// Whoever publishes at this moment and has an older list sees that it is none any more.
    pub(super) active: AtomicBool,
    /// Messages in a row.
    pub(super) refused: AtomicU32,
    pub(super) skipped: AtomicU64,
}

impl<M: Message> Subscriber<M> {
    pub(super) fn new(recipient: Recipient<M>, policy: SlowSubscriber) -> Arc<Self> {
        Arc::new(Subscriber {
            recipient,
            policy,
            active: AtomicBool::new(true),
            refused: AtomicU32::new(0),
            skipped: AtomicU64::new(0),
        })
    }

    /// Counts a message that it had no room for. True: that was one too many.
    pub(super) fn skip(&self) -> bool {
        self.skipped.fetch_add(1, SeqCst);
        let in_a_row = self.refused.fetch_add(1, SeqCst).saturating_add(1);
        matches!(self.policy, SlowSubscriber::UnsubscribeAfter(limit) if in_a_row >= limit)
    }
}
