//! [`Recipient`]: an address, the actor's type erased.

use std::{
    fmt,
    future::Future,
    hash::{Hash, Hasher},
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use crate::{
    actix::Message,
    actor::Actor,
    core::bury,
    envelope::{Refused, Sealed},
    error::{AskError, SendError},
    handler::Handler,
    label::Labelled,
    meta::{ActorId, Farewell, State, StopReason},
    reference::{ASK_LIMIT, ActorRef, Shared, asking},
    reply::ReplyTo,
    telemetry::UndeliveredReason,
    waiting::{Target, Waiting, while_waiting},
};

pub(crate) type Admitted<M> = Pin<Box<dyn Future<Output = Result<(), Refused<M>>> + Send>>;

/// `Arc<Shared<A>>` becomes `Arc<dyn Receive<M>>` without an allocation.
pub(crate) trait Receive<M: Message>: Target {
    fn offer(&self, envelope: Box<Sealed<M>>) -> Result<(), Refused<M>>;
    /// `Full` is not final: the sender goes on to [`admit`](Self::admit).
    fn try_admit(&self, envelope: Box<Sealed<M>>) -> Result<(), Refused<M>>;
    fn admit(self: Arc<Self>, envelope: Box<Sealed<M>>) -> Admitted<M>;
    /// One more holds it, or one less. Counts for actors only.
    fn retain(&self) {}
    fn release(&self) {}
    /// A message that was not taken is not handled by anybody else either.
    fn lose(&self, envelope: Box<Sealed<M>>, _reason: UndeliveredReason) {
        bury(envelope);
    }
    fn is_alive(&self) -> bool;
    /// It blocks its thread, and was killed for it.
    fn is_stuck(&self) -> bool {
        false
    }
    fn depth(&self) -> usize;
}

impl<A: Handler<M>, M: Message> Receive<M> for Shared<A> {
    fn offer(&self, envelope: Box<Sealed<M>>) -> Result<(), Refused<M>> {
        Shared::offer(self, envelope)
    }

    fn try_admit(&self, envelope: Box<Sealed<M>>) -> Result<(), Refused<M>> {
        Shared::try_admit(self, envelope)
    }

    fn admit(self: Arc<Self>, envelope: Box<Sealed<M>>) -> Admitted<M> {
        Box::pin(async move { Shared::admit(&self, envelope).await })
    }

    fn retain(&self) {
        Shared::retain(self);
    }

    fn release(&self) {
        Shared::release(self);
    }

    fn lose(&self, envelope: Box<Sealed<M>>, reason: UndeliveredReason) {
        Shared::lose(self, envelope, reason);
    }

    fn is_alive(&self) -> bool {
        self.meta.state() != State::Stopped
    }

    fn is_stuck(&self) -> bool {
        self.meta.state() == State::Stuck
    }

    fn depth(&self) -> usize {
        self.mailbox.depth()
    }
}

/// Any actor that handles `M`. The same as an [`ActorRef`], for one message type. Equal are those that name the same
/// actor.
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
/// # struct Zero;
/// # impl Actor for Zero {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Zero) }
/// # }
/// # impl PlainHandler<Count> for Zero {
/// #     type Reply = u64;
/// #     fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 { 0 }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let (spec, other) = (ChildSpec::<Counter>::new("counter", ()), ChildSpec::<Zero>::new("zero", ()));
/// # let (counter, zero) = (spec.actor_ref(), other.actor_ref());
/// # let root = SupervisorSpec::new("root").child(spec).child(other);
/// # let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// // Two actors of different types.
/// let counters: [Recipient<Count>; 2] = [counter.recipient(), zero.into()];
/// assert_eq!(counters[0].ask(Count).await, Ok(1));
/// assert_eq!(counters[1].ask(Count).await, Ok(0));
/// assert_eq!(counters[0].id(), counter.id());
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Recipient<M: Message>(Arc<dyn Receive<M>>);

impl<M: Message> Clone for Recipient<M> {
    fn clone(&self) -> Self {
        self.0.retain();
        Recipient(self.0.clone())
    }
}

impl<M: Message> Drop for Recipient<M> {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl<M: Message> PartialEq for Recipient<M> {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl<M: Message> Eq for Recipient<M> {}

impl<M: Message> Hash for Recipient<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl<M: Message> fmt::Debug for Recipient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({} `{}`)", self.id(), self.path())
    }
}

impl<M: Message> Recipient<M> {
    pub(crate) fn new<A: Handler<M>>(shared: Arc<Shared<A>>) -> Self {
        shared.retain();
        Recipient(shared)
    }

    /// An address with no actor behind it.
    #[cfg(feature = "testkit")]
    pub(crate) fn of(receiver: Arc<dyn Receive<M>>) -> Self {
        Recipient(receiver)
    }

    /// As [`ActorRef::tell`].
    ///
    /// # Errors
    /// `Full` when there is no room, `Stopped` when the actor is gone for good.
    pub fn tell(&self, message: M) -> Result<(), SendError<M>> {
        Ok(self.0.offer(Sealed::tell(message))?)
    }

    /// As [`ActorRef::send`].
    ///
    /// # Errors
    /// `Full` when there was no room in time, `Stopped` when the actor is gone for good.
    pub async fn send(&self, message: M) -> Result<(), SendError<M>> {
        Ok(self.admit(Sealed::tell(message)).await?)
    }

    /// As [`ActorRef::ask`]: 5 s at most.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask(&self, message: M) -> Result<M::Result, AskError> {
        self.ask_within(ASK_LIMIT, message).await
    }

    /// As [`ActorRef::ask_within`].
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask_within(&self, limit: Duration, message: M) -> Result<M::Result, AskError> {
        asking::ask(self.id(), limit, message, |envelope| self.admit(envelope), || self.0.clone()).await
    }

    /// As [`ask_within`](Self::ask_within), but a full mailbox refuses at once, whatever its policy.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask_at_once(&self, limit: Duration, message: M) -> Result<M::Result, AskError> {
        let offer = |envelope| std::future::ready(self.0.offer(envelope));
        asking::ask(self.id(), limit, message, offer, || self.0.clone()).await
    }

    /// Shows that whoever waits now waits for this one.
    pub(crate) fn while_waiting(&self) -> Option<Waiting> {
        while_waiting(self.0.clone(), M::LABEL)
    }

    /// As [`send`](Self::send); a message that is not taken is undelivered. False: nobody is there any more.
    pub(crate) async fn send_or_lose(&self, message: M) -> bool {
        match self.admit(Sealed::tell(message)).await {
            Ok(()) => true,
            Err(SendError::Full(envelope)) => {
                self.0.lose(envelope, UndeliveredReason::Refused);
                true
            }
            Err(SendError::Stopped(envelope)) => {
                self.0.lose(envelope, UndeliveredReason::Stopped);
                false
            }
        }
    }

    /// Passes on a message for whose reply somebody else waits already.
    pub(crate) fn pass_on(&self, message: M, to: ReplyTo<M::Result>) {
        if let Err(refused) = self.0.offer(Sealed::forwarded(message, to)) {
            refused.tell_asker();
        }
    }

    /// The identity of the actor behind it.
    pub fn id(&self) -> ActorId {
        self.0.meta().id()
    }

    /// The name within the system of the actor behind it, as in `edges/store`.
    pub fn path(&self) -> String {
        self.0.meta().path()
    }

    /// Waits until the actor behind it is gone for good; restarts do not count. Returns at once if it is gone already.
    pub async fn watch(&self) -> StopReason {
        self.0.meta().watch().await
    }

    /// Whether the actor behind it is not gone for good.
    pub fn is_alive(&self) -> bool {
        self.0.is_alive()
    }

    pub(crate) fn is_stuck(&self) -> bool {
        self.0.is_stuck()
    }

    /// How many messages wait there or are in the actor's hand.
    pub fn depth(&self) -> usize {
        self.0.depth()
    }

    /// Has `list` hear when the actor is gone for good. False: it is gone already.
    pub(crate) fn bid_farewell_to(&self, list: Weak<dyn Farewell>) -> bool {
        self.0.meta().bid_farewell_to(list)
    }

    /// Now or not at all; the mailbox counts a refusal.
    pub(crate) fn offer(&self, envelope: Box<Sealed<M>>) -> Result<(), Refused<M>> {
        self.0.offer(envelope)
    }

    /// Now, or as [`admit`](Self::admit) later: `Full` is not counted as a refusal.
    pub(crate) fn try_admit(&self, envelope: Box<Sealed<M>>) -> Result<(), Refused<M>> {
        self.0.try_admit(envelope)
    }

    pub(crate) async fn admit(&self, envelope: Box<Sealed<M>>) -> Result<(), Refused<M>> {
        // An admission that need not wait costs no box.
        match self.0.try_admit(envelope) {
            Err(SendError::Full(envelope)) => self.0.clone().admit(envelope).await,
            settled => settled,
        }
    }
}

impl<A: Actor + Handler<M>, M: Message> From<ActorRef<A>> for Recipient<M> {
    fn from(actor: ActorRef<A>) -> Self {
        actor.recipient()
    }
}
