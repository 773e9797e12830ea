//! [`EdgeGuard`]: makes calls to one server outside.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout},
};

use super::{Breaker, BreakerSettings, EdgeNumbers, EdgePhase, EdgeStanding, Permit};

/// Calls that may wait for each one that may be under way.
const WAITING: usize = 4;
/// Characters of a failure that are kept.
const REASON: usize = 300;

/// What calls to one server outside are held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardSettings {
    /// When no more calls are made.
    pub breaker: BreakerSettings,
    /// How long one call may take.
    pub timeout: Duration,
    /// Calls that may be under way at once, at least 1. Further ones wait for as long as a call may take, and four times as many may.
    pub concurrency: usize,
}

impl Default for GuardSettings {
    fn default() -> Self {
        GuardSettings {
            breaker: BreakerSettings::default(),
            timeout: Duration::from_secs(2),
            concurrency: 16,
        }
    }
}

/// Why a call has come to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError<E> {
    /// It was not made: the server has been away, and it is not time to ask again.
    #[error("it is away ({0}), and is asked again later")]
    Tripped(String),
    /// It was not made: too many are under way.
    #[error("too many calls are under way")]
    Full,
    /// It took too long. What it was to do may have been done.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The call itself says so.
    #[error("{0}")]
    Failed(E),
}

/// Makes calls to one server outside, if that makes sense. Cheap to clone; clones share what is known of it.
#[derive(Clone)]
pub struct EdgeGuard(Arc<Shared>);

struct Shared {
    name: String,
    settings: GuardSettings,
    breaker: Mutex<Breaker>,
    places: Semaphore,
    waiting: AtomicUsize,
    numbers: EdgeNumbers,
    /// How the edge is, and why it is not ready.
    standing: watch::Sender<(EdgeStanding, String)>,
}

impl fmt::Debug for EdgeGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let standing = self.standing().borrow().0;
        f.debug_struct("EdgeGuard")
            .field("name", &self.0.name)
            .field("standing", &standing)
            .finish_non_exhaustive()
    }
}

impl EdgeGuard {
    /// That of the edge of this name; it is in metrics, and jobs may need it.
    pub fn new(name: impl Into<String>, settings: GuardSettings, numbers: EdgeNumbers) -> Self {
        let name = name.into();
        numbers.stands(&name, EdgePhase::Connecting);
        EdgeGuard(Arc::new(Shared {
            breaker: Mutex::new(Breaker::new(settings.breaker)),
            places: Semaphore::new(settings.concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            waiting: AtomicUsize::new(0),
            standing: watch::Sender::new((EdgeStanding::Connecting, "nobody has asked yet".to_owned())),
            name,
            settings,
            numbers,
        }))
    }

    /// The edge's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How long one call may take.
    pub fn timeout(&self) -> Duration {
        self.0.settings.timeout
    }

    /// How the edge is, and why it is not ready, told when it changes.
    pub fn standing(&self) -> watch::Receiver<(EdgeStanding, String)> {
        self.0.standing.subscribe()
    }

    /// Whether a call makes sense at the moment.
    pub fn is_ready(&self) -> bool {
        matches!(self.0.standing.borrow().0, EdgeStanding::Ready | EdgeStanding::Degraded)
    }

    /// Makes the call, unless the edge is tripped or too many are under way.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call<T, E: fmt::Display>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CallError<E>> {
        let shared = &*self.0;
        let limit = shared.settings.timeout;
        // Whoever is not let through need not wait for a place to hear it.
        if let EdgeStanding::Tripped { until } = shared.standing.borrow().0
            && Instant::now() < until
        {
            return Err(self.refused());
        }
        let Some(_place) = self.place().await else {
            shared.numbers.called(&shared.name, "full", None);
            return Err(CallError::Full);
        };
        let Some(permit) = shared.breaker.lock().permit(Instant::now()) else { return Err(self.refused()) };
        let under_way = UnderWay { guard: self, permit: Some(permit), since: Instant::now() };
        match timeout(limit, call).await {
            Ok(Ok(done)) => {
                under_way.succeeded();
                Ok(done)
            }
            Ok(Err(error)) => {
                under_way.failed("failed", &error.to_string());
                Err(CallError::Failed(error))
            }
            Err(_) => {
                under_way.failed("timed_out", &format!("no answer within {limit:?}"));
                Err(CallError::TimedOut(limit))
            }
        }
    }

    /// A place among the calls that are under way; `None` if none gets free in time, or too many wait already.
    async fn place(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let shared = &*self.0;
        if let Ok(place) = shared.places.try_acquire() {
            return Some(place);
        }
        let most = shared.settings.concurrency.saturating_mul(WAITING);
        if shared.waiting.fetch_add(1, SeqCst) >= most {
            shared.waiting.fetch_sub(1, SeqCst);
            return None;
        }
        let _waiting = Waiting(&shared.waiting);
        timeout(shared.settings.timeout, shared.places.acquire()).await.ok()?.ok()
    }

    fn refused<E>(&self) -> CallError<E> {
        self.0.numbers.called(&self.0.name, "refused", None);
        CallError::Tripped(self.0.standing.borrow().1.clone())
    }

