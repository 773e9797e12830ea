//! A message on its way, its type erased.

use std::{
    any::{Any, TypeId},
    task::Context as Task,
};

use crate::{
    actix::Message,
    actor::Actor,
    core::{Core, bury},
    error::{AskError, SendError},
    handler::Handler,
    label::{Label, Labelled},
    mailbox::Key,
    reply::{Answer, ReplyTo},
    telemetry::Sender,
};

pub(crate) struct Sealed<M: Message> {
    message: M,
    to: ReplyTo<M::Result>,
    sender: Sender,
}

impl<M: Message> Sealed<M> {
    pub(crate) fn tell(message: M) -> Box<Self> {
        Box::new(Sealed { message, to: ReplyTo::nobody(), sender: Sender::here() })
    }

    /// A message whose reply goes to somebody who asked another actor.
    pub(crate) fn forwarded(message: M, to: ReplyTo<M::Result>) -> Box<Self> {
        Box::new(Sealed { message, to, sender: Sender::here() })
    }

    /// Tells the asker why, and drops the message; a panicking `Drop` of it stays in here.
    pub(crate) fn turn_away(mut self: Box<Self>, why: AskError) {
        self.to.refuse(why);
        bury(self);
    }

    pub(crate) fn into_message(self) -> M {
        self.message
    }

    /// How messages of this type that `A` handles are coalesced.
    pub(crate) fn key<A: Handler<M>>(&self) -> Option<Key> {
        A::coalesce(&self.message).map(|key| (TypeId::of::<M>(), key))
    }

    pub(crate) fn ask(message: M) -> (Box<Self>, Answer<M::Result>) {
        let (to, answer) = ReplyTo::pair();
        (Box::new(Sealed { message, to, sender: Sender::here() }), answer)
    }

    #[cfg(feature = "testkit")]
    pub(crate) fn unseal(self) -> (M, ReplyTo<M::Result>) {
        (self.message, self.to)
    }
}

/// An envelope that was not taken.
pub(crate) type Refused<M> = SendError<Box<Sealed<M>>>;

/// Its message is given back.
impl<M: Message> From<Refused<M>> for SendError<M> {
    fn from(refused: Refused<M>) -> Self {
        match refused {
            SendError::Full(envelope) => SendError::Full(envelope.into_message()),
            SendError::Stopped(envelope) => SendError::Stopped(envelope.into_message()),
        }
    }
}

impl<M: Message> Refused<M> {
    /// Tells the asker why, and drops the message; a panicking `Drop` of it stays in here.
    pub(crate) fn tell_asker(self) {
        match self {
            SendError::Full(envelope) => envelope.turn_away(AskError::Full),
            SendError::Stopped(envelope) => envelope.turn_away(AskError::Stopped),
        }
    }
}

/// What the mailbox holds. `A` may be `!Send`: it only names the receiver.
pub(crate) trait Envelope<A>: Send {
    /// Hands the message to its handler.
    fn open(self: Box<Self>, core: &mut Core<A>, task: &mut Task<'_>)
    where
        A: Actor;
    fn label(&self) -> &'static Label;
    /// Tells the asker, if any, and drops the message; a panicking `Drop` of it stays in here.
    fn refuse(self: Box<Self>, why: AskError);
    /// The way back to the [`Sealed`] that was put in.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

pub(crate) type Boxed<A> = Box<dyn Envelope<A>>;

impl<A: Handler<M>, M: Message> Envelope<A> for Sealed<M> {
    fn open(self: Box<Self>, core: &mut Core<A>, task: &mut Task<'_>) {
        if self.to.is_abandoned() {
            return core.skip(self);
        }
        let Sealed { message, to, sender } = *self;
        let span = core.announce(M::LABEL, sender);
        A::__run(core, message, to, span, task);
    }

    fn label(&self) -> &'static Label {
        M::LABEL
    }

    fn refuse(self: Box<Self>, why: AskError) {
        self.turn_away(why);
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
