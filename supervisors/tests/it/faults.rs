//! Scripted faults happen when they should, once, and look to everybody like true ones.

use callboard_supervisors::{
    ActorRef, AskError, ChildSpec, OnStartFailure, State, StopReason, SupervisorSpec,
    testkit::{Fault, Faults, TestSystem, run},
};
use tokio::time::Instant;

use crate::{
    probes::failure,
    worker::{Answer, Count, Worker, ms, steady},
};

async fn with(faults: Faults) -> (TestSystem, ActorRef<Worker>) {
    let spec = ChildSpec::<Worker>::new("worker", ()).faults(faults);
    let worker = spec.actor_ref();
    let root = SupervisorSpec::new("root").intensity(100, ms(60_000)).backoff(steady(ms(10)));
    let root = root.on_start_failure(OnStartFailure::Retry).child(spec);
    (TestSystem::start(root).await, worker)
}

#[test]
fn a_panic_names_its_message_and_happens_once() {
    run(async {
        let (system, worker) = with(Faults::new().on::<Count>(2, Fault::Panic)).await;
        worker.ask(Answer(ms(1))).await.expect("other types do not count");
        assert_eq!(worker.ask(Count).await, Ok((0, 1)));
        let (panicked, behind) = tokio::join!(worker.ask(Count), worker.ask(Count));
        assert_eq!((panicked, behind), (Err(AskError::Panicked), Ok((1, 1))));
        let crash = worker.snapshot().last_crash.expect("it was recorded");
        let StopReason::Panicked { message: Some(message), payload } = &crash.reason else {
            panic!("{crash:?}")
        };
        assert!(message.ends_with("Count") && payload.contains("scripted fault"), "{crash:?}");
        assert_eq!((worker.snapshot().panics, worker.snapshot().handled), (1, 4));
        system.shutdown().await;
    });
}

#[test]
fn a_delayed_message_holds_those_behind_it_and_is_handled_once() {
    run(async {
        let (system, worker) = with(Faults::new().on_any(2, Fault::Delay(ms(100)))).await;
        let began = Instant::now();
        let timed = async |worker: &ActorRef<Worker>| (worker.ask(Count).await, began.elapsed());
        let (first, second, third) = tokio::join!(timed(&worker), timed(&worker), timed(&worker));
        assert_eq!(first, (Ok((0, 1)), ms(0)));
        assert_eq!(second, (Ok((0, 2)), ms(100)));
        assert_eq!(third, (Ok((0, 3)), ms(100)));
        assert_eq!(worker.snapshot().handled, 3);
        system.shutdown().await;
    });
}

#[test]
fn a_message_whose_delay_is_cut_short_is_handled_by_the_next_generation() {
    run(async {
        let (system, worker) = with(Faults::new().on_any(1, Fault::Delay(ms(100)))).await;
        let killed = async {
            system.advance(ms(50)).await;
            worker.kill();
        };
        assert_eq!(tokio::join!(worker.ask(Count), killed).0, Ok((1, 1)));
        system.shutdown().await;
    });
}

#[test]
fn faults_that_meet_one_message_follow_each_other() {
    run(async {
        let faults = Faults::new().on_any(1, Fault::Delay(ms(20))).on::<Count>(1, Fault::Drop);
        let (system, worker) = with(faults).await;
        let began = Instant::now();
        assert_eq!((worker.ask(Count).await, began.elapsed()), (Err(AskError::Stopped), ms(20)));
        assert_eq!(worker.ask(Count).await, Ok((0, 1)));
        system.shutdown().await;
    });
}

#[test]
fn an_orderly_stop_does_not_wait_for_the_message_behind_a_delay() {
    run(async {
        let (system, worker) = with(Faults::new().on_any(1, Fault::Delay(ms(20)))).await;
        let (asked, _) = tokio::join!(worker.ask(Count), async {
            system.settle().await;
            system.shutdown().await
        });
        assert_eq!(asked, Err(AskError::Stopped));
    });
}

#[test]
fn starts_fail_as_often_as_they_should() {
    run(async {
        let (system, worker) = with(Faults::new().on_start(1).on_start(2).on_start(4)).await;
        assert_eq!(worker.ask(Count).await, Ok((2, 1)));
        worker.kill();
        system.advance(ms(10)).await;
        assert_eq!(worker.state(), State::Crashed);
        assert!(
            worker.snapshot().last_reason.is_some_and(|reason| reason.to_string().contains("start number 4"))
        );
        assert_eq!(worker.ask(Count).await, Ok((4, 1)));
        system.shutdown().await;
    });
}

#[test]
fn a_fault_that_could_never_happen_is_a_mistake() {
    let text = failure(async { with(Faults::new().on_any(0, Fault::Drop)).await });
    assert!(text.contains("count from 1"), "{text}");
}
