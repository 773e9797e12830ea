//! Supervision: specifications, the pure strategy, and the tasks that carry out what it says.

mod backoff;
mod child;
mod dynamic;
mod events;
mod handle;
mod home;
mod inbox;
mod intensity;
mod kill_watch;
#[cfg(feature = "testkit")]
mod orderly;
mod policy;
mod runtime;
mod settings;
mod spec;
mod strategy;
mod supervisor_node;
mod supervisor_task;
mod validate;

pub use backoff::Backoff;
pub(crate) use child::Entry;
pub use child::{ChildSpec, Restart, Shutdown};
pub use dynamic::{DynamicSupervisor, DynamicSupervisorSpec};
pub use events::ChildExited;
pub use handle::Supervisor;
pub(crate) use inbox::Inbox;
pub use policy::{AutoShutdown, OnExhausted, OnStartFailure, Strategy};
pub(crate) use runtime::{Runtime, random};
pub use spec::SupervisorSpec;
pub(crate) use spec::start_root;
pub(crate) use strategy::KILL_GRACE;
pub(crate) use supervisor_node::SupervisorNode;
