//! The store by itself: what every backend does in the same way, and what is a backend's own.

mod backend;
mod chance;
mod client;
mod conformance;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;
mod stage;
mod trouble;
mod words;
