//! Many actors that do the same, and who of them gets a message.

mod error;
mod gather;
mod handle;
mod keeper;
mod make;
mod members;
mod ring;
mod router;
mod routing;
mod spec;
mod state;

pub use error::ResizeError;
pub use gather::Broadcast;
pub use handle::Pool;
pub use members::Members;
pub use router::Router;
pub use routing::{OnFull, Routing};
pub use spec::PoolSpec;
