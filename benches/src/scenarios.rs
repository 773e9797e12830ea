//! What is measured: nanoseconds for each step.

use std::time::Instant;

use tokio::sync::mpsc;

use crate::{
    contender::Contender,
    with_callboard::{Break, Callboard},
};

/// The bound of mailboxes that have one.
const CAPACITY: usize = 1024;
/// Threads that send at once.
const SENDERS: u64 = 4;

fn each(began: Instant, steps: u64) -> f64 {
    began.elapsed().as_nanos() as f64 / steps as f64
}

/// Two million messages into an empty mailbox without a bound, until all are handled.
pub(crate) async fn tell<C: Contender>() -> f64 {
    const STEPS: u64 = 2_000_000;
    let counter = C::start(None).await;
    C::ask(&counter).await;
    let began = Instant::now();
    for _ in 0..STEPS {
        C::tell(&counter);
    }
    assert_eq!(C::ask(&counter).await, STEPS);
    let time = each(began, STEPS);
    C::stop(counter).await;
    time
}

/// One question after the other.
pub(crate) async fn ask<C: Contender>() -> f64 {
    const STEPS: u64 = 300_000;
    let counter = C::start(Some(CAPACITY)).await;
    C::ask(&counter).await;
    let began = Instant::now();
    for _ in 0..STEPS {
        C::ask(&counter).await;
    }
    let time = each(began, STEPS);
    C::stop(counter).await;
    time
}

/// Four other threads send into one bounded mailbox and wait for room.
pub(crate) async fn fan_in<C: Contender>() -> f64 {
    const STEPS: u64 = 250_000;
    let counter = C::start(Some(CAPACITY)).await;
    C::ask(&counter).await;
    let (running, mut all_done) = mpsc::channel::<()>(1);
    let began = Instant::now();
    for _ in 0..SENDERS {
        let (counter, running) = (counter.clone(), running.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.expect("a runtime").block_on(async {
                for _ in 0..STEPS {
                    C::send(&counter).await;
                }
            });
            drop(running);
        });
    }
    drop(running);
    all_done.recv().await;
    assert_eq!(C::ask(&counter).await, SENDERS * STEPS);
    let time = each(began, SENDERS * STEPS);
    C::stop(counter).await;
    time
}

/// An actor's whole life: start, a message, a question, stop, and the wait until it is gone.
pub(crate) async fn life<C: Contender>() -> f64 {
    const STEPS: u64 = 100_000;
    let began = Instant::now();
    for _ in 0..STEPS {
        let counter = C::start(Some(CAPACITY)).await;
        C::tell(&counter);
        assert_eq!(C::ask(&counter).await, 1);
        C::stop(counter).await;
    }
    each(began, STEPS)
}

/// From a message that panics to the answer of the next generation, without a backoff.
pub(crate) async fn crash() -> f64 {
    const STEPS: u64 = 20_000;
    let counter = Callboard::<false>::start(Some(CAPACITY)).await;
    Callboard::<false>::ask(&counter).await;
    let began = Instant::now();
    for _ in 0..STEPS {
        let _ = counter.ask(Break).await;
        Callboard::<false>::ask(&counter).await;
    }
    let time = each(began, STEPS);
    Callboard::<false>::stop(counter).await;
    time
}
