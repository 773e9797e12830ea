//! [`SupervisorNode`]: what a supervisor and the holders of its handle share.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, OnceLock},
    time::Duration,
};

use parking_lot::Mutex;

use crate::{
    actor::Actor,
    error::{SpecError, StartChildError},
    executor::{Executor, Placement},
    meta::{ActorSnapshot, CrashRecord, Kind, Meta, Place, State, StopReason, SupervisionSnapshot},
    reference::{ActorRef, Node, Recipient},
    supervisor::{
        ChildExited, ChildSpec, Inbox, Runtime, Strategy,
        child::{Entry, LaunchFn},
        home::Home,
        strategy::{Action, Key, Plan, Rules},
        validate,
    },
    task::{Link, Order},
};

/// Children of a dynamic supervisor that a snapshot lists.
const LISTED: usize = 256;
/// Crashes that a supervisor remembers.
pub(super) const REMEMBERED: usize = 16;

pub(super) struct ChildRecord {
    pub(super) node: Arc<dyn Node>,
    placement: Placement,
    /// Until it has been launched.
    launch: Option<LaunchFn>,
}

/// Set by the specification, then by the task.
pub(super) struct Body {
    pub(super) plan: Plan,
    pub(super) children: BTreeMap<Key, ChildRecord>,
    names: HashMap<Arc<str>, Key>,
    next_key: Key,
    /// What the specification declares, until the supervisor is launched.
    declared: Vec<Entry>,
    max_children: Option<usize>,
    pub(super) on_exit: Option<Recipient<ChildExited>>,
    /// Ends that the recipient had no room for yet.
    pub(super) untold: VecDeque<ChildExited>,
    pub(super) place: Option<(Arc<Runtime>, Home)>,
    pub(super) exits: u64,
    pub(super) crashes: u64,
    pub(super) last_crashes: VecDeque<Arc<CrashRecord>>,
    pub(super) unreported_exits: u64,
}

/// Something to be done without the lock: it may run user code.
pub(super) enum Deferred {
    Launch {
        launch: LaunchFn,
        generation: u64,
        link: Link,
        executor: Arc<Executor>,
        runtime: Arc<Runtime>,
    },
    /// It was never launched.
    Discard(ChildRecord),
}

impl Deferred {
    pub(super) fn run(self) {
        match self {
            Deferred::Launch { launch, generation, link, executor, runtime } => {
                launch(generation, link, executor, &runtime);
            }
            Deferred::Discard(child) => {
                child.node.discard(StopReason::Shutdown);
                crate::core::bury(child.launch);
            }
        }
    }
}

impl Body {
    fn insert(&mut self, entry: Entry) -> Key {
        let key = self.next_key;
        self.next_key += 1;
        self.names.insert(entry.node.meta().name().clone(), key);
        let Entry { node, placement, launch, .. } = entry;
        self.children.insert(key, ChildRecord { node, placement, launch: Some(launch) });
        key
    }

    /// Starts a generation of a child: launches it the first time, orders it later.
    pub(super) fn start(&mut self, link: Link, generation: u64, after: Duration) -> Option<Deferred> {
        let (runtime, home) = self.place.as_ref()?;
        let child = self.children.get_mut(&link.child)?;
        let Some(launch) = child.launch.take() else {
            child.node.order(Order::Start { generation, after });
            return None;
        };
        let executor = home.executor(child.placement, runtime);
        Some(Deferred::Launch { launch, generation, link, executor, runtime: runtime.clone() })
    }

    /// Forgets a child and closes its address, if it is not closed yet.
    pub(super) fn close(&mut self, key: Key) -> Option<Deferred> {
        let child = self.children.remove(&key)?;
        let name = child.node.meta().name();
        if self.names.get(name) == Some(&key) {
            self.names.remove(name);
        }
        if child.launch.is_some() {
            return Some(Deferred::Discard(child));
        }
        if child.node.meta().state() != State::Stopped {
            child.node.order(Order::Close);
        }
        None
    }

