//! [`Backlog`]: what came and was not looked at yet, with a bound.

use std::{collections::VecDeque, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use crate::moment::after;

/// Why something is not taken in.
pub(super) enum Refusal {
    Full,
    Closed,
}

struct Inner<T> {
    waiting: VecDeque<T>,
    /// In the hands of an expectation that looks for another, or admitted and not there yet.
    in_hand: usize,
    came: u64,
    lost: u64,
    closed: bool,
}

/// Filled from any thread, emptied by one test.
pub(super) struct Backlog<T> {
    inner: Mutex<Inner<T>>,
    came: Notify,
    capacity: usize,
}

/// What an expectation that was not met knows.
pub(super) struct Missed {
    /// Some that did not match are there.
    pub(super) others: usize,
    /// So many came since the beginning.
    pub(super) came: u64,
    /// So many of them found no room.
    pub(super) lost: u64,
}

impl<T> Backlog<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let inner = Inner { waiting: VecDeque::new(), in_hand: 0, came: 0, lost: 0, closed: false };
        Backlog { inner: Mutex::new(inner), came: Notify::new(), capacity }
    }

    /// Counts one more that comes, and keeps its place if there is room: it is to be [`put`](Self::put) there.
    pub(super) fn admit(&self) -> Result<(), Refusal> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(Refusal::Closed);
        }
        inner.came += 1;
        if inner.waiting.len() + inner.in_hand >= self.capacity {
            inner.lost += 1;
            return Err(Refusal::Full);
        }
        inner.in_hand += 1;
        Ok(())
    }

    /// Puts in what was admitted.
    pub(super) fn put(&self, value: T) {
        let mut inner = self.inner.lock();
        inner.in_hand -= 1;
        // Dropped after the lock.
        let late = if inner.closed {
            Some(value)
        } else {
            inner.waiting.push_back(value);
            None
        };
        drop(inner);
        self.came.notify_waiters();
        drop(late);
    }

    /// The oldest makes room.
    pub(super) fn put_over(&self, value: T) {
        let mut inner = self.inner.lock();
        inner.came += 1;
        let mut oldest = None;
        if inner.waiting.len() + inner.in_hand >= self.capacity {
            inner.lost += 1;
            oldest = inner.waiting.pop_front();
        }
        inner.waiting.push_back(value);
        drop(inner);
        self.came.notify_waiters();
        drop(oldest);
    }

    /// Takes in nothing any more, and forgets what is there.
    pub(super) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        let left = std::mem::take(&mut inner.waiting);
        drop(inner);
        drop(left);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }

    pub(super) fn waiting(&self) -> usize {
        self.inner.lock().waiting.len()
    }

    /// How many came, whether there was room for them or not.
    pub(super) fn came(&self) -> u64 {
        self.inner.lock().came
    }

    pub(super) fn take_all(&self) -> Vec<T> {
        std::mem::take(&mut self.inner.lock().waiting).into()
    }

    /// The first that matches, within the limit. The others stay, in their order.
    pub(super) async fn next(
        &self,
        limit: Duration,
        mut matches: impl FnMut(&T) -> bool,
    ) -> Result<T, Missed> {
        let deadline = after(Instant::now(), limit);
        let mut hand = Hand { backlog: self, fresh: VecDeque::new(), passed: VecDeque::new() };
        loop {
            let mut came = std::pin::pin!(self.came.notified());
            came.as_mut().enable();
            hand.fill();
            while let Some(value) = hand.fresh.pop_front() {
                // User code, so it runs without the lock.
                if matches(&value) {
                    self.inner.lock().in_hand -= 1;
                    return Ok(value);
                }
                hand.passed.push_back(value);
            }
            if tokio::time::timeout_at(deadline, came).await.is_err() {
                let inner = self.inner.lock();
                let Inner { came, lost, .. } = *inner;
                return Err(Missed { others: inner.in_hand + inner.waiting.len(), came, lost });
            }
        }
    }
}

/// Puts back what it holds, also when the expectation is dropped or panics.
struct Hand<'a, T> {
    backlog: &'a Backlog<T>,
    fresh: VecDeque<T>,
    passed: VecDeque<T>,
}

impl<T> Hand<'_, T> {
    fn fill(&mut self) {
        let mut inner = self.backlog.inner.lock();
        inner.in_hand += inner.waiting.len();
        self.fresh.append(&mut inner.waiting);
    }
}

impl<T> Drop for Hand<'_, T> {
    fn drop(&mut self) {
        let mut held = std::mem::take(&mut self.passed);
        held.append(&mut self.fresh);
        let mut inner = self.backlog.inner.lock();
        inner.in_hand -= held.len();
        held.append(&mut inner.waiting);
        inner.waiting = held;
    }
}
