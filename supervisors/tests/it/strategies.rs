//! Who goes down with whom, and who brings the supervisor down, with real actors.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use callboard_supervisors::{
    Actor, ActorRef, ActorSystem, AutoShutdown, ChildSpec, Context, Message, PlainHandler, Restart,
    StartError, State, StopReason, Strategy, SupervisorSpec,
    testkit::{TestSystem, await_state},
};
use tokio::time::Instant;

use crate::worker::{Count, Leave, PanicAsync, Worker, local, ms, steady};

type Log = Arc<Mutex<Vec<String>>>;

/// Writes down when it starts and stops.
struct Member {
    name: &'static str,
    log: Log,
    _local: Rc<RefCell<()>>,
}

impl Actor for Member {
    type Args = (&'static str, Log);

    async fn start((name, log): Self::Args, cx: &mut Context<Self>) -> Result<Self, StartError> {
        log.lock().expect("no panic").push(format!("+{name}{}", cx.generation()));
        Ok(Member { name, log, _local: Rc::default() })
    }

    async fn stopping(&mut self, _: &mut Context<Self>) {
        self.log.lock().expect("no panic").push(format!("-{}", self.name));
    }
}

#[derive(Message)]
struct Break;

impl PlainHandler<Break> for Member {
    type Reply = ();
    fn handle(&mut self, _: Break, _: &mut Context<Self>) {
        panic!("as asked");
    }
}

#[derive(Message)]
#[message(reply = u64)]
struct Generation;

impl PlainHandler<Generation> for Member {
    type Reply = u64;
    fn handle(&mut self, _: Generation, cx: &mut Context<Self>) -> u64 {
        cx.generation()
    }
}

/// `a`, `b` and `c` below a supervisor of this strategy.
async fn three(strategy: Strategy) -> (TestSystem, Vec<ActorRef<Member>>, Log) {
    let log = Log::default();
    let mut root = SupervisorSpec::new("root").strategy(strategy).backoff(steady(ms(100)));
    let mut members = Vec::new();
    for name in ["a", "b", "c"] {
        let spec = ChildSpec::<Member>::new(name, (name, log.clone()));
        members.push(spec.actor_ref());
        root = root.child(spec);
    }
    let system = TestSystem::start(root).await;
    assert_eq!(std::mem::take(&mut *log.lock().expect("no panic")), ["+a0", "+b0", "+c0"]);
    (system, members, log)
}

#[test]
fn siblings_go_down_in_reverse_and_come_up_in_order_with_their_queues() {
    local(async {
        for (strategy, steps, generations) in [
            (Strategy::OneForOne, vec!["+b1"], [0, 1, 0]),
            (Strategy::RestForOne, vec!["-c", "+b1", "+c1"], [0, 1, 1]),
            (Strategy::OneForAll, vec!["-c", "-a", "+a1", "+b1", "+c1"], [1, 1, 1]),
        ] {
            let (system, members, log) = three(strategy).await;
            let began = Instant::now();
            members[1].tell(Break).expect("room");
            // Handled behind the panic: only after the pause can all of them answer.
            system.settle().await;
            for (member, generation) in members.iter().zip(generations) {
                assert_eq!(member.ask(Generation).await, Ok(generation), "{strategy:?}");
            }
            assert!(began.elapsed() >= ms(100), "{strategy:?}: {:?}", began.elapsed());
            assert_eq!(*log.lock().expect("no panic"), steps, "{strategy:?}");
            let crashes = system.snapshot().root.supervision.expect("a supervisor").crashes;
            assert_eq!(crashes, 1, "a sibling that was stopped has not crashed");
            system.shutdown().await;
        }
    });
}

#[test]
fn a_crash_during_a_siblings_pause_widens_the_group() {
    local(async {
        let (system, members, log) = three(Strategy::RestForOne).await;
        members[2].tell(Break).expect("room");
        system.advance(ms(50)).await;
        members[0].tell(Break).expect("room");
        await_state(&members[0], State::Crashed).await;
        for (member, at_least) in members.iter().zip([1, 1, 1]) {
            assert!(member.ask(Generation).await.expect("an answer") >= at_least);
        }
        // `c` was in its pause, so that there was nothing of it to stop.
        let steps: Vec<_> = log.lock().expect("no panic").iter().map(|step| step[..2].to_owned()).collect();
        assert_eq!(steps, ["-b", "+a", "+b", "+c"]);
        system.shutdown().await;
    });
}

#[test]
fn temporary_siblings_do_not_come_back_with_the_others() {
    local(async {
        let temporary = ChildSpec::<Worker>::new("temporary", ()).restart(Restart::Temporary);
        let permanent = ChildSpec::<Worker>::new("permanent", ());
        let (gone, back) = (temporary.actor_ref(), permanent.actor_ref());
        let root = SupervisorSpec::new("root").strategy(Strategy::OneForAll).backoff(steady(ms(1)));
        let root = root.child(temporary).child(permanent);
        let system = TestSystem::start(root).await;
        back.tell(PanicAsync(false)).expect("room");
        assert_eq!(back.ask(Count).await, Ok((1, 1)));
        assert_eq!(gone.watch().await, StopReason::Shutdown);
        system.shutdown().await;
    });
}

#[test]
fn a_group_that_keeps_crashing_escalates_and_its_supervisors_siblings_go_down_too() {
    local(async {
        let spec = ChildSpec::<Worker>::new("worker", ());
        let beside = ChildSpec::<Worker>::new("beside", ());
        let after = ChildSpec::<Worker>::new("after", ());
        let (worker, beside_ref, after_ref) = (spec.actor_ref(), beside.actor_ref(), after.actor_ref());
        let inner = SupervisorSpec::new("inner").strategy(Strategy::OneForAll);
        let inner = inner.intensity(1, Duration::from_secs(60)).backoff(steady(ms(1)));
        let root = SupervisorSpec::new("root").strategy(Strategy::RestForOne).backoff(steady(ms(1)));
        let root = root.supervisor(inner.child(spec).child(beside)).child(after);
        let system = TestSystem::start(root).await;
        for _ in 0..2 {
            worker.tell(PanicAsync(false)).expect("room");
        }
        assert_eq!(worker.ask(Count).await, Ok((2, 1)));
        assert_eq!(beside_ref.ask(Count).await, Ok((2, 1)));
        assert_eq!(after_ref.ask(Count).await, Ok((1, 1)));
        assert_eq!(system.snapshot().find("inner").map(|inner| inner.generation), Some(1));
        system.shutdown().await;
    });
}

#[test]
fn significant_children_bring_their_supervisor_down_when_they_have_ended() {
    local(async {
        for (auto_shutdown, second_too) in
            [(AutoShutdown::AnySignificant, false), (AutoShutdown::AllSignificant, true)]
        {
            let significant =
                |name: &str| ChildSpec::<Worker>::new(name, ()).restart(Restart::Transient).significant(true);
            let (first, second) = (significant("first"), significant("second"));
            let other = ChildSpec::<Worker>::new("other", ());
            let (first_ref, second_ref, other_ref) =
                (first.actor_ref(), second.actor_ref(), other.actor_ref());
            let inner = SupervisorSpec::new("inner").restart(Restart::Transient).auto_shutdown(auto_shutdown);
            let inner = inner.backoff(steady(ms(1))).child(first).child(second).child(other);
            let handle = inner.handle();
            let root = SupervisorSpec::new("root").supervisor(inner);
            let system = TestSystem::start(root).await;
            // A crash is followed by a restart, and is no end.
            first_ref.tell(PanicAsync(false)).expect("room");
            assert_eq!(first_ref.ask(Count).await, Ok((1, 1)));
            first_ref.ask(Leave).await.expect("an answer");
            assert_eq!(first_ref.watch().await, StopReason::Normal);
            if second_too {
                assert_eq!(other_ref.ask(Count).await, Ok((0, 1)), "one of two has ended");
                second_ref.ask(Leave).await.expect("an answer");
            }
            assert_eq!(handle.watch().await, StopReason::Shutdown, "{auto_shutdown:?}");
            assert!(!other_ref.is_alive());
            assert!(system.root().is_running(), "that was no crash");
            assert!(system.snapshot().find("inner").is_none());
            system.shutdown().await;
        }
    });
}

#[test]
fn a_significant_child_that_somebody_stops_does_not_bring_its_supervisor_down() {
    local(async {
        let spec = ChildSpec::<Worker>::new("worker", ()).restart(Restart::Temporary).significant(true);
        let worker = spec.actor_ref();
        let root = SupervisorSpec::new("root").auto_shutdown(AutoShutdown::AnySignificant);
        let system = TestSystem::start(root.child(spec)).await;
        worker.stop();
        worker.watch().await;
        let late = ChildSpec::<Worker>::new("late", ());
        let late = system.root().start_child(late).await.expect("the supervisor runs");
        assert_eq!(late.ask(Count).await, Ok((0, 1)));
        system.shutdown().await;
    });
}

#[test]
fn significant_is_refused_where_it_means_nothing() {
    local(async {
        let never = SupervisorSpec::new("root");
        let never =
            never.child(ChildSpec::<Worker>::new("a", ()).restart(Restart::Temporary).significant(true));
        let error = ActorSystem::builder("test").local().start(never).await.expect_err("no auto_shutdown");
        assert!(error.to_string().contains("auto_shutdown"), "{error}");
        let any = SupervisorSpec::new("root").auto_shutdown(AutoShutdown::AnySignificant);
        let permanent = any.child(ChildSpec::<Worker>::new("a", ()).significant(true));
        let error = ActorSystem::builder("test").local().start(permanent).await.expect_err("permanent");
        assert!(error.to_string().contains("permanent"), "{error}");
    });
}
