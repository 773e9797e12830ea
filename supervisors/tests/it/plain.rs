//! An actix actor that knows nothing of Callboard, and does what a test wants.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use callboard_supervisors::{
    Message,
    adoption::actix::{
        self, ActorContext, ActorFutureExt, AsyncContext, ResponseActFuture, Running, WrapFuture,
    },
};
use tokio::sync::Notify;

use crate::worker::ms;

/// What the actor's hooks did, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    pub(crate) fn add(&self, what: &'static str) {
        self.0.lock().expect("nobody panics with it").push(what);
    }

    pub(crate) fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().expect("nobody panics with it"))
    }
}

/// An actor that knows nothing of Callboard.
#[derive(Default)]
pub(crate) struct Plain {
    log: Log,
    handled: u64,
    /// How often `started` panics.
    pub(crate) bad_starts: u64,
    /// How often `restarting` panics.
    pub(crate) bad_restarts: u64,
    pub(crate) starts_slowly: bool,
    pub(crate) refuses_to_stop: bool,
    panics_in_stopped: bool,
    bomb: bool,
}

impl actix::Actor for Plain {
    type Context = actix::Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.log.add("started");
        if self.bad_starts > 0 {
            self.bad_starts -= 1;
            panic!("in started");
        }
        if self.starts_slowly {
            let ready =
                tokio::time::sleep(ms(100)).into_actor(self).map(|(), plain, _| plain.log.add("ready"));
            ctx.wait(ready);
        }
    }

    fn stopping(&mut self, _: &mut Self::Context) -> Running {
        self.log.add("stopping");
        if self.refuses_to_stop { Running::Continue } else { Running::Stop }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.log.add("stopped");
        assert!(!self.panics_in_stopped, "in stopped");
    }
}

impl actix::Supervised for Plain {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.log.add("restarting");
        if self.bad_restarts > 0 {
            self.bad_restarts -= 1;
            panic!("in restarting");
        }
        self.handled = 0;
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.log.add("dropped");
        assert!(!self.bomb, "a bomb in the state");
    }
}

/// Counts.
#[derive(Message)]
#[message(reply = u64)]
pub(crate) struct Next;

impl actix::Handler<Next> for Plain {
    type Result = u64;
    fn handle(&mut self, _: Next, _: &mut Self::Context) -> u64 {
        self.handled += 1;
        self.handled
    }
}

/// What the actor is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    Panic,
    PanicInTimer,
    PanicInFuture,
    PanicInAsyncHandler,
    PanicWithBomb,
    PanicBesideBomb,
    Stop,
    PanicInStopped,
    Never,
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a bomb in a future");
    }
}

#[derive(Message)]
pub(crate) struct Do(pub(crate) Deed);

impl actix::Handler<Do> for Plain {
    type Result = ResponseActFuture<Self, ()>;
    fn handle(&mut self, Do(deed): Do, ctx: &mut Self::Context) -> Self::Result {
        match deed {
            Deed::Panic => panic!("in a handler"),
            Deed::PanicInTimer => drop(ctx.run_later(ms(1), |_, _| panic!("in a timer"))),
            Deed::PanicInFuture => drop(ctx.spawn(async { panic!("in a future") }.into_actor(self))),
            Deed::PanicInAsyncHandler => {
                let late = tokio::time::sleep(ms(1)).into_actor(self);
                return Box::pin(late.map(|(), _, _| panic!("in an async handler")));
            }
            Deed::PanicWithBomb => {
                self.bomb = true;
                panic!("with a bomb in the state");
            }
            Deed::PanicBesideBomb => {
                let bomb = Bomb;
                let never = async move {
                    let _bomb = bomb;
                    std::future::pending::<()>().await;
                };
                ctx.spawn(never.into_actor(self));
                ctx.run_later(ms(1), |_, _| panic!("beside a bomb"));
            }
            Deed::Stop => ctx.stop(),
            Deed::PanicInStopped => {
                self.panics_in_stopped = true;
                ctx.stop();
            }
            Deed::Never => {}
        }
        Box::pin(std::future::pending().into_actor(self))
    }
}

/// Answers after a while, by a timer of the actor.
#[derive(Message)]
pub(crate) struct Later(pub(crate) Duration, pub(crate) Arc<Notify>);

impl actix::Handler<Later> for Plain {
    type Result = ();
    fn handle(&mut self, Later(time, told): Later, ctx: &mut Self::Context) {
        ctx.run_later(time, move |_, _| told.notify_one());
    }
}

pub(crate) fn logged(log: &Log) -> impl FnMut() -> Plain + Send + 'static {
    changed(log, |_| {})
}

pub(crate) fn changed(
    log: &Log,
    change: impl Fn(&mut Plain) + Send + 'static,
) -> impl FnMut() -> Plain + Send + 'static {
    let log = log.clone();
    move || {
        let mut plain = Plain::default();
        plain.log = log.clone();
        change(&mut plain);
        plain
    }
}
