//! Restarts, their budget, and orderly ends.

use std::time::Duration;

use callboard_supervisors::{
    Actor, ActorSystem, AskError, ChildExited, ChildSpec, Context, DynamicSupervisorSpec, OnExhausted,
    PlainHandler, Restart, Shutdown, StartChildError, StartError, State, StopReason, SupervisorSpec,
    testkit::{TestSystem, await_stopped},
};
use tokio::time::Instant;

use crate::worker::{Count, Hold, Leave, PanicAsync, Worker, alone, local, ms, steady};

#[test]
fn an_orderly_stop_lets_the_handler_finish_and_refuses_the_rest() {
    local(async {
        let (system, worker) = alone(ChildSpec::<Worker>::new("worker", ())).await;
        let began = Instant::now();
        let (held, behind, reason) = tokio::join!(worker.ask(Hold(ms(1000))), worker.ask(Count), async {
            system.settle().await;
            worker.stop();
            await_stopped(&worker).await
        });
        assert_eq!((held, behind, reason), (Ok(1), Err(AskError::Stopped), StopReason::Shutdown));
        assert_eq!(began.elapsed(), ms(1000));
        assert!(!worker.is_alive());
        system.shutdown().await;
    });
}

#[test]
fn what_does_not_stop_in_time_is_killed() {
    local(async {
        let spec = ChildSpec::<Worker>::new("worker", ()).shutdown(Shutdown::Timeout(ms(50)));
        let (system, worker) = alone(spec).await;
        worker.tell(Hold(Duration::from_secs(900))).expect("room");
        worker.inspect().await.expect("it is there");
        let began = Instant::now();
        // Not the test kit's, which does not let that pass.
        let report = ActorSystem::shutdown(&system, Duration::from_secs(5)).await;
        assert_eq!((worker.watch().await, report.is_clean()), (StopReason::Killed, true), "{report:?}");
        assert_eq!(began.elapsed(), ms(50));
    });
}

#[test]
fn restart_kinds_differ_after_a_normal_end() {
    local(async {
        for (restart, lives) in
            [(Restart::Permanent, true), (Restart::Transient, false), (Restart::Temporary, false)]
        {
            let (system, worker) = alone(ChildSpec::<Worker>::new("worker", ()).restart(restart)).await;
            worker.ask(Leave).await.expect("an answer");
            if lives {
                assert_eq!(worker.ask(Count).await, Ok((1, 1)), "{restart:?}");
            } else {
                assert_eq!(worker.watch().await, StopReason::Normal, "{restart:?}");
            }
            system.shutdown().await;
        }
    });
}

#[test]
fn a_budget_without_end_can_be_given() {
    local(async {
        for pause in [Duration::ZERO, Duration::from_nanos(1), ms(1)] {
            let spec = ChildSpec::<Worker>::new("worker", ());
            let worker = spec.actor_ref();
            let root =
                SupervisorSpec::new("root").intensity(usize::MAX, Duration::MAX).backoff(steady(pause));
            let system =
                ActorSystem::builder("test").local().start(root.child(spec)).await.expect("a system");
            assert_eq!(worker.ask(PanicAsync(false)).await, Err(AskError::Panicked));
            assert_eq!(worker.ask(Count).await, Ok((1, 1)));
            system.shutdown(Duration::from_secs(5)).await;
        }
        // A period without end, too, when the budget is used up.
        let spec = ChildSpec::<Worker>::new("worker", ());
        let worker = spec.actor_ref();
        let root = SupervisorSpec::new("root").intensity(0, Duration::MAX).child(spec);
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        assert_eq!(worker.ask(PanicAsync(false)).await, Err(AskError::Panicked));
        assert!(matches!(system.terminated().await, StopReason::Escalated { .. }));
    });
}

#[test]
fn a_used_up_budget_escalates_and_the_queue_outlives_the_supervisors_restart() {
    local(async {
        let spec = ChildSpec::<Worker>::new("worker", ());
        let worker = spec.actor_ref();
        let inner = SupervisorSpec::new("inner").intensity(1, Duration::from_secs(60)).backoff(steady(ms(1)));
        let root = SupervisorSpec::new("root").intensity(5, Duration::from_secs(60)).backoff(steady(ms(1)));
        let root = root.supervisor(inner.child(spec));
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        for _ in 0..2 {
            worker.tell(PanicAsync(false)).expect("room");
        }
        // It waits through both restarts of the actor and the one of its supervisor.
        assert_eq!(worker.ask(Count).await, Ok((2, 1)));
        let snapshot = system.snapshot();
        assert_eq!(snapshot.find("inner").map(|inner| inner.generation), Some(1));
    });
}

