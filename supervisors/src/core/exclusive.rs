//! How the handler kinds run.

use std::task::Context as Task;

use tracing::{Instrument, Span};

use crate::{
    actix::Message,
    actor::{Actor, StartError},
    core::{Caught, Core, Salvage, Seat},
    handler::{Handler, PlainHandler, Reply},
    reply::ReplyTo,
};

/// An exclusive future: gives the seat back, or says why there is none.
pub(crate) type Running<A> = Caught<Result<Box<Seat<A>>, StartError>>;

/// An async handler: the seat moves into the future and comes back with it. No unsafe, and no borrow is kept.
pub(crate) fn run_exclusive<A: Handler<M>, M: Message>(
    core: &mut Core<A>,
    message: M,
    to: ReplyTo<M::Result>,
    span: Option<Box<Span>>,
    task: &mut Task<'_>,
) {
    let mut seat = Salvage(core.leave_seat());
    let future = async move {
        if let Some(Seat { actor, cx }) = seat.0.as_deref_mut() {
            let result = actor.handle(message, cx).await;
            to.send(result);
        }
        give_back(seat)
    };
    match span {
        None => core.exclusive(future, task),
        Some(span) => core.exclusive(future.instrument(*span), task),
    }
}

/// A plain or concurrent handler: nothing moves, nothing is allocated.
pub(crate) fn run_plain<A: PlainHandler<M>, M: Message>(
    core: &mut Core<A>,
    message: M,
    to: ReplyTo<M::Result>,
    span: Option<Box<Span>>,
) {
    let _entered = span.as_ref().map(|span| span.enter());
    if let Some(Seat { actor, cx }) = core.seat() {
        PlainHandler::handle(actor, message, cx).answer(to, cx);
    }
}

/// The stop hook.
pub(crate) fn run_stopping<A: Actor>(core: &mut Core<A>, task: &mut Task<'_>) {
    let mut seat = Salvage(core.leave_seat());
    let future = async move {
        if let Some(Seat { actor, cx }) = seat.0.as_deref_mut() {
            actor.stopping(cx).await;
        }
        give_back(seat)
    };
    core.exclusive(future, task);
}

pub(super) fn give_back<A: Actor>(mut seat: Salvage<A>) -> Result<Box<Seat<A>>, StartError> {
    seat.0.take().ok_or_else(|| "the actor's state is gone".into())
}
