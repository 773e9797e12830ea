//! The test kit's system: its clock, and a shutdown that overlooks nothing.

use callboard_supervisors::{
    Actor, ChildSpec, Context, Shutdown, StartError, SupervisorSpec,
    testkit::{Signal, TestSystem, run},
};

use crate::{
    probes::failure,
    worker::{Hold, Worker, ms},
};

/// Fires at 10 ms, 20 ms and so on.
struct Clock;

impl Actor for Clock {
    type Args = Signal<u128>;
    async fn start(tick: Signal<u128>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let began = tokio::time::Instant::now();
        cx.interval(ms(10), move |_, _| tick.fire(began.elapsed().as_millis()));
        Ok(Clock)
    }
}

#[test]
fn what_falls_due_while_the_clock_moves_happens_at_its_own_moment() {
    run(async {
        let ticks = Signal::new();
        let clock = ChildSpec::<Clock>::new("clock", ticks.clone());
        let system = TestSystem::start(SupervisorSpec::new("root").child(clock)).await;
        system.advance(ms(9)).await;
        assert_eq!(ticks.count(), 0);
        system.advance(ms(1)).await;
        assert_eq!(ticks.count(), 1);
        system.advance(ms(90)).await;
        assert_eq!(ticks.count(), 10);
        for tick in 1..=10 {
            assert_eq!(ticks.wait().await, tick * 10);
        }
        system.shutdown().await;
    });
}

/// Never ready to go.
struct Stays;

impl Actor for Stays {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Stays)
    }
    async fn stopping(&mut self, _: &mut Context<Self>) {
        std::future::pending().await
    }
}

#[test]
fn a_shutdown_fails_the_test_when_something_was_killed() {
    let text = failure(async {
        let inner = SupervisorSpec::new("inner").child(ChildSpec::<Stays>::new("stays", ()));
        let root = SupervisorSpec::new("root").child(ChildSpec::<Worker>::new("worker", ()));
        TestSystem::start(root.supervisor(inner)).await.shutdown().await;
    });
    assert!(text.contains("`inner/stays`: killed") && !text.contains("worker"), "{text}");
    let text = failure(async {
        let stays = ChildSpec::<Stays>::new("stays", ()).shutdown(Shutdown::Infinity);
        TestSystem::start(SupervisorSpec::new("root").child(stays)).await.shutdown().await;
    });
    assert!(text.contains("did not stop in 60s") && text.contains("stays"), "{text}");
}

#[test]
fn what_is_to_be_killed_may_be() {
    run(async {
        let spec = ChildSpec::<Worker>::new("worker", ()).shutdown(Shutdown::Brutal);
        let worker = spec.actor_ref();
        let system = TestSystem::start(SupervisorSpec::new("root").child(spec)).await;
        worker.tell(Hold(ms(1000))).expect("room");
        system.settle().await;
        assert!(system.shutdown().await.is_clean());
    });
}

#[test]
fn a_system_that_does_not_start_fails_the_test() {
    let text = failure(async {
        drop(TestSystem::start(SupervisorSpec::new("root").supervisor(SupervisorSpec::new("a/b"))).await);
    });
    assert!(text.contains("did not start") && text.contains("a/b"), "{text}");
}
