//! What a caller holds.

mod actor_handle;
mod actor_ref;
mod asking;
mod control;
mod patience;
mod recipient;
mod shared;

pub use actor_handle::ActorHandle;
pub use actor_ref::ActorRef;
pub(crate) use asking::ASK_LIMIT;
pub(crate) use control::{Control, Controlled};
pub(crate) use patience::{patiently, within};
pub use recipient::Recipient;
#[cfg(feature = "testkit")]
pub(crate) use recipient::{Admitted, Receive};
pub(crate) use shared::{Node, Shared};
