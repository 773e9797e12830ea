//! Jobs, the roles that run them, and the edges to the outside.

mod failpoint;

pub mod cron;
pub mod edges;
pub mod encryption;
pub mod jobs;
pub mod roles;

/// The library in whose transactions [`enqueue_in`](edges::store::enqueue_in) stores jobs.
#[cfg(feature = "postgres")]
pub use sqlx;

pub(crate) use failpoint::failpoint;
#[cfg(feature = "failpoints")]
pub use failpoint::{FAILPOINTS, Failpoint};
