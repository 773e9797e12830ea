//! Many children that stop together, under one timer.

use std::{sync::mpsc::channel, time::Duration};

use callboard_supervisors::{
    Actor, ActorHandle, ActorRef, ActorSystem, ChildExited, ChildSpec, Context, DynamicSupervisorSpec,
    MailboxSpec, PlainHandler, Restart, Shutdown, StartChildError, StartError, State, StopReason,
    SupervisorSpec,
    testkit::{TestSystem, await_generation, await_state, await_stopped},
};
use tokio::time::{Instant, sleep};

use crate::worker::{Count, PanicAsync, Worker, local, ms};

const CHILDREN: u64 = 100;

/// Takes its time to stop.
struct Slow(Duration);

impl Actor for Slow {
    type Args = Duration;

    async fn start(time: Duration, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Slow(time))
    }

    async fn stopping(&mut self, _: &mut Context<Self>) {
        sleep(self.0).await;
    }
}

/// Passes on what the supervisor says of ends.
struct Recorder(std::sync::mpsc::Sender<ChildExited>);

impl Actor for Recorder {
    type Args = std::sync::mpsc::Sender<ChildExited>;

    async fn start(to: Self::Args, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Recorder(to))
    }
}

impl PlainHandler<ChildExited> for Recorder {
    type Reply = ();
    fn handle(&mut self, exited: ChildExited, _: &mut Context<Self>) {
        self.0.send(exited).expect("the test listens");
    }
}

/// Child `n` may take `n` times 10 ms to stop.
fn limit(n: u64) -> Duration {
    ms(10 * n)
}

async fn pool(takes: impl Fn(u64) -> Duration) -> (ActorSystem, Vec<ActorRef<Slow>>, Ends) {
    let (to, ends) = channel();
    let recorder = ChildSpec::<Recorder>::new("recorder", to);
    let pool = DynamicSupervisorSpec::new("pool").on_exit(recorder.actor_ref().recipient());
    let handle = pool.handle();
    let root = SupervisorSpec::new("root").child(recorder).dynamic(pool);
    let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
    let mut children = Vec::new();
    for n in 1..=CHILDREN {
        let child = ChildSpec::<Slow>::new(format!("child-{n}"), takes(n));
        let child = child.restart(Restart::Temporary).shutdown(Shutdown::Timeout(limit(n)));
        children.push(handle.start_child(child).await.expect("it starts"));
    }
    (system, children, ends)
}

type Ends = std::sync::mpsc::Receiver<ChildExited>;

#[test]
fn children_that_stop_together_take_as_long_as_the_slowest() {
    local(async {
        // Each needs what it has, but for the last millisecond.
        let (system, children, ends) = pool(|n| limit(n) - ms(1)).await;
        let pool = system.root().child("pool").expect("it is there");
        let began = Instant::now();
        pool.stop();
        assert_eq!(pool.watch().await, StopReason::Shutdown);
        assert_eq!(began.elapsed(), limit(CHILDREN) - ms(1), "the longest of them, not the sum");
        for child in &children {
            assert_eq!((child.state(), child.watch().await), (State::Stopped, StopReason::Shutdown));
        }
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
        let named: Vec<_> = ends.try_iter().map(|end| (end.name.to_string(), end.reason)).collect();
        assert_eq!(named.len(), children.len());
        assert!(named.iter().all(|(_, reason)| *reason == StopReason::Shutdown), "{named:?}");
    });
}

#[test]
fn the_one_that_does_not_stop_is_killed_at_the_common_limit_and_named() {
    local(async {
        let forever = Duration::from_secs(3600);
        let (system, children, ends) =
            pool(|n| if n == 30 { forever } else { limit(n).saturating_sub(ms(1)) }).await;
        let pool = system.root().child("pool").expect("it is there");
        let began = Instant::now();
        pool.stop();
        assert_eq!(pool.watch().await, StopReason::Shutdown, "the supervisor itself stopped in order");
        assert_eq!(began.elapsed(), limit(CHILDREN));
        for (child, n) in children.iter().zip(1..) {
            let expected = if n == 30 { StopReason::Killed } else { StopReason::Shutdown };
            assert_eq!(child.watch().await, expected, "{}", child.path());
        }
        sleep(ms(100)).await;
        let killed: Vec<_> = ends.try_iter().filter(|end| end.reason == StopReason::Killed).collect();
        let names: Vec<&str> = killed.iter().map(|end| &*end.name).collect();
        assert_eq!(names, ["child-30"]);
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
    });
}

