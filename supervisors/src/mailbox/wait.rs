//! The future of a sender that waits for room.

use std::{
    future::Future,
    pin::Pin,
    task::{Context as Task, Poll},
    time::Duration,
};

use tokio::time::timeout;

use crate::{
    actix::Message,
    envelope::{Envelope, Sealed},
    error::{AskError, SendError},
    handler::Handler,
    mailbox::{
        Mailbox,
        queue::{Entered, Pushed},
    },
};

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
