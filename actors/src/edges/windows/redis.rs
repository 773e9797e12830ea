//! [`RedisWindows`]: windows in Redis.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use redis::{RedisError, Script};
use secrecy::SecretString;

use super::{CountWindows, WindowLimit};
use crate::edges::{
    breaker::EdgeGuard,
    outside::OutsideEdge,
    redis::{InvalidRedisUrl, RedisServer},
};

/// Takes a place by the server's own clock, in one step: what is kept is when the window is as good as new (the generic cell rate
/// algorithm). Answers how many microseconds it is until there is a place, or 0 if it was taken.
const TAKE: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local fresh = tonumber(redis.call('GET', KEYS[1]) or now)
if fresh < now then fresh = now end
local wait = fresh + interval - window - now
if wait > 0 then return wait end
fresh = fresh + interval
redis.call('SET', KEYS[1], string.format('%.0f', fresh), 'PX', math.ceil((fresh - now) / 1000))
return 0
";

/// Windows in Redis. Its calls go through a guard.
pub struct RedisWindows {
    server: RedisServer,
    guard: EdgeGuard,
    prefix: String,
    take: Script,
}

impl fmt::Debug for RedisWindows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisWindows").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl RedisWindows {
    /// Does not connect yet. `prefix` stands before each key.
    ///
    /// # Errors
    /// A URL that is none.
    pub fn new(url: &SecretString, prefix: &str, guard: EdgeGuard) -> Result<Arc<Self>, InvalidRedisUrl> {
        let prefix = format!("{prefix}callboard:window:");
        Ok(Arc::new(RedisWindows { server: RedisServer::new(url)?, guard, prefix, take: Script::new(TAKE) }))
    }

    /// What keeps an eye on the server.
    pub fn edge(self: &Arc<Self>) -> OutsideEdge {
        let windows = self.clone();
        let ping = move || {
            let windows = windows.clone();
            async move {
                // The guard knows what came of it.
                let _ = windows.guard.call(windows.ping()).await;
            }
            .boxed()
        };
        OutsideEdge { guard: self.guard.clone(), ping: Arc::new(ping), upkeep: None }
    }

    /// What answers questions.
    pub fn windows(self: &Arc<Self>) -> Arc<dyn CountWindows> {
        Arc::new(Windows(self.clone()))
    }

    async fn ping(&self) -> Result<(), RedisError> {
        let mut borrowed = self.server.borrow(true).await?;
        let answer = redis::cmd("PING").query_async::<()>(&mut borrowed.connection).await;
        borrowed.give_back(answer)
    }

    async fn take(&self, client: &str, limit: WindowLimit) -> Result<u64, RedisError> {
        let mut call = self.take.key(format!("{}{client}", self.prefix));
        let interval = u64::try_from(limit.interval().as_micros()).unwrap_or(u64::MAX);
        // As a whole number of intervals, so that just as many fit.
        call.arg(interval).arg(interval.saturating_mul(limit.times.get().into()));
        // Nobody but the edge makes connections.
        let mut borrowed = self.server.borrow(false).await?;
        let answer = call.invoke_async(&mut borrowed.connection).await;
        borrowed.give_back(answer)
    }
}

#[derive(Debug)]
struct Windows(Arc<RedisWindows>);

impl CountWindows for Windows {
    fn take(&self, client: String, limit: WindowLimit) -> BoxFuture<'static, Option<Result<(), Duration>>> {
        let windows = self.0.clone();
        async move {
            if !windows.guard.is_ready() {
                return None;
            }
            match windows.guard.call(windows.take(&client, limit)).await.ok()? {
                0 => Some(Ok(())),
                wait => Some(Err(Duration::from_micros(wait))),
            }
        }
        .boxed()
    }
}
