//! [`Signal`]: the code under test says that it got somewhere, and the test waits for it.

use std::{fmt, future::Future, panic::Location, sync::Arc, time::Duration};

use crate::testkit::{DEADLINE, backlog::Backlog};

/// So many values are remembered; the oldest is forgotten for a further one.
const CAPACITY: usize = 256;

/// Fired by the code under test, awaited by the test, in either order. Clones are the same signal; it may be fired from
/// any thread, and never blocks. It remembers the last 256 values that nobody has waited for.
///
/// ```
/// use callboard_supervisors::testkit::{Signal, run};
///
/// run(async {
///     let saved = Signal::new();
///     let ours = saved.clone();
///     tokio::task::spawn_local(async move { ours.fire("the first row") });
///     assert_eq!(saved.wait().await, "the first row");
/// });
/// ```
pub struct Signal<T = ()>(Arc<Backlog<T>>);

impl<T> Clone for Signal<T> {
    fn clone(&self) -> Self {
        Signal(self.0.clone())
    }
}

impl<T> fmt::Debug for Signal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signal<{}>({} waiting)", std::any::type_name::<T>(), self.0.waiting())
    }
}

impl<T> Default for Signal<T> {
    fn default() -> Self {
        Signal(Arc::new(Backlog::new(CAPACITY)))
    }
}

impl<T> Signal<T> {
    /// One that was not fired yet.
    pub fn new() -> Self {
        Signal::default()
    }

    /// Says that it happened.
    pub fn fire(&self, value: T) {
        self.0.put_over(value);
    }

    /// How often it was fired, whether somebody waited for it or not.
    pub fn count(&self) -> u64 {
        self.0.came()
    }

    /// The oldest value that nobody has waited for yet, or the next one. Dropping the future takes nothing.
    ///
    /// # Panics
    /// When it is not fired within 3 s.
    #[track_caller]
    pub fn wait(&self) -> impl Future<Output = T> {
        self.wait_within(DEADLINE)
    }

    /// As [`wait`](Self::wait), with another limit.
    ///
    /// # Panics
    /// When it is not fired within the limit.
    #[track_caller]
    pub fn wait_within(&self, limit: Duration) -> impl Future<Output = T> {
        let at = Location::caller();
        async move {
            match self.0.next(limit, |_| true).await {
                Ok(value) => value,
                Err(missed) => {
                    let name = std::any::type_name::<T>();
                    panic!(
                        "{at}: the signal of `{name}` was not fired within {limit:?}; {} times before",
                        missed.came
                    );
                }
            }
        }
    }

    /// Checks that it is not fired for so long, and was not before without anybody waiting for it.
    ///
    /// # Panics
    /// When it is or was.
    #[track_caller]
    pub fn expect_none_within(&self, time: Duration) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            let began = tokio::time::Instant::now();
            if self.0.next(time, |_| true).await.is_ok() {
                let name = std::any::type_name::<T>();
                let after = began.elapsed();
                panic!(
                    "{at}: the signal of `{name}` was to be silent for {time:?}, and was fired after {after:?}"
                );
            }
        }
    }
}