/// A deadline that is shorter than theirs is the one that counts.
#[test]
fn the_shutdown_names_those_of_them_that_it_had_to_kill() {
    local(async {
        let (system, children, _ends) = pool(limit).await;
        let report = system.shutdown(ms(905)).await;
        let expected: Vec<String> = (91..=CHILDREN).map(|n| format!("pool/child-{n}")).collect();
        let late: Vec<String> =
            report.unstopped.iter().filter(|path| path.starts_with("pool/")).cloned().collect();
        assert_eq!((late, report.stuck.is_empty()), (expected, true), "{report:?}");
        assert!(children.iter().all(|child| !child.is_alive()));
    });
}

#[tokio::test]
async fn a_name_is_free_as_soon_as_whoever_had_it_is_gone() {
    let pool = DynamicSupervisorSpec::new("pool");
    let handle = pool.handle();
    let root = SupervisorSpec::new("root").dynamic(pool);
    let system = ActorSystem::builder("test").executors(2).start(root).await.expect("a system");
    for _ in 0..500 {
        let child = handle.start_child(ChildSpec::<Slow>::new("a", ms(0))).await.expect("a free name");
        assert_eq!(handle.find::<Slow>("a"), Some(child.clone()));
        let listed: Vec<_> = handle.children().iter().map(ActorHandle::id).collect();
        assert_eq!(listed, [child.id()]);
        child.stop();
        child.watch().await;
    }
    assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
}

/// Has nothing to do but to start.
struct Brief;

impl Actor for Brief {
    type Args = ();

    async fn start((): (), cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.spawn_then(async {}, |(), _: &mut Self, cx| cx.stop());
        Ok(Brief)
    }
}

#[test]
fn a_child_that_ends_at_once_has_started_all_the_same() {
    local(async {
        let pool = DynamicSupervisorSpec::new("pool");
        let handle = pool.handle();
        let system = TestSystem::start(SupervisorSpec::new("root").dynamic(pool)).await;
        let brief = ChildSpec::<Brief>::new("brief", ()).restart(Restart::Temporary);
        let brief = handle.start_child(brief).await.expect("it starts");
        assert_eq!(brief.watch().await, StopReason::Normal);
        system.shutdown().await;
    });
}

#[test]
fn nobody_waits_for_a_child_that_was_refused() {
    local(async {
        let pool = DynamicSupervisorSpec::new("pool").max_children(1);
        let handle = pool.handle();
        let system = TestSystem::start(SupervisorSpec::new("root").dynamic(pool)).await;
        handle.start_child(ChildSpec::<Slow>::new("a", ms(0))).await.expect("room");
        let second = ChildSpec::<Slow>::new("b", ms(0));
        let address = second.actor_ref();
        assert!(matches!(handle.spawn_child(second), Err(StartChildError::Full { .. })));
        let reason = await_stopped(&address).await;
        assert!(
            matches!(&reason, StopReason::StartFailed(why) if why.contains("its 1 children")),
            "{reason}"
        );
        system.shutdown().await;
    });
}

