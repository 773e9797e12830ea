//! The only folder that imports actix's actor types. Nothing of them shows outside of it, but for what is adopted.

mod adopted;
mod adopted_loop;
mod adopted_shared;
mod adopted_spec;
pub mod adoption;
mod message;

pub use message::Message;
