//! [`RateLimit`]: how many requests a client may make.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{HttpMessage, dev::ServiceRequest, http::Method};
use callboard_actors::edges::windows::{CountWindows, WindowLimit};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};
use parking_lot::Mutex;

use crate::{
    address,
    guard::{Caller, is_probe},
    pages,
    problem::{Kind, Trouble},
};

/// Clients that a node counts for itself; what further ones do is counted together.
const MOST_CLIENTS: usize = 100_000;
const FURTHER_ONES: &str = "others";
/// How often those are forgotten at most that did nothing for as long as the window.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// Counts what clients ask: over all nodes where that can be done, else by itself.
pub(crate) struct RateLimit {
    limit: WindowLimit,
    here: DefaultKeyedRateLimiter<String>,
    forgotten: Mutex<Instant>,
    everywhere: Option<Arc<dyn CountWindows>>,
    /// Told of each request that is refused.
    refused: Arc<dyn Fn() + Send + Sync>,
}

impl RateLimit {
    /// `None`: clients may ask as much as they like.
    pub(crate) fn new(
        times: u32,
        window: Duration,
        everywhere: Option<Arc<dyn CountWindows>>,
        refused: Arc<dyn Fn() + Send + Sync>,
    ) -> Option<Self> {
        let limit = WindowLimit { times: NonZeroU32::new(times)?, window };
        let quota = Quota::with_period(limit.interval())?.allow_burst(limit.times);
        let here = RateLimiter::keyed(quota);
        Some(RateLimit { limit, here, forgotten: Mutex::new(Instant::now()), everywhere, refused })
    }

    /// Counts a request.
    pub(crate) async fn check(&self, request: &ServiceRequest) -> Result<(), Trouble> {
        if is_free(request) {
            return Ok(());
        }
        let Some(client) = client(request) else { return Ok(()) };
        self.take(client).await.map_err(|wait| {
            (self.refused)();
            let (times, window) = (self.limit.times, self.limit.window);
            let detail = format!("a client may make {times} requests in {window:?}: try again in {wait:.1?}");
            Trouble::new(Kind::TooManyRequests, detail).retry_after(wait)
        })
    }

    /// Counts something that a client does. If that is too much, how long until it may do it.
    pub(crate) async fn take(&self, client: String) -> Result<(), Duration> {
        if let Some(everywhere) = &self.everywhere
            && let Some(taken) = everywhere.take(client.clone(), self.limit).await
        {
            return taken;
        }
        let client = if self.has_room() { client } else { FURTHER_ONES.to_owned() };
        self.here.check_key(&client).map_err(|not_until| not_until.wait_time_from(self.here.clock().now()))
    }

    /// Whether one more client can be told apart.
    fn has_room(&self) -> bool {
        if self.here.len() < MOST_CLIENTS {
            return true;
        }
        let mut forgotten = self.forgotten.lock();
        if forgotten.elapsed() >= FORGET_EVERY {
            self.here.retain_recent();
            *forgotten = Instant::now();
        }
        self.here.len() < MOST_CLIENTS
    }
}

/// What is never counted: probes, metrics, pages, and what a browser asks beforehand.
fn is_free(request: &ServiceRequest) -> bool {
    let (method, path) = (request.method(), request.path());
    *method == Method::OPTIONS || path == "/metrics" || is_probe(path) || pages::is_page(method, path)
}

/// Whose request it is: that of a token, if it is known, or else of an address. What stands before an address cannot be
/// believed, so proxies are one client.
fn client(request: &ServiceRequest) -> Option<String> {
    if let Some(Caller(name, _)) = request.extensions().get::<Caller>() {
        return Some(format!("token:{name}"));
    }
    address::owner_of(request.request()).map(|address| format!("address:{address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(times: u32) -> RateLimit {
        RateLimit::new(times, Duration::from_secs(3600), None, Arc::new(|| {})).expect("a limit")
    }

    #[tokio::test]
    async fn each_client_has_its_places_and_they_come_back_one_by_one() {
        let limit = limit(3);
        for client in ["one", "two"] {
            for _ in 0..3 {
                assert_eq!(limit.take(client.to_owned()).await, Ok(()));
            }
            let wait = limit.take(client.to_owned()).await.unwrap_err();
            assert!(wait > Duration::from_secs(1100) && wait <= Duration::from_secs(1200), "{wait:?}");
        }
    }

    #[tokio::test]
    async fn clients_without_number_cost_no_memory_without_bound() {
        let limit = limit(1);
        for number in 0..MOST_CLIENTS {
            assert_eq!(limit.take(number.to_string()).await, Ok(()));
        }
        // They are counted together.
        assert_eq!(limit.take("one more".to_owned()).await, Ok(()));
        assert!(limit.take("another one".to_owned()).await.is_err());
        assert!(limit.here.len() <= MOST_CLIENTS + 1);
    }

    #[derive(Debug)]
    struct Away;

    impl CountWindows for Away {
        fn take(
            &self,
            client: String,
            _: WindowLimit,
        ) -> futures_util::future::BoxFuture<'static, Option<Result<(), Duration>>> {
            let known = (client == "known").then_some(Err(Duration::from_secs(7)));
            Box::pin(std::future::ready(known))
        }
    }

    #[tokio::test]
    async fn what_all_nodes_count_counts_and_without_them_the_node_counts() {
        let limit = RateLimit { everywhere: Some(Arc::new(Away)), ..limit(1) };
        assert_eq!(limit.take("known".to_owned()).await, Err(Duration::from_secs(7)));
        assert_eq!(limit.take("unknown".to_owned()).await, Ok(()));
        assert!(limit.take("unknown".to_owned()).await.is_err());
    }
}