#[test]
fn ends_that_find_no_room_are_told_later_or_counted_when_it_is_too_late() {
    local(async {
        let (to, ends) = channel();
        let recorder = ChildSpec::<Recorder>::new("recorder", to).mailbox(MailboxSpec::bounded(1));
        let recording = recorder.actor_ref();
        let pool = DynamicSupervisorSpec::new("pool").on_exit(recording.recipient());
        let handle = pool.handle();
        let system = TestSystem::start(SupervisorSpec::new("root").child(recorder).dynamic(pool)).await;
        let start = async |name: &str| {
            let child = ChildSpec::<Slow>::new(name, ms(0)).restart(Restart::Temporary);
            handle.start_child(child).await.expect("it starts")
        };
        recording.suspend();
        await_state(&recording, State::Suspended).await;
        for name in ["a", "b", "c"] {
            start(name).await.stop();
        }
        system.advance(ms(100)).await;
        let untold = || handle.snapshot().supervision.expect("a supervisor").unreported_exits;
        recording.resume();
        system.advance(ms(100)).await;
        let named: Vec<_> = ends.try_iter().map(|end| end.name.to_string()).collect();
        assert_eq!(
            (named, untold(), recording.snapshot().refused),
            (["a", "b", "c"].map(str::to_owned).to_vec(), 0, 0)
        );
        recording.suspend();
        await_state(&recording, State::Suspended).await;
        for name in ["d", "e", "f"] {
            start(name).await;
        }
        handle.stop();
        await_stopped(&handle).await;
        assert_eq!((untold(), recording.snapshot().depth), (2, 1));
        recording.resume();
        system.shutdown().await;
    });
}

#[test]
fn one_that_may_take_for_ever_takes_the_limit_from_no_other() {
    local(async {
        let pool = DynamicSupervisorSpec::new("pool");
        let handle = pool.handle();
        let system = TestSystem::start(SupervisorSpec::new("root").dynamic(pool)).await;
        let start = async |name: &str, takes, shutdown| {
            let child = ChildSpec::<Slow>::new(name, takes).shutdown(shutdown);
            handle.start_child(child).await.expect("it starts")
        };
        let patient = start("patient", ms(1000), Shutdown::Infinity).await;
        let late = start("late", Duration::from_secs(3600), Shutdown::Timeout(ms(50))).await;
        let began = Instant::now();
        handle.stop();
        assert_eq!((await_stopped(&late).await, began.elapsed()), (StopReason::Killed, ms(50)));
        assert_eq!((await_stopped(&patient).await, began.elapsed()), (StopReason::Shutdown, ms(1000)));
        assert_eq!(await_stopped(&handle).await, StopReason::Shutdown);
        system.shutdown().await;
    });
}

/// As for each of many connections a part of the tree of its own.
#[test]
fn a_part_of_the_tree_comes_and_goes_as_a_child_does() {
    local(async {
        let pool = DynamicSupervisorSpec::new("pool").max_children(2).intensity(1, Duration::from_secs(60));
        let handle = pool.handle();
        let root = SupervisorSpec::new("root").intensity(1, Duration::from_secs(60)).dynamic(pool);
        let system = TestSystem::start(root).await;
        let start = async |name: &str| {
            let child = ChildSpec::<Worker>::new("worker", ());
            let worker = child.actor_ref();
            let part = SupervisorSpec::new(name).intensity(0, Duration::from_secs(60)).child(child);
            handle.start_supervisor(part).await.map(|part| (part, worker))
        };
        let (one, worker) = start("one").await.expect("room");
        let (two, other) = start("two").await.expect("room");
        assert!(matches!(start("three").await, Err(StartChildError::Full { max_children: 2 })));
        assert_eq!((one.path(), worker.path()), ("pool/one".to_owned(), "pool/one/worker".to_owned()));
        assert!(handle.child("one/worker").is_none() && handle.child("one").is_some());
        // It gives up, and is restarted with what is below it.
        worker.tell(PanicAsync(false)).expect("room");
        assert_eq!(worker.ask(Count).await, Ok((1, 1)));
        assert_eq!((one.snapshot().generation, other.ask(Count).await), (1, Ok((0, 1))));
        two.stop();
        assert_eq!((await_stopped(&two).await, other.is_alive()), (StopReason::Shutdown, false));
        // The budget of the pool is used up: all goes with it, and nothing comes back.
        worker.tell(PanicAsync(false)).expect("room");
        assert!(matches!(await_stopped(&one).await, StopReason::Escalated { .. }));
        await_generation(&handle, 1).await;
        assert!(!worker.is_alive() && handle.is_empty());
        system.shutdown().await;
    });
}
