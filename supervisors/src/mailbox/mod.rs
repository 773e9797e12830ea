//! The mailbox: ours, because actix's bound leaks and its queue cannot be reached.

mod coalescing;
mod policy;
mod queue;
mod room;
#[cfg(test)]
mod tests;
mod wait;

pub(crate) use coalescing::Key;
pub use policy::{MailboxSpec, Overflow};
pub(crate) use queue::{Displaced, Mailbox};
