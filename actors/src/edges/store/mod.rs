//! The store: jobs, attempts, events, queues, sessions, settings and job types.
//!
//! The store is the queue: jobs are claimed from it in batches, and each change writes its event in the same
//! transaction. [`port`] says what a backend must do, [`StoreEdge`] is the actor that owns one, and [`StoreHandle`] is
//! what everybody else uses.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod clock;
#[cfg(feature = "failpoints")]
mod commit_points;
pub mod cron;
pub mod dead_jobs;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod durability;
mod edge;
pub mod encryption;
mod handle;
pub(crate) mod numbers;
pub mod outside;
pub mod port;
#[cfg(feature = "postgres")]
mod postgres;
pub mod queue_pause;
pub mod record;
pub mod report;
pub mod signals;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod transfer;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod transition;
pub mod workflow;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use clock::Clock;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use durability::Durability;
pub use edge::{OpenStore, StoreEdge, StoreEdgeArgs, Wiring};
pub use handle::StoreHandle;
pub use port::{
    KeyedAnswer, Leadership, Operation, OperationResult, Outcome, Renewal, Store, StoreError, Wake,
};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresOptions, PostgresStore, PostgresUpkeep, enqueue_in};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOptions, SqliteStore, SqliteUpkeep};
