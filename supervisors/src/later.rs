//! [`Later`]: a reply that does not come from the handler itself.

use std::{future::Future, pin::Pin};

use futures_util::FutureExt;
use tracing::Instrument;

use crate::{
    actix::Message, actor::Actor, context::Context, handler::Reply, reference::Recipient, reply::ReplyTo,
    telemetry::spans_are_on,
};

/// A reply that comes later, from a future that does not borrow the actor, or from another actor. Many may be under way
/// at once, up to [`MailboxSpec::concurrent_replies`](crate::MailboxSpec::concurrent_replies).
///
/// ```
/// use callboard_supervisors::*;
///
/// #[derive(Message)]
/// #[message(reply = usize)]
/// struct Length(String);
///
/// /// Measures short words itself, and has long ones measured by another.
/// struct Front(Recipient<Length>);
///
/// impl Actor for Front {
///     type Args = Recipient<Length>;
///     async fn start(other: Recipient<Length>, _: &mut Context<Self>) -> Result<Self, StartError> {
///         Ok(Front(other))
///     }
/// }
///
/// impl PlainHandler<Length> for Front {
///     type Reply = Later<usize>;
///     fn handle(&mut self, word: Length, _: &mut Context<Self>) -> Later<usize> {
///         if word.0.len() < 3 { Later::ready(word.0.len()) } else { Later::forward(&self.0, word) }
///     }
/// }
/// ```
pub struct Later<R>(Way<R>);

enum Way<R> {
    Ready(R),
    Future(Pin<Box<dyn Future<Output = R>>>),
    Forward(Box<dyn FnOnce(ReplyTo<R>)>),
}

impl<R> Later<R> {
    /// The future runs beside the mailbox, on the actor's thread, and is dropped when the generation ends. A panic in
    /// it ends the generation, as a panic in a handler does.
    pub fn new(future: impl Future<Output = R> + 'static) -> Self {
        Later(Way::Future(Box::pin(future)))
    }

    /// The reply is known already.
    pub fn ready(reply: R) -> Self {
        Later(Way::Ready(reply))
    }

    /// Another actor replies to `message` in the place of this one, straight to whoever asked. This one is done with
    /// it: it may go on, crash or stop. Never waits for room: if the other one has none or is gone, the asker hears
    /// why.
    pub fn forward<M: Message<Result = R>>(to: &Recipient<M>, message: M) -> Self
    where
        R: Send + 'static,
    {
        let other = to.clone();
        Later(Way::Forward(Box::new(move |reply| other.pass_on(message, reply))))
    }
}

// No overlap with the impl for every `R`: `R = Later<R>` has no solution.
impl<A: Actor, R: 'static> Reply<A, R> for Later<R> {
    fn answer(self, to: ReplyTo<R>, cx: &mut Context<A>) {
        match self.0 {
            Way::Ready(reply) => to.send(reply),
            Way::Future(future) if spans_are_on() => {
                cx.spawn_reply(future.map(|reply| to.send(reply)).in_current_span());
            }
            Way::Future(future) => cx.spawn_reply(future.map(|reply| to.send(reply))),
            Way::Forward(pass_on) => pass_on(to),
        }
    }
}
