//! What a person at a console does: restart a part of the tree, suspend it, stop a child and start another.

use callboard_supervisors::{
    ActorRef, ChildSpec, DynamicSupervisorSpec, Restart, Shutdown, StartChildError, State, StopReason,
    Strategy, SupervisorSpec,
    testkit::{TestSystem, await_generation, await_state, await_stopped},
};

use crate::worker::{Count, Hold, PanicAsync, Worker, local, ms};

/// `root` with `part`, which has `a` and `b`, and a dynamic supervisor `pool`.
async fn tree() -> (TestSystem, ActorRef<Worker>, ActorRef<Worker>) {
    let (a, b) = (ChildSpec::<Worker>::new("a", ()), ChildSpec::<Worker>::new("b", ()));
    let addresses = (a.actor_ref(), b.actor_ref());
    let part = SupervisorSpec::new("part").child(a).child(b).dynamic(DynamicSupervisorSpec::new("pool"));
    let root = SupervisorSpec::new("root").supervisor(part);
    let system = TestSystem::start(root).await;
    (system, addresses.0, addresses.1)
}

#[test]
fn a_part_of_the_tree_is_restarted_with_its_queues_and_at_no_cost() {
    local(async {
        let (system, a, b) = tree().await;
        let part = system.root().child("part").expect("it is there");
        let names: Vec<String> = system.root().children().iter().map(|child| child.path()).collect();
        assert_eq!(names, ["part"]);
        assert_eq!(a.ask(Count).await, Ok((0, 1)));
        // What waits is handled by the next generation.
        a.tell(Hold(ms(10))).expect("room");
        let (waiting, ()) = tokio::join!(a.ask(Count), async { part.restart() });
        assert!(matches!(waiting, Ok((0 | 1, _))), "{waiting:?}");
        let generations =
            |of: ActorRef<Worker>| async move { of.ask(Count).await.map(|(generation, _)| generation) };
        assert_eq!((generations(a).await, generations(b).await), (Ok(1), Ok(1)));
        let snapshot = system.snapshot();
        let supervision = snapshot.root.supervision.as_ref().expect("a supervisor");
        assert_eq!((supervision.recent_restarts, supervision.crashes), (0, 0));
        assert_eq!((part.state(), part.snapshot().generation), (State::Running, 1));
        system.shutdown().await;
    });
}

#[test]
fn a_restart_that_is_asked_for_many_times_leaves_everything_running() {
    local(async {
        let (system, a, b) = tree().await;
        let part = system.root().child("part").expect("it is there");
        for _ in 0..20 {
            part.restart();
            part.restart();
            tokio::task::yield_now().await;
        }
        for worker in [&a, &b] {
            assert!(worker.ask(Count).await.is_ok_and(|(generation, _)| generation >= 1));
        }
        // Whoever stops it meanwhile has the last word.
        part.restart();
        part.stop();
        part.restart();
        assert_eq!(part.watch().await, StopReason::Shutdown);
        assert!(!a.is_alive() && !b.is_alive());
        // There is nobody above the root.
        let root = system.root();
        assert!(root.children().is_empty());
        assert_eq!(root.state(), State::Running);
        system.shutdown().await;
    });
}

#[test]
fn a_suspended_part_handles_nothing_until_it_is_resumed() {
    local(async {
        let (system, a, b) = tree().await;
        let part = system.root().child("part").expect("it is there");
        part.suspend();
        for worker in [&a, &b] {
            await_state(worker, State::Suspended).await;
            worker.tell(Count).expect("room");
            worker.inspect().await.expect("it is there");
            assert_eq!((worker.snapshot().depth, worker.snapshot().handled), (1, 0));
        }
        part.resume();
        for worker in [&a, &b] {
            assert_eq!(worker.ask(Count).await, Ok((0, 2)));
        }
        system.shutdown().await;
    });
}

