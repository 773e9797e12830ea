//! A time limit that costs nothing when the answer is near.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use tokio::time::sleep;

/// Gives `future` up to `limit`. None: it took longer. From where it begins to wait in earnest on, what `waiting` gives
/// is kept.
///
/// The timer is set at the second look only: the first time the task just goes to the end of its thread's queue, behind
/// the actor that is about to answer. Most asks within a thread are answered by then.
pub(crate) async fn within<T, W>(
    limit: Duration,
    future: impl Future<Output = T>,
    waiting: impl FnOnce() -> W,
) -> Option<T> {
    let mut future = pin!(future);
    if let Some(done) = at_second_look(future.as_mut()).await {
        return Some(done);
    }
    let _waiting = waiting();
    let mut timer = pin!(sleep(limit));
    poll_fn(|task| match future.as_mut().poll(task) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => timer.as_mut().poll(task).map(|()| None),
    })
    .await
}

/// As [`within`], without a limit.
pub(crate) async fn patiently<T, W>(future: impl Future<Output = T>, waiting: impl FnOnce() -> W) -> T {
    let mut future = pin!(future);
    if let Some(done) = at_second_look(future.as_mut()).await {
        return done;
    }
    let _waiting = waiting();
    future.await
}

/// None: it is not done at the second look, either.
async fn at_second_look<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    let mut looked = false;
    poll_fn(|task| {
        if let Poll::Ready(done) = future.as_mut().poll(task) {
            return Poll::Ready(Some(done));
        }
        if std::mem::replace(&mut looked, true) {
            return Poll::Ready(None);
        }
        task.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}
