//! An actor that always has work leaves time to the others on its thread, to its own timers, and to orders.

use std::{collections::BTreeSet, time::Duration};

use callboard_supervisors::{
    Actor, ActorRef, ActorSystem, ChildSpec, Context, DynamicSupervisorSpec, Handler, Message, PlainHandler,
    Restart, StartError, StopReason, SupervisorSpec, testkit::TestSystem,
};
use tokio::{sync::oneshot, time::timeout};

use crate::worker::{Count, Worker, local};

/// Never reached by a fair runtime: without fairness the thread would belong to the flooded actor for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Its mailbox is never empty once it has had a message.
struct Flooded;

impl Actor for Flooded {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Flooded)
    }
}

#[derive(Message)]
struct Plain;

impl PlainHandler<Plain> for Flooded {
    type Reply = ();
    fn handle(&mut self, _: Plain, cx: &mut Context<Self>) {
        // Where it stops there is no room, and no need.
        let _ = cx.myself().tell(Plain);
    }
}

#[derive(Message)]
struct Exclusive;

impl Handler<Exclusive> for Flooded {
    async fn handle(&mut self, _: Exclusive, cx: &mut Context<Self>) {
        let _ = cx.myself().tell(Exclusive);
    }
}

/// Rings once the actor's timer fires.
#[derive(Message)]
struct Ring(oneshot::Sender<()>);

impl PlainHandler<Ring> for Flooded {
    type Reply = ();
    fn handle(&mut self, Ring(bell): Ring, cx: &mut Context<Self>) {
        cx.after(Duration::from_millis(1), |_, _| {
            let _ = bell.send(());
        });
    }
}

fn beside_a_flood(plain: bool) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build_local(Default::default()).expect("a runtime");
    runtime.block_on(async {
        let (flooded, worker) =
            (ChildSpec::<Flooded>::new("flooded", ()), ChildSpec::<Worker>::new("worker", ()));
        let (flood, other) = (flooded.actor_ref(), worker.actor_ref());
        let root = SupervisorSpec::new("root").child(flooded).child(worker);
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        for _ in 0..500 {
            if plain { flood.tell(Plain).expect("room") } else { flood.tell(Exclusive).expect("room") }
        }
        for count in 1..=100 {
            assert_eq!(other.ask_within(PATIENCE, Count).await, Ok((0, count)));
        }
        let (bell, rung) = oneshot::channel();
        flood.tell(Ring(bell)).expect("room");
        timeout(PATIENCE, rung).await.expect("the timer fires").expect("it rings");
        assert!(flood.snapshot().depth > 0, "it is still flooded");
        flood.stop();
        let ended = timeout(PATIENCE, flood.watch()).await;
        assert_eq!(ended, Ok(StopReason::Shutdown));
        assert!(system.shutdown(PATIENCE).await.is_clean());
    });
}

#[test]
fn plain_handlers() {
    beside_a_flood(true);
}

#[test]
fn exclusive_handlers_that_are_ready_at_once() {
    beside_a_flood(false);
}

#[test]
fn a_supervisor_of_many_that_end_at_once_lets_others_in_between() {
    local(async {
        const CHILDREN: u64 = 1000;
        let pool = DynamicSupervisorSpec::new("pool");
        let handle = pool.handle();
        let system = TestSystem::start(SupervisorSpec::new("root").dynamic(pool)).await;
        let mut children = Vec::new();
        for n in 0..CHILDREN {
            let child = ChildSpec::<Worker>::new(n.to_string(), ()).restart(Restart::Temporary);
            children.push(handle.spawn_child(child).expect("it runs"));
        }
        system.settle().await;
        children.iter().for_each(ActorRef::kill);
        let heard_of = || handle.snapshot().supervision.expect("a supervisor").exits;
        let mut turns = BTreeSet::new();
        while turns.last() != Some(&CHILDREN) {
            turns.insert(heard_of());
            tokio::task::yield_now().await;
        }
        assert!(turns.len() > 4, "others had their turn only when it had heard of {turns:?}");
        system.shutdown().await;
    });
}
