//! The edges to the outside: each is a port, its backends, and one actor that owns the connection.

pub mod store;
pub mod telemetry;
