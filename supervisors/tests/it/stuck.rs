//! Children that hold their thread: nobody can end them, and nobody waits for them for ever.

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

use callboard_supervisors::{
    Actor, ActorRef, ActorSystem, AskError, ChangeKind, ChildSpec, Context, Message, Placement, PlainHandler,
    Restart, Router, Routing, Shutdown, StartError, State, StopReason, Strategy, SupervisorSpec,
};

use crate::worker::{Count, Hold, PanicAsync, Worker, alone, local, ms, steady};

/// How long a test waits for what must come.
const LIMIT: Duration = Duration::from_secs(10);

struct Blocker;

impl Actor for Blocker {
    type Args = ();

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Blocker)
    }
}

/// Says that it is there, and blocks the thread until the test lets go.
#[derive(Message)]
struct Block {
    here: Sender<()>,
    free: Receiver<()>,
}

impl PlainHandler<Block> for Blocker {
    type Reply = ();
    fn handle(&mut self, Block { here, free }: Block, _: &mut Context<Self>) {
        here.send(()).expect("the test listens");
        // Either way it is free: by a word, or as the test is over.
        let _ = free.recv_timeout(LIMIT);
    }
}

#[derive(Message)]
#[message(reply = u64)]
struct Generation;

impl PlainHandler<Generation> for Blocker {
    type Reply = u64;
    fn handle(&mut self, _: Generation, cx: &mut Context<Self>) -> u64 {
        cx.generation()
    }
}

/// On a thread of its own.
fn blocker() -> ChildSpec<Blocker> {
    ChildSpec::new("blocker", ()).placement(Placement::Workers).shutdown(Shutdown::Brutal)
}

