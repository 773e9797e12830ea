//! What the suite needs of a backend.

use std::time::Duration;

use callboard_actors::{
    edges::{
        breaker::{BreakerSettings, EdgeGuard, GuardSettings},
        store::StoreHandle,
    },
    roles::RolesConfig,
};

use crate::Server;

/// A backend, and what the suite needs to know of it.
///
/// As the example `file_archive`, which is a file in a folder, is described and run (`conformance/tests/it/file_archive.rs`):
///
/// ```ignore
#[doc = include_str!("../../tests/it/file_archive.rs")]
/// ```
#[allow(
    async_fn_in_trait,
    reason = "the suite awaits them where it calls them, and never needs them to be Send"
)]
pub trait Subject: Sized + 'static {
    /// The name of its edge and of its sink.
    const EDGE: &'static str;

    /// What it tells.
    type Server: Server;

    /// A server that was not started yet.
    fn server() -> Self::Server;

    /// The backend for this server, which may not be there.
    fn new(server: &Self::Server) -> Self;

    /// Makes a node work with it: puts one [`SinkSpec`](callboard_actors::edges::sink::SinkSpec) into `config.sinks`, and its
    /// [`OutsideEdge`](callboard_actors::edges::outside::OutsideEdge) into `config.outside.edges`. Calls go through a guard that is
    /// made by [`guard`].
    fn configure(&self, config: &mut RolesConfig);

    /// What is there is gone, as if it had never been. The server runs.
    async fn wipe(&self);

    /// Whether just what the log of this store says is there: nothing is missing, and nothing doubled.
    ///
    /// # Errors
    /// What is there instead.
    async fn has_just_the_log(&self, store: &StoreHandle) -> Result<(), String>;
}

/// A backend that can be told to speak TLS, with a server that does not.
pub trait WithoutTls: Subject {
    /// As [`Subject::new`], over TLS.
    fn over_tls(server: &Self::Server) -> Self;
}

/// A guard that is soon through with its patience, which the suite counts on: a call may take a second, and three failures trip it.
pub fn guard(config: &RolesConfig, edge: &str) -> EdgeGuard {
    let breaker = BreakerSettings {
        failures: 3,
        first_pause: Duration::from_millis(200),
        longest_pause: Duration::from_secs(1),
        probes: 1,
    };
    let settings = GuardSettings { breaker, timeout: Duration::from_secs(1), concurrency: 4 };
    EdgeGuard::new(edge, settings, config.outside.numbers.clone())
}
