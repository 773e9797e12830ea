//! The totals of finished jobs as programs outside read them: a projection of the store's log.
//!
//! What is here is the port for reading; the backend writes as an [`EventSink`](super::sink::EventSink).

#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
mod sink;

use std::fmt;

use callboard_contracts::api::{LogCursor, Totals};
use futures_util::future::BoxFuture;

#[cfg(feature = "redis")]
pub use self::redis::{RedisCounters, RedisOptions};
use super::store::StoreHandle;

/// Reads totals from a server outside.
pub trait ReadCounters: fmt::Debug + Send + Sync + 'static {
    /// The totals, if the server is there and has counted all up to `newest`, as far as is known; else `None`, and the store is
    /// asked. Never waits for a connection to be made.
    fn totals(&self, store: StoreHandle, newest: LogCursor) -> BoxFuture<'static, Option<Totals>>;
}