    /// In their order; without those that are gone and whose names others have by now.
    fn listed(&self) -> impl Iterator<Item = &Arc<dyn Node>> {
        let has_name =
            |(key, child): &(&Key, &ChildRecord)| self.names.get(child.node.meta().name()) == Some(*key);
        self.children.iter().filter(has_name).map(|(_, child)| &child.node)
    }

    /// Whether a child of this name is not gone for good. Of one that is, the supervisor may not have heard yet.
    fn has_living(&self, name: &str) -> bool {
        let child = self.names.get(name).and_then(|key| self.children.get(key));
        child.is_some_and(|child| child.node.meta().state() != State::Stopped)
    }

    /// Children, and ends of children that nobody has heard of yet.
    fn count(&self) -> usize {
        self.children.len() + self.untold.len()
    }
}

/// A supervisor as others see it.
pub(crate) struct SupervisorNode {
    meta: Meta,
    /// Where its children hang: one for all of them.
    place: OnceLock<Arc<Place>>,
    pub(super) inbox: Arc<Inbox>,
    body: Mutex<Body>,
}

impl SupervisorNode {
    pub(super) fn new(name: Arc<str>, kind: Kind) -> Arc<Self> {
        let rules = Rules::new(kind == Kind::Dynamic);
        Arc::new(SupervisorNode {
            meta: Meta::new(name, kind, Strategy::OneForOne.as_str()),
            place: OnceLock::new(),
            inbox: Arc::default(),
            body: Mutex::new(Body {
                plan: Plan::new(rules),
                children: BTreeMap::new(),
                names: HashMap::new(),
                next_key: 0,
                declared: Vec::new(),
                max_children: None,
                on_exit: None,
                untold: VecDeque::new(),
                place: None,
                exits: 0,
                crashes: 0,
                last_crashes: VecDeque::new(),
                unreported_exits: 0,
            }),
        })
    }

    /// What the specification says. To be called once, before the supervisor is launched.
    pub(super) fn configure(
        &self,
        rules: Rules,
        max_children: Option<usize>,
        on_exit: Option<Recipient<ChildExited>>,
        declared: Vec<Entry>,
    ) {
        let mut body = self.body.lock();
        body.plan = Plan::new(rules);
        body.max_children = max_children;
        body.on_exit = on_exit;
        body.declared = declared;
    }

    pub(super) fn with<T>(&self, f: impl FnOnce(&mut Body) -> T) -> T {
        f(&mut self.body.lock())
    }

    pub(super) fn link(&self, child: Key) -> Link {
        Link { inbox: self.inbox.clone(), child }
    }

    /// To be called when it hangs in the tree itself.
    fn place(&self) -> &Arc<Place> {
        self.place.get_or_init(|| self.meta.place())
    }

    /// Hangs the declared children below this supervisor, which hangs in the tree itself by now.
    pub(super) fn take_in_declared(&self) {
        let place = self.place();
        let mut body = self.body.lock();
        for entry in std::mem::take(&mut body.declared) {
            entry.node.meta().put_below(place.clone());
            let member = entry.member();
            let key = body.insert(entry);
            // Nothing runs yet, so nothing is to be done.
            body.plan.add(key, member);
        }
    }

    /// Those that are there now, in their order.
    pub(super) fn children(&self) -> Vec<Arc<dyn Node>> {
        self.with(|body| body.listed().cloned().collect())
    }

    pub(super) fn child_count(&self) -> usize {
        self.body.lock().children.len()
    }

    fn may_add(&self, body: &Body, entry: &Entry) -> Result<(), StartChildError> {
        let path = || Place::join(&self.meta.path(), entry.node.meta().name());
        validate::check_significant(path, body.plan.rules(), entry)?;
        if !body.plan.is_running() || body.place.is_none() {
            return Err(StartChildError::NotRunning);
        }
        if let Some(max_children) = body.max_children.filter(|max| body.count() >= *max) {
            return Err(StartChildError::Full { max_children });
        }
        let name = entry.node.meta().name();
        if body.has_living(name) {
            return Err(StartChildError::NameTaken { name: name.to_string() });
        }
        Ok(())
    }

