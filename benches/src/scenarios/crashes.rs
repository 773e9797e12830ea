//! Panics and restarts.

use std::time::{Duration, Instant};

use callboard_supervisors::{ActorSystem, ChildSpec, Strategy, SupervisorSpec};

use crate::{
    contender::{Contender, name},
    libraries::{
        Callboard, Kameo,
        callboard::{AT_ONCE, Break, Counter, Get, system},
    },
    scenarios::{CAPACITY, each, microseconds, milliseconds},
};

/// No asker gives up before.
const PATIENCE: Duration = Duration::from_secs(120);
const CRASHES: u64 = 10_000;

/// From a message that panics to the answer of the next generation, without a pause between.
pub(crate) async fn callboard_next_reply() -> [f64; 1] {
    let counter = Callboard::start(Some(CAPACITY)).await;
    Callboard::ask(&counter).await;
    let began = Instant::now();
    for _ in 0..CRASHES {
        // The asker hears that it panicked.
        let _ = counter.ask(Break).await;
        Callboard::ask(&counter).await;
    }
    let time = each(began, CRASHES) / 1e3;
    Callboard::stop(counter).await;
    [time]
}

/// The same with kameo's supervision.
pub(crate) async fn kameo_next_reply() -> [f64; 1] {
    let (_supervisor, counter) = Kameo::supervised().await;
    Kameo::ask(&counter).await;
    let began = Instant::now();
    for _ in 0..CRASHES {
        Kameo::crash(&counter).await;
        Kameo::ask(&counter).await;
    }
    [each(began, CRASHES) / 1e3]
}

/// One of 10,000 siblings under `one_for_all` panics; until the last of them answers in its next generation.
pub(crate) async fn one_for_all() -> [f64; 1] {
    let mut root = SupervisorSpec::new("root").strategy(Strategy::OneForAll).backoff(AT_ONCE);
    let mut counters = Vec::new();
    for _ in 0..10_000 {
        let child = ChildSpec::<Counter>::new(name(), ());
        counters.push(child.actor_ref());
        root = root.child(child);
    }
    let system = ActorSystem::builder("bench").local().start(root).await.expect("a system");
    let began = Instant::now();
    let _ = counters[0].ask_within(PATIENCE, Break).await;
    let last = &counters[counters.len() - 1];
    last.inspect().await.expect("it is there");
    while last.snapshot().generation == 0 {
        tokio::task::yield_now().await;
    }
    last.ask_within(PATIENCE, Get).await.expect("an answer");
    let time = milliseconds(began.elapsed());
    assert!(counters.iter().all(|counter| counter.snapshot().generation == 1), "all were restarted once");
    assert!(system.shutdown(PATIENCE).await.is_clean());
    [time]
}

/// 20,000 children of one supervisor panic at once; until each has answered in its next generation. Microseconds for each.
pub(crate) async fn many() -> [f64; 1] {
    const ACTORS: u32 = 20_000;
    let (system, supervisor) = system().await;
    let start = |_| supervisor.spawn_child(ChildSpec::<Counter>::new(name(), ())).expect("no limit");
    let counters: Vec<_> = (0..ACTORS).map(start).collect();
    for counter in &counters {
        counter.ask(Get).await.expect("an answer");
    }
    let began = Instant::now();
    for counter in &counters {
        counter.tell(Break).expect("there is room");
    }
    for counter in &counters {
        assert_eq!(counter.ask_within(PATIENCE, Get).await, Ok(0));
    }
    let time = microseconds(began.elapsed()) / f64::from(ACTORS);
    assert!(counters.iter().all(|counter| counter.snapshot().generation == 1), "all were restarted once");
    assert!(system.shutdown(PATIENCE).await.is_clean());
    [time]
}
