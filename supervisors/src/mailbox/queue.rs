//! [`Mailbox`]: one short lock, taken once per send and once per batch of receives.
//!
//! The count of waiting messages is the length of the queue plus the batch in the actor's hand, both known under the
//! lock. There is no counter beside the queue that could drift from it.

use std::{
    collections::VecDeque,
    sync::{
        OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst, fence},
    },
    task::{Context as Task, Waker},
};

use parking_lot::Mutex;

use crate::{
    actix::Message,
    envelope::{Boxed, Refused, Sealed},
    error::{AskError, SendError},
    handler::Handler,
    mailbox::{MailboxSpec, Overflow, room::WaitingRoom},
};

pub(super) struct Inner<A> {
    queue: VecDeque<Boxed<A>>,
    /// Messages in the actor's hand; falls to 0 when it comes back for more.
    in_hand: usize,
    /// Senders that wait for room. Their messages are not in the queue yet.
    pub(super) waiting: Option<Box<WaitingRoom<A>>>,
    /// The actor found nothing; the next sender wakes it.
    parked: bool,
    pub(super) closed: bool,
}

impl<A> Inner<A> {
    fn has_room(&self, capacity: usize) -> bool {
        self.queue.len() + self.in_hand < capacity
    }

    fn has_waiting(&self) -> bool {
        self.waiting.as_ref().is_some_and(|room| !room.is_empty())
    }

    /// Lets waiting senders in, in order, and gives back whom to tell.
    fn let_in(&mut self, capacity: usize) -> Vec<Waker> {
        let mut told = Vec::new();
        while self.has_room(capacity) {
            let Some((envelope, waker)) = self.waiting.as_mut().and_then(|room| room.next()) else { break };
            self.queue.push_back(envelope);
            told.push(waker);
        }
        told
    }
}

pub(crate) struct Mailbox<A> {
    pub(super) inner: Mutex<Inner<A>>,
    /// The actor's task never changes, so its waker is kept: no registration at every poll.
    waker: OnceLock<Waker>,
    depth: AtomicUsize,
    refused: AtomicU64,
    spec: MailboxSpec,
}

/// The message that had to go, if any, and what its asker hears; or the message itself back.
type Pushed<A, M> = Result<Option<(Boxed<A>, AskError)>, Refused<M>>;

impl<A> Mailbox<A> {
    pub(crate) fn new(spec: MailboxSpec) -> Self {
        Mailbox {
            inner: Mutex::new(Inner {
                queue: VecDeque::new(),
                in_hand: 0,
                waiting: None,
                parked: false,
                closed: false,
            }),
            waker: OnceLock::new(),
            depth: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            spec,
        }
    }

    pub(crate) fn spec(&self) -> MailboxSpec {
        self.spec
    }