    pub(crate) fn add(&self, entry: Entry) -> Result<(), StartChildError> {
        let path = || Place::join(&self.meta.path(), entry.node.meta().name());
        let checked = validate::check_one(path, &entry);
        let mut body = self.body.lock();
        let allowed = checked.map_err(StartChildError::from).and_then(|()| self.may_add(&body, &entry));
        if let Err(error) = allowed {
            drop(body);
            entry.refuse(&error);
            return Err(error);
        }
        entry.node.meta().put_below(self.place().clone());
        let member = entry.member();
        let key = body.insert(entry);
        let mut deferred = None;
        for action in body.plan.add(key, member) {
            if let Action::Start { child, generation, after } = action {
                deferred = body.start(self.link(child), generation, after);
            }
        }
        drop(body);
        if let Some(launch) = deferred {
            launch.run();
        }
        Ok(())
    }

    pub(super) fn spawn_child<A: Actor>(&self, child: ChildSpec<A>) -> Result<ActorRef<A>, StartChildError> {
        let actor = child.actor_ref();
        self.add(child.into_entry())?;
        Ok(actor)
    }

    pub(super) async fn start_child<A: Actor>(
        &self,
        child: ChildSpec<A>,
    ) -> Result<ActorRef<A>, StartChildError> {
        let actor = child.actor_ref();
        self.start_entry(child.into_entry()).await?;
        Ok(actor)
    }

    pub(crate) async fn start_entry(&self, entry: Entry) -> Result<(), StartChildError> {
        let node = entry.node.clone();
        self.add(entry)?;
        let settled = |state| matches!(state, State::Running | State::Suspended | State::Stopped);
        match node.meta().wait_until(settled).await {
            // It may have done all that it was for.
            State::Stopped if !node.meta().has_run() => {
                let reason = node.meta().last_reason().unwrap_or(StopReason::Killed);
                Err(StartChildError::NotStarted(reason))
            }
            _ => Ok(()),
        }
    }
}

impl Node for SupervisorNode {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn order(&self, order: Order) {
        self.inbox.order(order);
    }

    fn snapshot(&self) -> ActorSnapshot {
        let body = self.body.lock();
        let now = body.place.as_ref().map(|(runtime, _)| runtime.now()).unwrap_or_default();
        let (rules, intensity) = (body.plan.rules(), body.plan.intensity());
        let supervision = SupervisionSnapshot {
            strategy: rules.strategy,
            recent_restarts: intensity.recent(now),
            intensity: intensity.limit(),
            period: intensity.period(),
            exhausted: body.plan.is_exhausted(now),
            child_count: body.children.len(),
            max_children: body.max_children,
            exits: body.exits,
            crashes: body.crashes,
            last_crashes: body.last_crashes.iter().cloned().collect(),
            unreported_exits: body.unreported_exits,
        };
        let listed = if rules.dynamic { LISTED } else { usize::MAX };
        let children: Vec<_> = body.listed().take(listed).cloned().collect();
        drop(body);
        ActorSnapshot {
            type_name: supervision.strategy.as_str(),
            supervision: Some(supervision),
            children: children.iter().map(|child| child.snapshot()).collect(),
            ..ActorSnapshot::of(&self.meta)
        }
    }

    fn discard(&self, reason: StopReason) {
        self.take_in_declared();
        let keys: Vec<Key> = self.with(|body| body.children.keys().copied().collect());
        for key in keys {
            if let Some(rest) = self.with(|body| body.close(key)) {
                rest.run();
            }
        }
        self.meta.end(reason);
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn check_below(&self, path: &str) -> Result<(), SpecError> {
        let body = self.body.lock();
        validate::check(path, body.plan.rules(), body.declared.iter())
    }

    fn children(&self) -> Vec<Arc<dyn Node>> {
        SupervisorNode::children(self)
    }

    fn child(&self, name: &str) -> Option<Arc<dyn Node>> {
        let body = self.body.lock();
        match body.names.get(name) {
            Some(key) => body.children.get(key).map(|child| child.node.clone()),
            None => {
                let declared = body.declared.iter().find(|entry| &**entry.node.meta().name() == name);
                declared.map(|entry| entry.node.clone())
            }
        }
    }
}
