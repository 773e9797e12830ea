//! [`Adopted`]: the handle of an adopted actor.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use ::actix::{Actor, Addr, Context, Handler, MailboxError, prelude::SendError};

use crate::{
    actix::{Message, adopted_shared::AdoptedShared},
    meta::StopReason,
    reference::{ASK_LIMIT, ActorHandle, Node, within},
};

/// The handle of an adopted actor: its addresses, and whatever an [`ActorHandle`] gives. Restarts do not change it; it
/// is one `Arc`, `Send` and `Sync` even if the actor is not.
///
/// Equal are those that name the same actor.
///
/// ```
/// # use callboard_supervisors::{*, adoption::{Adopted, AdoptedSpec, actix}};
/// # #[derive(Message)]
/// # #[message(reply = u8)]
/// # struct Add(u8);
/// # struct Counter(u8);
/// # impl actix::Actor for Counter { type Context = actix::Context<Self>; }
/// # impl actix::Handler<Add> for Counter {
/// #     type Result = u8;
/// #     fn handle(&mut self, Add(amount): Add, _: &mut Self::Context) -> u8 {
/// #         self.0 = self.0.checked_add(amount).expect("eight bits");
/// #         self.0
/// #     }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let spec = AdoptedSpec::new("counter", || Counter(0));
/// let counter: Adopted<Counter> = spec.adopted();
/// let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").adopted(spec)).await?;
/// assert_eq!(counter.send(Add(1)).await, Ok(1));
/// let handle: ActorHandle = counter.handle();
/// assert_eq!(Adopted::of(&handle), Some(counter.clone()));
/// handle.stop();
/// assert_eq!(counter.watch().await, StopReason::Shutdown);
/// assert!(counter.addr().is_none());
/// assert_eq!(counter.send(Add(1)).await, Err(actix::MailboxError::Closed));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Adopted<A: Actor<Context = Context<A>>>(Arc<AdoptedShared<A>>);

impl<A: Actor<Context = Context<A>>> Clone for Adopted<A> {
    fn clone(&self) -> Self {
        Adopted(self.0.clone())
    }
}

impl<A: Actor<Context = Context<A>>> PartialEq for Adopted<A> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<A: Actor<Context = Context<A>>> Eq for Adopted<A> {}

impl<A: Actor<Context = Context<A>>> Hash for Adopted<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.meta().id().hash(state);
    }
}

impl<A: Actor<Context = Context<A>>> fmt::Debug for Adopted<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Adopted({} `{}`)", self.0.meta().id(), self.0.meta().path())
    }
}

impl<A: Actor<Context = Context<A>>> Adopted<A> {
    pub(super) fn new(shared: Arc<AdoptedShared<A>>) -> Self {
        Adopted(shared)
    }

    /// The adopted actor that a handle names. None if it names something else.
    pub fn of(handle: &ActorHandle) -> Option<Self> {
        handle.node().into_any().downcast().ok().map(Adopted)
    }

    /// The address of the generation that takes messages: from the moment when its `started` has returned, and what
    /// that waits for with `ctx.wait` is done. None before that, and when the actor is gone for good.
    ///
    /// One that is restarted in place has the same address for ever, also between two generations. Any other has a new
    /// one in each generation, and none between two: ask again rather than keep it.
    pub fn addr(&self) -> Option<Addr<A>> {
        self.0.addr()
    }

    /// As [`addr`](Self::addr), but waits for it. None when the actor is gone for good.
    pub async fn wait_for_addr(&self) -> Option<Addr<A>> {
        self.0.wait_for_addr().await
    }

    /// Sends to the generation that takes messages, waiting for it if there is none, and waits for the reply; 5 s at
    /// most.
    ///
    /// Dropping the future does not take back a message that waits. After a `Closed`, the next call goes to the next
    /// generation; whoever sends to an [`addr`](Self::addr) from another thread may hear of a panic a moment before the
    /// address is withdrawn.
    ///
    /// # Errors
    /// `Closed` when the generation ended before it answered, or the actor is gone for good; `Timeout` when there was
    /// no reply in time.
    pub async fn send<M: Message>(&self, message: M) -> Result<M::Result, MailboxError>
    where
        A: Handler<M>,
    {
        let mut answer = Err(MailboxError::Timeout);
        let sent = async {
            answer = match self.wait_for_addr().await {
                Some(addr) => addr.send(message).await,
                None => Err(MailboxError::Closed),
            };
            if answer.is_err() {
                self.0.settled().await;
            }
        };
        // Without an end in time, the answer is what it is by then.
        let _ = within(ASK_LIMIT, sent, || ()).await;
        answer
    }

    /// Sends now to the generation that takes messages, or gives the message back. Never waits.
    ///
    /// # Errors
    /// `Full` when actix's queue has no room (16 messages unless the actor says otherwise), `Closed` when there is no
    /// such generation.
    pub fn try_send<M: Message>(&self, message: M) -> Result<(), SendError<M>>
    where
        A: Handler<M>,
    {
        match self.addr() {
            Some(addr) => addr.try_send(message),
            None => Err(SendError::Closed(message)),
        }
    }

    /// This handle for whoever needs to know nothing of its messages: to look at, watch, stop, kill, restart and
    /// suspend it. One that is suspended does nothing at all, its timers included, until it is resumed.
    pub fn handle(&self) -> ActorHandle {
        ActorHandle::of_node(self.0.clone())
    }

    /// As [`ActorHandle::watch`].
    pub async fn watch(&self) -> StopReason {
        self.0.meta().watch().await
    }
}

impl<A: Actor<Context = Context<A>>> From<Adopted<A>> for ActorHandle {
    fn from(adopted: Adopted<A>) -> Self {
        adopted.handle()
    }
}
