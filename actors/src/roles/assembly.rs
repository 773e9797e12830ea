//! The roles of a node, wired to each other.

use std::sync::Arc;

use callboard_supervisors::{
    ActorRef, ChildSpec, MailboxSpec, OnExhausted, OnStartFailure, Placement, SupervisorSpec,
};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    completer::{Completer, WRITERS},
    condition::Conditions,
    drain::Drain,
    gateway::{Gateway, GatewayArgs},
    leader::Leader,
    leadership::{Leads, Sight},
    metrics::Metrics,
    metrics_engine::MetricsEngine,
    node::{Drained, DueTime, Node, Stage},
    outcomes::Outcomes,
    parking::Parking,
    pruner::Pruner,
    queue::{self, Queue},
    read_model::{ReadModel, ReadModelArgs},
    reporter::Reporter,
    rescuer::Rescuer,
    scheduler::Scheduler,
    session::Session,
    settings::{InvalidSetting, RolesConfig},
    wakes::Wakes,
};
use crate::{edges::store::StoreHandle, jobs::JobRegistry};

/// Requests that may wait before the gateway and the read model; both answer at once or later, so few ever do.
const REQUESTS: usize = 4096;

/// Why the roles cannot be assembled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RolesError {
    /// A setting cannot work.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// The metrics cannot be set up.
    #[error("the metrics cannot be set up: {0}")]
    Metrics(String),
}

/// The roles of a node as subtrees, to be started in this order (and so stopped in reverse) after the store, and what
/// the outside needs of them.
#[must_use = "the roles run when their specifications are given to a supervisor"]
pub struct Roles {
    /// `observers`: session, leader, wakes, rescuer, scheduler, pruner, metrics, read-model.
    pub observers: SupervisorSpec,
    /// `queues`: completer, reporter, and one supervisor a queue.
    pub queues: SupervisorSpec,
    /// `gateway`.
    pub gateway: ChildSpec<Gateway>,
    /// What the outside needs; good before anything has started.
    pub handles: Handles,
}

/// What the outside needs of the roles. Cheap to clone.
#[derive(Clone)]
pub struct Handles {
    /// Takes jobs in, calls them off, and runs them again.
    pub gateway: ActorRef<Gateway>,
    /// Answers questions.
    pub read_model: ActorRef<ReadModel>,
    /// The numbers that Prometheus reads.
    pub metrics: Metrics,
    /// Ends the node's work in good order.
    pub drain: Drain,
}

impl Roles {
    /// Wires the roles to each other, to the store and to the board on which they post their conditions.
    ///
    /// # Errors
    /// A setting that cannot work.
    pub fn assemble(
        config: RolesConfig,
        registry: JobRegistry,
        store: StoreHandle,
        conditions: Conditions,
    ) -> Result<Self, RolesError> {
        config.check(&registry)?;
        let queue_names = config.queues.iter().map(|queue| queue.name.clone());
        let numbers = config.telemetry.numbers();
        let metrics = Metrics::new(registry.names(), queue_names, Some(&store), Some(numbers))
            .map_err(|error| RolesError::Metrics(error.to_string()))?;
        let queues = config.queues.iter();
        let queues = queues.map(|settings| (settings.name.clone(), Arc::new(Queue::new(settings.clone()))));
        let node = Arc::new(Node {
            name: config.node.as_str().into(),
            queues: queues.collect(),
            config,
            registry,
            store,
            conditions,
            metrics: metrics.clone(),
            outcomes: Outcomes::new(WRITERS),
            inbox: Arc::default(),
            due: DueTime::default(),
            parking: Parking::default(),
            session: watch::Sender::new(None),
            leads: Leads::default(),
            sight: Sight::default(),
            stage: watch::Sender::new(Stage::Serving),
            drained: Drained::default(),
            counted: Mutex::new(None),
        });

        let metrics_engine = ChildSpec::<MetricsEngine>::new("metrics", node.clone());
        let exits = metrics_engine.actor_ref().recipient();
        let read_model = ChildSpec::<ReadModel>::new("read-model", ReadModelArgs(node.clone()))
            .placement(Placement::Workers)
            .mailbox(MailboxSpec::bounded(REQUESTS));
        let gateway = ChildSpec::<Gateway>::new("gateway", GatewayArgs(node.clone()))
            .placement(Placement::Workers)
            .mailbox(MailboxSpec::bounded(REQUESTS));
        let handles = Handles {
            gateway: gateway.actor_ref(),
            read_model: read_model.actor_ref(),
            metrics,
            drain: Drain { node: node.clone() },
        };
        let subtree = |name: &str| {
            SupervisorSpec::new(name)
                .on_start_failure(OnStartFailure::Retry)
                .on_exhausted(OnExhausted::RetryAtMaxBackoff)
                .placement(Placement::Control)
                .on_exit(exits.clone())
        };
        let observers = subtree("observers")
            .child(ChildSpec::<Session>::new("session", node.clone()))
            .child(ChildSpec::<Leader>::new("leader", node.clone()))
            .child(ChildSpec::<Wakes>::new("wakes", node.clone()))
            .child(ChildSpec::<Rescuer>::new("rescuer", node.clone()))
            .child(ChildSpec::<Scheduler>::new("scheduler", node.clone()))
            .child(ChildSpec::<Pruner>::new("pruner", node.clone()))
            .child(metrics_engine)
            .child(read_model);
        let completer = ChildSpec::<Completer>::new("completer", node.clone());
        let reporter = ChildSpec::<Reporter>::new("reporter", node.clone());
        let first = subtree("queues").child(completer).child(reporter);
        let queues = node
            .queues
            .values()
            .fold(first, |queues, one| queues.supervisor(queue::subtree(&node, one).on_exit(exits.clone())));
        Ok(Roles { observers, queues, gateway, handles })
    }
}
