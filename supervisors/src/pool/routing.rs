//! [`Routing`]: who gets the next message.

use std::{fmt, hash::Hash, sync::Arc};

use crate::pool::ring::hash_of;

type KeyOf<M> = Arc<dyn Fn(&M) -> u64 + Send + Sync>;

pub(super) enum Choice<M> {
    RoundRobin,
    LeastBusy,
    ConsistentHash(KeyOf<M>),
}

/// Which member of a [`Router`](crate::Router) is tried first, and which ones after it.
pub struct Routing<M>(pub(super) Choice<M>);

impl<M> Clone for Routing<M> {
    fn clone(&self) -> Self {
        Routing(match &self.0 {
            Choice::RoundRobin => Choice::RoundRobin,
            Choice::LeastBusy => Choice::LeastBusy,
            Choice::ConsistentHash(key) => Choice::ConsistentHash(key.clone()),
        })
    }
}

impl<M> fmt::Debug for Routing<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Choice::RoundRobin => "RoundRobin",
            Choice::LeastBusy => "LeastBusy",
            Choice::ConsistentHash(_) => "ConsistentHash",
        })
    }
}

impl<M> Routing<M> {
    /// One after the other, in turn.
    pub fn round_robin() -> Self {
        Routing(Choice::RoundRobin)
    }

    /// The one with the fewest messages that wait or are in hand; in turn among equals. The depths are read without
    /// asking anybody, so many senders at once may choose the same.
    pub fn least_busy() -> Self {
        Routing(Choice::LeastBusy)
    }

    /// The same member for the same key, as long as that member is there. When one leaves or joins, only the keys of that
    /// one move: of `n` members some `1 / n` of all keys. A member of a pool hands its keys on to its replacement.
    /// With [`OnFull::TryNext`](crate::OnFull::TryNext) a full member's keys go astray for the time; the default gives the
    /// message back.
    ///
    /// A panic of `key` reaches the sender.
    pub fn consistent_hash<K: Hash>(key: impl Fn(&M) -> K + Send + Sync + 'static) -> Self {
        Routing(Choice::ConsistentHash(Arc::new(move |message| hash_of(&key(message)))))
    }

    pub(super) fn key(&self, message: &M) -> Option<u64> {
        match &self.0 {
            Choice::ConsistentHash(key) => Some(key(message)),
            Choice::RoundRobin | Choice::LeastBusy => None,
        }
    }
}

/// What a router does when the member that it has chosen is full. One that is gone for good is always passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnFull {
    /// It tries the others. The default, but for [`Routing::consistent_hash`].
    TryNext,
    /// `tell` gives the message back; `send` and `ask` wait as the member's mailbox says.
    GiveBack,
}
