//! Resident memory; to be run in a process of its own, so that nobody's free memory is taken for the actors'.

use crate::{contender::Contender, scenarios::CAPACITY};

const ACTORS: usize = 100_000;

/// What 100,000 actors with two words of state add to the resident memory when each has answered once: bytes an actor.
pub(crate) async fn idle<C: Contender>() -> [f64; 1] {
    // What is there once, whatever the number of actors, and where the addresses are kept.
    let mut counters = Vec::with_capacity(ACTORS);
    let first = C::start(Some(CAPACITY)).await;
    C::ask(&first).await;
    let before = resident();
    for _ in 0..ACTORS {
        let counter = C::start(Some(CAPACITY)).await;
        C::ask(&counter).await;
        counters.push(counter);
    }
    let after = resident();
    let addresses = counters.len() * size_of::<C::Address>();
    [(after.saturating_sub(before).saturating_sub(addresses)) as f64 / ACTORS as f64]
}

/// Resident bytes of this process.
fn resident() -> usize {
    const PAGE: usize = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("the second number of statm") * PAGE
}
