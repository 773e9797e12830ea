//! What the kinds of addresses of one actor have in common.

use std::collections::HashSet;

use callboard_supervisors::{
    ActorHandle, ChildSpec, Recipient, Restart, SlowSubscriber, StopReason, Topic, testkit::Probe,
};

use crate::worker::{Count, Worker, alone, local};

#[test]
fn each_leads_to_the_others_and_names_the_same_actor() {
    local(async {
        let (system, worker) = alone(ChildSpec::<Worker>::new("worker", ())).await;
        let (handle, recipient): (ActorHandle, Recipient<Count>) = (worker.handle(), worker.recipient());
        assert_eq!((handle.name(), &*recipient.path()), ("worker", "worker"));
        assert_eq!(handle.actor_ref::<Worker>(), Some(worker.clone()));
        let root = system.root().child("worker").expect("it is there");
        assert_eq!(HashSet::from([handle.clone(), root, worker.clone().into()]).len(), 1);
        assert_eq!(HashSet::from([recipient.clone(), worker.clone().into()]).len(), 1);
        assert_eq!(HashSet::from([worker.clone(), worker.clone()]).len(), 1);
        worker.suspend();
        worker.tell(Count).expect("room");
        assert_eq!((worker.depth(), recipient.depth()), (1, 1));
        worker.stop();
        assert_eq!(recipient.watch().await, StopReason::Shutdown);
        assert_eq!(handle.watch().await, StopReason::Shutdown);
        system.shutdown().await;
    });
}

/// A handle does not keep it, and what a handle gives does.
#[test]
fn an_address_from_a_handle_keeps_an_actor_that_ends_when_nobody_refers_to_it() {
    local(async {
        let spec = ChildSpec::<Worker>::new("worker", ()).restart(Restart::Temporary);
        let (system, worker) = alone(spec.stop_when_unreferenced(true)).await;
        let handle = worker.handle();
        let another = handle.actor_ref::<Worker>().expect("it is a worker");
        drop(worker);
        assert_eq!(another.ask(Count).await, Ok((0, 1)));
        drop(another);
        assert_eq!(handle.watch().await, StopReason::Normal);
        system.shutdown().await;
    });
}

#[test]
fn the_end_of_a_probe_is_seen_as_that_of_an_actor() {
    local(async {
        let (probe, topic) = (Probe::<Tick>::new("probe"), Topic::new("ticks"));
        let recipient = probe.recipient();
        topic.subscribe(recipient.clone(), SlowSubscriber::Skip).expect("room").detach();
        assert_eq!(topic.len(), 1);
        drop(probe);
        assert_eq!(recipient.watch().await, StopReason::Normal);
        assert_eq!(topic.len(), 0);
    });
}

#[derive(Clone, callboard_supervisors::Message)]
struct Tick;
