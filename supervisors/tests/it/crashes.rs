//! A panic, wherever it happens, ends one generation: address and queue stay.

use std::{
    future::Future,
    pin::Pin,
    task::{Context as Task, Poll},
};

use callboard_supervisors::{AskError, ChildSpec, Context, Message, PlainHandler, StopReason};

use crate::worker::{Count, Panic, PanicAsync, Place, Worker, alone, local};

#[test]
fn every_place_of_a_panic_costs_one_generation_and_keeps_address_and_queue() {
    local(async {
        let (system, worker) = alone(ChildSpec::<Worker>::new("worker", ())).await;
        let places = [
            Place::Plain,
            Place::BeforeAwait,
            Place::AfterAwait,
            Place::LaterReply,
            Place::Timer,
            Place::Spawned,
            Place::DropOfState,
            Place::DropOfFuture,
        ];
        for (generation, place) in (0u64..).zip(places) {
            let asked = async {
                match place {
                    Place::BeforeAwait => worker.ask(PanicAsync(false)).await,
                    Place::AfterAwait => worker.ask(PanicAsync(true)).await,
                    place => worker.ask(Panic(place)).await,
                }
            };
            assert_eq!(asked.await, Err(AskError::Panicked), "{place:?}");
            assert_eq!(worker.ask(Count).await, Ok((generation + 1, 1)), "after {place:?}");
        }
        let snapshot = system.snapshot();
        let seen = snapshot.find("worker").expect("it is in the tree");
        assert_eq!((seen.generation, seen.panics), (8, 8));
        let root = snapshot.root.supervision.as_ref().expect("a supervisor");
        assert_eq!((root.crashes, root.recent_restarts), (8, 8));
        system.shutdown().await;
    });
}

#[test]
fn what_waited_behind_the_panic_is_handled_by_the_next_generation() {
    local(async {
        let (system, worker) = alone(ChildSpec::<Worker>::new("worker", ())).await;
        worker.tell(PanicAsync(true)).expect("room");
        let (first, second) = tokio::join!(worker.ask(Count), worker.ask(Count));
        assert_eq!((first, second), (Ok((1, 1)), Ok((1, 2))));
        system.shutdown().await;
    });
}

#[test]
fn a_crash_record_names_message_place_and_text() {
    local(async {
        let (system, worker) = alone(ChildSpec::<Worker>::new("worker", ())).await;
        assert_eq!(worker.ask(PanicAsync(false)).await, Err(AskError::Panicked));
        worker.ask(Count).await.expect("the next generation answers");
        let crash = system.snapshot().find("worker").and_then(|node| node.last_crash.clone());
        let crash = crash.expect("it was recorded");
        let StopReason::Panicked { message, payload } = &crash.reason else { panic!("{crash:?}") };
        assert!(message.is_some_and(|message| message.ends_with("PanicAsync")), "{message:?}");
        assert_eq!(payload, "in an async handler");
        assert!(crash.location.as_ref().is_some_and(|place| place.contains("worker.rs")), "{crash:?}");
        assert!(crash.backtrace.is_some());
        system.shutdown().await;
    });
}

/// Panics when it is polled, and again when that panic has it dropped.
#[derive(Message)]
struct SpawnTwofold;

struct Twofold;

/// The line of the first panic.
const FIRST: u32 = line!() + 6;

impl Future for Twofold {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<()> {
        panic!("the first")
    }
}

impl Drop for Twofold {
    fn drop(&mut self) {
        panic!("the second");
    }
}

impl PlainHandler<SpawnTwofold> for Worker {
    type Reply = ();
    fn handle(&mut self, _: SpawnTwofold, cx: &mut Context<Self>) {
        cx.spawn(Twofold);
    }
}

#[test]
fn the_place_in_a_crash_record_is_that_of_its_panic_whatever_is_dropped_in_it() {
    local(async {
        let (system, worker) = alone(ChildSpec::<Worker>::new("worker", ())).await;
        worker.tell(SpawnTwofold).expect("room");
        assert_eq!(worker.ask(Count).await, Ok((1, 1)));
        let crash = worker.snapshot().last_crash.expect("a crash");
        assert!(crash.reason.to_string().contains("the first"), "{crash}");
        let place = crash.location.clone().expect("a place");
        assert!(place.contains(&format!("crashes.rs:{FIRST}:")), "{place}");
        system.shutdown().await;
    });
}
