//! [`Victim`]: an actor that panics wherever a test wants.

use std::{
    future::{Future, pending},
    panic::panic_any,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context as Task, Poll},
    thread::panicking,
};

use callboard_supervisors::{Actor, Context, Handler, Later, Message, PlainHandler, StartError};

use crate::worker::ms;

/// Where a panic can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    ArgsClone,
    StartBefore,
    StartAfter,
    StartErrorText,
    Plain,
    LaterBody,
    LaterFuture,
    AsyncBefore,
    AsyncAfter,
    After,
    Interval,
    Spawned,
    Then,
    StopBefore,
    StopAfter,
    DropOfState,
    DropOfMessage,
    DropOfReply,
    DropOfPayload,
    DropOfArgs,
    DropOfFuture,
    DropOfStartError,
}

/// Panics at the places it was lit for, once at each.
#[derive(Clone, Default)]
pub(super) struct Fuse(Arc<Mutex<Vec<Place>>>);

impl Fuse {
    pub(super) fn light(&self, places: &[Place]) {
        self.0.lock().expect("no panic in here").extend(places);
    }

    /// Every place was come to.
    pub(super) fn is_out(&self) -> bool {
        self.0.lock().expect("no panic in here").is_empty()
    }

    fn burns(&self, place: Place) -> bool {
        let mut lit = self.0.lock().expect("no panic in here");
        lit.iter().position(|other| *other == place).map(|at| lit.remove(at)).is_some()
    }

    pub(super) fn at(&self, place: Place) {
        if self.burns(place) {
            panic!("{place:?}");
        }
    }
}

/// A value whose `Drop` may panic.
pub(super) struct Bomb(pub(super) Fuse, pub(super) Place);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.at(self.1);
    }
}

/// The arguments; each generation has a clone.
pub(super) struct Args(Fuse, #[expect(dead_code, reason = "it is there to be dropped")] Bomb);

impl Args {
    pub(super) fn new(fuse: &Fuse) -> Self {
        Args(fuse.clone(), Bomb(fuse.clone(), Place::DropOfArgs))
    }
}

impl Clone for Args {
    fn clone(&self) -> Self {
        self.0.at(Place::ArgsClone);
        Args::new(&self.0)
    }
}

/// A start error that panics when it is looked at, or dropped.
#[derive(Debug)]
struct BadError(Fuse);

impl std::fmt::Debug for Fuse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fuse")
    }
}

impl std::fmt::Display for BadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.at(Place::StartErrorText);
        f.write_str("a bad error")
    }
}

impl std::error::Error for BadError {}

impl Drop for BadError {
    fn drop(&mut self) {
        // Where its text panics it is dropped by the unwind already; a second panic would abort.
        if !panicking() {
            self.0.at(Place::DropOfStartError);
        }
    }
}

pub(super) struct Victim {
    fuse: Fuse,
    handled: u64,
    _state: Bomb,
}

impl Actor for Victim {
    type Args = Args;

    async fn start(args: Args, _: &mut Context<Self>) -> Result<Self, StartError> {
        let fuse = args.0.clone();
        fuse.at(Place::StartBefore);
        tokio::task::yield_now().await;
        fuse.at(Place::StartAfter);
        let fails = |place| fuse.0.lock().expect("no panic in here").contains(&place);
        if fails(Place::StartErrorText) || fails(Place::DropOfStartError) {
            return Err(BadError(fuse).into());
        }
        Ok(Victim { _state: Bomb(fuse.clone(), Place::DropOfState), handled: 0, fuse })
    }

    async fn stopping(&mut self, _: &mut Context<Self>) {
        self.fuse.at(Place::StopBefore);
        tokio::task::yield_now().await;
        self.fuse.at(Place::StopAfter);
    }
}

/// Counts; gives the generation and the count in it.
#[derive(Message)]
#[message(reply = (u64, u64))]
pub(super) struct Count;

impl PlainHandler<Count> for Victim {
    type Reply = (u64, u64);
    fn handle(&mut self, _: Count, cx: &mut Context<Self>) -> (u64, u64) {
        self.handled += 1;
        (cx.generation(), self.handled)
    }
}

/// Answers after a second, without holding the actor.
#[derive(Message)]
pub(super) struct InFlight;

impl PlainHandler<InFlight> for Victim {
    type Reply = Later<()>;
    fn handle(&mut self, _: InFlight, _: &mut Context<Self>) -> Later<()> {
        Later::new(tokio::time::sleep(ms(1000)))
    }
}

/// A reply whose `Drop` may panic.
pub(super) struct Parcel(#[expect(dead_code, reason = "it is there to be dropped")] Bomb);

impl Parcel {
    fn new(fuse: &Fuse) -> Self {
        Parcel(Bomb(fuse.clone(), Place::DropOfReply))
    }
}

macro_rules! loaded_message {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        #[derive(Message)]
        #[message(reply = Parcel)]
        pub(super) struct $name(#[expect(dead_code, reason = "it is there to be dropped")] Bomb);

        impl $name {
            pub(super) fn new(fuse: &Fuse) -> Self {
                $name(Bomb(fuse.clone(), Place::DropOfMessage))
            }
        }
    )*};
}

