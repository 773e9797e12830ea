//! Panics in timers and spawned futures: no message is concerned, and what waits is kept.

use super::{Place, Seen, Trigger, observe};

#[test]
fn in_a_timer() {
    let seen = observe(&[Place::After], Trigger::Beside(Place::After));
    assert_eq!(seen, Seen::crash("After").without_asker());
}

#[test]
fn in_an_interval() {
    let seen = observe(&[Place::Interval], Trigger::Beside(Place::Interval));
    assert_eq!(seen, Seen::crash("Interval").without_asker());
}

#[test]
fn in_a_spawned_future() {
    let seen = observe(&[Place::Spawned], Trigger::Beside(Place::Spawned));
    assert_eq!(seen, Seen::crash("Spawned").without_asker());
}

#[test]
fn in_the_turn_after_a_spawned_future() {
    let seen = observe(&[Place::Then], Trigger::Beside(Place::Then));
    assert_eq!(seen, Seen::crash("Then").without_asker());
}

/// The future is owned by the runtime, which drops it behind a guard of its own.
#[test]
fn in_a_spawned_future_and_in_its_drop() {
    let seen = observe(&[Place::Spawned, Place::DropOfFuture], Trigger::BesideTwice);
    assert_eq!(seen, Seen::crash("Spawned").without_asker());
}