    /// Tells how the edge is now, if that is a change. `why`: what the call that is over has said.
    fn tell(&self, standing: EdgeStanding, why: Option<&str>) {
        let changed = self.0.standing.send_if_modified(|(known, reason)| {
            if let Some(why) = why {
                *reason = why.chars().take(REASON).collect();
            }
            std::mem::replace(known, standing) != standing
        });
        if changed {
            self.0.numbers.stands(&self.0.name, standing.state());
        }
    }
}

/// One that waits for a place.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// A call that is under way. Dropped, it was abandoned.
struct UnderWay<'a> {
    guard: &'a EdgeGuard,
    permit: Option<Permit>,
    since: Instant,
}

impl UnderWay<'_> {
    fn succeeded(mut self) {
        let Some(permit) = self.permit.take() else { return };
        let shared = &*self.guard.0;
        // Told under the lock, so that what was decided last is told last.
        let mut breaker = shared.breaker.lock();
        breaker.succeeded(permit);
        self.guard.tell(breaker.standing(), None);
        drop(breaker);
        shared.numbers.called(&shared.name, "ok", Some(self.since.elapsed()));
    }

    fn failed(mut self, outcome: &str, why: &str) {
        let Some(permit) = self.permit.take() else { return };
        let shared = &*self.guard.0;
        let mut breaker = shared.breaker.lock();
        let tripped = breaker.failed(permit, Instant::now());
        self.guard.tell(breaker.standing(), Some(why));
        drop(breaker);
        shared.numbers.called(&shared.name, outcome, Some(self.since.elapsed()));
        if tripped {
            shared.numbers.tripped(&shared.name);
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            let shared = &*self.guard.0;
            shared.breaker.lock().abandoned(permit);
            shared.numbers.called(&shared.name, "abandoned", Some(self.since.elapsed()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt;

    use super::*;

    fn guard(failures: u32, concurrency: usize) -> EdgeGuard {
        let breaker = BreakerSettings {
            failures,
            first_pause: Duration::from_secs(10),
            longest_pause: Duration::from_secs(100),
            probes: 1,
        };
        let settings = GuardSettings { breaker, timeout: Duration::from_secs(1), concurrency };
        EdgeGuard::new("test", settings, EdgeNumbers::default())
    }

    fn state(guard: &EdgeGuard) -> EdgePhase {
        guard.standing().borrow().0.state()
    }

    async fn works(guard: &EdgeGuard) -> Result<(), CallError<&'static str>> {
        guard.call(ready(Ok(()))).await
    }

    async fn fails(guard: &EdgeGuard) -> CallError<&'static str> {
        guard.call(ready(Err::<(), _>("broken"))).await.unwrap_err()
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_fail_or_take_too_long_trip_it_and_a_probe_brings_it_back() {
        let guard = guard(2, 4);
        assert_eq!(state(&guard), EdgePhase::Connecting);
        works(&guard).await.unwrap();
        assert_eq!(state(&guard), EdgePhase::Ready);
        assert_eq!(fails(&guard).await, CallError::Failed("broken"));
        assert_eq!(state(&guard), EdgePhase::Degraded);
        let slow = guard.call(pending::<Result<(), &str>>()).await;
        assert_eq!(slow, Err(CallError::TimedOut(Duration::from_secs(1))));
        assert_eq!(state(&guard), EdgePhase::Tripped);
        let refused = CallError::Tripped("no answer within 1s".to_owned());
        assert_eq!(works(&guard).await, Err(refused));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(fails(&guard).await, CallError::Failed("broken"));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(matches!(works(&guard).await, Err(CallError::Tripped(_))));
        tokio::time::advance(Duration::from_secs(10)).await;
        works(&guard).await.unwrap();
        assert_eq!(state(&guard), EdgePhase::Ready);
        let numbers = &guard.0.numbers;
        let calls = |outcome: &str| numbers.calls.with_label_values(&["test", outcome]).get();
        assert_eq!(["ok", "failed", "timed_out", "refused"].map(calls), [2, 2, 1, 2]);
        assert_eq!(numbers.trips.with_label_values(&["test"]).get(), 2);
        assert_eq!(numbers.state.with_label_values(&["test", "ready"]).get(), 1);
        assert_eq!(numbers.state.with_label_values(&["test", "tripped"]).get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_dropped_makes_room_for_another() {
        let guard = guard(1, 4);
        fails(&guard).await;
        tokio::time::advance(Duration::from_secs(10)).await;
        let mut probe = Box::pin(guard.call(pending::<Result<(), &str>>()));
        assert!((&mut probe).now_or_never().is_none());
        assert!(matches!(works(&guard).await, Err(CallError::Tripped(_))));
        drop(probe);
        works(&guard).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn calls_at_once_are_bounded_and_so_are_those_that_wait() {
        let guard = guard(100, 1);
        works(&guard).await.unwrap();
        let mut first = Box::pin(guard.call(pending::<Result<(), &str>>()));
        assert!((&mut first).now_or_never().is_none());
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(works(&guard))).collect();
        for call in &mut waiting {
            assert!(call.now_or_never().is_none());
        }
        assert_eq!(works(&guard).await, Err(CallError::Full));
        drop(first);
        for call in waiting {
            call.await.unwrap();
        }
        assert_eq!(state(&guard), EdgePhase::Ready);
    }
}
