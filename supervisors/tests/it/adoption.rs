//! Plain actix actors as children.

use std::{sync::Arc, time::Duration};

use callboard_supervisors::{
    ActorHandle, ActorSystem, ChildSpec, DynamicSupervisorSpec, Kind, OnStartFailure, Placement, Restart,
    Shutdown, StartChildError, StartSystemError, State, StopReason, Strategy, SupervisorSpec,
    adoption::{
        Adopted, AdoptedSpec,
        actix::{MailboxError, prelude::SendError},
    },
};
use tokio::sync::Notify;

use crate::{
    plain::{Deed, Do, Later, Log, Next, Plain, changed, logged},
    worker::{Count, PanicAsync, Worker, local, ms, steady},
};

fn root() -> SupervisorSpec {
    SupervisorSpec::new("root").intensity(100, Duration::from_secs(60)).backoff(steady(ms(10)))
}

async fn alone(spec: AdoptedSpec<Plain>) -> (ActorSystem, Adopted<Plain>) {
    let plain = spec.adopted();
    let system = ActorSystem::builder("test").local().start(root().adopted(spec)).await.expect("a system");
    (system, plain)
}

/// On the paused clock.
async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::time::sleep(ms(1)).await;
    }
}

async fn end(system: ActorSystem) {
    assert!(system.shutdown(Duration::from_secs(60)).await.is_clean());
}

#[test]
fn one_that_is_adopted_is_seen_in_the_tree_and_stops_in_order() {
    local(async {
        let log = Log::default();
        let (system, plain) = alone(AdoptedSpec::new("plain", logged(&log))).await;
        let snapshot = system.snapshot();
        let seen = snapshot.find("plain").expect("it is in the tree");
        assert_eq!((seen.kind, seen.state, seen.generation), (Kind::Actor, State::Running, 0));
        assert!(seen.type_name.ends_with("plain::Plain"), "{}", seen.type_name);
        assert_eq!((seen.depth, seen.capacity), (0, 0));
        let handle = system.root().child("plain").expect("it is in the tree");
        assert_eq!(handle, ActorHandle::from(plain.clone()));
        assert_eq!(Adopted::<Plain>::of(&handle).as_ref(), Some(&plain));
        assert!(system.find::<Worker>("plain").is_none());
        assert_eq!(plain.send(Next).await, Ok(1));
        end(system).await;
        assert_eq!(plain.watch().await, StopReason::Shutdown);
        assert_eq!(log.take(), ["started", "stopping", "stopped", "dropped"]);
        assert!(plain.addr().is_none());
        assert_eq!(plain.send(Next).await, Err(MailboxError::Closed));
        assert!(matches!(plain.try_send(Next), Err(SendError::Closed(Next))));
    });
}

const PANICS: [Deed; 6] = [
    Deed::Panic,
    Deed::PanicInTimer,
    Deed::PanicInFuture,
    Deed::PanicInAsyncHandler,
    Deed::PanicBesideBomb,
    Deed::PanicWithBomb,
];

#[test]
fn a_panic_anywhere_costs_one_generation_and_the_next_has_a_new_address() {
    local(async {
        let (system, plain) = alone(AdoptedSpec::new("plain", Plain::default)).await;
        for (generation, deed) in (1u64..).zip(PANICS) {
            let addr = plain.addr().expect("it runs");
            let (panicked, behind) = tokio::join!(addr.send(Do(deed)), addr.send(Next));
            assert_eq!(panicked, Err(MailboxError::Closed), "{deed:?}");
            // What is handled between the message and the panic has its answer.
            let behind_panic = matches!(deed, Deed::Panic | Deed::PanicWithBomb);
            assert_eq!(behind.is_err(), behind_panic, "{deed:?}");
            assert!(!addr.connected(), "{deed:?}");
            let next = plain.wait_for_addr().await.expect("it comes back");
            assert!(next != addr, "{deed:?}");
            assert_eq!(next.send(Next).await, Ok(1), "{deed:?}");
            let seen = plain.handle().snapshot();
            assert_eq!((seen.generation, seen.panics), (generation, generation), "{deed:?}");
        }
        let crash = plain.handle().snapshot().last_crash.expect("it was recorded");
        assert_eq!(
            crash.reason,
            StopReason::Panicked { message: None, payload: "with a bomb in the state".into() }
        );
        assert!(crash.location.as_ref().is_some_and(|place| place.contains("plain.rs")), "{crash:?}");
        end(system).await;
    });
}

