//! What happens to a subscriber that has no room, and what became of a message.

use std::time::Duration;

/// What a [`Topic`](crate::Topic) does when a subscriber's mailbox has no room. Under the mailbox policies `DropNewest` and
/// `DropOldest` there is always room, as far as the topic can see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SlowSubscriber {
    /// It does not get this message, which is counted.
    #[default]
    Skip,
    /// As `Skip`; after so many messages in a row, at least 1, it is no subscriber any more.
    UnsubscribeAfter(u32),
    /// [`publish_and_wait`](crate::Topic::publish_and_wait) waits for it, at most so long and only as long as its mailbox lets
    /// one wait: a mailbox that rejects what it has no room for is not waited for. Then, and always for
    /// [`publish`](crate::Topic::publish), as `Skip`.
    Wait(Duration),
}

/// What became of a message that was published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Subscribers that took it.
    pub delivered: usize,
    /// Subscribers that had no room, and stay.
    pub skipped: usize,
    /// Subscribers that are none any more: they had no room too often, or are gone for good.
    pub removed: usize,
}
