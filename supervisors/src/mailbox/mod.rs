//! The mailbox: ours, because actix's bound leaks and its queue cannot be reached.

mod policy;
mod queue;
mod room;

pub use policy::{MailboxSpec, Overflow};
pub(crate) use queue::Mailbox;
