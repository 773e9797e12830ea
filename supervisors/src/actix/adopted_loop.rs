//! [`AdoptedLoop`]: actix's loop around an adopted actor, polled by its task.

use std::{
    future::Future,
    mem::replace,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context as Task, Poll},
};

use ::actix::{Actor, ActorContext, Addr, AsyncContext, Context, dev::ContextFut, fut::ActorFuture};

use crate::{
    actix::adopted_shared::AdoptedShared,
    core::bury,
    meta::State,
    reference::{Controlled, Node},
    supervisor::Restart,
    task::{ActorLoop, STOP, SUSPEND},
};

type Factory<A> = Box<dyn FnMut() -> A + Send>;

/// `ContextFut::restart`, which only actors that are `actix::Supervised` have.
pub(super) type RestartInPlace<A> = fn(&mut ContextFut<A, Context<A>>) -> bool;

/// What an adopted actor is made from.
pub(crate) struct Seed<A: Actor<Context = Context<A>>> {
    pub(super) factory: Factory<A>,
    /// None: every generation is a new actor with a new address.
    pub(super) in_place: Option<RestartInPlace<A>>,
    pub(super) restart: Restart,
}

/// The actor inside actix's context.
struct Life<A: Actor<Context = Context<A>>> {
    future: ContextFut<A, Context<A>>,
    /// `restart` refuses when nobody holds an address, and actix ends an actor whose last address is dropped.
    address: Addr<A>,
}

impl<A: Actor<Context = Context<A>>> Drop for Life<A> {
    fn drop(&mut self) {
        // Without this, `ContextFut::drop` would poll the actor once more.
        self.future.ctx().terminate();
    }
}

/// Owns the adopted actor.
pub(crate) struct AdoptedLoop<A: Actor<Context = Context<A>>> {
    shared: Arc<AdoptedShared<A>>,
    /// `None` only while it is dropped.
    factory: Option<Factory<A>>,
    in_place: Option<RestartInPlace<A>>,
    restart: Restart,
    life: Option<Life<A>>,
    /// A generation runs, as far as is known here.
    begun: bool,
    /// The context was told to stop. Once in a generation: the actor may refuse.
    told_to_stop: bool,
    /// Something is left of the generation before, and the actor is to be restarted in place.
    stale: bool,
}

impl<A: Actor<Context = Context<A>>> AdoptedLoop<A> {
    fn begin(&mut self) {
        if self.stale {
            self.restart_in_place();
        }
        if self.life.is_none()
            && let Some(factory) = self.factory.as_mut()
        {
            let future = Context::new().into_future(factory());
            self.life = Some(Life { address: future.address(), future });
        }
        if let Some(life) = self.life.as_mut() {
            // actix polls what waits last first: this comes after all that `started` waits for, and before any message.
            life.future.ctx().wait(Gate { shared: self.shared.clone() });
        }
        self.begun = true;
        self.told_to_stop = false;
    }

    fn restart_in_place(&mut self) {
        if let (Some(life), Some(restart)) = (self.life.as_mut(), self.in_place) {
            restart(&mut life.future);
        }
        // Not reached if it panicked: it is done again, then.
        self.stale = false;
    }

    /// Whether the generation that ends is certain to be followed by another.
    fn comes_back(&mut self) -> bool {
        match self.restart {
            Restart::Permanent => true,
            Restart::Transient => self.is_told() || !self.is_stopping(),
            Restart::Temporary => false,
        }
    }

    fn is_told(&self) -> bool {
        self.shared.control().flags.load(Relaxed) & STOP != 0
    }
}

impl<A: Actor<Context = Context<A>>> ActorLoop for AdoptedLoop<A> {
    type Shared = AdoptedShared<A>;
    type Seed = Seed<A>;

    fn new(shared: Arc<AdoptedShared<A>>, seed: Seed<A>) -> Self {
        let Seed { factory, in_place, restart } = seed;
        AdoptedLoop {
            shared,
            factory: Some(factory),
            in_place,
            restart,
            life: None,
            begun: false,
            told_to_stop: false,
            stale: false,
        }
    }

    fn poll(&mut self, task: &mut Task<'_>) -> Poll<()> {
        if !self.begun {
            self.begin();
        }
        let told = self.is_told();
        let Some(life) = self.life.as_mut() else { return Poll::Ready(()) };
        let meta = self.shared.meta();
        if told {
            if !replace(&mut self.told_to_stop, true) {
                meta.set_state(State::Stopping);
                life.future.ctx().stop();
            }
        } else if meta.state() == State::Suspended {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut life.future).poll(task);
        if polled.is_ready() && meta.state() == State::Starting {
            // It stopped itself in `started`: that is no start that failed.
            self.shared.started(life.address.clone());
        }
        polled
    }

    fn clear(&mut self) {
        let comes_back = self.comes_back();
        self.begun = false;
        if self.in_place.is_none() {
            self.shared.withdraw();
            return bury(self.life.take());
        }
        self.stale = self.life.is_some();
        // At once, so that whoever waits for an answer in flight hears of it. If it is not certain, then with the next
        // generation: the actor's `restarting` must not run for one that will not be.
        if self.stale && comes_back {
            self.restart_in_place();
        }
    }

    fn is_stopping(&mut self) -> bool {
        self.begun && self.life.as_mut().is_some_and(|life| life.future.ctx().state().stopping())
    }
}

impl<A: Actor<Context = Context<A>>> Drop for AdoptedLoop<A> {
    fn drop(&mut self) {
        // One by one: two panicking drops in one go would abort.
        bury(self.life.take());
        bury(self.factory.take());
    }
}

/// Under `ctx.wait`: the generation takes messages once this is done, unless the actor is suspended.
struct Gate<A: Actor<Context = Context<A>>> {
    shared: Arc<AdoptedShared<A>>,
}

impl<A: Actor<Context = Context<A>>> ActorFuture<A> for Gate<A> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut A, ctx: &mut Context<A>, _: &mut Task<'_>) -> Poll<()> {
        if self.shared.meta().state() == State::Starting {
            self.shared.started(ctx.address());
        }
        // The order to resume wakes the task.
        let suspended = self.shared.control().flags.load(Relaxed) & SUSPEND != 0;
        if suspended { Poll::Pending } else { Poll::Ready(()) }
    }
}
