//! Backends of the embedding program's own: what [`AppBuilder`] takes of them, and where it puts them.

use std::{collections::BTreeSet, fmt, sync::Arc};

use callboard_actors::{
    edges::{
        archive::ReadArchive,
        breaker::{EdgeGuard, GuardSettings},
        bus::{Publish, Receive},
        counters::ReadCounters,
        outside::{Outside, OutsideEdge},
        sink::SinkSpec,
        store::{OpenStore, Store, StoreError},
    },
    roles::{Publisher, RolesConfig},
};
use callboard_config::Settings;
use callboard_supervisors::SupervisorSpec;

use crate::{
    app::AppBuilder,
    assembly::{self, StoreSetupError},
};

/// Who may have a store open at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// One node. Sessions of others that are found at the start are of dead ones.
    OneNode,
    /// Many nodes, which find each other in it.
    ManyNodes,
}

/// The tree that reads from a broker and gives what comes in to whoever decides about it.
type Consumers = Box<dyn FnOnce(Arc<dyn Receive>) -> SupervisorSpec + Send>;

/// A store that is not one of ours.
pub(crate) struct OwnStore {
    place: String,
    sharing: Sharing,
    open: OpenStore,
}

/// What the embedding program brings.
#[derive(Default)]
pub(crate) struct Backends {
    pub(crate) store: Option<OwnStore>,
    pub(crate) consumers: Option<Consumers>,
    publisher: Option<Arc<dyn Publish>>,
    sinks: Vec<SinkSpec>,
    outside: Outside,
}

/// Two backends want the same place: one of the embedding program's own, and one of the settings or another of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there are two of the name {name:?} among the {what}: give the backend another name, or leave its setting out"
)]
pub struct SameNameError {
    what: &'static str,
    name: String,
}

impl Backends {
    pub(crate) fn is_shared(&self, settings: &Settings) -> bool {
        match &self.store {
            Some(own) => own.sharing == Sharing::ManyNodes,
            None => assembly::is_shared(settings),
        }
    }

    /// How the store is opened, and where it is.
    pub(crate) fn open_store(&self, settings: &Settings) -> Result<(OpenStore, String), StoreSetupError> {
        match &self.store {
            Some(own) => Ok((own.open.clone(), own.place.clone())),
            None => Ok((assembly::open_store(settings)?, assembly::store_place(settings))),
        }
    }

    /// Puts them into the node's configuration, before what the settings name.
    pub(crate) fn apply(&self, mut config: RolesConfig, settings: &Settings) -> RolesConfig {
        if self.store.is_some() {
            let shared = self.is_shared(settings);
            config.sole_owner = !shared;
            config.node = assembly::node_name_on(settings, shared);
        }
        config.sinks.extend(self.sinks.iter().cloned());
        config.outside = self.outside.clone();
        config.publisher = self.publisher.clone().map(Publisher);
        config.inbound.on |= self.consumers.is_some();
        config
    }

    /// Looks at what has come together.
    pub(crate) fn check(&self, config: &RolesConfig, settings: &Settings) -> Result<(), SameNameError> {
        unique("sinks", config.sinks.iter().map(|sink| &*sink.name))?;
        unique("edges", config.outside.edges.iter().map(|edge| edge.guard.name()))?;
        let own_bus = self.publisher.is_some() || self.consumers.is_some();
        if own_bus && settings.bus.url.is_some() {
            return Err(SameNameError { what: "brokers", name: "bus".to_owned() });
        }
        Ok(())
    }
}

fn unique<'a>(what: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), SameNameError> {
    let mut known = BTreeSet::new();
    for name in names {
        if !known.insert(name) {
            return Err(SameNameError { what, name: name.to_owned() });
        }
    }
    Ok(())
}

impl fmt::Debug for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = f.debug_struct("Backends");
        all.field("store", &self.store.as_ref().map(|own| &own.place));
        all.field("sinks", &self.sinks).field("outside", &self.outside).finish_non_exhaustive()
    }
}

/// Backends of one's own (`docs/ports.md`).
impl AppBuilder {
    /// Keeps jobs in a store of one's own, whatever the settings say of `store.backend`. `place` names it for people, in errors.
    /// `open` is called on a thread that may block, until it succeeds: after [`StoreError::NotReady`] again and again, while any other error
    /// ends the start. What is open is kept until the app stops, and makes its own connections anew.
    ///
    /// What looks after a store ([`Upkeep`](crate::store::Upkeep), `callboard store`) knows nothing of it.
    pub fn store(
        mut self,
        place: impl Into<String>,
        sharing: Sharing,
        open: impl Fn() -> Result<Arc<dyn Store>, StoreError> + Send + Sync + 'static,
    ) -> Self {
        self.backends.store = Some(OwnStore { place: place.into(), sharing, open: Arc::new(open) });
        self
    }

    /// What calls to a server outside go through: a time limit, a bound and a circuit breaker, whose numbers are in this app's metrics
    /// under `name`.
    pub fn guard(&self, name: impl Into<String>, settings: GuardSettings) -> EdgeGuard {
        EdgeGuard::new(name, settings, self.backends.outside.numbers.clone())
    }

    /// Tells somebody outside what happens, page by page and in order, while this node leads (the actor `observers/relay-NAME`).
    pub fn sink(mut self, sink: SinkSpec) -> Self {
        self.backends.sinks.push(sink);
        self
    }

    /// Keeps an eye on a server outside (the actor `observers/edge-NAME`). Jobs that need an edge of this name wait while it is
    /// tripped. Its guard is to be one of this builder's ([`guard`](Self::guard)).
    pub fn edge(mut self, edge: OutsideEdge) -> Self {
        self.backends.outside.edges.push(edge);
        self
    }

    /// Reads totals there while they are up to date. `counters.url` takes its place.
    pub fn counters(mut self, counters: Arc<dyn ReadCounters>) -> Self {
        self.backends.outside.counters = Some(counters);
        self
    }

    /// Reads old events there. `archive.url` takes its place.
    pub fn archive(mut self, archive: Arc<dyn ReadArchive>) -> Self {
        self.backends.outside.archive = Some(archive);
        self
    }

    /// Sends by a broker of one's own: the jobs of queues that are served by workers outside, and dead letters. What is told of events is
    /// a sink ([`Outward::sink`](callboard_actors::edges::bus::Outward::sink)).
    pub fn publisher(mut self, publisher: Arc<dyn Publish>) -> Self {
        self.backends.publisher = Some(publisher);
        self
    }

    /// Reads from a broker of one's own: the tree that `consumers` makes is put under `edges` on a node that has the role of the gateway,
    /// and gives each message that comes in to the [`Receive`] that it was made with.
    pub fn consumers(
        mut self,
        consumers: impl FnOnce(Arc<dyn Receive>) -> SupervisorSpec + Send + 'static,
    ) -> Self {
        self.backends.consumers = Some(Box::new(consumers));
        self
    }
}