#[test]
fn one_that_is_supervised_keeps_address_and_queue() {
    local(async {
        let log = Log::default();
        let (system, plain) = alone(AdoptedSpec::supervised("plain", logged(&log))).await;
        let addr = plain.addr().expect("it runs");
        assert_eq!(log.take(), ["started"]);
        for deed in PANICS.into_iter().filter(|deed| !matches!(deed, Deed::PanicWithBomb)) {
            assert_eq!(addr.send(Next).await, Ok(1), "{deed:?}");
            let (panicked, behind) = tokio::join!(addr.send(Do(deed)), async {
                // In the pause it keeps its address, and takes messages.
                until(|| plain.handle().state() == State::Crashed).await;
                assert!(plain.addr().as_ref() == Some(&addr));
                plain.try_send(Next).expect("room");
                addr.send(Next).await
            });
            assert_eq!((panicked, behind), (Err(MailboxError::Closed), Ok(2)), "{deed:?}");
            // Beside a bomb it is called at the start, as the end could not clear the context.
            assert_eq!(log.take(), ["restarting", "started"], "{deed:?}");
            let next = plain.handle().snapshot().generation + 1;
            plain.handle().restart();
            until(|| plain.handle().snapshot().generation == next).await;
            until(|| plain.handle().state() == State::Running).await;
            assert_eq!(log.take(), ["stopping", "stopped", "restarting", "started"], "{deed:?}");
        }
        assert_eq!(addr.send(Next).await, Ok(1));
        assert_eq!(plain.handle().snapshot().generation, 10);
        end(system).await;
        assert!(!addr.connected());
        assert_eq!(log.take(), ["stopping", "stopped", "dropped"]);
    });
}

#[test]
fn restarting_runs_only_for_one_that_comes_back() {
    local(async {
        let log = Log::default();
        for (restart, deed) in [
            (Restart::Transient, Deed::Stop),
            (Restart::Transient, Deed::PanicInStopped),
            (Restart::Temporary, Deed::Stop),
            (Restart::Temporary, Deed::Panic),
        ] {
            let spec = AdoptedSpec::supervised("plain", logged(&log)).restart(restart);
            let (system, plain) = alone(spec).await;
            assert_eq!(plain.send(Do(deed)).await, Err(MailboxError::Closed), "{restart:?} {deed:?}");
            plain.watch().await;
            assert!(!log.take().contains(&"restarting"), "{restart:?} {deed:?}");
            end(system).await;
        }
        // By hand, also a temporary one comes back.
        let spec = AdoptedSpec::supervised("plain", logged(&log)).restart(Restart::Temporary);
        let (system, plain) = alone(spec).await;
        plain.handle().restart();
        until(|| plain.handle().snapshot().generation == 1).await;
        assert_eq!(plain.send(Next).await, Ok(1));
        assert_eq!(log.take(), ["started", "stopping", "stopped", "restarting", "started"]);
        end(system).await;
    });
}

#[test]
fn one_that_stops_itself_is_no_crash_whatever_its_hook_does() {
    local(async {
        for (deed, panics) in [(Deed::Stop, false), (Deed::PanicInStopped, true)] {
            let spec = AdoptedSpec::new("plain", Plain::default).restart(Restart::Transient);
            let (system, plain) = alone(spec).await;
            assert_eq!(plain.send(Do(deed)).await, Err(MailboxError::Closed), "{deed:?}");
            let reason = plain.watch().await;
            assert_eq!(matches!(reason, StopReason::Panicked { .. }), panics, "{reason:?}");
            assert_eq!(plain.handle().snapshot().panics, u64::from(panics), "{deed:?}");
            end(system).await;
        }
    });
}

#[test]
fn one_that_refuses_to_stop_works_on_until_its_time_is_up() {
    local(async {
        let log = Log::default();
        let factory = changed(&log, |plain| plain.refuses_to_stop = true);
        let spec = AdoptedSpec::new("plain", factory).shutdown(Shutdown::Timeout(ms(500)));
        let (system, plain) = alone(spec).await;
        let addr = plain.addr().expect("it runs");
        let began = tokio::time::Instant::now();
        plain.handle().stop();
        until(|| plain.handle().state() != State::Running).await;
        assert_eq!((plain.handle().state(), addr.send(Next).await), (State::Stopping, Ok(1)));
        assert_eq!(plain.watch().await, StopReason::Killed);
        assert_eq!(began.elapsed(), ms(500));
        assert_eq!(log.take(), ["started", "stopping", "dropped"]);
        end(system).await;
    });
}

