//! The test kit sees what becomes of actors and supervisors, or says what it saw instead.

use callboard_supervisors::{
    ActorRef, ChildSpec, Restart, State, StopReason, SupervisorSpec,
    testkit::{TestSystem, await_generation, await_state, await_stopped, run},
};
use tokio::time::Instant;

use crate::{
    probes::failure,
    worker::{Hold, PanicAsync, Worker, ms, steady},
};

async fn start(restart: Restart) -> (TestSystem, ActorRef<Worker>) {
    let spec = ChildSpec::<Worker>::new("worker", ()).restart(restart);
    let worker = spec.actor_ref();
    let inner = SupervisorSpec::new("inner").backoff(steady(ms(1000))).child(spec);
    (TestSystem::start(SupervisorSpec::new("root").supervisor(inner)).await, worker)
}

#[test]
fn every_change_of_state_is_announced_when_it_happens() {
    run(async {
        let (system, worker) = start(Restart::Permanent).await;
        let began = Instant::now();
        worker.suspend();
        await_state(&worker, State::Suspended).await;
        worker.resume();
        await_state(&worker.handle(), State::Running).await;
        worker.tell(PanicAsync(true)).expect("room");
        await_state(&worker, State::Crashed).await;
        assert_eq!(began.elapsed(), ms(0));
        assert_eq!(await_generation(&worker, 1).await, 1);
        assert_eq!(began.elapsed(), ms(1000));
        worker.tell(Hold(ms(500))).expect("room");
        let inner = system.root().child("inner").expect("it was declared");
        inner.restart();
        await_state(&inner, State::Stopping).await;
        assert_eq!((await_generation(&inner, 1).await, await_generation(&worker, 1).await), (1, 2));
        assert_eq!(began.elapsed(), ms(1500));
        worker.stop();
        assert_eq!(await_stopped(&worker).await, StopReason::Shutdown);
        await_state(&system.root(), State::Running).await;
        system.shutdown().await;
    });
}

#[test]
fn what_does_not_come_is_told_with_what_is() {
    let text = failure(async {
        let (_system, worker) = start(Restart::Permanent).await;
        await_generation(&worker, 1).await
    });
    for part in ["lifecycles.rs:", "`inner/worker`", "generation 1 within 3s", "running in generation 0"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let text = failure(async {
        let (_system, worker) = start(Restart::Permanent).await;
        await_stopped(&worker).await
    });
    assert!(text.contains("gone for good within 3s; it is running"), "{text}");
}

#[test]
fn what_can_never_come_is_not_waited_for() {
    let text = failure(async {
        let (_system, worker) = start(Restart::Temporary).await;
        worker.tell(PanicAsync(false)).expect("room");
        let began = Instant::now();
        let never = tokio::task::spawn_local(await_state(&worker, State::Suspended)).await;
        assert_eq!(began.elapsed(), ms(0));
        std::panic::resume_unwind(never.expect_err("it fails").into_panic());
    });
    for part in ["to be suspended", "is stopped", "panicked in", "in an async handler"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}
