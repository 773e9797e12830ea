//! What a user writes for each message: a [`Handler`] (async, exclusive) or a [`PlainHandler`] (plain, or concurrent).

use std::{
    future::{Future, pending},
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

    /// Of waiting messages of this type with the same key only the newest is handled, in the place of the oldest. The
    /// one that is replaced is [undelivered](crate::Undelivered), its asker hears `Evicted`. What the actor has taken
    /// already, a batch of up to 64, is out of reach. A replacement finds room also in a full mailbox, unless others
    /// wait for room before it. Runs on the sender's side, and a panic in here is the sender's. Default: no key.
    fn coalesce(_message: &M) -> Option<u64> {
        None
    }

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

    /// As [`Handler::coalesce`].
    fn coalesce(_message: &M) -> Option<u64> {
        None
    }
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

    fn coalesce(message: &M) -> Option<u64> {
        <A as PlainHandler<M>>::coalesce(message)
    }

    fn __run(core: &mut Core<Self>, message: M, to: ReplyTo<M::Result>, _: &mut Task<'_>) {
        run_plain(core, message, to);
    }
}

/// What a [`PlainHandler`] may return. Implemented for every type and for [`Later`](crate::Later); nobody else implements it.
pub trait Reply<A: Actor, R> {
    #[doc(hidden)]
    fn answer(self, to: ReplyTo<R>, cx: &mut Context<A>);
}

impl<A: Actor, R> Reply<A, R> for R {
    fn answer(self, to: ReplyTo<R>, _: &mut Context<A>) {
        to.send(self);
    }
}
