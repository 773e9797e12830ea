//! [`ActorRef`]: the address of an actor.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    actix::Message,
    actor::Actor,
    envelope::Sealed,
    error::{AskError, SendError},
    handler::Handler,
    meta::{ActorId, ActorSnapshot, State, StopReason},
    reference::{ASK_LIMIT, ActorHandle, Node, Recipient, Shared, asking},
    task::Order,
};

/// The address of an actor. Restarts do not change it; it is one `Arc`, `Send` and `Sync` even if the actor is not.
///
/// Equal are those that name the same actor.
///
/// What waits for room or for an answer needs a tokio runtime with its timers around it, and panics without one; `tell`
/// and orders do not.
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
/// # let spec = ChildSpec::<Counter>::new("counter", ());
/// # let counter = spec.actor_ref();
/// # let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// counter.tell(Count)?; // now, or the message is given back
/// counter.send(Count).await?; // waits for room, as the mailbox says
/// assert_eq!(counter.ask(Count).await?, 3); // and for the reply
///
/// counter.restart();
/// assert_eq!(counter.ask(Count).await?, 1); // the next generation, at the same address
///
/// counter.stop();
/// assert_eq!(counter.watch().await, StopReason::Shutdown);
/// assert!(matches!(counter.tell(Count), Err(SendError::Stopped(Count))));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct ActorRef<A: Actor>(Arc<Shared<A>>);

impl<A: Actor> Clone for ActorRef<A> {
    fn clone(&self) -> Self {
        ActorRef::new(self.0.clone())
    }
}

impl<A: Actor> Drop for ActorRef<A> {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl<A: Actor> PartialEq for ActorRef<A> {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl<A: Actor> Eq for ActorRef<A> {}

impl<A: Actor> Hash for ActorRef<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl<A: Actor> fmt::Debug for ActorRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorRef({} `{}`)", self.id(), self.path())
    }
}

impl<A: Actor> ActorRef<A> {
    pub(crate) fn new(shared: Arc<Shared<A>>) -> Self {
        shared.retain();
        ActorRef(shared)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<A>> {
        &self.0
    }

    /// Sends now, or gives the message back. Never waits, whatever the mailbox's policy.
    ///
    /// # Errors
    /// `Full` when there is no room, `Stopped` when the actor is gone for good.
    pub fn tell<M: Message>(&self, message: M) -> Result<(), SendError<M>>
    where
        A: Handler<M>,
    {
        Ok(self.0.offer(Sealed::tell(message))?)
    }

    /// Sends, waiting for room where the mailbox's policy says so. Dropping the future takes back a message that is
    /// still waiting.
    ///
    /// # Panics
    /// When it has to wait outside of a tokio runtime with a clock.
    ///
    /// # Errors
    /// `Full` when there was no room in time, `Stopped` when the actor is gone for good.
    pub async fn send<M: Message>(&self, message: M) -> Result<(), SendError<M>>
    where
        A: Handler<M>,
    {
        Ok(self.0.admit(Sealed::tell(message)).await?)
    }

    /// Sends and waits for the reply, 5 s at most.
    ///
    /// Dropping the future abandons the ask: it is skipped if it is still waiting, else handled with nobody to hear
    /// the reply.
    ///
    /// # Panics
    /// When it has to wait outside of a tokio runtime with a clock.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask<M: Message>(&self, message: M) -> Result<M::Result, AskError>
    where
        A: Handler<M>,
    {
        self.ask_within(ASK_LIMIT, message).await
    }

    /// [`ask`](Self::ask) with a limit on the whole of it: waiting for room, in the queue, and for the reply.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask_within<M: Message>(&self, limit: Duration, message: M) -> Result<M::Result, AskError>
    where
        A: Handler<M>,
    {
        let admit = |envelope| async {
            match self.0.try_admit(envelope) {
                // In a box, so that an ask that need not wait for room is small.
                Err(SendError::Full(envelope)) => Box::pin(self.0.admit(envelope)).await,
                settled => settled,
            }
        };
        asking::ask(self.id(), limit, message, admit, || self.0.clone()).await
    }

    /// This address for whoever needs to know only that it handles `M`.
    pub fn recipient<M: Message>(&self) -> Recipient<M>
    where
        A: Handler<M>,
    {
        Recipient::new(self.0.clone())
    }

    /// This address for whoever needs to know nothing of its messages.
    pub fn handle(&self) -> ActorHandle {
        ActorHandle::new(self.0.clone())
    }

    /// Waits until the actor is gone for good; restarts do not count. Returns at once if it is gone already.
    pub async fn watch(&self) -> StopReason {
        self.0.meta.watch().await
    }

    /// Stops the actor for good, whatever its restart kind: the message in hand is finished, [`Actor::stopping`] runs,
    /// what waits is refused. Past its shutdown timeout it is killed, and under
    /// [`Shutdown::Brutal`](crate::Shutdown::Brutal) at once. An order is obeyed before any message.
    pub fn stop(&self) {
        self.0.order(Order::Stop);
    }

    /// Ends this generation at its next await, without [`Actor::stopping`]. To the supervisor that is a crash: the
    /// child is restarted unless it is temporary. A handler that blocks its thread cannot be killed: a second later the
    /// actor counts as stuck ([`State::Stuck`]), and it ends when its thread is free.
    pub fn kill(&self) {
        self.0.order(Order::Kill);
    }

    /// The message in hand is finished, further ones wait until [`resume`](Self::resume). Timers and spawned futures go
    /// on. Lasts over restarts.
    pub fn suspend(&self) {
        self.0.order(Order::Suspend);
    }

    /// Ends a [`suspend`](Self::suspend).
    pub fn resume(&self) {
        self.0.order(Order::Resume);
    }

    /// Stops this generation orderly and starts the next one. Costs nothing of the supervisor's budget.
    pub fn restart(&self) {
        self.0.order(Order::Restart);
    }

    /// A snapshot by the actor's task, taken between two polls: ahead of every message, and also while a handler
    /// awaits. None when the actor is gone. See [`snapshot`](Self::snapshot) for one that does not wait.
    pub async fn inspect(&self) -> Option<ActorSnapshot> {
        if self.0.meta.state() == State::Stopped {
            return None;
        }
        let (to, answer) = oneshot::channel();
        self.0.order(Order::Inspect(to));
        tokio::select! {
            // In this order: what decides must not be chance.
            biased;
            answer = answer => answer.ok(),
            _ = self.watch() => None,
        }
    }

    /// What can be seen without asking: nobody is waited for.
    pub fn snapshot(&self) -> ActorSnapshot {
        self.0.snapshot()
    }

    /// The actor's identity; the same in every generation.
    pub fn id(&self) -> ActorId {
        self.0.meta.id()
    }

    /// The actor's name below its supervisor.
    pub fn name(&self) -> &str {
        self.0.meta.name()
    }

    /// The actor's name within the system, as in `edges/store`.
    pub fn path(&self) -> String {
        self.0.meta.path()
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        self.0.meta.state()
    }

    /// How many messages wait or are in the actor's hand.
    pub fn depth(&self) -> usize {
        self.0.mailbox.depth()
    }

    /// Whether it is not gone for good. It may be between two generations, or not started yet.
    pub fn is_alive(&self) -> bool {
        self.0.meta.state() != State::Stopped
    }
}
