//! [`SupervisorSpec`]: a supervisor of declared children.

use std::sync::Arc;

use crate::{
    actor::Actor,
    error::SpecError,
    executor::Placement,
    meta::Kind,
    supervisor::{
        AutoShutdown, ChildSpec, DynamicSupervisorSpec, Runtime, Strategy, Supervisor,
        child::Entry,
        settings::{Common, settings},
        supervisor_task::SupervisorLaunch,
    },
};

/// A supervisor of declared children: they are started in this order, and stopped in reverse.
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
/// let workers = SupervisorSpec::new("workers")
///     .strategy(Strategy::OneForAll)
///     .intensity(5, Duration::from_secs(30))
///     .on_exhausted(OnExhausted::RetryAtMaxBackoff)
///     .placement(Placement::Workers)
///     .child(ChildSpec::<Counter>::new("a", ()))
///     .child(ChildSpec::<Counter>::new("b", ()));
/// let root = SupervisorSpec::new("root").supervisor(workers).dynamic(DynamicSupervisorSpec::new("sessions"));
/// let handle = root.handle();
/// let system = ActorSystem::builder("example").executors(2).start(root).await?;
/// assert!(handle.is_running());
/// assert_eq!(system.find::<Counter>("workers/b").map(|b| b.path()).as_deref(), Some("workers/b"));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[must_use = "a supervisor runs when its specification is given to another one or to a system"]
pub struct SupervisorSpec(pub(super) Common);

settings!(SupervisorSpec);

impl SupervisorSpec {
    /// `name` must be unique below the supervisor above, not empty, and without a `/`.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        SupervisorSpec(Common::new(name.into(), Kind::Supervisor))
    }

    /// Default: one for one.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.0.rules.strategy = strategy;
        self
    }

    /// Default: never.
    pub fn auto_shutdown(mut self, what: AutoShutdown) -> Self {
        self.0.rules.auto_shutdown = what;
        self
    }

    /// Adds a child after the others.
    pub fn child<A: Actor>(self, child: ChildSpec<A>) -> Self {
        self.entry(child.into_entry())
    }

    pub(crate) fn entry(mut self, entry: Entry) -> Self {
        self.0.children.push(entry);
        self
    }

    /// Adds a supervisor after the others.
    pub fn supervisor(mut self, supervisor: SupervisorSpec) -> Self {
        self.0.children.push(supervisor.0.into_entry());
        self
    }

    /// Adds a dynamic supervisor after the others.
    pub fn dynamic(mut self, supervisor: DynamicSupervisorSpec) -> Self {
        self.0.children.push(supervisor.into_entry());
        self
    }

    /// A handle that is good before the start, and over restarts.
    pub fn handle(&self) -> Supervisor {
        Supervisor::new(self.0.node.clone())
    }
}

/// Launches a system's root.
pub(crate) fn start_root(root: SupervisorSpec, runtime: &Arc<Runtime>) -> Result<(), SpecError> {
    let (node, placement) = (root.0.node.clone(), root.0.placement);
    let entry = root.0.into_entry();
    if let Err(error) = super::validate::check_one(String::new, &entry) {
        entry.refuse(&error);
        return Err(error);
    }
    let executor = match placement {
        Placement::Workers => runtime.executors.worker().clone(),
        Placement::Control | Placement::Parent => runtime.executors.control().clone(),
    };
    SupervisorLaunch { node, generation: 0, link: None }.run(executor, runtime.clone(), placement);
    Ok(())
}
