//! Jobs, the roles that run them, and the edges to the outside.

mod failpoint;

pub mod edges;
pub mod jobs;
pub mod roles;

pub(crate) use failpoint::failpoint;
#[cfg(feature = "failpoints")]
pub use failpoint::{FAILPOINTS, Failpoint};
