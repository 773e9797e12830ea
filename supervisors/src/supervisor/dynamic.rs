//! [`DynamicSupervisorSpec`] and [`DynamicSupervisor`]: children that come and go.

use std::{fmt, sync::Arc};

use crate::{
    actor::Actor,
    error::StartChildError,
    meta::{ActorSnapshot, Kind, State, StopReason},
    reference::{ActorHandle, ActorRef, Node},
    supervisor::{
        ChildSpec, Supervisor, SupervisorNode, SupervisorSpec,
        child::Entry,
        settings::{Common, settings},
    },
    task::Order,
};

/// A supervisor of children that are started at run time. They are stopped all together, under one timer: the longest
/// of theirs; it does not count for those that may take for ever ([`Shutdown::Infinity`](crate::Shutdown::Infinity)).
/// None is started again when the supervisor itself is restarted.
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
/// let sessions = DynamicSupervisorSpec::new("sessions").max_children(2);
/// let handle = sessions.handle();
/// let root = SupervisorSpec::new("root").dynamic(sessions);
/// let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// let session = |name: &'static str| ChildSpec::<Counter>::new(name, ()).restart(Restart::Temporary);
/// handle.start_child(session("anna")).await?;
/// assert!(matches!(handle.spawn_child(session("anna")), Err(StartChildError::NameTaken { .. })));
/// handle.start_child(session("ben")).await?;
/// assert_eq!(handle.spawn_child(session("chris")), Err(StartChildError::Full { max_children: 2 }));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[must_use = "a supervisor runs when its specification is given to another one"]
pub struct DynamicSupervisorSpec(Common);

settings!(DynamicSupervisorSpec);

impl DynamicSupervisorSpec {
    /// `name` must be unique below the supervisor above, not empty, and without a `/`.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        DynamicSupervisorSpec(Common::new(name.into(), Kind::Dynamic))
    }

    /// At most so many children at a time. Default: no limit. A child counts until its end has been told to the
    /// recipient of [`on_exit`](Self::on_exit).
    pub fn max_children(mut self, max: usize) -> Self {
        self.0.max_children = Some(max);
        self
    }

    /// A handle that is good before the start, and over restarts.
    pub fn handle(&self) -> DynamicSupervisor {
        DynamicSupervisor(self.0.node.clone())
    }

    pub(super) fn into_entry(self) -> Entry {
        self.0.into_entry()
    }
}

/// The handle of a dynamic supervisor.
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
/// let sessions = DynamicSupervisorSpec::new("sessions");
/// let handle: DynamicSupervisor = sessions.handle();
/// let root = SupervisorSpec::new("root").dynamic(sessions);
/// let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// // Does not wait for the start; messages wait until it is over.
/// let anna = handle.spawn_child(ChildSpec::<Counter>::new("anna", ()).restart(Restart::Temporary))?;
/// assert_eq!(anna.ask(Count).await, Ok(1));
/// assert_eq!((handle.len(), handle.find::<Counter>("anna")), (1, Some(anna.clone())));
/// anna.stop();
/// anna.watch().await;
/// assert!(!anna.is_alive());
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct DynamicSupervisor(Arc<SupervisorNode>);

impl fmt::Debug for DynamicSupervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynamicSupervisor(`{}`)", self.path())
    }
}

impl DynamicSupervisor {
    pub(crate) fn node(&self) -> &Arc<SupervisorNode> {
        &self.0
    }

    /// Starts a child and does not wait for it. Messages can be sent to it at once. Whether its start succeeds is told
    /// to the recipient of `on_exit` and by [`ActorRef::watch`].
    ///
    /// # Errors
    /// See [`StartChildError`]; nothing is left of the child then.
    pub fn spawn_child<A: Actor>(&self, child: ChildSpec<A>) -> Result<ActorRef<A>, StartChildError> {
        self.0.spawn_child(child)
    }

    /// Starts a child and waits until it runs. Dropping the future leaves the child to start.
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

    /// The children that are there now, oldest first.
    pub fn children(&self) -> Vec<ActorHandle> {
        self.0.children().into_iter().map(ActorHandle::of_node).collect()
    }

    /// How many children there are.
    pub fn len(&self) -> usize {
        self.0.child_count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        self.0.meta().state()
    }

    /// Whether children can be started now.
    pub fn is_running(&self) -> bool {
        self.state() == State::Running
    }

    /// The child with this name, of any type. None if there is none.
    pub fn child(&self, name: &str) -> Option<ActorHandle> {
        self.0.child(name).map(ActorHandle::of_node)
    }

    /// The actor with this name. None if there is none or it is of another type.
    pub fn find<A: Actor>(&self, name: &str) -> Option<ActorRef<A>> {
        super::handle::find(&self.0, name)
    }

    /// Its name within the system.
    pub fn path(&self) -> String {
        self.0.meta().path()
    }

    /// It and its children, without asking anybody.
    pub fn snapshot(&self) -> ActorSnapshot {
        self.0.snapshot()
    }

    /// Stops it and all its children for good.
    pub fn stop(&self) {
        self.0.order(Order::Stop);
    }

    /// Waits until it is gone for good.
    pub async fn watch(&self) -> StopReason {
        self.0.meta().watch().await
    }
}
