//! Work that blocks holds up nobody, is bounded, and crashes whose it is.

use std::{sync::mpsc, time::Duration};

use callboard_supervisors::{
    Actor, ActorRef, ActorSystem, AskError, ChildSpec, Context, Handler, Later, Message, PlainHandler,
    StartError, StopReason, SupervisorSpec,
};
use tokio::sync::oneshot;

struct Clerk;

impl Actor for Clerk {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Clerk)
    }
}

/// Says that it has begun, and blocks until the gate is dropped.
#[derive(Message)]
struct File(oneshot::Sender<()>, mpsc::Receiver<()>);

fn file(File(begun, gate): File) {
    // The test may have seen enough.
    let _ = begun.send(());
    gate.recv().expect_err("the gate is dropped");
}

impl PlainHandler<File> for Clerk {
    type Reply = Later<()>;
    fn handle(&mut self, work: File, cx: &mut Context<Self>) -> Later<()> {
        Later::new(cx.blocking(move || file(work)))
    }
}

/// Panics on another thread while the actor waits for it.
#[derive(Message)]
struct Tear;

impl Handler<Tear> for Clerk {
    async fn handle(&mut self, _: Tear, cx: &mut Context<Self>) {
        cx.blocking(|| panic!("torn")).await
    }
}

#[derive(Message)]
#[message(reply = u64)]
struct Generation;

impl PlainHandler<Generation> for Clerk {
    type Reply = u64;
    fn handle(&mut self, _: Generation, cx: &mut Context<Self>) -> u64 {
        cx.generation()
    }
}

async fn office(threads: usize) -> (ActorSystem, ActorRef<Clerk>) {
    let spec = ChildSpec::<Clerk>::new("clerk", ());
    let clerk = spec.actor_ref();
    let builder = ActorSystem::builder("test").executors(1).blocking_threads(threads);
    (builder.start(SupervisorSpec::new("root").child(spec)).await.expect("a system"), clerk)
}

fn work() -> (File, oneshot::Receiver<()>, mpsc::Sender<()>) {
    let ((begun, begins), (let_go, gate)) = (oneshot::channel(), mpsc::channel());
    (File(begun, gate), begins, let_go)
}

#[tokio::test]
async fn no_more_is_under_way_than_may_be_and_the_actor_works_on_meanwhile() {
    let (system, clerk) = office(2).await;
    let [one, two, three] = [work(), work(), work()];
    for work in [one.0, two.0, three.0] {
        clerk.tell(work).expect("room");
    }
    one.1.await.expect("it begins");
    two.1.await.expect("it begins");
    assert_eq!(clerk.ask(Generation).await, Ok(0));
    let blocking = system.snapshot().blocking;
    assert_eq!((blocking.running, blocking.limit), (2, 2));
    let mut third = three.1;
    assert!(third.try_recv().is_err(), "it waits its turn");
    drop(one.2);
    third.await.expect("its turn has come");
    drop((two.2, three.2));
    assert!(system.shutdown(Duration::from_secs(10)).await.is_clean());
}

#[tokio::test]
async fn a_panic_in_it_is_one_of_the_actor_with_its_place() {
    let (system, clerk) = office(1).await;
    assert_eq!(clerk.ask(Tear).await, Err(AskError::Panicked));
    assert_eq!(clerk.ask(Generation).await, Ok(1));
    let crash = clerk.snapshot().last_crash.expect("a crash");
    assert!(matches!(&crash.reason, StopReason::Panicked { payload, .. } if payload == "torn"), "{crash}");
    assert!(crash.location.as_deref().is_some_and(|place| place.contains("blocking.rs")), "{crash}");
    let (again, begins, let_go) = work();
    clerk.tell(again).expect("room");
    begins.await.expect("the panic has left no thread behind");
    drop(let_go);
    assert!(system.shutdown(Duration::from_secs(10)).await.is_clean());
}

#[tokio::test]
async fn what_waits_its_turn_goes_with_its_generation_and_what_runs_ends_by_itself() {
    let (system, clerk) = office(1).await;
    let [running, waiting] = [work(), work()];
    clerk.tell(running.0).expect("room");
    running.1.await.expect("it begins");
    clerk.tell(waiting.0).expect("room");
    clerk.ask(Generation).await.expect("an answer");
    clerk.kill();
    assert_eq!(clerk.ask(Generation).await, Ok(1));
    waiting.1.await.expect_err("it never begins");
    assert_eq!(system.snapshot().blocking.running, 1, "nobody can interrupt it");
    drop(running.2);
    let (next, begins, let_go) = work();
    clerk.tell(next).expect("room");
    begins.await.expect("its thread is free");
    drop(let_go);
    assert!(system.shutdown(Duration::from_secs(10)).await.is_clean());
}
