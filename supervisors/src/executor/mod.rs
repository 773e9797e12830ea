//! Where actors run.

mod placement;
mod thread;

pub(crate) use placement::Executors;
pub use placement::Placement;
pub(crate) use thread::Executor;
