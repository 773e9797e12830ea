//! [`Stage`]: actix's loop around one actor, polled by its task.

use std::{
    future::Future,
    pin::Pin,
    task::{Context as Task, Poll},
};

use ::actix::{ActorContext, dev::ContextFut};

use crate::{actix::ActorCell, actor::Actor, core::Core};

/// Owns the actor. Every method may run user code, and so may panic.
pub(crate) struct Stage<A: Actor>(ContextFut<ActorCell<A>, ::actix::Context<ActorCell<A>>>);

impl<A: Actor> Stage<A> {
    pub(crate) fn new(core: Core<A>) -> Self {
        Stage(::actix::Context::new().into_future(ActorCell::new(core)))
    }

    /// Works. `Ready` when the generation has ended by itself: stopped, or not started.
    pub(crate) fn poll(&mut self, task: &mut Task<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(task)
    }

    /// Drops what is left of the generation. The next poll starts a new one.
    pub(crate) fn clear(&mut self) {
        // `restart` refuses when nobody holds an address; holding one for this moment saves 120 bytes in every actor.
        let _address = self.0.address();
        self.0.restart();
    }
}

impl<A: Actor> Drop for Stage<A> {
    fn drop(&mut self) {
        // Without this, `ContextFut::drop` would poll the actor once more.
        self.0.ctx().terminate();
    }
}
