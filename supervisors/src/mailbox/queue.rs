//! [`Mailbox`]: one short lock, taken once per send and once per batch of receives.
//!
//! The count of waiting messages is the length of the queue plus the batch in the actor's hand. Both grow under the
//! lock alone; only the actor lets the second one fall without it. There is no counter beside the queue that could
//! drift from it.

use std::{
    collections::VecDeque,
    sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst},
    task::{Context as Task, Waker},
};

use crate::{
    actix::Message,
    core::bury,
    envelope::{Boxed, Refused, Sealed},
    error::SendError,
    handler::Handler,
    mailbox::{
        Key, MailboxSpec, Overflow,
        coalescing::Coalescing,
        room::{Waiter, WaitingRoom},
    },
    sync::{AtomicBool, AtomicU8, AtomicU64, Mutex, MutexGuard, OnceLock, fence},
    telemetry::UndeliveredReason,
};

pub(super) struct Inner<A> {
    queue: VecDeque<Boxed<A>>,
    /// Once a message with a key has come.
    coalescing: Option<Box<Coalescing>>,
    /// The most messages there were.
    high_water: usize,
    /// Senders that wait for room. Their messages are not in the queue yet.
    pub(super) waiting: Option<Box<WaitingRoom<A>>>,
    pub(super) closed: bool,
}

impl<A> Inner<A> {
    fn has_waiting(&self) -> bool {
        self.waiting.as_ref().is_some_and(|room| !room.is_empty())
    }

    /// Lets waiting senders in, in order, until `room` messages wait, and gives back whom to tell. A message whose key
    /// waits in the queue already takes the place of that one, which goes to `replaced`.
    fn let_in(&mut self, room: usize, replaced: &mut Vec<Boxed<A>>) -> Vec<Waker> {
        let mut told = Vec::new();
        while self.queue.len() < room {
            let Some(waiter) = self.waiting.as_mut().and_then(|room| room.next()) else { break };
            let Waiter { envelope, key, waker, .. } = waiter;
            match self.find(key) {
                Some(waiting) => replaced.push(std::mem::replace(waiting, envelope)),
                None => self.put(envelope, key, 0),
            }
            told.push(waker);
        }
        told
    }

    fn put(&mut self, envelope: Boxed<A>, key: Option<Key>, in_hand: usize) {
        if let Some(key) = key {
            self.coalescing.get_or_insert_default().put(key, self.queue.len());
        }
        if self.queue.capacity() == 0 {
            // Many an actor never has a backlog; a queue would begin with room for four.
            self.queue.reserve_exact(1);
        }
        self.queue.push_back(envelope);
        self.high_water = self.high_water.max(self.queue.len() + in_hand);
    }

    /// The waiting message with this key.
    fn find(&mut self, key: Option<Key>) -> Option<&mut Boxed<A>> {
        let place = self.coalescing.as_ref()?.find(key?)?;
        self.queue.get_mut(place)
    }

    /// So many have been taken from the queue's front.
    fn taken(&mut self, count: usize) {
        if let Some(coalescing) = self.coalescing.as_mut() {
            coalescing.taken(count);
        }
    }
}

pub(crate) struct Mailbox<A> {
    pub(super) inner: Mutex<Inner<A>>,
    /// The actor's task never changes, so its waker is kept: no registration at every poll.
    waker: OnceLock<Waker>,
    /// Messages in the actor's hand; grows under the lock, and falls to 0 when the actor comes back for more.
    in_hand: AtomicU8,
    /// Nothing has come since the actor took the last message there was; the next sender wakes it. Written under the
    /// lock.
    parked: AtomicBool,
    refused: AtomicU64,
    spec: MailboxSpec,
}

/// The message that had to go, if any, and why. The mailbox drops none itself: that could run user code under its lock.
pub(crate) type Displaced<A> = Option<(Boxed<A>, UndeliveredReason)>;

pub(super) type Pushed<A, M> = Result<Displaced<A>, Refused<M>>;

