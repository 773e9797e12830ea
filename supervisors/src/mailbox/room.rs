//! Senders that wait for room: first come, first let in, as many at once as a batch freed.
//!
//! A waiting sender's message waits here with it, so the actor's side lets it in without the sender being run first,
//! and nobody who comes later can take its place.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    task::{Context as Task, Poll, Waker},
    time::Duration,
};

use tokio::time::timeout;

use crate::{
    actix::Message,
    envelope::{Boxed, Envelope, Sealed},
    error::{AskError, SendError},
    handler::Handler,
    mailbox::{
        Key, Mailbox,
        queue::{Entered, Pushed},
    },
};

pub(super) struct Waiter<A> {
    ticket: u64,
    pub(super) envelope: Boxed<A>,
    pub(super) key: Option<Key>,
    pub(super) waker: Waker,
}

/// Room for so many waiters is kept when all of them have gone.
const KEPT: usize = 64;

/// In order of their tickets.
pub(super) struct WaitingRoom<A> {
    next_ticket: u64,
    waiters: VecDeque<Waiter<A>>,
}

impl<A> Default for WaitingRoom<A> {
    fn default() -> Self {
        WaitingRoom { next_ticket: 0, waiters: VecDeque::new() }
    }
}

impl<A> WaitingRoom<A> {
    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub(super) fn enter(&mut self, envelope: Boxed<A>, key: Option<Key>, waker: Waker) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiters.push_back(Waiter { ticket, envelope, key, waker });
        ticket
    }

    pub(super) fn next(&mut self) -> Option<Waiter<A>> {
        let next = self.waiters.pop_front();
        if self.waiters.is_empty() && self.waiters.capacity() > KEPT {
            self.waiters = VecDeque::new();
        }
        next
    }

    /// Gives all wakers away: their owners leave when they are woken.
    pub(super) fn wakers(&mut self) -> Vec<Waker> {
        let noop = || Waker::noop().clone();
        self.waiters.iter_mut().map(|waiter| std::mem::replace(&mut waiter.waker, noop())).collect()
    }

    fn find(&self, ticket: u64) -> Option<usize> {
        self.waiters.binary_search_by_key(&ticket, |waiter| waiter.ticket).ok()
    }

    fn leave(&mut self, ticket: u64) -> Option<Waiter<A>> {
        let at = self.find(ticket)?;
        self.waiters.remove(at)
    }
}

enum Admission<M: Message> {
    New(Box<Sealed<M>>),
    Waiting(u64),
    Done,
}

/// One sender's wait. Dropped while waiting, it takes its message out again.
struct Wait<'a, A: Handler<M>, M: Message> {
    mailbox: &'a Mailbox<A>,
    admission: Admission<M>,
}

impl<A: Handler<M>, M: Message> Unpin for Wait<'_, A, M> {}

impl<A: Handler<M>, M: Message> Wait<'_, A, M> {
    /// The message, if it was not let in.
    fn leave(&mut self) -> Option<Box<Sealed<M>>> {
        let Admission::Waiting(ticket) = std::mem::replace(&mut self.admission, Admission::Done) else {
            return None;
        };
        let mut inner = self.mailbox.inner.lock();
        let waiter = inner.waiting.as_mut().and_then(|room| room.leave(ticket));
        // Before its waker is dropped, which may run any code.
        drop(inner);
        waiter.and_then(|waiter| waiter.envelope.into_any().downcast().ok())
    }
}

impl<A: Handler<M>, M: Message> Wait<'_, A, M> {
    fn look(&mut self, ticket: u64, task: &Task<'_>) -> Poll<Pushed<A, M>> {
        let mut fresh = None;
        loop {
            let mut inner = self.mailbox.inner.lock();
            let closed = inner.closed;
            let waiter = inner.waiting.as_mut().and_then(|room| {
                let at = room.find(ticket)?;
                room.waiters.get_mut(at)
            });
            let Some(waiter) = waiter else {
                drop(inner);
                return Poll::Ready(Ok(None));
            };
            // Cloned and dropped without the lock: both may run any code.
            let replaced = if closed || waiter.waker.will_wake(task.waker()) {
                None
            } else if let Some(waker) = fresh.take() {
                Some(std::mem::replace(&mut waiter.waker, waker))
            } else {
                drop(inner);
                fresh = Some(task.waker().clone());
                continue;
            };
            drop(inner);
            drop(replaced);
            self.admission = Admission::Waiting(ticket);
            if !closed {
                return Poll::Pending;
            }
            return Poll::Ready(self.leave().map_or(Ok(None), |envelope| Err(SendError::Stopped(envelope))));
        }
    }
}

impl<A: Handler<M>, M: Message> Future for Wait<'_, A, M> {
    type Output = Pushed<A, M>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        match std::mem::replace(&mut self.admission, Admission::Done) {
            Admission::New(envelope) => match self.mailbox.enter_or_wait(envelope, task.waker().clone()) {
                Ok(Entered::In(displaced)) => Poll::Ready(Ok(displaced)),
                Ok(Entered::Waits(ticket)) => {
                    self.admission = Admission::Waiting(ticket);
                    Poll::Pending
                }
                Err(refused) => Poll::Ready(Err(refused)),
            },
            Admission::Waiting(ticket) => self.look(ticket, task),
            Admission::Done => Poll::Ready(Ok(None)),
        }
    }
}

impl<A: Handler<M>, M: Message> Drop for Wait<'_, A, M> {
    fn drop(&mut self) {
        if let Some(envelope) = self.leave() {
            Envelope::<A>::refuse(envelope, AskError::Stopped);
        }
    }
}

impl<A> Mailbox<A> {
    /// Waits up to `limit` for room; without one, for as long as it takes.
    pub(super) async fn wait_for_room<M: Message>(
        &self,
        envelope: Box<Sealed<M>>,
        limit: Option<Duration>,
    ) -> Pushed<A, M>
    where
        A: Handler<M>,
    {
        let mut wait = Wait { mailbox: self, admission: Admission::New(envelope) };
        let Some(limit) = limit else { return wait.await };
        match timeout(limit, &mut wait).await {
            Ok(admitted) => admitted,
            Err(_) => match wait.leave() {
                Some(envelope) => {
                    self.count_refusal();
                    Err(SendError::Full(envelope))
                }
                // Let in at the last moment.
                None => Ok(None),
            },
        }
    }
}
