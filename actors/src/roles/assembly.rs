//! The roles of a node, wired to each other.

use std::{collections::BTreeMap, sync::Arc};

use callboard_contracts::api::KeyUse;

use callboard_supervisors::{
    ActorRef, ChildSpec, MailboxSpec, OnExhausted, OnStartFailure, Placement, SupervisorSpec,
};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::{
    bulk::Bulk,
    commands::Commands,
    completer::{Completer, WRITERS},
    condition::Conditions,
    crashes::CrashGuard,
    cron::Cron,
    drain::Drain,
    edge_keeper::{EdgeKeeper, EdgeKeeperArgs},
    encryption,
    gateway::{Gateway, GatewayArgs},
    inbound::{Inbound, Receiver},
    inspector::{Inspector, InspectorArgs},
    leader::Leader,
    leadership::{Leads, Sight},
    metrics::Metrics,
    metrics_engine::MetricsEngine,
    node::{Drained, DueTime, Node, Stage},
    outcomes::Outcomes,
    outlet::{Lapses, Outlet, OutletArgs, Outside},
    parking::Parking,
    pruner::Pruner,
    queue::{self, Queue, key_waits::KeyWaits},
    read_model::{ReadModel, ReadModelArgs},
    relay::{Relay, RelayArgs},
    reporter::Reporter,
    rescuer::Rescuer,
    role_set::Role,
    scheduler::Scheduler,
    series::TimeSeries,
    session::Session,
    settings::{InvalidSetting, RolesConfig},
    signals::Signals,
    standing::{Host, Standing},
    tuning::{self, Tuned, Tuning},
    unfit::{UnfitJobs, unfit_jobs},
    wakes::Wakes,
    workflows::Workflows,
};
use crate::{
    edges::{
        bus::Receive,
        store::{Operation, StoreError, StoreHandle, record::NewAudit},
        windows::CountWindows,
    },
    encryption::{Keyring, OpenError, envelope::Part, vault::Secrets},
    jobs::JobRegistry,
};

/// Requests that may wait before the gateway and the read model; both answer at once or later, so few ever do.
const REQUESTS: usize = 4096;
/// Questions of other nodes that may wait before the inspector; further ones are refused.
const QUESTIONS: usize = 16;

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
    /// `observers`: session, wakes, commands, metrics, crash-guard, and a keeper for each edge; for the role leader: leader, rescuer, pruner,
    /// lapses, bulk, cron, and a relay for each sink; for leader and processor: scheduler; for the role read-model: read-model.
    pub observers: SupervisorSpec,
    /// `queues`: for the role gateway, where messages are taken in: inbound; for the role processor: completer, reporter, signals, and one supervisor a queue, or an outlet.
    /// None: this node has nothing to do there.
    pub queues: Option<SupervisorSpec>,
    /// `gateway`, to be started for the role gateway alone.
    pub gateway: ChildSpec<Gateway>,
    /// `inspector`, for a node that others can ask.
    pub inspector: Option<ChildSpec<Inspector>>,
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
    /// Decides about messages of other programs.
    pub receive: Arc<dyn Receive>,
    node: Arc<Node>,
    tuned: Arc<Vec<Tuned>>,
}

impl Handles {
    /// The numbers of the fleet over time, as this node has seen them.
    pub fn series(&self) -> TimeSeries {
        self.node.series.clone()
    }

    /// Where limits are counted that hold over all nodes, if anywhere.
    pub fn windows(&self) -> Option<Arc<dyn CountWindows>> {
        self.node.config.outside.windows.clone()
    }

    /// Changes what of the node's settings can change while it runs, as `config` has it: of the queues that there are their
    /// numbers and payloads and what pauses them, the limits of jobs and of their logs, what holds for job types that do not say otherwise,
    /// retention, and how often there is a look for what is due, lost or old. The rest of `config` is passed over. The actors
    /// that it concerns are told, and have answered when this does; given are the paths of those that have not in time (5 s),
    /// because they have crashed, say: they have it when they are back. The store is told soon after.
    ///
    /// # Errors
    /// A setting that cannot work. Then nothing has changed.
    pub async fn retune(&self, config: &RolesConfig) -> Result<Vec<String>, InvalidSetting> {
        tuning::retune(&self.node, &self.tuned, config).await
    }