#[test]
fn a_kill_runs_no_hook_and_is_a_crash() {
    local(async {
        let log = Log::default();
        let (system, plain) = alone(AdoptedSpec::new("plain", logged(&log))).await;
        let addr = plain.addr().expect("it runs");
        let (asked, ()) = tokio::join!(addr.send(Do(Deed::Never)), async {
            addr.send(Next).await.expect("an answer");
            plain.handle().kill();
        });
        assert_eq!(asked, Err(MailboxError::Closed));
        assert_eq!(plain.send(Next).await, Ok(1));
        assert_eq!(log.take(), ["started", "dropped", "started"]);
        assert_eq!(plain.handle().snapshot().last_reason, Some(StopReason::Killed));
        end(system).await;
    });
}

#[test]
fn one_that_is_suspended_does_nothing_until_it_is_resumed() {
    local(async {
        let (system, plain) = alone(AdoptedSpec::new("plain", Plain::default)).await;
        let (addr, told) = (plain.addr().expect("it runs"), Arc::new(Notify::new()));
        addr.send(Later(ms(10), told.clone())).await.expect("an answer");
        plain.handle().suspend();
        let (answer, ()) = tokio::join!(addr.send(Next), async {
            assert!(tokio::time::timeout(ms(1000), told.notified()).await.is_err());
            assert_eq!(plain.handle().state(), State::Suspended);
            plain.handle().resume();
        });
        assert_eq!(answer, Ok(1));
        told.notified().await;
        // It lasts over restarts.
        plain.handle().suspend();
        plain.handle().kill();
        until(|| plain.handle().snapshot().generation == 1 && plain.handle().state() == State::Suspended)
            .await;
        let (answer, ()) = tokio::join!(plain.send(Next), async { plain.handle().resume() });
        assert_eq!(answer, Ok(1));
        // And it can be stopped.
        plain.handle().suspend();
        plain.handle().stop();
        assert_eq!(plain.watch().await, StopReason::Shutdown);
        end(system).await;
    });
}

#[test]
fn a_start_is_over_when_all_is_done_that_it_waits_for() {
    local(async {
        let log = Log::default();
        let factory = changed(&log, |plain| plain.starts_slowly = true);
        let spec = AdoptedSpec::new("plain", factory);
        let plain = spec.adopted();
        assert!(plain.addr().is_none());
        let sent = tokio::spawn({
            let plain = plain.clone();
            async move { plain.send(Next).await }
        });
        let system =
            ActorSystem::builder("test").local().start(root().adopted(spec)).await.expect("a system");
        assert_eq!(log.take(), ["started", "ready"]);
        assert_eq!(sent.await.expect("no panic"), Ok(1));
        end(system).await;
    });
}

#[test]
fn a_start_that_fails_fails_its_supervisor_or_is_tried_again() {
    local(async {
        let bad = |plain: &mut Plain| plain.bad_starts = 2;
        let spec = || AdoptedSpec::supervised("plain", changed(&Log::default(), bad));
        let failed = ActorSystem::builder("test").local().start(root().adopted(spec())).await;
        let Err(StartSystemError::RootFailed(StopReason::StartFailed(error))) = failed else {
            panic!("{failed:?}")
        };
        assert!(error.contains("in started"), "{error}");
        let spec = spec();
        let plain = spec.adopted();
        let root = root().on_start_failure(OnStartFailure::Retry).adopted(spec);
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        assert_eq!(plain.send(Next).await, Ok(1));
        assert_eq!(plain.handle().snapshot().panics, 2);
        end(system).await;
    });
}

#[test]
fn a_restart_in_place_that_panics_is_done_again_with_the_start() {
    local(async {
        let log = Log::default();
        let bad = |plain: &mut Plain| plain.bad_restarts = 2;
        let (system, plain) = alone(AdoptedSpec::supervised("plain", changed(&log, bad))).await;
        assert_eq!(plain.send(Do(Deed::Panic)).await, Err(MailboxError::Closed));
        assert_eq!(plain.send(Next).await, Ok(1));
        assert_eq!(log.take(), ["started", "restarting", "restarting", "restarting", "started"]);
        // The first one belongs to the end that it follows, the second is a start that failed.
        let seen = plain.handle().snapshot();
        assert_eq!((seen.generation, seen.panics), (2, 2));
        end(system).await;
    });
}

#[test]
fn a_factory_that_panics_is_a_start_that_failed() {
    local(async {
        let mut made = 0;
        let spec = AdoptedSpec::new("plain", move || {
            made += 1;
            assert!(made != 2, "in the factory");
            Plain::default()
        });
        let (system, plain) = alone(spec).await;
        assert_eq!(plain.send(Do(Deed::Panic)).await, Err(MailboxError::Closed));
        assert_eq!(plain.send(Next).await, Ok(1));
        let seen = plain.handle().snapshot();
        assert_eq!((seen.generation, seen.panics), (2, 2));
        end(system).await;
    });
}

