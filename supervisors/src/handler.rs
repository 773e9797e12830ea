//! What a user writes for each message: a [`Handler`] (async, exclusive) or a [`PlainHandler`] (plain, or concurrent).

use std::{
    future::{Future, pending},
    pin::Pin,
    task::Context as Task,
};

use crate::{
    actix::Message,
    actor::Actor,
    context::Context,
    core::{Core, run_exclusive, run_plain},
    reply::ReplyTo,
};

/// Handles `M` with the actor held exclusively: the next message waits until the future is done.
///
/// This is also the one bound that generic code needs, whatever the kind: `A: Handler<M>`.
///
/// While the future waits, futures spawned earlier and [`Later`] replies go on; timers that want the actor fire when
/// it is free again. A body that is ready at once costs little more than a plain one.
#[diagnostic::on_unimplemented(
    message = "the actor `{Self}` does not handle the message `{M}`",
    note = "implement `Handler<{M}>` (async) or `PlainHandler<{M}>` (plain or concurrent) for `{Self}`"
)]
pub trait Handler<M: Message>: Actor {
    /// Handles one message. A panic ends this generation of the actor; the asker hears `Panicked`.
    fn handle(&mut self, message: M, cx: &mut Context<Self>) -> impl Future<Output = M::Result>;

    #[doc(hidden)]
    fn __run(core: &mut Core<Self>, message: M, to: ReplyTo<M::Result>, task: &mut Task<'_>) {
        run_exclusive(core, message, to, task);
    }
}

/// Handles `M` at once (`type Reply = M::Result`), or hands back a future that does not borrow the actor
/// (`type Reply = Later<M::Result>`) while further messages are handled.
pub trait PlainHandler<M: Message>: Actor {
    /// The message's result, or [`Later`].
    type Reply: Reply<Self, M::Result>;

    /// Handles one message. A panic ends this generation of the actor; the asker hears `Panicked`.
    fn handle(&mut self, message: M, cx: &mut Context<Self>) -> Self::Reply;
}

/// The one blanket impl that the coherence rules leave room for (as `ToString` beside `Display`).
impl<A: PlainHandler<M>, M: Message> Handler<M> for A {
    async fn handle(&mut self, message: M, cx: &mut Context<Self>) -> M::Result {
        let (to, reply) = ReplyTo::pair();
        PlainHandler::handle(self, message, cx).answer(to, cx);
        match reply.await {
            Ok(Ok(result)) => result,
            // The reply was dropped because this generation ends, and with it this future.
            _ => pending().await,
        }
    }

    fn __run(core: &mut Core<Self>, message: M, to: ReplyTo<M::Result>, _: &mut Task<'_>) {
        run_plain(core, message, to);
    }
}

/// What a [`PlainHandler`] may return. Implemented for every type and for [`Later`]; nobody else implements it.
pub trait Reply<A: Actor, R> {
    #[doc(hidden)]
    fn answer(self, to: ReplyTo<R>, cx: &mut Context<A>);
}

impl<A: Actor, R> Reply<A, R> for R {
    fn answer(self, to: ReplyTo<R>, _: &mut Context<A>) {
        to.send(self);
    }
}

/// A reply that comes later, from a future that does not borrow the actor. Many may be under way at once.
///
/// A panic in the future ends the actor's generation, as a panic in a handler does.
pub struct Later<R>(Pin<Box<dyn Future<Output = R>>>);

impl<R> Later<R> {
    /// The future runs beside the mailbox, on the actor's thread, and is dropped when the generation ends.
    pub fn new(future: impl Future<Output = R> + 'static) -> Self {
        Later(Box::pin(future))
    }
}

// No overlap with the impl above: `R = Later<R>` has no solution.
impl<A: Actor, R: 'static> Reply<A, R> for Later<R> {
    fn answer(self, to: ReplyTo<R>, cx: &mut Context<A>) {
        cx.spawn(async move { to.send(self.0.await) });
    }
}
