//! What each overflow policy, and a key for coalescing, costs a `tell`.

use std::time::{Duration, Instant};

use callboard_supervisors::{ActorRef, MailboxSpec, Overflow};

use crate::{
    libraries::callboard::{Add, AddOnce, Counter, Get, counter},
    scenarios::{CAPACITY, nanoseconds},
};

const BURST: usize = 512;

/// Bursts into a mailbox that has room for them: the sending alone.
async fn bursts(overflow: Overflow, tell: impl Fn(&ActorRef<Counter>, usize)) -> [f64; 1] {
    const BURSTS: u32 = 1000;
    let counter = counter(MailboxSpec::bounded(CAPACITY).overflow(overflow)).await;
    let mut time = Duration::ZERO;
    for _ in 0..BURSTS {
        counter.ask(Get).await.expect("an answer");
        let began = Instant::now();
        for number in 0..BURST {
            tell(&counter, number);
        }
        time += began.elapsed();
    }
    [nanoseconds(time) / f64::from(BURSTS) / BURST as f64]
}

async fn with_room(overflow: Overflow) -> [f64; 1] {
    bursts(overflow, |counter, _| counter.tell(Add).expect("there is room")).await
}

/// Into a mailbox that is full, whose actor does not get a turn.
async fn full(overflow: Overflow) -> [f64; 1] {
    const STEPS: u32 = 500_000;
    let counter = counter(MailboxSpec::bounded(CAPACITY).overflow(overflow)).await;
    counter.ask(Get).await.expect("an answer");
    while counter.snapshot().depth < CAPACITY {
        counter.tell(Add).expect("there is room");
    }
    let refused = counter.snapshot().refused;
    let began = Instant::now();
    for _ in 0..STEPS {
        // Refused or not: that is what is measured.
        let _ = counter.tell(Add);
    }
    let time = nanoseconds(began.elapsed()) / f64::from(STEPS);
    assert_eq!(counter.snapshot().refused - refused, u64::from(STEPS), "each found it full");
    [time]
}

const BLOCK: Overflow = Overflow::Block(Duration::from_secs(1));

pub(crate) async fn reject_with_room() -> [f64; 1] {
    with_room(Overflow::Reject).await
}

pub(crate) async fn block_with_room() -> [f64; 1] {
    with_room(BLOCK).await
}

pub(crate) async fn drop_newest_with_room() -> [f64; 1] {
    with_room(Overflow::DropNewest).await
}

pub(crate) async fn drop_oldest_with_room() -> [f64; 1] {
    with_room(Overflow::DropOldest).await
}

pub(crate) async fn reject_full() -> [f64; 1] {
    full(Overflow::Reject).await
}

pub(crate) async fn block_full() -> [f64; 1] {
    full(BLOCK).await
}

pub(crate) async fn drop_newest_full() -> [f64; 1] {
    full(Overflow::DropNewest).await
}

pub(crate) async fn drop_oldest_full() -> [f64; 1] {
    full(Overflow::DropOldest).await
}

/// Messages with keys of which none waits yet.
pub(crate) async fn new_keys() -> [f64; 1] {
    bursts(Overflow::Reject, |counter, key| counter.tell(AddOnce(key as u64)).expect("there is room")).await
}

/// Messages each of which takes the place of the one before.
pub(crate) async fn waiting_key() -> [f64; 1] {
    bursts(Overflow::Reject, |counter, _| counter.tell(AddOnce(0)).expect("there is room")).await
}
