//! [`SupervisorSpec`]: a supervisor of declared children.

use std::{sync::Arc, time::Duration};

use crate::{
    actor::Actor,
    error::SpecError,
    executor::Placement,
    meta::Kind,
    reference::Recipient,
    supervisor::{
        AutoShutdown, Backoff, ChildExited, ChildSpec, DynamicSupervisorSpec, OnExhausted, OnStartFailure,
        Restart, Runtime, Shutdown, Strategy, Supervisor, SupervisorNode, child::Entry, strategy::Rules,
        supervisor_task::SupervisorLaunch,
    },
};

/// What both kinds of supervisor are made of.
pub(super) struct Common {
    pub(super) node: Arc<SupervisorNode>,
    pub(super) rules: Rules,
    pub(super) placement: Placement,
    pub(super) restart: Restart,
    pub(super) significant: bool,
    pub(super) shutdown: Shutdown,
    pub(super) on_exit: Option<Recipient<ChildExited>>,
    pub(super) max_children: Option<usize>,
    pub(super) children: Vec<Entry>,
}

impl Common {
    pub(super) fn new(name: Arc<str>, kind: Kind) -> Self {
        Common {
            node: SupervisorNode::new(name, kind),
            rules: Rules::new(kind == Kind::Dynamic),
            placement: Placement::default(),
            restart: Restart::Permanent,
            significant: false,
            shutdown: Shutdown::Infinity,
            on_exit: None,
            max_children: None,
            children: Vec::new(),
        }
    }

    pub(super) fn into_entry(self) -> Entry {
        let problem = super::validate::problem_of(&self.rules, self.max_children);
        let node = self.node.clone();
        let (restart, significant) = (self.restart, self.significant);
        let (shutdown, placement) = (self.shutdown, self.placement);
        node.configure(self.rules, self.max_children, self.on_exit, self.children);
        let ours = node.clone();
        Entry {
            node,
            restart,
            significant,
            shutdown,
            placement,
            problem,
            launch: Box::new(move |generation, link, executor, runtime| {
                SupervisorLaunch { node: ours, generation, link: Some(link) }.run(
                    executor,
                    runtime.clone(),
                    placement,
                );
            }),
        }
    }
}

/// A supervisor of declared children: they are started in this order, and stopped in reverse.
#[must_use = "a supervisor runs when its specification is given to another one or to a system"]
pub struct SupervisorSpec(pub(super) Common);

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

    /// At most so many restarts of children within the period. Default: 8 in 60 s.
    pub fn intensity(mut self, restarts: usize, period: Duration) -> Self {
        self.0.rules.intensity = restarts;
        self.0.rules.period = period;
        self
    }

    /// The pauses before restarts. See [`Backoff`] for the default.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.0.rules.backoff = backoff;
        self
    }

    /// Default: fail.
    pub fn on_start_failure(mut self, what: OnStartFailure) -> Self {
        self.0.rules.on_start_failure = what;
        self
    }

    /// Default: escalate.
    pub fn on_exhausted(mut self, what: OnExhausted) -> Self {
        self.0.rules.on_exhausted = what;
        self
    }

    /// Default: never.
    pub fn auto_shutdown(mut self, what: AutoShutdown) -> Self {
        self.0.rules.auto_shutdown = what;
        self
    }

    /// Whether the end of this supervisor counts for the [`auto_shutdown`](Self::auto_shutdown) of the one above. Refused
    /// for a permanent one. Default: no.
    pub fn significant(mut self, significant: bool) -> Self {
        self.0.significant = significant;
        self
    }

    /// Which ends of this supervisor are followed by a restart. Default: permanent.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.0.restart = restart;
        self
    }

    /// How this supervisor is stopped by the one above. Default: infinity, as its children have limits.
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.0.shutdown = shutdown;
        self
    }

    /// Where the children run that do not say. Default: as above; at the root, on the control executor. The supervisor
    /// itself always runs on the control executor.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.0.placement = placement;
        self
    }

    /// Whom every end of a child is told.
    pub fn on_exit(mut self, recipient: Recipient<ChildExited>) -> Self {
        self.0.on_exit = Some(recipient);
        self
    }

    /// Adds a child after the others.
    pub fn child<A: Actor>(mut self, child: ChildSpec<A>) -> Self {
        self.0.children.push(child.into_entry());
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
    super::validate::check_one("", &entry)?;
    let executor = match placement {
        Placement::Workers => runtime.executors.worker().clone(),
        Placement::Control | Placement::Parent => runtime.executors.control().clone(),
    };
    SupervisorLaunch { node, generation: 0, link: None }.run(executor, runtime.clone(), placement);
    Ok(())
}
