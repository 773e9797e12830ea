//! Supervised actors, and a job system that runs on them.
//!
//! The actor runtime is here without any feature: see [`Actor`], [`ChildSpec`], [`SupervisorSpec`] and [`ActorSystem`].
//! The feature `jobs` adds typed jobs ([`jobs`]), `sqlite` the embedded store and [`App`], which puts it all together,
//! `postgres` the store for several processes, `http` jobs that make HTTP requests, `web` the HTTP endpoints, and `client`
//! a typed HTTP client. `testkit` brings what tests of actors ([`testkit`]) and of jobs ([`testing`]) need.
//!
//! `docs/architecture.md` shows the tree, a job's way through it, and the glossary.

#[cfg(feature = "sqlite")]
mod app;
#[cfg(feature = "sqlite")]
mod assembly;
#[cfg(feature = "sqlite")]
mod backends;
#[cfg(feature = "sqlite")]
mod cron;
#[cfg(feature = "postgres")]
mod enqueue_in;
#[cfg(feature = "sqlite")]
mod folder_lock;
#[cfg(feature = "sqlite")]
mod keyring;
#[cfg(feature = "sqlite")]
mod queues;
#[cfg(feature = "sqlite")]
mod settings;
#[cfg(feature = "sqlite")]
mod signals;
#[cfg(all(feature = "sqlite", feature = "testkit"))]
pub mod testing;
#[cfg(feature = "sqlite")]
mod upkeep;
#[cfg(feature = "sqlite")]
mod workflows;

pub use callboard_supervisors::CallboardMessage as Message;
pub use callboard_supervisors::*;

#[cfg(feature = "sqlite")]
pub use app::{App, AppBuilder, AppError, StopReport};
#[cfg(feature = "sqlite")]
pub use assembly::{CommandSetupError, OutsideSetupError, StoreSetupError};
#[cfg(feature = "client")]
pub use callboard_client as client;
#[cfg(feature = "sqlite")]
pub use callboard_config as config;
#[cfg(feature = "jobs")]
pub use callboard_contracts as contracts;
#[cfg(feature = "sqlite")]
pub use cron::Cron;
#[cfg(feature = "sqlite")]
pub use folder_lock::{FolderError, address_in_lock};
#[cfg(feature = "sqlite")]
pub use keyring::KeyringError;
#[cfg(feature = "sqlite")]
pub use settings::SettingsError;
#[cfg(feature = "sqlite")]
pub use workflows::Workflows;

/// What secret values of jobs are encrypted with (`docs/encryption.md`).
#[cfg(feature = "jobs")]
pub mod encryption {
    pub use callboard_actors::encryption::{ENCRYPTED, KeyError, Keyring, OpenError, REDACTED};
}

/// What a node of a fleet does.
#[cfg(feature = "sqlite")]
pub mod roles {
    pub use callboard_actors::roles::{InvalidRoles, Role, RoleSet};
}

/// The store: looking after it, moving what it holds to another, and the one on PostgreSQL by itself.
#[cfg(feature = "sqlite")]
pub mod store {
    #[cfg(feature = "postgres")]
    pub use callboard_actors::edges::store::{PostgresOptions, PostgresStore, enqueue_in};
    pub use callboard_actors::edges::store::{
        StoreError,
        transfer::{Check, Counts, SchemaVersion, TransferError},
    };

    pub use crate::upkeep::Upkeep;
}

/// The bus: messages to programs outside, and theirs to us.
#[cfg(feature = "jobs")]
pub mod bus {
    pub use callboard_actors::edges::bus::*;
}

/// Typed messages to actors of other nodes, over the bus: [`App::remote`](crate::App::remote).
#[cfg(feature = "jobs")]
pub mod remote {
    pub use callboard_actors::edges::remote::{Remote, RemoteError, RemoteMessage, RemoteRef};
}

/// The ports behind which backends of one's own can stand (`docs/ports.md`), and how [`AppBuilder`] takes them.
#[cfg(feature = "sqlite")]
pub mod ports {
    pub use callboard_actors::edges::{archive, breaker, bus, counters, outside, sink, store, windows};

    pub use crate::backends::{SameNameError, Sharing};
}

/// For actix-web handlers that ask actors.
#[cfg(feature = "web")]
pub mod web {
    pub use callboard_web::Unanswered;
}

/// The library in whose transactions [`App::enqueue_in`] stores jobs.
#[cfg(feature = "postgres")]
pub use callboard_actors::sqlx;

/// What a job is, and the job types that come with Callboard.
#[cfg(feature = "jobs")]
pub mod jobs {
    pub use callboard_actors::{
        jobs::*,
        roles::{UnfitJobs, request::Refusal},
    };
}

/// Must be the first call of `main` in a program that runs `command` jobs: the program re-executes itself to guard the
/// programs it starts, and this is where the guard takes over. It returns at once in every other case.
#[cfg(feature = "jobs")]
pub fn main_if_shim() {
    callboard_actors::jobs::command::main_if_shim();
}

/// The Rust of `docs/coming-from.md` is run as that of the documentation is.
#[cfg(all(doctest, feature = "cli", feature = "testkit"))]
#[doc = include_str!("../docs/coming-from.md")]
mod coming_from {}
