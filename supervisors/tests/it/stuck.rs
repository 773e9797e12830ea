//! Children that hold their thread: nobody can end them, and nobody waits for them for ever.

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

use callboard_supervisors::{
    Actor, ActorRef, ActorSystem, ChildSpec, Context, Message, Placement, PlainHandler, Shutdown, StartError,
    State, Strategy, SupervisorSpec,
};

use crate::worker::{Count, PanicAsync, Worker, ms, steady};

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
