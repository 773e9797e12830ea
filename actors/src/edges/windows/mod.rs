//! Windows of time in which what clients do is counted, for limits that hold over all nodes.

#[cfg(feature = "redis")]
mod redis;

use std::{fmt, num::NonZeroU32, time::Duration};

use futures_util::future::BoxFuture;

#[cfg(feature = "redis")]
pub use self::redis::RedisWindows;

/// How much a client may do in a time. Who did nothing for that long may do all of it at once; then places come back one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowLimit {
    /// How often.
    pub times: NonZeroU32,
    /// In how long; at least a millisecond for each time.
    pub window: Duration,
}

impl WindowLimit {
    /// Until one place comes back.
    pub fn interval(self) -> Duration {
        self.window / self.times.get()
    }
}

/// Counts for all nodes.
pub trait CountWindows: fmt::Debug + Send + Sync + 'static {
    /// Takes a place in the window of `client`: done, or how long until there is one. `None` if nobody can say, because the server
    /// outside is away or slow: then each node counts for itself. Never takes longer than a request can wait.
    fn take(&self, client: String, limit: WindowLimit) -> BoxFuture<'static, Option<Result<(), Duration>>>;
}
