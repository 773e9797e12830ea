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
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u64)]
/// # struct Count;
/// # struct Counter(u64);
/// # impl Actor for Counter {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Counter(0)) }
/// # }
/// # impl PlainHandler<Count> for Counter {
/// #     type Reply = u64;
/// #     fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 { self.0 += 1; self.0 }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let specs = ["a", "b"].map(|name| ChildSpec::<Counter>::new(name, ()));
/// let members = specs.each_ref().map(|spec| spec.actor_ref().recipient());
/// let root = specs.into_iter().fold(SupervisorSpec::new("root"), SupervisorSpec::child);
/// let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// let in_turn = Router::new(members.clone(), Routing::round_robin());
/// assert_eq!((in_turn.ask(Count).await?, in_turn.ask(Count).await?), (1, 1));
/// let always_one = Router::new(members, Routing::consistent_hash(|Count| 7));
/// assert_eq!((always_one.ask(Count).await?, always_one.ask(Count).await?), (2, 3));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
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

    /// The same member for the same key, as long as that member is there. When one leaves or joins, only the keys of
    /// that one move: of `n` members some `1 / n` of all keys. A member of a pool hands its keys on to its replacement.
    /// With [`OnFull::TryNext`](crate::OnFull::TryNext) a full member's keys go astray for the time; the default gives
    /// the message back.
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
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u64)]
/// # struct Count;
/// # struct Counter(u64);
/// # impl Actor for Counter {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Counter(0)) }
/// # }
/// # impl PlainHandler<Count> for Counter {
/// #     type Reply = u64;
/// #     fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 { self.0 += 1; self.0 }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// // They do not run yet, so each has room for one.
/// let specs = ["a", "b"].map(|name| ChildSpec::<Counter>::new(name, ()).mailbox(MailboxSpec::bounded(1)));
/// let members = specs.each_ref().map(|spec| spec.actor_ref().recipient());
/// let by_key = Router::new(members, Routing::consistent_hash(|Count| 7));
/// by_key.tell(Count)?;
/// assert!(matches!(by_key.tell(Count), Err(SendError::Full(Count))));
/// by_key.on_full(OnFull::TryNext).tell(Count)?; // to the other one
/// # let root = specs.into_iter().fold(SupervisorSpec::new("root"), SupervisorSpec::child);
/// # let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnFull {
    /// It tries the others. The default, but for [`Routing::consistent_hash`].
    TryNext,
    /// `tell` gives the message back; `send` and `ask` wait as the member's mailbox says.
    GiveBack,
}
