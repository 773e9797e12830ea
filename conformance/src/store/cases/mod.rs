//! The cases. Each is told a store of its own by [`run`](super::stage::run).

pub mod attempts;
pub mod bulk;
pub mod choosing;
pub mod concurrency;
pub mod control;
pub mod cron;
pub mod dead_jobs;
pub mod edges;
pub mod encryption;
pub mod fleet;
pub mod inbox;
pub mod keys;
pub mod log;
pub mod model;
pub mod outside;
pub mod queue_pause;
pub mod reading;
pub mod releases;
pub mod reports;
pub mod retention;
pub mod sessions;
pub mod signals;
pub mod submitting;
pub mod turns;
pub mod unique;
pub mod workflow;