pub(super) enum Entered<A> {
    In(Displaced<A>),
    /// By its ticket.
    Waits(u64),
}

impl<A> Mailbox<A> {
    pub(crate) fn new(spec: MailboxSpec) -> Self {
        Mailbox {
            inner: Mutex::new(Inner {
                queue: VecDeque::new(),
                coalescing: None,
                high_water: 0,
                waiting: None,
                closed: false,
            }),
            waker: OnceLock::new(),
            in_hand: AtomicU8::new(0),
            parked: AtomicBool::new(false),
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
        let inner = self.inner.lock();
        inner.queue.len() + usize::from(self.in_hand.load(Relaxed))
    }

    fn has_room(&self, inner: &Inner<A>) -> bool {
        inner.queue.len() + usize::from(self.in_hand.load(Acquire)) < self.spec.capacity()
    }

    /// To be called under the lock, when something has come. True: the actor is to be woken.
    fn unpark(&self) -> bool {
        let parked = self.parked.load(Relaxed);
        if parked {
            self.parked.store(false, Release);
        }
        parked
    }

    /// The most messages there were.
    pub(crate) fn high_water(&self) -> usize {
        self.inner.lock().high_water
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
        let key = envelope.key::<A>();
        let mut inner = self.inner.lock();
        if inner.closed {
            drop(inner);
            return Err(SendError::Stopped(envelope));
        }
        let others_wait = inner.has_waiting();
        if !others_wait && let Some(waiting) = inner.find(key) {
            let older = std::mem::replace(waiting, envelope);
            return Ok(Some((older, UndeliveredReason::Replaced)));
        }
        let mut displaced = None;
        if others_wait || !self.has_room(&inner) {
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
                    return Ok(Some((envelope, UndeliveredReason::Refused)));
                }
                Overflow::DropOldest => {
                    if let Some(oldest) = inner.queue.pop_front() {
                        inner.taken(1);
                        displaced = Some((oldest, UndeliveredReason::Evicted));
                    }
                    self.count_refusal();
                }
            }
        }
        self.put(inner, envelope, key);
        Ok(displaced)
    }

    /// Puts it at the end, and wakes the actor if it has nothing to do.
    fn put<M: Message>(&self, mut inner: MutexGuard<'_, Inner<A>>, envelope: Box<Sealed<M>>, key: Option<Key>)
    where
        A: Handler<M>,
    {
        inner.put(envelope, key, usize::from(self.in_hand.load(Relaxed)));
        let wake = self.unpark();
        drop(inner);
        if wake {
            self.wake();
        }
    }

    /// Puts a message in, or says at once why not.
    pub(crate) fn offer<M: Message>(&self, envelope: Box<Sealed<M>>) -> Pushed<A, M>
    where
        A: Handler<M>,
    {
        self.push(envelope, false)
    }

    /// As [`admit`](Self::admit) up to where it would wait: `Full` is not counted as a refusal.
    pub(crate) fn try_admit<M: Message>(&self, envelope: Box<Sealed<M>>) -> Pushed<A, M>
    where
        A: Handler<M>,
    {
        self.push(envelope, true)
    }

    /// Puts a message in, waiting for room where the policy says so.
    pub(crate) async fn admit<M: Message>(&self, envelope: Box<Sealed<M>>) -> Pushed<A, M>
    where
        A: Handler<M>,
    {
        let Overflow::Block(limit) = self.spec.overflow else { return self.offer(envelope) };
        match self.push(envelope, true) {
            Err(SendError::Full(envelope)) => self.wait_for_room(envelope, Some(limit)).await,
            pushed => pushed,
        }
    }

    /// Puts a message in, waiting for room for as long as it takes, whatever the policy.
    pub(crate) async fn admit_in_time<M: Message>(&self, envelope: Box<Sealed<M>>) -> Pushed<A, M>
    where
        A: Handler<M>,
    {
        self.wait_for_room(envelope, None).await
    }

    /// Puts it in, or among those who wait, or gives it back because the mailbox is closed. The waker is the caller's
    /// own clone: to clone one may run any code, and the lock is held in here.
    pub(super) fn enter_or_wait<M: Message>(
        &self,
        envelope: Box<Sealed<M>>,
        waker: Waker,
    ) -> Result<Entered<A>, Refused<M>>
    where
        A: Handler<M>,
    {
        let key = envelope.key::<A>();
        let mut inner = self.inner.lock();
        if inner.closed {
            drop(inner);
            return Err(SendError::Stopped(envelope));
        }
        let others_wait = inner.has_waiting();
        if !others_wait && let Some(waiting) = inner.find(key) {
            let older = std::mem::replace(waiting, envelope);
            return Ok(Entered::In(Some((older, UndeliveredReason::Replaced))));
        }
        if others_wait || !self.has_room(&inner) {
            let ticket = inner.waiting.get_or_insert_default().enter(envelope, key, waker);
            // The last message may be in the actor's hand, which then looks for nothing else.
            let wake = self.unpark();
            drop(inner);
            if wake {
                self.wake();
            }
            return Ok(Entered::Waits(ticket));
        }
        self.put(inner, envelope, key);
        Ok(Entered::In(None))
    }

    /// Gives the next message, and the rest of its batch into `hand`. None: the next sender will wake the actor. What
    /// had to make room for a newer one goes to `replaced`.
    pub(crate) fn take(
        &self,
        hand: &mut VecDeque<Boxed<A>>,
        replaced: &mut Vec<Boxed<A>>,
    ) -> Option<Boxed<A>> {
        self.in_hand.store(0, Release);
        if self.parked.load(Acquire) {
            // Whoever comes from now on wakes the actor; no lock is needed to find nothing.
            return None;
        }
        let mut inner = self.inner.lock();
        let told =
            if inner.has_waiting() { inner.let_in(self.spec.capacity(), replaced) } else { Vec::new() };
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
        inner.taken(n);
        self.in_hand.store(small(n), Relaxed);
        // A lone message is handled as the last one. Behind a batch more are likely to have come by its end.
        if n <= 1 && inner.queue.is_empty() && !inner.has_waiting() {
            self.parked.store(true, Relaxed);
        }
        drop(inner);
        for waker in told {
            waker.wake();
        }
        next.or_else(|| hand.pop_front())
    }

    /// The actor has only so many messages in its hand any more: the others went with its generation. Gives what had to
    /// make room for a newer one.
    pub(crate) fn put_down(&self, left: usize) -> Vec<Boxed<A>> {
        let mut replaced = Vec::new();
        let mut inner = self.inner.lock();
        if inner.closed {
            return replaced;
        }
        self.in_hand.store(small(left), Relaxed);
        let told = inner.let_in(self.spec.capacity().saturating_sub(left), &mut replaced);
        if !told.is_empty() {
            // The next generation is to look for them by itself.
            self.unpark();
        }
        drop(inner);
        for waker in told {
            waker.wake();
        }
        replaced
    }

    /// Takes nothing more; gives what was in the queue.
    pub(crate) fn close(&self) -> VecDeque<Boxed<A>> {
        let mut inner = self.inner.lock();
        inner.closed = true;
        let left = std::mem::take(&mut inner.queue);
        inner.coalescing = None;
        self.in_hand.store(0, Relaxed);
        // Their messages stay where they are until each sender takes its own back.
        let told = inner.waiting.as_mut().map(|room| room.wakers()).unwrap_or_default();
        drop(inner);
        for waker in told {
            waker.wake();
        }
        left
    }
}

/// Messages for an actor that never ran. One by one: two panicking drops in one go would abort.
impl<A> Drop for Mailbox<A> {
    fn drop(&mut self) {
        for envelope in self.inner.get_mut().queue.drain(..) {
            bury(envelope);
        }
    }
}

/// A batch is at most 64 messages.
fn small(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}
