//! What actix runs: [`ActorCell`] is the only `actix::Actor` here.

use std::{
    marker::PhantomData,
    pin::Pin,
    task::{Context as Task, Poll, Waker, ready},
};

use ::actix::{ActorContext, AsyncContext, Supervised, fut::ActorFuture};

use crate::{
    actor::Actor,
    core::{Core, Progress, Running},
};

/// Puts the actor's [`Core`], which knows nothing of actix, into actix's life cycle.
pub(crate) struct ActorCell<A: Actor> {
    core: Core<A>,
}

impl<A: Actor> ActorCell<A> {
    pub(crate) fn new(core: Core<A>) -> Self {
        ActorCell { core }
    }
}

impl<A: Actor> ::actix::Actor for ActorCell<A> {
    type Context = ::actix::Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // actix hands no waker over here; the second poll, which it does at once, brings the true one.
        self.core.begin(&mut Task::from_waker(Waker::noop()));
        if let Some(running) = self.core.take_pending() {
            ctx.wait(Exclusive { running, fresh: false });
        } else if !self.core.is_home() {
            ctx.terminate();
        }
        ctx.spawn(Pump(PhantomData));
    }
}

impl<A: Actor> Supervised for ActorCell<A> {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.core.clear();
    }
}

/// The actor's loop, as a future that actix polls with the cell in hand. Dropped and made anew by a restart.
struct Pump<A>(PhantomData<fn() -> A>);

impl<A: Actor> ActorFuture<ActorCell<A>> for Pump<A> {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        cell: &mut ActorCell<A>,
        ctx: &mut ::actix::Context<ActorCell<A>>,
        task: &mut Task<'_>,
    ) -> Poll<()> {
        match cell.core.turn(task) {
            Progress::Idle => {}
            Progress::Exclusive(running) => ctx.wait(Exclusive { running, fresh: true }),
            Progress::Stop => ctx.stop(),
        }
        Poll::Pending
    }
}

/// An exclusive future under `ctx.wait`: actix polls nothing else of this actor until it is done.
struct Exclusive<A: Actor> {
    running: Running<A>,
    /// Polled a moment ago, with the task's own waker: actix's immediate second poll is skipped.
    fresh: bool,
}

impl<A: Actor> ActorFuture<ActorCell<A>> for Exclusive<A> {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        cell: &mut ActorCell<A>,
        ctx: &mut ::actix::Context<ActorCell<A>>,
        task: &mut Task<'_>,
    ) -> Poll<()> {
        if std::mem::take(&mut self.fresh) {
            return Poll::Pending;
        }
        cell.core.beside(task);
        let done = ready!(cell.core.poll_exclusive(&mut self.running, task));
        cell.core.home(done);
        if !cell.core.is_home() {
            ctx.terminate();
        }
        Poll::Ready(())
    }
}
