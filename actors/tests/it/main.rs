//! Integration tests of callboard-actors.
#![allow(clippy::unwrap_used, reason = "a test says by its panic what is wrong, also in its helpers")]

mod command;
#[cfg(feature = "http")]
mod http;
mod metrics;
mod pipeline;
mod postgres;
mod store;
mod transfer;
