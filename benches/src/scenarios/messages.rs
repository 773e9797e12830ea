//! Messages: tell, ask, many senders, rings.

use std::{future::Future, time::Instant};

use tokio::sync::mpsc;

use crate::{
    contender::{ARRIVED, AsyncHandlers, Contender, Ring},
    scenarios::{CAPACITY, each},
};

/// Senders at once.
const SENDERS: u64 = 4;
/// Messages of each of them.
const SHARE: u64 = 150_000;

async fn told<C: Contender>(tell: fn(&C::Address)) -> [f64; 1] {
    const STEPS: u64 = 2_000_000;
    let counter = C::start(None).await;
    C::ask(&counter).await;
    let began = Instant::now();
    for _ in 0..STEPS {
        tell(&counter);
    }
    assert_eq!(C::ask(&counter).await, STEPS);
    let time = each(began, STEPS);
    C::stop(counter).await;
    [time]
}

/// Two million messages into an empty mailbox without a bound, until all are handled.
pub(crate) async fn tell<C: Contender>() -> [f64; 1] {
    told::<C>(C::tell).await
}

/// The same, handled by async handlers that are ready at once.
pub(crate) async fn tell_ready<C: AsyncHandlers>() -> [f64; 1] {
    told::<C>(C::tell_ready).await
}

/// The same, handled by async handlers that are pending once.
pub(crate) async fn tell_pending<C: AsyncHandlers>() -> [f64; 1] {
    told::<C>(C::tell_pending).await
}

/// One question after the other.
pub(crate) async fn ask<C: Contender>() -> [f64; 1] {
    const STEPS: u64 = 300_000;
    let counter = C::start(Some(CAPACITY)).await;
    C::ask(&counter).await;
    let began = Instant::now();
    for _ in 0..STEPS {
        C::ask(&counter).await;
    }
    let time = each(began, STEPS);
    C::stop(counter).await;
    [time]
}

/// `spawn` begins one sender, which has to drop what it is given when it is done.
async fn fan_in<C: Contender>(capacity: Option<usize>, spawn: fn(C::Address, mpsc::Sender<()>)) -> [f64; 1] {
    let counter = C::start(capacity).await;
    C::ask(&counter).await;
    let (running, mut all_done) = mpsc::channel(1);
    let began = Instant::now();
    for _ in 0..SENDERS {
        spawn(counter.clone(), running.clone());
    }
    drop(running);
    // Nothing is ever sent.
    all_done.recv().await;
    assert_eq!(C::ask(&counter).await, SENDERS * SHARE);
    let time = each(began, SENDERS * SHARE);
    C::stop(counter).await;
    [time]
}

async fn produce<C: Contender>(counter: C::Address, running: mpsc::Sender<()>) {
    for _ in 0..SHARE {
        C::send(&counter).await;
    }
    drop((counter, running));
}

fn task<C: Contender>(counter: C::Address, running: mpsc::Sender<()>) {
    tokio::task::spawn_local(produce::<C>(counter, running));
}

fn thread<C: Contender>(counter: C::Address, running: mpsc::Sender<()>) {
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(produce::<C>(counter, running));
    };
    std::thread::spawn(body);
}

/// Four tasks of the actor's own thread send into a mailbox without a bound.
pub(crate) fn fan_in_tasks<C: Contender>() -> impl Future<Output = [f64; 1]> {
    fan_in::<C>(None, task::<C>)
}

/// The same with a bound: they wait for room.
pub(crate) fn fan_in_tasks_bounded<C: Contender>() -> impl Future<Output = [f64; 1]> {
    fan_in::<C>(Some(CAPACITY), task::<C>)
}

/// Four other threads send into a mailbox without a bound.
pub(crate) fn fan_in_threads<C: Contender>() -> impl Future<Output = [f64; 1]> {
    fan_in::<C>(None, thread::<C>)
}

/// The same with a bound: they wait for room.
pub(crate) fn fan_in_threads_bounded<C: Contender>() -> impl Future<Output = [f64; 1]> {
    fan_in::<C>(Some(CAPACITY), thread::<C>)
}

/// One message that goes round a thousand actors, each of which sends it to the next.
pub(crate) async fn ring<C: Ring>() -> [f64; 1] {
    const HOPS: u64 = 1_000_000;
    const MEMBERS: usize = 1000;
    let mut members = Vec::with_capacity(MEMBERS);
    for _ in 0..MEMBERS {
        members.push(C::start(Some(CAPACITY)).await);
    }
    for (member, next) in members.iter().zip(members.iter().cycle().skip(1)) {
        C::link(member, next.clone());
        C::ask(member).await;
    }
    let began = Instant::now();
    C::hop(&members[0], HOPS);
    ARRIVED.notified().await;
    let time = each(began, HOPS);
    for member in members {
        C::stop(member).await;
    }
    [time]
}
