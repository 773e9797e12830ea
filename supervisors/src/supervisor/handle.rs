//! [`Supervisor`]: the handle of a supervisor of declared children.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    actor::Actor,
    error::StartChildError,
    meta::{ActorSnapshot, State, StopReason},
    reference::{ActorHandle, ActorRef, Node, Shared},
    supervisor::{ChildSpec, DynamicSupervisor, DynamicSupervisorSpec, SupervisorNode, SupervisorSpec},
    task::Order,
};

/// The handle of a supervisor of declared children.
///
/// It does not keep the supervisor; once that is gone for good, orders do nothing and starts are refused.
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
/// let root = SupervisorSpec::new("root");
/// let handle: Supervisor = root.handle();
/// let early = handle.start_child(ChildSpec::<Counter>::new("early", ())).await;
/// assert_eq!(early, Err(StartChildError::NotRunning));
///
/// let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// let counter = handle.start_child(ChildSpec::<Counter>::new("counter", ())).await?;
/// assert_eq!(counter.ask(Count).await, Ok(1));
/// assert_eq!(handle.find::<Counter>("counter"), Some(counter.clone()));
///
/// let by_hand: ActorHandle = handle.child("counter").expect("it is there");
/// by_hand.restart();
/// assert_eq!(counter.ask(Count).await, Ok(1));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Supervisor(Arc<SupervisorNode>);

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Supervisor(`{}`)", self.path())
    }
}

impl Supervisor {
    pub(crate) fn new(node: Arc<SupervisorNode>) -> Self {
        Supervisor(node)
    }

    pub(crate) fn node(&self) -> &Arc<SupervisorNode> {
        &self.0
    }

    /// Starts one more child, after the others, and waits until it runs. From then on it is as the declared ones are:
    /// it is started again when this supervisor is restarted. Dropping the future leaves the child to start.
    ///
    /// # Errors
    /// See [`StartChildError`]; nothing is left of the child then.
    pub async fn start_child<A: Actor>(&self, child: ChildSpec<A>) -> Result<ActorRef<A>, StartChildError> {
        self.0.start_child(child).await
    }

    /// As [`start_child`](Self::start_child), for a supervisor with all below it.
    ///
    /// # Errors
    /// See [`StartChildError`]; nothing is left of the supervisor then.
    pub async fn start_supervisor(&self, supervisor: SupervisorSpec) -> Result<Supervisor, StartChildError> {
        let handle = supervisor.handle();
        self.0.start_entry(supervisor.0.into_entry()).await?;
        Ok(handle)
    }

    /// As [`start_child`](Self::start_child), for a dynamic supervisor.
    ///
    /// # Errors
    /// See [`StartChildError`]; nothing is left of the supervisor then.
    pub async fn start_dynamic(
        &self,
        supervisor: DynamicSupervisorSpec,
    ) -> Result<DynamicSupervisor, StartChildError> {
        let handle = supervisor.handle();
        self.0.start_entry(supervisor.into_entry()).await?;
        Ok(handle)
    }

    /// The actor at this path below here, as in `edges/store`. None if there is none or it is of another type.
    pub fn find<A: Actor>(&self, path: &str) -> Option<ActorRef<A>> {
        find(&self.0, path)
    }

    /// What is at this path below here, be it an actor of any type or a supervisor. None if there is nothing.
    pub fn child(&self, path: &str) -> Option<ActorHandle> {
        at(&self.0, path).map(ActorHandle::of_node)
    }

    /// The children that are there now, in their order.
    pub fn children(&self) -> Vec<ActorHandle> {
        self.0.children().into_iter().map(ActorHandle::of_node).collect()
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        self.0.meta().state()
    }

    /// Whether all its children have been started and it is not stopping.
    pub fn is_running(&self) -> bool {
        self.state() == State::Running
    }

    /// Its name within the system.
    pub fn path(&self) -> String {
        self.0.meta().path()
    }

    /// It and all below it, without asking anybody.
    pub fn snapshot(&self) -> ActorSnapshot {
        self.0.snapshot()
    }

    /// Gives it another [intensity](SupervisorSpec::intensity) from now on. Restarts before count against it, as long as they
    /// were remembered. A period of no time changes nothing.
    ///
    /// ```
    /// # use callboard_supervisors::*;
    /// # use std::time::Duration;
    /// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
    /// let root = SupervisorSpec::new("root").intensity(8, Duration::from_secs(60));
    /// let handle = root.handle();
    /// let system = ActorSystem::builder("example").executors(1).start(root).await?;
    /// handle.set_intensity(3, Duration::from_secs(10));
    /// assert_eq!(handle.snapshot().supervision.map(|shown| shown.intensity), Some(3));
    /// # system.shutdown(std::time::Duration::from_secs(5)).await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn set_intensity(&self, restarts: usize, period: Duration) {
        if !period.is_zero() {
            self.0.with(|body| body.plan.change_intensity(restarts, period));
        }
    }

    /// Forgets the restarts that were, so that all of its intensity is free again: what made them is believed to be mended.
    pub fn forgive(&self) {
        self.0.with(|body| body.plan.forgive());
    }

    /// Stops it and all below it for good, in reverse order.
    pub fn stop(&self) {
        self.0.order(Order::Stop);
    }

    /// Waits until it is gone for good.
    pub async fn watch(&self) -> StopReason {
        self.0.meta().watch().await
    }
}

/// The actor at `path` below `node`.
pub(super) fn find<A: Actor>(node: &Arc<SupervisorNode>, path: &str) -> Option<ActorRef<A>> {
    at(node, path)?.into_any().downcast::<Shared<A>>().ok().map(ActorRef::new)
}

/// What is at `path` below `node`.
fn at(node: &Arc<SupervisorNode>, path: &str) -> Option<Arc<dyn Node>> {
    let from: Arc<dyn Node> = node.clone();
    path.split('/').try_fold(from, |at, name| at.child(name))
}
