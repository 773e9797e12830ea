//! [`Cancel`]: ends side work of an actor from within the actor.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::{Poll, Waker},
};

use tokio::time::{Instant, sleep_until};

#[derive(Default)]
struct State {
    cancelled: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// Shared by a handle and the work that it can cancel.
#[derive(Clone, Default)]
pub(super) struct Cancel(Rc<State>);

impl Cancel {
    pub(super) fn cancel(&self) {
        self.0.cancelled.set(true);
        if let Some(waker) = self.0.waker.take() {
            waker.wake();
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.0.cancelled.get()
    }

    /// None: cancelled before.
    pub(super) async fn or<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|task| {
            if self.is_cancelled() {
                return Poll::Ready(None);
            }
            *self.0.waker.borrow_mut() = Some(task.waker().clone());
            future.as_mut().poll(task).map(Some)
        })
        .await
    }

    /// Waits until `due`. False: cancelled before.
    pub(super) async fn sleep_until(&self, due: Instant) -> bool {
        self.or(sleep_until(due)).await.is_some()
    }
}
