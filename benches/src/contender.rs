//! What the scenarios need of a library.

use std::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::{Context, Poll},
};

use tokio::sync::{Notify, mpsc};

/// A library with an actor that counts.
pub(crate) trait Contender: 'static {
    /// The actor's address.
    type Address: Clone + Send + 'static;

    /// Starts an actor with a mailbox of this capacity; `None` is a mailbox without a bound.
    fn start(capacity: Option<usize>) -> impl Future<Output = Self::Address>;
    /// Adds one, and never waits. False: there is no room.
    fn offer(address: &Self::Address) -> bool;
    /// Adds one where there is room.
    fn tell(address: &Self::Address) {
        assert!(Self::offer(address), "there is room");
    }
    /// Adds one, and waits for room.
    fn send(address: &Self::Address) -> impl Future<Output = ()> + Send;
    /// The count.
    fn ask(address: &Self::Address) -> impl Future<Output = u64>;
    /// Stops the actor and waits until it is gone.
    fn stop(address: Self::Address) -> impl Future<Output = ()>;
}

/// A library whose handlers may be async, one message at a time.
pub(crate) trait AsyncHandlers: Contender {
    /// Adds one, by a handler whose future is ready at once.
    fn tell_ready(address: &Self::Address);
    /// Adds one, by a handler whose future is pending once.
    fn tell_pending(address: &Self::Address);
}

/// Actors in a ring; each sends to the next.
pub(crate) trait Ring: Contender {
    fn link(address: &Self::Address, next: Self::Address);
    /// Sends so many hops around; at the end [`ARRIVED`] is notified.
    fn hop(address: &Self::Address, hops: u64);
}

/// The last hop of a ring.
pub(crate) static ARRIVED: Notify = Notify::const_new();

/// A tree of actors that start their children; the numbers of the leaves are summed on the way back.
pub(crate) trait Skynet: 'static {
    /// Starts the root of the tree, which sends the sum and stops, as all below it do.
    fn skynet(sum: mpsc::UnboundedSender<u64>) -> impl Future<Output = ()>;
}

/// Children of the root, and of each of them.
pub(crate) const FANS: [u32; 2] = [1000, 100];

/// Where an actor is in the tree, and what it has heard.
#[derive(Clone, Debug)]
pub(crate) struct Branch {
    level: usize,
    number: u64,
    waiting: u32,
    sum: u64,
}

impl Branch {
    pub(crate) const ROOT: Self = Branch { level: 0, number: 0, waiting: FANS[0], sum: 0 };

    /// The actors to start below this one; none below a leaf.
    pub(crate) fn children(&self) -> impl Iterator<Item = Branch> + use<> {
        let (level, first) = (self.level + 1, self.number * u64::from(self.waiting));
        let waiting = FANS.get(level).copied().unwrap_or(0);
        (0..self.waiting).map(move |n| Branch { level, number: first + u64::from(n), waiting, sum: 0 })
    }

    /// What a leaf answers at once.
    pub(crate) fn leaf(&self) -> Option<u64> {
        (self.waiting == 0).then_some(self.number)
    }

    /// Hears of one child. The last one completes the sum.
    pub(crate) fn add(&mut self, number: u64) -> Option<u64> {
        self.sum += number;
        self.waiting -= 1;
        (self.waiting == 0).then_some(self.sum)
    }
}

/// Pending once, and woken at once.
#[derive(Default)]
pub(crate) struct Once(bool);

impl Future for Once {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        task.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A name that no other actor has.
pub(crate) fn name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("counter-{}", NEXT.fetch_add(1, Relaxed))
}
