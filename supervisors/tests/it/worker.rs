//! An actor that does what a test wants.

use std::{rc::Rc, time::Duration};

use callboard_supervisors::{
    Actor, ActorRef, Backoff, ChildSpec, Context, Handler, Later, Message, PlainHandler, StartError,
    SupervisorSpec, testkit::TestSystem,
};

pub(crate) use callboard_supervisors::testkit::run as local;

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Others may do this on any thread.
pub(crate) fn is_send<T: Send>(_: &T) {}

/// A backoff without chance.
pub(crate) fn steady(pause: Duration) -> Backoff {
    Backoff { min: pause, max: pause, factor: 1.0, jitter: 0.0, ..Backoff::default() }
}

/// One actor under a root that restarts it often.
pub(crate) async fn alone(spec: ChildSpec<Worker>) -> (TestSystem, ActorRef<Worker>) {
    let worker = spec.actor_ref();
    let root = SupervisorSpec::new("root").intensity(100, Duration::from_secs(60)).backoff(steady(ms(10)));
    (TestSystem::start(root.child(spec)).await, worker)
}

/// Not `Send`, as an actor need not be.
pub(crate) struct Worker {
    handled: u64,
    bomb: bool,
    _local: Rc<()>,
}

impl Actor for Worker {
    type Args = ();

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Worker { handled: 0, bomb: false, _local: Rc::new(()) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        assert!(!self.bomb, "a bomb in the state");
    }
}

/// Counts; gives the generation and the count in it.
#[derive(Message)]
#[message(reply = (u64, u64))]
pub(crate) struct Count;

impl PlainHandler<Count> for Worker {
    type Reply = (u64, u64);
    fn handle(&mut self, _: Count, cx: &mut Context<Self>) -> (u64, u64) {
        self.handled += 1;
        (cx.generation(), self.handled)
    }
}

/// Holds the actor for a while.
#[derive(Message)]
#[message(reply = u64)]
pub(crate) struct Hold(pub(crate) Duration);

impl Handler<Hold> for Worker {
    async fn handle(&mut self, Hold(time): Hold, _: &mut Context<Self>) -> u64 {
        tokio::time::sleep(time).await;
        self.handled += 1;
        self.handled
    }
}

/// Answers after a while, without holding the actor.
#[derive(Message)]
#[message(reply = ())]
pub(crate) struct Answer(pub(crate) Duration);

impl PlainHandler<Answer> for Worker {
    type Reply = Later<()>;
    fn handle(&mut self, Answer(time): Answer, _: &mut Context<Self>) -> Later<()> {
        Later::new(tokio::time::sleep(time))
    }
}

/// Where a panic happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Plain,
    BeforeAwait,
    AfterAwait,
    LaterReply,
    Timer,
    Spawned,
    DropOfState,
    DropOfFuture,
}

/// Panics in a handler that is plain, or prepares a panic elsewhere.
#[derive(Message)]
pub(crate) struct Panic(pub(crate) Place);

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a bomb in a future");
    }
}

impl PlainHandler<Panic> for Worker {
    type Reply = Later<()>;
    fn handle(&mut self, Panic(place): Panic, cx: &mut Context<Self>) -> Later<()> {
        match place {
            Place::LaterReply => return Later::new(async { panic!("in a later reply") }),
            Place::Timer => drop(cx.after(ms(1), |_, _| panic!("in a timer"))),
            Place::Spawned => cx.spawn(async { panic!("in a spawned future") }),
            Place::DropOfState => {
                self.bomb = true;
                panic!("with a bomb in the state");
            }
            Place::DropOfFuture => {
                let bomb = Bomb;
                cx.spawn(async move {
                    let _bomb = bomb;
                    std::future::pending::<()>().await;
                });
                cx.after(ms(1), |_, _| panic!("beside a bomb"));
            }
            Place::Plain | Place::BeforeAwait | Place::AfterAwait => panic!("in a plain handler"),
        }
        Later::new(std::future::pending())
    }
}

/// Panics in an async handler.
#[derive(Message)]
pub(crate) struct PanicAsync(pub(crate) bool);

impl Handler<PanicAsync> for Worker {
    async fn handle(&mut self, PanicAsync(after): PanicAsync, _: &mut Context<Self>) {
        if after {
            tokio::task::yield_now().await;
        }
        panic!("in an async handler");
    }
}

/// Ends by itself.
#[derive(Message)]
pub(crate) struct Leave;

impl PlainHandler<Leave> for Worker {
    type Reply = ();
    fn handle(&mut self, _: Leave, cx: &mut Context<Self>) {
        cx.stop();
    }
}
