//! Actors that come and go.

use std::time::Instant;

use tokio::sync::mpsc;

use crate::{
    contender::{Contender, FANS, Skynet},
    scenarios::{CAPACITY, each, milliseconds},
};

/// Actors are started, until the last one answers.
pub(crate) async fn spawn<C: Contender>() -> [f64; 1] {
    const ACTORS: u64 = 20_000;
    let mut counters = Vec::new();
    let began = Instant::now();
    for _ in 0..ACTORS {
        counters.push(C::start(Some(CAPACITY)).await);
    }
    if let Some(last) = counters.last() {
        C::ask(last).await;
    }
    let time = each(began, ACTORS);
    for counter in counters {
        C::stop(counter).await;
    }
    [time]
}

/// An actor's whole life: start, a message, a question, stop, and the wait until it is gone.
pub(crate) async fn life<C: Contender>() -> [f64; 1] {
    const STEPS: u64 = 50_000;
    let began = Instant::now();
    for _ in 0..STEPS {
        let counter = C::start(Some(CAPACITY)).await;
        C::tell(&counter);
        assert_eq!(C::ask(&counter).await, 1);
        C::stop(counter).await;
    }
    [each(began, STEPS)]
}

/// A root that starts 1,000 actors, each of which starts 100, whose numbers are summed up the tree; all then stop.
pub(crate) async fn skynet<C: Skynet>() -> [f64; 1] {
    let leaves: u64 = FANS.iter().copied().map(u64::from).product();
    let (sum, mut sums) = mpsc::unbounded_channel();
    let began = Instant::now();
    C::skynet(sum).await;
    assert_eq!(sums.recv().await, Some(leaves * (leaves - 1) / 2));
    [milliseconds(began.elapsed())]
}
