//! A queue on this node: its producer, its running jobs, and what outlives a crash of either.

pub(crate) mod attempt;
pub(crate) mod board;
mod crash_window;
pub(crate) mod crashes;
mod drain_rate;
mod ending;
mod job_actor;
pub(crate) mod key_waits;
mod prefetch;
pub(crate) mod producer;
mod queue_state;
mod subtree;
mod supervision;

pub(crate) use ending::{Ending, MAX_MESSAGE_BYTES, cut};
pub(crate) use queue_state::{Queue, Wake};
pub(crate) use subtree::subtree;
pub use supervision::QueueSupervision;
