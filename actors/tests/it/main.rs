//! Integration tests of callboard-actors.
#![allow(clippy::unwrap_used, reason = "a test says by its panic what is wrong, also in its helpers")]

mod command;
#[cfg(feature = "http")]
mod http;
mod metrics;
#[cfg(feature = "mongodb")]
mod mongodb;
mod pipeline;
mod postgres;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
#[cfg(feature = "redis")]
mod redis;
mod remote;
#[cfg(any(feature = "redis", feature = "mongodb"))]
mod server;
mod store;
mod transfer;
