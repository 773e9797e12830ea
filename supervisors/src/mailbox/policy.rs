//! How large a mailbox is, and what happens when it is full.

use std::time::Duration;

/// What happens to a message when the mailbox is full.
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
/// let mailbox = MailboxSpec::bounded(1).overflow(Overflow::DropOldest);
/// let spec = ChildSpec::<Counter>::new("counter", ()).mailbox(mailbox);
/// let counter = spec.actor_ref();
/// let (oldest, ()) = tokio::join!(counter.ask(Count), async {
///     counter.tell(Count).expect("there is always room");
/// });
/// assert_eq!(oldest, Err(AskError::Evicted));
/// # let root = SupervisorSpec::new("root").child(spec);
/// # let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// It is refused, at once.
    Reject,
    /// `send` and `ask` wait up to this long for room, in the order in which they came; `tell` refuses at once. No time
    /// is refused at the start: say `Reject`.
    Block(Duration),
    /// It is taken and dropped; an asker hears `Refused`.
    DropNewest,
    /// It is taken, and the one that has waited longest is dropped; its asker hears `Evicted`. The message in the
    /// actor's hand is out of reach, so with a capacity of 1 there may be one in hand and one in the queue.
    DropOldest,
}

/// The most messages that an actor takes at once.
const BATCH: usize = 64;

fn at_most(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// How large a mailbox is, and what happens when it is full.
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
/// use std::time::Duration;
///
/// let mailbox = MailboxSpec::bounded(2).overflow(Overflow::Block(Duration::from_millis(20)));
/// let spec = ChildSpec::<Counter>::new("counter", ()).mailbox(mailbox);
/// let counter = spec.actor_ref();
/// counter.tell(Count)?;
/// counter.tell(Count)?;
/// // The actor does not run yet, so there is no room.
/// assert!(matches!(counter.tell(Count), Err(SendError::Full(Count))));
/// assert!(matches!(counter.send(Count).await, Err(SendError::Full(Count)))); // after 20 ms
/// # let root = SupervisorSpec::new("root").child(spec);
/// # let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailboxSpec {
    /// Half a word each: every actor has a copy.
    capacity: u32,
    replies: u32,
    pub(crate) overflow: Overflow,
}

impl MailboxSpec {
    /// Room for this many messages, those in the actor's hand included. At least 1: 0 is refused at the start. At most
    /// 2^32 - 1: more is taken for that.
    pub fn bounded(capacity: usize) -> Self {
        MailboxSpec { capacity: at_most(capacity), ..MailboxSpec::default() }
    }

    /// What happens when it is full. Default: `Block(1 s)`.
    pub fn overflow(self, overflow: Overflow) -> Self {
        MailboxSpec { overflow, ..self }
    }

    /// At most so many [`Later`](crate::Later) replies under way at a time: further messages wait meanwhile. At least
    /// 1: 0 is refused at the start. Default: 1024.
    pub fn concurrent_replies(self, replies: usize) -> Self {
        MailboxSpec { replies: at_most(replies), ..self }
    }

    pub(crate) fn capacity(&self) -> usize {
        usize::try_from(self.capacity).unwrap_or(usize::MAX)
    }

    pub(crate) fn replies(&self) -> usize {
        usize::try_from(self.replies).unwrap_or(usize::MAX)
    }

    /// How many messages the actor may take at once: small where the policy must still reach waiting ones.
    pub(crate) fn batch(&self) -> usize {
        match self.overflow {
            Overflow::DropOldest => 1,
            _ => (self.capacity() / 4).clamp(1, BATCH),
        }
    }
}

/// 1024 messages, `Block(1 s)`, 1024 replies under way.
impl Default for MailboxSpec {
    fn default() -> Self {
        MailboxSpec { capacity: 1024, overflow: Overflow::Block(Duration::from_secs(1)), replies: 1024 }
    }
}
