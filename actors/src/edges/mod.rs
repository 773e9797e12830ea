//! The edges to the outside: each is a port, its backends, and one actor that owns the connection.

pub mod archive;
pub mod breaker;
pub mod bus;
pub mod counters;
pub mod outside;
#[cfg(feature = "redis")]
mod redis;
pub mod remote;
pub mod sink;
pub mod store;
pub mod telemetry;
pub mod windows;

#[cfg(feature = "redis")]
pub use redis::InvalidRedisUrl;