loaded_message!(
    /// Handled at once.
    PlainMessage,
    /// Answered by a future.
    LaterMessage,
    /// Answered by a future that takes its time.
    SlowMessage,
    /// Handled over an await.
    AsyncMessage
);

impl PlainHandler<PlainMessage> for Victim {
    type Reply = Parcel;
    fn handle(&mut self, _message: PlainMessage, _: &mut Context<Self>) -> Parcel {
        self.fuse.at(Place::Plain);
        if self.fuse.0.lock().expect("no panic in here").contains(&Place::DropOfPayload) {
            panic_any(Bomb(self.fuse.clone(), Place::DropOfPayload));
        }
        Parcel::new(&self.fuse)
    }
}

impl PlainHandler<LaterMessage> for Victim {
    type Reply = Later<Parcel>;
    fn handle(&mut self, _message: LaterMessage, _: &mut Context<Self>) -> Later<Parcel> {
        self.fuse.at(Place::LaterBody);
        let fuse = self.fuse.clone();
        Later::new(async move {
            tokio::task::yield_now().await;
            fuse.at(Place::LaterFuture);
            Parcel::new(&fuse)
        })
    }
}

impl PlainHandler<SlowMessage> for Victim {
    type Reply = Later<Parcel>;
    fn handle(&mut self, _message: SlowMessage, _: &mut Context<Self>) -> Later<Parcel> {
        let fuse = self.fuse.clone();
        Later::new(async move {
            tokio::time::sleep(ms(50)).await;
            Parcel::new(&fuse)
        })
    }
}

impl Handler<AsyncMessage> for Victim {
    async fn handle(&mut self, _message: AsyncMessage, _: &mut Context<Self>) -> Parcel {
        self.fuse.at(Place::AsyncBefore);
        tokio::task::yield_now().await;
        self.fuse.at(Place::AsyncAfter);
        Parcel::new(&self.fuse)
    }
}

/// Holds the actor for ever.
#[derive(Message)]
pub(super) struct Hold;

impl Handler<Hold> for Victim {
    async fn handle(&mut self, _: Hold, _: &mut Context<Self>) {
        pending::<()>().await;
    }
}

/// Ends by itself.
#[derive(Message)]
#[message(reply = Parcel)]
pub(super) struct Leave;

impl PlainHandler<Leave> for Victim {
    type Reply = Parcel;
    fn handle(&mut self, _: Leave, cx: &mut Context<Self>) -> Parcel {
        cx.stop();
        Parcel::new(&self.fuse)
    }
}

/// Begins the work beside the mailbox in which the panic is to happen.
#[derive(Message)]
pub(super) struct Arm(pub(super) Place);

impl PlainHandler<Arm> for Victim {
    type Reply = ();
    fn handle(&mut self, Arm(place): Arm, cx: &mut Context<Self>) {
        let fuse = self.fuse.clone();
        match place {
            Place::After => drop(cx.after(ms(1), move |_, _| fuse.at(place))),
            Place::Interval => drop(cx.interval(ms(1), move |_, _| fuse.at(place))),
            Place::Spawned => cx.spawn(async move {
                tokio::time::sleep(ms(1)).await;
                fuse.at(place);
            }),
            Place::Then => {
                let bomb = Bomb(fuse.clone(), Place::DropOfFuture);
                cx.spawn_then(tokio::time::sleep(ms(1)), move |(), _, _| {
                    let _bomb = bomb;
                    fuse.at(place);
                });
            }
            // Two of them: each is dropped by itself.
            Place::DropOfFuture => (0..2).for_each(|_| {
                let bomb = Bomb(fuse.clone(), place);
                cx.spawn(async move {
                    let _bomb = bomb;
                    pending::<()>().await;
                });
            }),
            place => unreachable!("{place:?} needs no preparation"),
        }
    }
}

/// Begins a future that panics and whose `Drop` panics, too. It is dropped while the first panic unwinds.
#[derive(Message)]
pub(super) struct ArmTwice;

struct Twice {
    fuse: Fuse,
    sleep: Pin<Box<tokio::time::Sleep>>,
    _bomb: Bomb,
}

impl Future for Twice {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<()> {
        std::task::ready!(self.sleep.as_mut().poll(task));
        self.fuse.at(Place::Spawned);
        Poll::Ready(())
    }
}

impl PlainHandler<ArmTwice> for Victim {
    type Reply = ();
    fn handle(&mut self, _: ArmTwice, cx: &mut Context<Self>) {
        let (fuse, sleep) = (self.fuse.clone(), Box::pin(tokio::time::sleep(ms(1))));
        cx.spawn(Twice { _bomb: Bomb(fuse.clone(), Place::DropOfFuture), fuse, sleep });
    }
}