    /// Finds the jobs that are not finished, and would not run with the types of this node. Only types whose schema is another one
    /// than the store knows are looked at. Jobs whose payloads cannot be decrypted here are passed over.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn unfit_jobs(&self) -> Result<Vec<UnfitJobs>, StoreError> {
        unfit_jobs(&self.node).await
    }

    /// The keys with which something is encrypted and that this node does not have, of a bounded number of jobs, the oldest; each with
    /// what it is needed for.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn missing_keys(&self) -> Result<BTreeMap<String, KeyUse>, StoreError> {
        encryption::missing_keys(&self.node).await
    }

    /// The payload of a job as the job itself has it, decrypted.
    ///
    /// # Errors
    /// Why it cannot be decrypted.
    pub fn open_payload(&self, job_type: &str, payload: &str) -> Result<String, OpenError> {
        let opened = self.node.vault().open_text(job_type, Part::Payload, payload)?;
        Ok(opened.into_owned())
    }

    /// Whether the node works with these keys.
    pub fn has_keys(&self, keys: &Keyring) -> bool {
        self.node.tuned().keys == *keys
    }

    /// The node's name.
    pub fn node_name(&self) -> &str {
        &self.node.name
    }

    /// Keeps in the audit trail that something was done that changes nothing in the store.
    ///
    /// # Errors
    /// When the store does not take it.
    pub async fn note(&self, entry: NewAudit, outcome: String) -> Result<(), StoreError> {
        self.node.store.write(Operation::Audit { entry, outcome }).await.map(drop)
    }

    /// Who does what only the process can do when the node is told to.
    pub fn set_host(&self, host: impl Host) {
        self.node.standing.set_host(Some(Arc::new(host)));
    }

    /// Lets go of it, since it knows the tree that the node is in: neither would be freed.
    pub fn forget_host(&self) {
        self.node.standing.set_host(None);
    }
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
        let metrics = Metrics::new(
            registry.names(),
            queue_names,
            Some(&store),
            Some(numbers),
            &config.bus_numbers,
            Some(&config.outside.numbers),
        )
        .map_err(|error| RolesError::Metrics(error.to_string()))?;
        let queues = config.queues.iter();
        let queues = queues.map(|settings| (settings.name.clone(), Arc::new(Queue::new(settings.clone()))));
        let outside = Outside::new(&config, &registry);
        let secrets = Secrets::new(&registry, &config.secrets).map_err(|(job_type, problem)| {
            InvalidSetting { setting: format!("job type {job_type:?}"), problem }
        })?;
        let secrets = Arc::new(secrets);
        store.hide_secrets(secrets.clone());
        let node = Arc::new(Node {
            name: config.node.as_str().into(),
            queues: queues.collect(),
            tuning: Tuning::new(&config),
            config,
            registry,
            secrets,
            store,
            conditions,
            metrics: metrics.clone(),
            series: TimeSeries::default(),
            outcomes: Outcomes::new(WRITERS),
            inbox: Arc::default(),
            signals: Arc::default(),
            key_waits: KeyWaits::default(),
            due: DueTime::default(),
            parking: Parking::default(),
            cron_changed: Notify::new(),
            crashed: Notify::new(),
            bulk_begun: Notify::new(),
            session: watch::Sender::new(None),
            leads: Leads::default(),
            sight: Sight::default(),
            stage: watch::Sender::new(Stage::Serving),
            standing: Standing::default(),
            drained: Drained::default(),
            outside,
            counted: Mutex::new(None),
        });

        let metrics_engine = ChildSpec::<MetricsEngine>::new("metrics", node.clone());
        let exits = metrics_engine.actor_ref().recipient();
        let crash_guard = ChildSpec::<CrashGuard>::new("crash-guard", node.clone());
        let queue_exits = crash_guard.actor_ref().recipient();
        let read_model = ChildSpec::<ReadModel>::new("read-model", ReadModelArgs(node.clone()))
            .placement(Placement::Workers)
            .mailbox(MailboxSpec::bounded(REQUESTS));
        let gateway = ChildSpec::<Gateway>::new("gateway", GatewayArgs(node.clone()))
            .placement(Placement::Workers)
            .mailbox(MailboxSpec::bounded(REQUESTS));
        let inspector = ChildSpec::<Inspector>::new("inspector", InspectorArgs(node.clone()))
            .placement(Placement::Control)
            .mailbox(MailboxSpec::bounded(QUESTIONS));
        let bounds = MailboxSpec::bounded(node.config.inbound.concurrency);
        let inbound = ChildSpec::<Inbound>::new("inbound", node.clone())
            .placement(Placement::Workers)
            .mailbox(bounds.concurrent_replies(node.config.inbound.concurrency));
        let receiver = Receiver { inbound: inbound.actor_ref().recipient(), limit: node.store.limit() };
        let mut tuned: Vec<Tuned> = Vec::new();
        let mut handles = Handles {
            gateway: gateway.actor_ref(),
            read_model: read_model.actor_ref(),
            metrics,
            drain: Drain { node: node.clone() },
            receive: Arc::new(receiver),
            node: node.clone(),
            tuned: Arc::default(),
        };
        let subtree = |name: &str| {
            SupervisorSpec::new(name)
                .on_start_failure(OnStartFailure::Retry)
                .on_exhausted(OnExhausted::RetryAtMaxBackoff)
                .placement(Placement::Control)
                .on_exit(exits.clone())
        };
        let has = |role| node.config.roles.has(role);
        let mut observers = subtree("observers").child(ChildSpec::<Session>::new("session", node.clone()));
        if has(Role::Leader) {
            observers = observers.child(ChildSpec::<Leader>::new("leader", node.clone()));
        }
        observers =
            observers
                .child(ChildSpec::<Wakes>::new("wakes", node.clone()))
                .child(ChildSpec::<Commands>::new("commands", node.clone()));
        if has(Role::Leader) {
            let rescuer = ChildSpec::<Rescuer>::new("rescuer", node.clone());
            tuned.push(("observers/rescuer".to_owned(), rescuer.actor_ref().recipient()));
            observers = observers.child(rescuer);
        }
        // It also releases what waits for a handler, which each node does that has one.
        if has(Role::Leader) || has(Role::Processor) {
            let scheduler = ChildSpec::<Scheduler>::new("scheduler", node.clone());
            tuned.push(("observers/scheduler".to_owned(), scheduler.actor_ref().recipient()));
            observers = observers.child(scheduler);
        }
        if has(Role::Leader) {
            let pruner = ChildSpec::<Pruner>::new("pruner", node.clone());
            let lapses = ChildSpec::<Lapses>::new("lapses", node.clone());
            tuned.push(("observers/pruner".to_owned(), pruner.actor_ref().recipient()));
            tuned.push(("observers/lapses".to_owned(), lapses.actor_ref().recipient()));
            let bulk = ChildSpec::<Bulk>::new("bulk", node.clone());
            observers = observers.child(pruner).child(lapses).child(bulk);
            observers = observers.child(ChildSpec::<Workflows>::new("workflows", node.clone()));
            let cron = ChildSpec::<Cron>::new("cron", node.clone());
            tuned.push(("observers/cron".to_owned(), cron.actor_ref().recipient()));
            observers = observers.child(cron);
        }
        observers = observers.child(metrics_engine).child(crash_guard);
        if has(Role::ReadModel) {
            tuned.push(("observers/read-model".to_owned(), read_model.actor_ref().recipient()));
            observers = observers.child(read_model);
        }
        let sinks = node.config.sinks.iter().filter(|_| has(Role::Leader));
        let observers = sinks.fold(observers, |observers, sink| {
            let args = RelayArgs { node: node.clone(), sink: sink.clone() };
            observers.child(ChildSpec::<Relay>::new(format!("relay-{}", sink.name), args))
        });
        let observers = node.config.outside.edges.iter().fold(observers, |observers, edge| {
            let args = EdgeKeeperArgs { node: node.clone(), edge: edge.clone() };
            observers.child(ChildSpec::<EdgeKeeper>::new(format!("edge-{}", edge.guard.name()), args))
        });
        let mut first = subtree("queues");
        if has(Role::Processor) {
            let completer = ChildSpec::<Completer>::new("completer", node.clone());
            first = first
                .child(completer)
                .child(ChildSpec::<Reporter>::new("reporter", node.clone()))
                .child(ChildSpec::<Signals>::new("signals", node.clone()));
        }
        let hears = has(Role::Gateway) && node.config.inbound.on;
        if hears {
            first = first.child(inbound);
        }
        let queues = node.served().fold(first, |queues, one| {
            match (node.config.outlets.get(&one.name), &node.config.publisher) {
                (None, _) => {
                    let (subtree, actor) = queue::subtree(&node, one);
                    tuned.push(actor);
                    queues.supervisor(subtree.on_exit(queue_exits.clone()))
                }
                (Some(outlet), Some(publisher)) => {
                    let (outlet, actor) = Outlet::spec(OutletArgs {
                        node: node.clone(),
                        queue: one.clone(),
                        outlet: outlet.clone(),
                        publisher: publisher.clone(),
                    });
                    tuned.push(actor);
                    queues.child(outlet)
                }
                (Some(_), None) => {
                    let queue = &one.name;
                    tracing::warn!(
                        queue,
                        "the queue is served by the bus, and this node has none: others must send its jobs"
                    );
                    queues
                }
            }
        });
        if has(Role::Gateway) {
            tuned.push(("gateway".to_owned(), gateway.actor_ref().recipient()));
        }
        handles.tuned = Arc::new(tuned);
        let queues = (has(Role::Processor) || hears).then_some(queues);
        Ok(Roles { observers, queues, gateway, inspector: Some(inspector), handles })
    }
}