    /// Called at the start of every poll of the actor's task.
    pub(crate) fn awake(&self, task: &Task<'_>) {
        if self.waker.get().is_none() {
            let _ = self.waker.set(task.waker().clone());
            // Against an order given at this moment: it sees our waker, or we see its flag.
            fence(SeqCst);
        }
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Messages that wait or are in the actor's hand.
    pub(crate) fn depth(&self) -> usize {
        self.depth.load(Relaxed)
    }

    /// Messages that were refused or dropped because there was no room.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    pub(super) fn count_refusal(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// The single place where a message is admitted. With `wait`, one that finds no room is not refused for good.
    fn push<M: Message>(&self, envelope: Box<Sealed<M>>, wait: bool) -> Pushed<A, M>
    where
        A: Handler<M>,
    {
        let mut inner = self.inner.lock();
        if inner.closed {
            drop(inner);
            return Err(SendError::Stopped(envelope));
        }
        let mut displaced = None;
        if !inner.has_room(self.spec.capacity) || inner.has_waiting() {
            match self.spec.overflow {
                Overflow::Reject | Overflow::Block(_) => {
                    drop(inner);
                    if !wait {
                        self.count_refusal();
                    }
                    return Err(SendError::Full(envelope));
                }
                Overflow::DropNewest => {
                    drop(inner);
                    self.count_refusal();
                    return Ok(Some((envelope, AskError::Refused)));
                }
                Overflow::DropOldest => {
                    displaced = inner.queue.pop_front().map(|oldest| (oldest, AskError::Evicted));
                    self.count_refusal();
                }
            }
        }
        inner.queue.push_back(envelope);
        self.depth.store(inner.queue.len() + inner.in_hand, Relaxed);
        let wake = std::mem::take(&mut inner.parked);
        drop(inner);
        if wake {
            self.wake();
        }
        Ok(displaced)
    }

    /// Puts a message in, or says at once why not.
    pub(crate) fn offer<M: Message>(&self, envelope: Box<Sealed<M>>) -> Result<(), Refused<M>>
    where
        A: Handler<M>,
    {
        settle(self.push(envelope, false)?)
    }

    /// As [`admit`](Self::admit) up to where it would wait: `Full` is not counted as a refusal.
    pub(crate) fn try_admit<M: Message>(&self, envelope: Box<Sealed<M>>) -> Result<(), Refused<M>>
    where
        A: Handler<M>,
    {
        settle(self.push(envelope, true)?)
    }

    /// Puts a message in, waiting for room where the policy says so.
    pub(crate) async fn admit<M: Message>(&self, envelope: Box<Sealed<M>>) -> Result<(), Refused<M>>
    where
        A: Handler<M>,
    {
        let Overflow::Block(limit) = self.spec.overflow else { return self.offer(envelope) };
        match self.push(envelope, true) {
            Err(SendError::Full(envelope)) => self.wait_for_room(envelope, limit).await,
            pushed => settle(pushed?),
        }
    }

    /// Puts it in, or among those who wait, or gives it back because the mailbox is closed.
    pub(super) fn enter_or_wait<M: Message>(
        &self,
        envelope: Box<Sealed<M>>,
        waker: &Waker,
    ) -> Result<Option<u64>, Refused<M>>
    where
        A: Handler<M>,
    {
        let mut inner = self.inner.lock();
        if inner.closed {
            drop(inner);
            return Err(SendError::Stopped(envelope));
        }
        if !inner.has_room(self.spec.capacity) || inner.has_waiting() {
            return Ok(Some(inner.waiting.get_or_insert_default().enter(envelope, waker)));
        }
        inner.queue.push_back(envelope);
        self.depth.store(inner.queue.len() + inner.in_hand, Relaxed);
        let wake = std::mem::take(&mut inner.parked);
        drop(inner);
        if wake {
            self.wake();
        }
        Ok(None)
    }

    /// Gives the next message, and the rest of its batch into `hand`. None: the next sender will wake the actor.
    pub(crate) fn take(&self, hand: &mut VecDeque<Boxed<A>>) -> Option<Boxed<A>> {
        let mut inner = self.inner.lock();
        inner.in_hand = 0;
        let told = inner.let_in(self.spec.capacity);
        let n = inner.queue.len().min(self.spec.batch());
        let mut next = None;
        if n == 1 {
            // An actor that never has a backlog never allocates for `hand`.
            next = inner.queue.pop_front();
        } else if n == inner.queue.len() {
            std::mem::swap(&mut inner.queue, hand);
            if n == 0 && inner.queue.capacity() > 256 {
                inner.queue = VecDeque::new();
            }
        } else {
            hand.extend(inner.queue.drain(..n));
        }
        inner.in_hand = n;
        inner.parked = n == 0;
        self.depth.store(inner.queue.len() + n, Relaxed);
        drop(inner);
        for waker in told {
            waker.wake();
        }
        next.or_else(|| hand.pop_front())
    }

    /// Refuses everything that waits and everything that comes. Gives the number of messages that were in the queue.
    pub(crate) fn close(&self) -> usize {
        let mut inner = self.inner.lock();
        inner.closed = true;
        let left = std::mem::take(&mut inner.queue);
        inner.in_hand = 0;
        self.depth.store(0, Relaxed);
        // Their messages stay where they are until each sender takes its own back.
        let told = inner.waiting.as_mut().map(|room| room.wakers()).unwrap_or_default();
        drop(inner);
        for waker in told {
            waker.wake();
        }
        let undelivered = left.len();
        for envelope in left {
            envelope.refuse(AskError::Stopped);
        }
        undelivered
    }
}

fn settle<A, M: Message>(displaced: Option<(Boxed<A>, AskError)>) -> Result<(), Refused<M>> {
    if let Some((envelope, why)) = displaced {
        envelope.refuse(why);
    }
    Ok(())
}
