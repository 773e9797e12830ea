//! Jobs on their way from the gateway through a queue to their end, on a real store and a real actor system.

mod crashes;
#[cfg(feature = "postgres")]
mod cron;
mod dead_jobs;
mod edges;
mod endings;
mod fleet;
mod gate;
pub(crate) mod harness;
mod inbound;
mod jobs;
mod life;
mod reports;
mod running;
mod secrets;
mod signals;
mod sinks;
mod trouble;
mod tuning;
mod workflows;
