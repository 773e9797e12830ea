//! The store: jobs, attempts, events, queues, sessions, settings and job types.
//!
//! The store is the queue: jobs are claimed from it in batches, and each change writes its event in the same
//! transaction. [`port`] says what a backend must do.

pub mod port;
pub mod record;

pub use port::{Operation, OperationResult, Outcome, Store, StoreError};
