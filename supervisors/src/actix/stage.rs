//! [`Stage`]: actix's loop around one actor, polled by its task.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context as Task, Poll},
};

use ::actix::{ActorContext, dev::ContextFut};

use crate::{actix::ActorCell, actor::Actor, core::Core, reference::Shared, task::ActorLoop};

/// Owns the actor.
pub(crate) struct Stage<A: Actor>(ContextFut<ActorCell<A>, ::actix::Context<ActorCell<A>>>);

impl<A: Actor> ActorLoop for Stage<A> {
    type Shared = Shared<A>;
    type Seed = A::Args;

    fn new(shared: Arc<Shared<A>>, args: A::Args) -> Self {
        Stage(::actix::Context::new().into_future(ActorCell::new(Core::new(shared, args))))
    }

    fn poll(&mut self, task: &mut Task<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(task)
    }

    fn clear(&mut self) {
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
