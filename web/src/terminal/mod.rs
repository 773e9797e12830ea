//! The web terminal: a program in a pseudo terminal, which a browser shows.
//!
//! `/ws` speaks the JSON protocol of the old system, and `callboard.terminal.v2` with whoever asks for it. Each session is an actor
//! below `web/terminal/sessions`; the broker beside them knows who may have one.

mod broker;
mod frame;
mod json;
mod json_client;
mod keys;
mod link;
mod origin;
mod output;
mod passes;
mod recording;
mod ring;
mod routes;
mod session;
mod settings;
mod socket;
mod ticket;
mod v2_client;

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use callboard_supervisors::{ChildSpec, DynamicSupervisorSpec, OnExhausted, Placement, SupervisorSpec};
use tokio::sync::{Semaphore, watch};

pub(crate) use self::routes::{BELOW, TICKETS, routes};
pub use self::settings::{TerminalCommand, TerminalSettings};
pub(crate) use self::socket::{PATH, resources};
use self::{
    broker::{Broker, BrokerArgs, Table},
    passes::Passes,
    settings::Scope,
};
use crate::settings::WebDependencies;

/// How long the broker may take for a session.
const ASK_LIMIT: Duration = Duration::from_secs(45);
/// The name of the subtree.
const SUBTREE: &str = "terminal";
/// Connections that are not sessions (yet), for each that may be one.
const WAITING: usize = 2;

/// Where the servers listen, each once it does.
pub(crate) type Addresses = Vec<watch::Receiver<Option<SocketAddr>>>;

/// What the endpoints have of the terminal.
pub(crate) struct Terminal {
    settings: Arc<TerminalSettings>,
    broker: callboard_supervisors::ActorRef<Broker>,
    passes: Arc<Passes>,
    /// Places of connections.
    seats: Arc<Semaphore>,
    addresses: Arc<OnceLock<Addresses>>,
}

impl Terminal {
    /// Whose session has this token, and with which role.
    pub(crate) fn pass(&self, token: &str) -> Option<(String, crate::Role)> {
        self.passes.find(token)
    }

    fn listening(&self) -> Vec<SocketAddr> {
        self.addresses.get().into_iter().flatten().filter_map(|address| *address.borrow()).collect()
    }
}

/// The subtree, and what the endpoints have of it. The first of `addresses` is the server's own; they are told once they are known.
pub(crate) fn terminal(
    settings: TerminalSettings,
    roles: &WebDependencies,
    asks_for_tokens: bool,
    addresses: Arc<OnceLock<Addresses>>,
) -> (SupervisorSpec, Arc<Terminal>) {
    let settings = Arc::new(settings);
    let passes = Arc::new(Passes::default());
    let sessions = DynamicSupervisorSpec::new("sessions").placement(Placement::Workers);
    let own = addresses.clone();
    let broker = ChildSpec::<Broker>::new(
        "broker",
        BrokerArgs {
            settings: settings.clone(),
            sessions: sessions.handle(),
            table: Arc::new(parking_lot::Mutex::new(Table::default())),
            passes: passes.clone(),
            note: roles.note_audit.clone(),
            count: roles.terminal_event.clone(),
            server: Arc::new(move || *own.get()?.first()?.borrow()),
            asks_for_tokens,
        },
    )
    .placement(Placement::Control);
    let address = broker.actor_ref();
    let sessions = sessions.on_exit(address.recipient()).max_children(settings.max_sessions);
    let spec = SupervisorSpec::new(SUBTREE)
        .on_exhausted(OnExhausted::RetryAtMaxBackoff)
        .child(broker)
        .dynamic(sessions);
    let seats = Arc::new(Semaphore::new(settings.max_sessions * WAITING));
    (spec, Arc::new(Terminal { settings, broker: address, passes, seats, addresses }))
}
