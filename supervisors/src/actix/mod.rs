//! The only folder that imports actix's actor types. Nothing of them shows outside of it.

mod cell;
mod message;
mod stage;

pub(crate) use cell::ActorCell;
pub use message::Message;
pub(crate) use stage::Stage;