#[test]
fn the_root_ends_when_its_budget_is_used_up_unless_it_retries_for_ever() {
    local(async {
        for (on_exhausted, ends) in [(OnExhausted::Escalate, true), (OnExhausted::RetryAtMaxBackoff, false)] {
            let spec = ChildSpec::<Worker>::new("worker", ());
            let worker = spec.actor_ref();
            let root = SupervisorSpec::new("root")
                .intensity(2, Duration::from_secs(60))
                .backoff(steady(ms(1)))
                .on_exhausted(on_exhausted);
            let system =
                ActorSystem::builder("test").local().start(root.child(spec)).await.expect("a system");
            for _ in 0..3 {
                worker.tell(PanicAsync(false)).expect("room");
            }
            if ends {
                let StopReason::Escalated { child, .. } = system.terminated().await else {
                    panic!("it escalates")
                };
                assert_eq!(child, "worker");
            } else {
                assert_eq!(worker.ask(Count).await, Ok((3, 1)));
            }
        }
    });
}

#[test]
fn a_budget_can_be_changed_and_renewed_and_its_end_is_told() {
    /// Of each end that it is told, whether the budget was used up.
    struct Ends(tokio::sync::mpsc::UnboundedSender<bool>);

    impl Actor for Ends {
        type Args = tokio::sync::mpsc::UnboundedSender<bool>;

        async fn start(args: Self::Args, _: &mut Context<Self>) -> Result<Self, StartError> {
            Ok(Ends(args))
        }
    }

    impl PlainHandler<ChildExited> for Ends {
        type Reply = ();

        fn handle(&mut self, exit: ChildExited, _: &mut Context<Self>) {
            self.0.send(exit.exhausted).expect("the test listens");
        }
    }

    local(async {
        let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
        let listener = ChildSpec::<Ends>::new("ends", ended);
        let spec = ChildSpec::<Worker>::new("worker", ());
        let worker = spec.actor_ref();
        let part = SupervisorSpec::new("part")
            .intensity(2, Duration::from_secs(60))
            .backoff(steady(ms(1)))
            .on_exhausted(OnExhausted::RetryAtMaxBackoff)
            .on_exit(listener.actor_ref().recipient())
            .child(spec);
        let handle = part.handle();
        let root = SupervisorSpec::new("root").child(listener).supervisor(part);
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        let mut crash = async || {
            worker.tell(PanicAsync(false)).expect("room");
            let told = ends.recv().await.expect("it is told");
            worker.ask(Count).await.expect("it is back");
            told
        };
        assert_eq!([crash().await, crash().await, crash().await], [false, false, true]);
        // As long as its period lasts.
        assert!(crash().await && handle.snapshot().supervision.is_some_and(|shown| shown.exhausted));
        handle.forgive();
        assert!(handle.snapshot().supervision.is_some_and(|shown| !shown.exhausted));
        assert_eq!([crash().await, crash().await], [false, false]);
        // What was spent counts under another budget, too.
        handle.set_intensity(3, Duration::from_secs(30));
        handle.set_intensity(9, Duration::ZERO);
        let shown = handle.snapshot().supervision.expect("a supervisor");
        assert_eq!((shown.intensity, shown.period, shown.recent_restarts), (3, Duration::from_secs(30), 2));
        assert_eq!([crash().await, crash().await], [false, true]);
        system.shutdown(Duration::from_secs(5)).await;
    });
}

#[test]
fn a_dynamic_supervisor_holds_its_limit_and_forgets_what_has_ended() {
    local(async {
        let jobs = DynamicSupervisorSpec::new("jobs").max_children(2);
        let handle = jobs.handle();
        assert!(!handle.is_running());
        let early = handle.spawn_child(ChildSpec::<Worker>::new("early", ()));
        assert_eq!(early.err(), Some(StartChildError::NotRunning));
        let root = SupervisorSpec::new("root").dynamic(jobs);
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        let job = |name: &str| ChildSpec::<Worker>::new(name, ()).restart(Restart::Temporary);
        let first = handle.start_child(job("first")).await.expect("it starts");
        handle.start_child(job("second")).await.expect("it starts");
        let third = handle.spawn_child(job("third"));
        assert_eq!(third.err(), Some(StartChildError::Full { max_children: 2 }));
        assert_eq!(first.ask(PanicAsync(true)).await, Err(AskError::Panicked));
        assert!(matches!(first.watch().await, StopReason::Panicked { .. }));
        assert_eq!(handle.len(), 1);
        let taken = handle.spawn_child(job("second"));
        assert_eq!(taken.err(), Some(StartChildError::NameTaken { name: "second".to_owned() }));
        handle.start_child(job("first")).await.expect("the name is free again");
        assert!(system.find::<Worker>("jobs/first").is_some_and(|found| found != first));
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
    });
}

