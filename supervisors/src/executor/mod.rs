//! Where actors run.

mod blocking;
mod placement;
#[cfg(feature = "testkit")]
mod seeded;
mod thread;

pub(crate) use blocking::BlockingPool;
pub(crate) use placement::Executors;
pub use placement::Placement;
#[cfg(feature = "testkit")]
pub(crate) use seeded::budget;
pub(crate) use thread::Executor;
