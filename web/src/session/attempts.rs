//! How often somebody may try to sign in.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use callboard_actors::edges::windows::CountWindows;

use crate::{
    problem::{Kind, Trouble},
    rate_limit::RateLimit,
};

/// The time that attempts are counted in.
const WINDOW: Duration = Duration::from_secs(60);
/// How many times as often all addresses together may try.
const ALL: u32 = 10;
/// Failed attempts of a window that the audit trail has one by one: whoever tries must not fill it.
const NOTED: u32 = 10;

/// Counts attempts.
pub(crate) struct Attempts {
    times: u32,
    each: Option<RateLimit>,
    all: Option<RateLimit>,
    noted: Option<RateLimit>,
    /// Failed attempts that the trail does not have.
    unnoted: AtomicU64,
    refused: Arc<dyn Fn() + Send + Sync>,
}

impl Attempts {
    /// `everywhere`: what counts them over all nodes, if anything does.
    pub(crate) fn new(
        times: u32,
        everywhere: Option<Arc<dyn CountWindows>>,
        refused: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        let limit = |times, everywhere| RateLimit::new(times, WINDOW, everywhere, refused.clone());
        Attempts {
            times,
            each: limit(times, everywhere.clone()),
            all: limit(times.saturating_mul(ALL), everywhere),
            noted: limit(NOTED, None),
            unnoted: AtomicU64::new(0),
            refused,
        }
    }

    /// Counts an attempt of this address, before anything of it is looked at.
    pub(crate) async fn check(&self, address: Option<IpAddr>) -> Result<(), Trouble> {
        let address = address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        let mut waits = take(self.each.as_ref(), format!("sign-in:{address}")).await;
        // What an address may not try is not taken from the others.
        if waits.is_ok() {
            waits = take(self.all.as_ref(), "sign-in".to_owned()).await;
        }
        waits.map_err(|wait| {
            (self.refused)();
            let times = self.times;
            let detail = format!(
                "an address may try to sign in {times} times a minute, and all together {ALL} times as often: try again in {wait:.1?}"
            );
            Trouble::new(Kind::TooManyRequests, detail).retry_after(wait)
        })
    }

    /// Whether the audit trail is to have a failed attempt, and how many before it had no place there.
    pub(crate) async fn failed(&self) -> Option<u64> {
        if take(self.noted.as_ref(), "noted".to_owned()).await.is_err() {
            self.unnoted.fetch_add(1, Relaxed);
            return None;
        }
        Some(self.unnoted.swap(0, Relaxed))
    }
}

async fn take(limit: Option<&RateLimit>, client: String) -> Result<(), Duration> {
    match limit {
        Some(limit) => limit.take(client).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_address_has_its_attempts_and_all_have_theirs_together() {
        let attempts = Attempts::new(3, None, Arc::new(|| {}));
        let address = |number: u8| Some(IpAddr::from([192, 0, 2, number]));
        for _ in 0..3 {
            attempts.check(address(0)).await.unwrap();
        }
        for _ in 0..100 {
            assert_eq!(attempts.check(address(0)).await.unwrap_err().status(), 429);
        }
        // The others still have 27 of 30.
        for number in 1..=9 {
            for _ in 0..3 {
                attempts.check(address(number)).await.unwrap();
            }
        }
        assert_eq!(attempts.check(address(10)).await.unwrap_err().status(), 429);
    }

    #[tokio::test]
    async fn the_trail_has_some_failures_and_the_number_of_the_others() {
        let attempts = Attempts::new(3, None, Arc::new(|| {}));
        for _ in 0..NOTED {
            assert_eq!(attempts.failed().await, Some(0));
        }
        for _ in 0..5 {
            assert_eq!(attempts.failed().await, None);
        }
        assert_eq!(attempts.unnoted.load(Relaxed), 5);
    }
}