#[test]
fn a_child_that_is_stopped_makes_room_for_another_of_its_name() {
    local(async {
        let (system, a, _) = tree().await;
        let root = system.root();
        let root = root.child("part").expect("it is there");
        assert_eq!(root.path(), "part");
        let part = system.root();
        let stopped = part.child("part/a").expect("it is there");
        assert_eq!(stopped, a.handle());
        stopped.stop();
        assert_eq!(stopped.watch().await, StopReason::Shutdown);
        assert!(a.ask(Count).await.is_err());
        system.settle().await;
        assert!(part.child("part/a").is_none());
        assert!(part.child("part/none").is_none() && part.child("nowhere/a").is_none());
        let first = ChildSpec::<Worker>::new("late", ());
        part.start_child(first).await.expect("it starts");
        let second = part.start_child(ChildSpec::<Worker>::new("late", ())).await;
        assert!(matches!(second, Err(StartChildError::NameTaken { .. })), "{second:?}");
        part.child("late").expect("it is there").stop();
        system.settle().await;
        part.start_child(ChildSpec::<Worker>::new("late", ())).await.expect("its name is free");
        system.shutdown().await;
    });
}

#[test]
fn a_stop_is_final_whatever_is_ordered_after_it() {
    local(async {
        let (system, a, b) = tree().await;
        for worker in [&a, &b] {
            worker.tell(Hold(ms(1000))).expect("room");
        }
        system.settle().await;
        a.stop();
        a.restart();
        system.settle().await;
        a.kill();
        assert_eq!(await_stopped(&a).await, StopReason::Killed);
        // The whole part is on its way down to be started again.
        system.root().child("part").expect("it is there").restart();
        system.settle().await;
        b.stop();
        assert_eq!(await_stopped(&b).await, StopReason::Shutdown);
        await_generation(&system.root().child("part").expect("it is there"), 1).await;
        assert!(!a.is_alive() && !b.is_alive());
        system.shutdown().await;
    });
}

#[test]
fn a_restart_and_the_end_of_its_supervisor_at_once_end_a_child_for_good() {
    local(async {
        let pool = DynamicSupervisorSpec::new("pool");
        let handle = pool.handle();
        let system = TestSystem::start(SupervisorSpec::new("root").dynamic(pool)).await;
        let child = ChildSpec::<Worker>::new("child", ()).shutdown(Shutdown::Brutal);
        let child = handle.start_child(child).await.expect("it starts");
        system.root().child("pool").expect("it is there").restart();
        child.restart();
        assert_eq!(await_stopped(&child).await, StopReason::Killed);
        system.settle().await;
        assert_eq!((child.state(), handle.len()), (State::Stopped, 0));
        system.shutdown().await;
    });
}

#[test]
fn a_supervisor_that_was_stopped_does_not_come_back_with_its_siblings() {
    local(async {
        let (first, held) = (ChildSpec::<Worker>::new("first", ()), ChildSpec::<Worker>::new("held", ()));
        let (crashing, holding) = (first.actor_ref(), held.actor_ref());
        let part = SupervisorSpec::new("part").shutdown(Shutdown::Timeout(ms(50)));
        let part = part.child(held.shutdown(Shutdown::Infinity));
        let handle = part.handle();
        let root = SupervisorSpec::new("root").strategy(Strategy::OneForAll).child(first).supervisor(part);
        let system = TestSystem::start(root).await;
        holding.tell(Hold(ms(60_000))).expect("room");
        system.settle().await;
        handle.stop();
        system.settle().await;
        crashing.tell(PanicAsync(false)).expect("room");
        assert_eq!(await_stopped(&handle).await, StopReason::Killed);
        assert_eq!(crashing.ask(Count).await, Ok((1, 1)));
        assert!(!holding.is_alive());
        system.shutdown().await;
    });
}

#[test]
fn the_children_of_a_dynamic_supervisor_are_listed_and_end_with_its_restart() {
    local(async {
        let pool = DynamicSupervisorSpec::new("pool");
        let handle = pool.handle();
        let root = SupervisorSpec::new("root").dynamic(pool);
        let system = TestSystem::start(root).await;
        for name in ["x", "y"] {
            let child = ChildSpec::<Worker>::new(name, ()).restart(Restart::Transient);
            handle.start_child(child).await.expect("it starts");
        }
        let children = handle.children();
        let paths: Vec<String> = children.iter().map(|child| child.path()).collect();
        assert_eq!(paths, ["pool/x", "pool/y"]);
        system.root().child("pool").expect("it is there").restart();
        for child in children {
            assert_eq!(child.watch().await, StopReason::Shutdown);
        }
        let new = ChildSpec::<Worker>::new("z", ());
        await_generation(&handle, 1).await;
        let new = handle.start_child(new).await.expect("it starts");
        assert_eq!((new.ask(Count).await, handle.len()), (Ok((0, 1)), 1));
        system.shutdown().await;
    });
}
