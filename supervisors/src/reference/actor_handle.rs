//! [`ActorHandle`]: orders and sight, without messages.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

#[cfg(feature = "testkit")]
use crate::meta::Meta;
use crate::{
    actor::Actor,
    meta::{ActorId, ActorSnapshot, State, StopReason},
    reference::{ActorRef, Node, Shared},
    task::Order,
};

/// Any actor or supervisor, its type and its messages erased: it can be looked at, watched, stopped, restarted and
/// suspended. Restarts do not change it. Equal are those that name the same one.
///
/// ```
/// # use callboard_supervisors::*;
/// # struct Idle;
/// # impl Actor for Idle {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Idle) }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let spec = ChildSpec::<Idle>::new("idle", ());
/// let handle: ActorHandle = spec.actor_ref().handle();
/// let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// handle.stop();
/// assert_eq!(handle.watch().await, StopReason::Shutdown);
/// assert!(!handle.is_alive());
/// assert_eq!(handle.actor_ref::<Idle>().map(|actor| actor.id()), Some(handle.id()));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), StartSystemError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct ActorHandle(Arc<dyn Node>);

impl PartialEq for ActorHandle {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for ActorHandle {}

impl Hash for ActorHandle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Debug for ActorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorHandle({} `{}`)", self.id(), self.path())
    }
}

impl ActorHandle {
    pub(crate) fn new<A: Actor>(shared: Arc<Shared<A>>) -> Self {
        ActorHandle(shared)
    }

    pub(crate) fn of_node(node: Arc<dyn Node>) -> Self {
        ActorHandle(node)
    }

    #[cfg(feature = "testkit")]
    pub(crate) fn meta(&self) -> &Meta {
        self.0.meta()
    }

    pub(crate) fn node(&self) -> Arc<dyn Node> {
        self.0.clone()
    }

    /// The address of the actor, for whoever knows its type. None if it is of another type, or a supervisor. A handle
    /// does not keep an actor that ends when nobody refers to it; an address does.
    pub fn actor_ref<A: Actor>(&self) -> Option<ActorRef<A>> {
        self.node().into_any().downcast::<Shared<A>>().ok().map(ActorRef::new)
    }

    /// As [`ActorRef::stop`]; a supervisor stops all below it first, in reverse order. A child that is stopped so is
    /// gone from its supervisor, and another one can be started under its name.
    pub fn stop(&self) {
        self.0.order(Order::Stop);
    }

    /// As [`ActorRef::restart`]; a supervisor stops all below it in reverse order and starts it again in order, all of
    /// which keep their addresses and queues, except temporary children, which end for good. The children of a dynamic
    /// supervisor end for good, too. A root is not restarted, nor one that is stopping or starts anyway.
    pub fn restart(&self) {
        self.0.order(Order::Restart);
    }

    /// As [`ActorRef::suspend`]; of a supervisor, all that is below it now, though not what is started later.
    pub fn suspend(&self) {
        self.0.order(Order::Suspend);
    }

    /// Ends a [`suspend`](Self::suspend); of a supervisor, for all that is below it now.
    pub fn resume(&self) {
        self.0.order(Order::Resume);
    }

    /// As [`ActorRef::kill`]. Nothing happens to a supervisor.
    pub fn kill(&self) {
        self.0.order(Order::Kill);
    }

    /// As [`ActorRef::watch`].
    pub async fn watch(&self) -> StopReason {
        self.0.meta().watch().await
    }

    /// As [`ActorRef::snapshot`].
    pub fn snapshot(&self) -> ActorSnapshot {
        self.0.snapshot()
    }

    /// The actor's identity; the same in every generation.
    pub fn id(&self) -> ActorId {
        self.0.meta().id()
    }

    /// The actor's name below its supervisor.
    pub fn name(&self) -> &str {
        self.0.meta().name()
    }

    /// The actor's name within the system, as in `edges/store`.
    pub fn path(&self) -> String {
        self.0.meta().path()
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        self.0.meta().state()
    }

    /// As [`ActorRef::is_alive`].
    pub fn is_alive(&self) -> bool {
        self.state() != State::Stopped
    }
}

impl<A: Actor> From<ActorRef<A>> for ActorHandle {
    fn from(actor: ActorRef<A>) -> Self {
        actor.handle()
    }
}