#[test]
fn the_child_that_brings_a_dynamic_supervisor_down_goes_with_the_others() {
    local(async {
        let jobs =
            DynamicSupervisorSpec::new("jobs").intensity(1, Duration::from_secs(60)).backoff(steady(ms(1)));
        let handle = jobs.handle();
        let root = SupervisorSpec::new("root").dynamic(jobs);
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        let culprit = handle.start_child(ChildSpec::<Worker>::new("culprit", ())).await.expect("it starts");
        let other = handle.start_child(ChildSpec::<Worker>::new("other", ())).await.expect("it starts");
        for _ in 0..2 {
            assert_eq!(culprit.ask(PanicAsync(false)).await, Err(AskError::Panicked));
        }
        assert!(matches!(culprit.watch().await, StopReason::Panicked { .. }));
        assert_eq!(other.watch().await, StopReason::Shutdown);
        while !handle.is_running() {
            tokio::time::sleep(ms(1)).await;
        }
        assert!(handle.is_empty());
        handle.start_child(ChildSpec::<Worker>::new("culprit", ())).await.expect("its name is free");
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
    });
}

#[test]
fn mistakes_in_a_specification_are_named_before_anything_starts() {
    local(async {
        let root = SupervisorSpec::new("root")
            .child(ChildSpec::<Worker>::new("twin", ()))
            .supervisor(SupervisorSpec::new("twin"));
        let error = ActorSystem::builder("test").local().start(root).await.expect_err("two of one name");
        assert!(error.to_string().contains("twin"), "{error}");
        let root = SupervisorSpec::new("root").supervisor(SupervisorSpec::new("a/b"));
        let error = ActorSystem::builder("test").local().start(root).await.expect_err("a slash");
        assert!(error.to_string().contains('/'), "{error}");
    });
}

#[test]
fn executors_of_their_own_carry_the_same_promises() {
    let spec = ChildSpec::<Worker>::new("worker", ()).placement(callboard_supervisors::Placement::Workers);
    let worker = spec.actor_ref();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let root = SupervisorSpec::new("root").backoff(steady(ms(1))).child(spec);
        let system = ActorSystem::builder("test").executors(2).start(root).await.expect("a system");
        assert_eq!(worker.ask(Count).await, Ok((0, 1)));
        assert_eq!(worker.ask(PanicAsync(true)).await, Err(AskError::Panicked));
        assert_eq!(worker.ask(Count).await, Ok((1, 1)));
        assert_eq!(worker.state(), State::Running);
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
    });
}

#[test]
fn what_a_dropped_system_takes_along_was_killed_whatever_ended_it_before() {
    let spec = ChildSpec::<Worker>::new("worker", ()).placement(callboard_supervisors::Placement::Workers);
    let worker = spec.actor_ref();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let root = SupervisorSpec::new("root").backoff(steady(ms(1))).child(spec);
        let system = ActorSystem::builder("test").executors(1).start(root).await.expect("a system");
        assert_eq!(worker.ask(PanicAsync(true)).await, Err(AskError::Panicked));
        assert_eq!(worker.ask(Count).await, Ok((1, 1)));
        drop(system);
        assert_eq!(worker.watch().await, StopReason::Killed);
    });
}

#[test]
fn a_supervisor_that_gives_up_is_shown_as_stopping_until_it_is_down() {
    local(async {
        let (slow, weak) = (ChildSpec::<Worker>::new("slow", ()), ChildSpec::<Worker>::new("weak", ()));
        let (held, crashing) = (slow.actor_ref(), weak.actor_ref());
        let part = SupervisorSpec::new("part").intensity(0, Duration::from_secs(60)).child(slow).child(weak);
        let handle = part.handle();
        let system = TestSystem::start(SupervisorSpec::new("root").supervisor(part)).await;
        held.tell(Hold(ms(1000))).expect("room");
        system.settle().await;
        crashing.tell(PanicAsync(false)).expect("room");
        system.settle().await;
        assert_eq!((handle.state(), handle.is_running()), (State::Stopping, false));
        assert_eq!(crashing.ask(Count).await, Ok((1, 1)));
        assert_eq!((handle.state(), handle.is_running()), (State::Running, true));
        system.shutdown().await;
    });
}

/// Says so when its stop hook runs.
struct Farewell(tokio::sync::mpsc::UnboundedSender<()>);

impl Actor for Farewell {
    type Args = tokio::sync::mpsc::UnboundedSender<()>;
    async fn start(hooks: Self::Args, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Farewell(hooks))
    }
    async fn stopping(&mut self, _: &mut Context<Self>) {
        self.0.send(()).expect("the test listens");
    }
}

#[test]
fn the_hook_of_one_that_is_stopped_brutally_does_not_run_whoever_stops_it() {
    local(async {
        let (hooks, mut ran) = tokio::sync::mpsc::unbounded_channel();
        let spec = |name: &str| ChildSpec::<Farewell>::new(name, hooks.clone()).shutdown(Shutdown::Brutal);
        let (first, second) = (spec("first"), spec("second"));
        let [one, two] = [first.actor_ref(), second.actor_ref()];
        let root = SupervisorSpec::new("root").child(first).child(second);
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        one.restart();
        one.inspect().await.expect("it is there");
        one.stop();
        assert_eq!(one.watch().await, StopReason::Killed);
        system.shutdown(Duration::from_secs(1)).await;
        assert_eq!(two.watch().await, StopReason::Killed);
        assert!(ran.try_recv().is_err(), "a hook ran");
    });
}
