//! [`Worker`]: answers, and breaks as it is told.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use callboard_supervisors::{Actor, Context, Handler, Later, Message, PlainHandler, StartError};

/// How the text of every panic begins that is part of the game.
const INTENDED: &str = "soak: ";

pub(crate) fn is_intended(payload: &(dyn Any + Send)) -> bool {
    payload.downcast_ref::<&str>().is_some_and(|text| text.starts_with(INTENDED))
}

fn break_down() -> ! {
    panic!("soak: as told");
}

/// How many of the coming starts fail; lasts over generations, unlike the actor.
#[derive(Clone, Default)]
pub(crate) struct BadStarts(Arc<AtomicU32>);

impl BadStarts {
    pub(crate) fn of(number: u32) -> Self {
        BadStarts(Arc::new(AtomicU32::new(number)))
    }

    /// Those that are left, this one included.
    fn take(&self) -> u32 {
        self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).unwrap_or(0)
    }
}

pub(crate) struct Worker {
    bad_starts: BadStarts,
    /// Something to lose, and to leak.
    _memory: Vec<u8>,
    bomb: bool,
}

impl Actor for Worker {
    type Args = BadStarts;

    async fn start(bad_starts: BadStarts, _: &mut Context<Self>) -> Result<Self, StartError> {
        match bad_starts.take() {
            0 => {}
            left if left % 2 == 0 => break_down(),
            _ => return Err("soak: as told".into()),
        }
        Ok(Worker { bad_starts, _memory: vec![1; 512], bomb: false })
    }

    async fn stopping(&mut self, _: &mut Context<Self>) {
        tokio::task::yield_now().await;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.bomb {
            break_down();
        }
    }
}

/// Gives the number back at once.
#[derive(Message)]
#[message(reply = u64)]
pub(crate) struct Echo(pub(crate) u64);

impl PlainHandler<Echo> for Worker {
    type Reply = u64;
    fn handle(&mut self, Echo(number): Echo, _: &mut Context<Self>) -> u64 {
        number
    }
}

/// Gives the number back after an await that holds the actor.
#[derive(Message)]
#[message(reply = u64)]
pub(crate) struct EchoAsync(pub(crate) u64);

impl Handler<EchoAsync> for Worker {
    async fn handle(&mut self, EchoAsync(number): EchoAsync, _: &mut Context<Self>) -> u64 {
        tokio::task::yield_now().await;
        number
    }
}

/// Gives the number back after a millisecond that does not hold the actor.
#[derive(Message)]
#[message(reply = u64)]
pub(crate) struct EchoLater(pub(crate) u64);

impl PlainHandler<EchoLater> for Worker {
    type Reply = Later<u64>;
    fn handle(&mut self, EchoLater(number): EchoLater, _: &mut Context<Self>) -> Later<u64> {
        Later::new(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            number
        })
    }
}

/// Where it breaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    BeforeAwait,
    AfterAwait,
    Timer,
    Spawned,
    Drop,
}

impl Place {
    pub(crate) const ALL: [Place; 5] =
        [Place::BeforeAwait, Place::AfterAwait, Place::Timer, Place::Spawned, Place::Drop];
}

#[derive(Message)]
pub(crate) struct Break(pub(crate) Place);

impl Handler<Break> for Worker {
    async fn handle(&mut self, Break(place): Break, cx: &mut Context<Self>) {
        match place {
            Place::BeforeAwait => break_down(),
            Place::AfterAwait => {
                tokio::task::yield_now().await;
                break_down();
            }
            Place::Timer => drop(cx.after(Duration::from_millis(1), |_, _| break_down())),
            Place::Spawned => cx.spawn(async { break_down() }),
            Place::Drop => {
                self.bomb = true;
                break_down();
            }
        }
    }
}

/// Breaks, and so do this many starts after it.
#[derive(Message)]
pub(crate) struct BreakStarts(pub(crate) u32);

impl PlainHandler<BreakStarts> for Worker {
    type Reply = ();
    fn handle(&mut self, BreakStarts(number): BreakStarts, _: &mut Context<Self>) {
        self.bad_starts.0.store(number, Relaxed);
        break_down();
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