/// Returns when its thread is blocked; a word to the sender frees it.
fn block(actor: &ActorRef<Blocker>) -> Sender<()> {
    let (here, is_here) = channel();
    let (let_go, free) = channel();
    assert!(actor.tell(Block { here, free }).is_ok(), "room");
    is_here.recv_timeout(LIMIT).expect("it blocks");
    let_go
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let poll = async {
        while !done() {
            tokio::time::sleep(ms(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, poll).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn a_stuck_child_is_named_by_the_shutdown_which_does_not_wait_for_it() {
    runtime().block_on(async {
        let (first, spec) = (ChildSpec::<Worker>::new("first", ()), blocker());
        let (first_ref, actor) = (first.actor_ref(), spec.actor_ref());
        let root = SupervisorSpec::new("root").child(first).child(spec);
        let system = ActorSystem::builder("test").executors(1).start(root).await.expect("a system");
        let let_go = block(&actor);
        let report = system.shutdown(LIMIT).await;
        assert_eq!((report.stuck, report.blocked_threads), (vec!["blocker".to_owned()], 1));
        assert!(!first_ref.is_alive(), "those before it are stopped all the same");
        drop(let_go);
        tokio::time::timeout(LIMIT, actor.watch()).await.expect("it ends once its thread is free");
    });
}

#[test]
fn a_stuck_sibling_is_not_replaced_before_its_thread_is_free() {
    runtime().block_on(async {
        let (crashing, spec) = (ChildSpec::<Worker>::new("crashing", ()), blocker());
        let (crashing_ref, actor) = (crashing.actor_ref(), spec.actor_ref());
        let root = SupervisorSpec::new("root").strategy(Strategy::OneForAll).backoff(steady(ms(1)));
        let root = root.child(crashing).child(spec);
        let system = ActorSystem::builder("test").executors(1).start(root).await.expect("a system");
        let let_go = block(&actor);
        crashing_ref.tell(PanicAsync(false)).expect("room");
        until("stuck", || actor.state() == State::Stuck).await;
        assert_eq!(crashing_ref.ask(Count).await, Ok((1, 1)), "the others come back without it");
        let blocker = system.snapshot().find("blocker").map(|node| (node.state, node.generation));
        assert_eq!(blocker, Some((State::Stuck, 0)));
        drop(let_go);
        assert_eq!(actor.ask(Generation).await, Ok(1));
        assert_eq!(crashing_ref.ask(Count).await, Ok((1, 2)), "nobody else is restarted for it");
        assert!(system.shutdown(LIMIT).await.stuck.is_empty());
    });
}

#[test]
fn a_child_that_somebody_kills_while_it_blocks_is_stuck_and_named_by_the_shutdown() {
    runtime().block_on(async {
        let (sibling, spec) = (ChildSpec::<Worker>::new("sibling", ()), blocker());
        let (sibling_ref, actor) = (sibling.actor_ref(), spec.actor_ref());
        let root = SupervisorSpec::new("root").strategy(Strategy::OneForAll).child(sibling).child(spec);
        let system = ActorSystem::builder("test").executors(1).start(root).await.expect("a system");
        let let_go = block(&actor);
        actor.kill();
        until("stuck", || actor.state() == State::Stuck).await;
        assert_eq!(sibling_ref.ask(Count).await, Ok((0, 1)), "it has not ended, so nobody goes down with it");
        let report = system.shutdown(LIMIT).await;
        assert_eq!((report.stuck, report.blocked_threads), (vec!["blocker".to_owned()], 1));
        drop(let_go);
        tokio::time::timeout(LIMIT, actor.watch()).await.expect("it ends once its thread is free");
    });
}

#[test]
fn a_killed_child_whose_thread_is_free_again_fares_as_any_that_was_killed() {
    runtime().block_on(async {
        for (restart, comes_back) in
            [(Restart::Permanent, true), (Restart::Transient, true), (Restart::Temporary, false)]
        {
            let spec = blocker().restart(restart);
            let actor = spec.actor_ref();
            let root = SupervisorSpec::new("root").backoff(steady(ms(1))).child(spec);
            let system = ActorSystem::builder("test").executors(1).start(root).await.expect("a system");
            let let_go = block(&actor);
            actor.kill();
            actor.kill();
            let waiting = actor.ask_within(LIMIT, Generation);
            let freed = async {
                until("stuck", || actor.state() == State::Stuck).await;
                drop(let_go);
            };
            let (answer, ()) = tokio::join!(waiting, freed);
            let counted =
                || system.snapshot().root.supervision.map(|root| (root.crashes, root.recent_restarts));
            if comes_back {
                assert_eq!(answer, Ok(1), "{restart:?}: the queue was kept");
                assert_eq!((actor.state(), counted()), (State::Running, Some((1, 1))), "{restart:?}");
            } else {
                assert_eq!((answer, actor.watch().await), (Err(AskError::Stopped), StopReason::Killed));
                until("forgotten", || system.root().children().is_empty()).await;
                assert_eq!(counted(), Some((1, 0)));
            }
            let report = system.shutdown(LIMIT).await;
            assert!(report.is_clean(), "{restart:?}: {report:?}");
        }
    });
}

/// A supervisor that waits for ever for an orderly end does not wait for one that was killed in vain.
#[test]
fn a_kill_ends_the_wait_for_a_child_that_may_take_for_ever_to_stop() {
    runtime().block_on(async {
        let (first, spec) = (ChildSpec::<Worker>::new("first", ()), blocker().shutdown(Shutdown::Infinity));
        let (first_ref, actor) = (first.actor_ref(), spec.actor_ref());
        let root = SupervisorSpec::new("root").child(first).child(spec);
        let system = ActorSystem::builder("test").executors(1).start(root).await.expect("a system");
        let let_go = block(&actor);
        let killed = async {
            actor.kill();
            first_ref.watch().await
        };
        let (report, _) = tokio::join!(system.shutdown(LIMIT), killed);
        assert_eq!((report.unstopped, report.stuck), (Vec::new(), vec!["blocker".to_owned()]));
        drop(let_go);
        tokio::time::timeout(LIMIT, actor.watch()).await.expect("it ends once its thread is free");
    });
}

#[test]
fn a_child_that_ends_when_it_is_killed_is_never_stuck() {
    local(async {
        let (system, worker) = alone(ChildSpec::<Worker>::new("worker", ())).await;
        // In its start, in its pause, in a handler and idle; more than once.
        for generation in 1..=3 {
            worker.tell(Hold(LIMIT)).expect("room");
            worker.inspect().await.expect("it is there");
            for _ in 0..3 {
                worker.kill();
            }
            tokio::time::sleep(ms(1)).await;
            assert_eq!(worker.state(), State::Crashed, "it is in its pause");
            worker.kill();
            assert_eq!(worker.ask(Count).await, Ok((generation, 1)));
        }
        tokio::time::sleep(LIMIT).await;
        assert_eq!((worker.state(), worker.ask(Count).await), (State::Running, Ok((3, 2))));
        system.shutdown().await;
    });
}

#[test]
fn a_stuck_child_further_down_is_the_one_that_is_named() {
    runtime().block_on(async {
        for above in 0..2 {
            let spec = blocker();
            let actor = spec.actor_ref();
            let mut part = SupervisorSpec::new("part").child(spec);
            for _ in 0..above {
                part = SupervisorSpec::new("above").supervisor(part);
            }
            let root = SupervisorSpec::new("root").supervisor(part);
            let system = ActorSystem::builder("test").executors(1).start(root).await.expect("a system");
            let let_go = block(&actor);
            let report = system.shutdown(ms(20)).await;
            assert_eq!((report.stuck, report.blocked_threads), (vec![actor.path()], 1));
            drop(let_go);
            tokio::time::timeout(LIMIT, actor.watch()).await.expect("it ends once its thread is free");
        }
    });
}

#[test]
fn one_whose_supervisor_is_gone_is_not_named_once_it_has_ended() {
    runtime().block_on(async {
        let spec = blocker();
        let actor = spec.actor_ref();
        let part = SupervisorSpec::new("part").child(spec);
        let handle = part.handle();
        let root = SupervisorSpec::new("root").supervisor(part);
        let system = ActorSystem::builder("test").executors(1).start(root).await.expect("a system");
        let let_go = block(&actor);
        handle.stop();
        handle.watch().await;
        drop(let_go);
        actor.watch().await;
        let report = system.shutdown(LIMIT).await;
        assert!(report.is_clean(), "{report:?}");
    });
}

#[test]
fn a_supervisor_above_a_stuck_child_is_not_stuck_itself() {
    runtime().block_on(async {
        let (crashing, spec) = (ChildSpec::<Worker>::new("crashing", ()), blocker());
        let (crashing_ref, actor) = (crashing.actor_ref(), spec.actor_ref());
        let part = SupervisorSpec::new("part").shutdown(Shutdown::Brutal).child(spec);
        let above = SupervisorSpec::new("above").shutdown(Shutdown::Brutal).supervisor(part);
        let root = SupervisorSpec::new("root").strategy(Strategy::OneForAll).backoff(steady(ms(1)));
        let root = root.child(crashing).supervisor(above);
        let system = ActorSystem::builder("test").executors(1).start(root).await.expect("a system");
        let mut changes = system.changes();
        let let_go = block(&actor);
        crashing_ref.tell(PanicAsync(false)).expect("room");
        until("stuck", || actor.state() == State::Stuck).await;
        assert_eq!(crashing_ref.ask(Count).await, Ok((1, 1)), "the others come back without it");
        drop(let_go);
        assert_eq!(actor.ask(Generation).await, Ok(1));
        let report = system.shutdown(LIMIT).await;
        assert!(report.is_clean(), "{report:?}");
        let mut stuck = Vec::new();
        while let Some(Ok(change)) = changes.next().await {
            if let ChangeKind::State { state: State::Stuck, .. } = change.kind {
                stuck.push(change.path.clone());
            }
        }
        assert_eq!(stuck, [actor.path()]);
    });
}

#[test]
fn a_router_turns_to_one_that_is_stuck_only_when_there_is_no_other() {
    runtime().block_on(async {
        let spec = |name| ChildSpec::<Blocker>::new(name, ()).placement(Placement::Workers);
        let (one, other) = (spec("one"), spec("other"));
        let (stuck, free) = (one.actor_ref(), other.actor_ref());
        let root = SupervisorSpec::new("root").child(one).child(other);
        let system = ActorSystem::builder("test").executors(2).start(root).await.expect("a system");
        let let_go = block(&stuck);
        stuck.kill();
        until("stuck", || stuck.state() == State::Stuck).await;
        for routing in [Routing::round_robin, Routing::least_busy] {
            let router = Router::new([stuck.recipient(), free.recipient()], routing());
            for _ in 0..4 {
                assert_eq!(router.ask(Generation).await, Ok(0));
            }
        }
        free.stop();
        free.watch().await;
        let router = Router::new([stuck.recipient(), free.recipient()], Routing::round_robin());
        let (answer, ()) = tokio::join!(router.ask(Generation), async { drop(let_go) });
        assert_eq!(answer, Ok(1), "it waited for the next generation");
        assert!(system.shutdown(LIMIT).await.is_clean());
    });
}
