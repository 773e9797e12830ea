//! What anybody may read about an actor, without asking it.

mod crash;
mod meta_data;
mod reason;
mod snapshot;

pub use crash::CrashRecord;
pub use meta_data::{ActorId, Kind, State};
pub(crate) use meta_data::{Meta, Place};
pub use reason::StopReason;
pub use snapshot::{ActorSnapshot, CurrentMessage, SupervisionSnapshot, TreeSnapshot};
