//! Work beside the mailbox: spawned futures, timers and replies that come later.

use std::{
    collections::VecDeque,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context as Task, Poll},
};

use futures_util::{StreamExt, stream::FuturesUnordered};

use crate::{actor::Actor, context::Context, task::unrecorded};

/// Drops user data. A panicking `Drop` must not get out: it would tear down neighbours, and a second one aborts.
pub(crate) fn bury<T>(data: T) {
    // Not worth a record: it may happen inside of another panic, which is.
    if let Err(payload) = unrecorded(|| catch_unwind(AssertUnwindSafe(|| drop(data)))) {
        // Its own Drop is user code, too; what that panics with is left alone.
        if let Err(second) = unrecorded(|| catch_unwind(AssertUnwindSafe(|| drop(payload)))) {
            std::mem::forget(second);
        }
        tracing::error!("a value's Drop panicked while it was cleared away");
    }
}

/// A user's future that can be dropped safely, for example inside `FuturesUnordered`, which aborts otherwise.
pub(crate) struct Caught<T>(Option<Pin<Box<dyn Future<Output = T>>>>);

impl<T> Caught<T> {
    pub(crate) fn new(future: impl Future<Output = T> + 'static) -> Self {
        Caught(Some(Box::pin(future)))
    }

    /// Drops one of our own async blocks that is done: what was the user's in it is gone already.
    pub(super) fn discard(mut self) {
        drop(self.0.take());
    }
}

impl<T> Future for Caught<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<T> {
        match self.0.as_mut() {
            Some(future) => future.as_mut().poll(task),
            None => Poll::Pending,
        }
    }
}

impl<T> Drop for Caught<T> {
    fn drop(&mut self) {
        if let Some(future) = self.0.take() {
            bury(future);
        }
    }
}

/// A turn on the actor, beside the turns that messages get.
pub(crate) type Turn<A> = Box<dyn FnOnce(&mut A, &mut Context<A>)>;

/// When done it may want a turn on the actor.
pub(crate) type SideWork<A> = Caught<Option<Turn<A>>>;

/// All side work of one generation.
pub(crate) struct Sides<A: Actor> {
    working: FuturesUnordered<SideWork<A>>,
    /// Fell due while the actor was not free.
    due: VecDeque<Turn<A>>,
}

impl<A: Actor> Default for Sides<A> {
    fn default() -> Self {
        Sides { working: FuturesUnordered::new(), due: VecDeque::new() }
    }
}

impl<A: Actor> Sides<A> {
    pub(crate) fn add(&mut self, work: impl Iterator<Item = SideWork<A>>) {
        self.working.extend(work);
    }

    /// There is none: most actors had some once, and few have some all the time.
    pub(crate) fn is_idle(&self) -> bool {
        self.working.is_empty() && self.due.is_empty()
    }

    /// Polls until a turn is due, or nothing is ready.
    pub(crate) fn next(&mut self, task: &mut Task<'_>) -> Option<Turn<A>> {
        if let Some(turn) = self.due.pop_front() {
            return Some(turn);
        }
        self.poll(task)
    }

    /// Polls until nothing is ready; the turns wait until the actor is free.
    pub(crate) fn work(&mut self, task: &mut Task<'_>) {
        while let Some(turn) = self.poll(task) {
            self.due.push_back(turn);
        }
    }

    fn poll(&mut self, task: &mut Task<'_>) -> Option<Turn<A>> {
        loop {
            match self.working.poll_next_unpin(task) {
                Poll::Ready(Some(None)) => {}
                Poll::Ready(Some(Some(turn))) => return Some(turn),
                Poll::Ready(None) | Poll::Pending => return None,
            }
        }
    }
}

impl<A: Actor> Drop for Sides<A> {
    fn drop(&mut self) {
        // One by one: two panicking drops in one go would abort.
        for turn in self.due.drain(..) {
            bury(turn);
        }
    }
}
