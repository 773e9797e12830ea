//! The paused clock, and the moments in which nothing is left to do.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};

use tokio::runtime::{Builder, LocalOptions};

/// Somebody who waits until the thread has nothing to do.
struct Waiter {
    waker: RefCell<Waker>,
    told: Cell<bool>,
}

thread_local! {
    /// None outside of [`run`].
    static WAITERS: RefCell<Option<Vec<Rc<Waiter>>>> = const { RefCell::new(None) };
}

/// Ends with [`run`], also when the test panics.
struct Watching;

impl Watching {
    fn begin() -> Self {
        WAITERS.set(Some(Vec::new()));
        Watching
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        WAITERS.set(None);
    }
}

/// The runtime calls it before its thread goes to sleep, or moves the paused clock instead.
fn idle() {
    let waiters = WAITERS.with_borrow_mut(|waiters| waiters.as_mut().map(std::mem::take));
    for waiter in waiters.into_iter().flatten() {
        waiter.told.set(true);
        waiter.waker.replace(Waker::noop().clone()).wake();
    }
}

/// Runs a test on a clock that stands still: it jumps to the next timer when there is nothing else to do. Everything
/// that `ActorSystemBuilder::local` starts in here lives on this thread.
///
/// # Panics
/// Inside of another runtime, and when no runtime can be built.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .on_thread_park(idle)
        .build_local(LocalOptions::default())
        .expect("a runtime for the test");
    let _watching = Watching::begin();
    // Dropped after an unwind, not during it: what the test holds may panic in its turn.
    let mut test = Box::pin(test);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(&mut test)));
    let inside = runtime.enter();
    drop(test);
    drop(inside);
    drop(runtime);
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Returns when everything on this thread has run that can run without time passing. The clock does not move.
///
/// # Panics
/// Outside of [`run`].
pub async fn settle() {
    let waiter = Rc::new(Waiter { waker: RefCell::new(Waker::noop().clone()), told: Cell::new(false) });
    WAITERS.with_borrow_mut(|waiters| match waiters {
        Some(waiters) => waiters.push(waiter.clone()),
        None => panic!("`settle` works inside of `testkit::run` only"),
    });
    poll_fn(|task| {
        if waiter.told.get() {
            return Poll::Ready(());
        }
        waiter.waker.borrow_mut().clone_from(task.waker());
        Poll::Pending
    })
    .await;
}

/// Moves the paused clock on by `time`. What falls due meanwhile happens at its own moment and in its order; when this
/// returns, all of it has run, and what followed from it.
///
/// # Panics
/// Outside of [`run`].
pub async fn advance(time: Duration) {
    settle().await;
    // Not `tokio::time::advance`, which jumps over the moments between.
    tokio::time::sleep(time).await;
    settle().await;
}
