//! The store: jobs, attempts, events, queues, sessions, settings and job types.
//!
//! The store is the queue: jobs are claimed from it in batches, and each change writes its event in the same
//! transaction. [`port`] says what a backend must do, [`StoreEdge`] is the actor that owns one, and [`StoreHandle`] is
//! what everybody else uses.

#[cfg(feature = "sqlite")]
mod clock;
mod edge;
mod handle;
pub mod port;
pub mod record;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqlite")]
mod transition;

#[cfg(feature = "sqlite")]
pub use clock::Clock;
pub use edge::{OpenStore, StoreEdge, StoreEdgeArgs, Wiring};
pub use handle::StoreHandle;
pub use port::{Leadership, Operation, OperationResult, Outcome, Renewal, Store, StoreError, Wake};
#[cfg(feature = "sqlite")]
pub use sqlite::{Durability, SqliteOptions, SqliteStore};