#[test]
fn a_budget_that_is_used_up_escalates() {
    local(async {
        let spec = AdoptedSpec::supervised("plain", Plain::default);
        let plain = spec.adopted();
        let inner = SupervisorSpec::new("inner").intensity(1, Duration::from_secs(60)).backoff(steady(ms(1)));
        let system = ActorSystem::builder("test").local().start(root().supervisor(inner.adopted(spec)));
        let system = system.await.expect("a system");
        let addr = plain.addr().expect("it runs");
        for _ in 0..2 {
            assert_eq!(addr.send(Do(Deed::Panic)).await, Err(MailboxError::Closed));
        }
        // Its queue outlives the restart of its supervisor.
        assert_eq!(addr.send(Next).await, Ok(1));
        let snapshot = system.snapshot();
        assert_eq!(snapshot.find("inner").map(|inner| inner.generation), Some(1));
        assert_eq!(plain.handle().snapshot().generation, 2);
        end(system).await;
    });
}

#[test]
fn it_goes_down_and_comes_up_with_its_siblings_of_the_other_kind() {
    local(async {
        let log = Log::default();
        let worker = ChildSpec::<Worker>::new("worker", ());
        let plain = AdoptedSpec::new("plain", logged(&log));
        let kept = AdoptedSpec::supervised("kept", logged(&Log::default()));
        let (ours, theirs, stays) = (worker.actor_ref(), plain.adopted(), kept.adopted());
        let root = root().strategy(Strategy::OneForAll).child(worker).adopted(plain).adopted(kept);
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        let (addr, same) = (theirs.addr().expect("it runs"), stays.addr().expect("it runs"));
        ours.ask(PanicAsync(false)).await.expect_err("it panics");
        assert_eq!(same.send(Next).await, Ok(1));
        assert_eq!(theirs.send(Next).await, Ok(1));
        assert!(!addr.connected());
        assert_eq!(log.take(), ["started", "stopping", "stopped", "dropped", "started"]);
        // The other way round.
        assert_eq!(theirs.send(Do(Deed::Panic)).await, Err(MailboxError::Closed));
        assert_eq!(ours.ask(Count).await, Ok((2, 1)));
        assert_eq!(same.send(Next).await, Ok(1));
        end(system).await;
    });
}

#[test]
fn a_dynamic_supervisor_takes_it_too() {
    local(async {
        let jobs = DynamicSupervisorSpec::new("jobs").max_children(2);
        let handle = jobs.handle();
        let system =
            ActorSystem::builder("test").local().start(root().dynamic(jobs)).await.expect("a system");
        let job = |name: &str| AdoptedSpec::new(name, Plain::default).restart(Restart::Temporary);
        let first = handle.start_adopted(job("first")).await.expect("it starts");
        let second = handle.spawn_adopted(job("second")).expect("it starts");
        assert_eq!(handle.spawn_adopted(job("third")), Err(StartChildError::Full { max_children: 2 }));
        assert_eq!((first.send(Next).await, second.send(Next).await), (Ok(1), Ok(1)));
        assert_eq!(first.send(Do(Deed::Panic)).await, Err(MailboxError::Closed));
        first.watch().await;
        let third = system.root().start_adopted(job("third")).await.expect("it starts");
        assert_eq!((third.send(Next).await, handle.len()), (Ok(1), 1));
        end(system).await;
    });
}

#[test]
fn executors_of_their_own_run_it_without_an_actix_system() {
    let spec = AdoptedSpec::new("plain", Plain::default).placement(Placement::Workers);
    let plain = spec.adopted();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let root = SupervisorSpec::new("root").backoff(steady(ms(1))).adopted(spec);
        let system = ActorSystem::builder("test").executors(2).start(root).await.expect("a system");
        let told = Arc::new(Notify::new());
        plain.send(Later(ms(1), told.clone())).await.expect("an answer");
        told.notified().await;
        assert_eq!(plain.send(Do(Deed::Panic)).await, Err(MailboxError::Closed));
        let addr = plain.wait_for_addr().await.expect("it comes back");
        assert_eq!(addr.send(Next).await, Ok(1));
        // An executor that goes away with it leaves nobody waiting.
        let (asked, ()) = tokio::join!(addr.send(Do(Deed::Never)), async {
            addr.send(Next).await.expect("an answer");
            drop(system);
        });
        assert_eq!(asked, Err(MailboxError::Closed));
        assert_eq!(plain.watch().await, StopReason::Killed);
    });
}
