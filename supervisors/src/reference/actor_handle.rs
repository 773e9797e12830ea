//! [`ActorHandle`]: orders and sight, without messages.

use std::{fmt, sync::Arc};

use crate::{
    actor::Actor,
    meta::{ActorId, ActorSnapshot, State, StopReason},
    reference::{ActorRef, Node, Shared},
    task::Order,
};

/// Any actor, its type and its messages erased: it can be looked at, watched and told to end. Restarts do not change
/// it. Equal are those that name the same actor.
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

impl fmt::Debug for ActorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorHandle({} `{}`)", self.id(), self.path())
    }
}

impl ActorHandle {
    pub(crate) fn new<A: Actor>(shared: Arc<Shared<A>>) -> Self {
        ActorHandle(shared)
    }

    /// As [`ActorRef::stop`].
    pub fn stop(&self) {
        self.0.order(Order::Stop);
    }

    /// As [`ActorRef::kill`].
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
