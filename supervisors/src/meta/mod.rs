//! What anybody may read about an actor, without asking it.

mod crash;
mod farewell;
mod meta_data;
mod place;
mod reason;
mod snapshot;

pub use crash::CrashRecord;
pub(crate) use farewell::Farewell;
pub use meta_data::{ActorId, Kind, State};
pub(crate) use meta_data::{Meta, uptime};
pub(crate) use place::Place;
pub use reason::StopReason;
pub use snapshot::{
    ActorSnapshot, BlockingSnapshot, CurrentMessage, SupervisionSnapshot, TreeSnapshot, WaitingFor,
};
