//! [`Shared`]: all that the two sides of an address share.

use std::{
    any::Any,
    sync::{
        Arc, OnceLock,
        atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst},
    },
};

use crate::{
    actix::Message,
    actor::Actor,
    envelope::{Boxed, Refused, Sealed},
    error::SpecError,
    handler::Handler,
    mailbox::{Displaced, Mailbox, MailboxSpec},
    meta::{ActorSnapshot, Kind, Meta, StopReason},
    reference::{Control, Controlled},
    registry::{Enrolment, RegisterError, Registry},
    sync::{AtomicUsize, fence},
    task::Order,
    telemetry::{Undelivered, UndeliveredReason},
    waiting::{Target, waits_of},
};

/// `Send + Sync` without a word of unsafe, although `A` may be neither.
pub(crate) struct Shared<A: Actor> {
    pub(crate) meta: Meta,
    pub(crate) mailbox: Mailbox<A>,
    pub(crate) control: Control,
    /// Whether the actor ends when nobody holds an address of it.
    counted: bool,
    /// Addresses that are held, if they are counted.
    references: AtomicUsize,
    /// The way to the registry; set when the actor is launched.
    enrolment: OnceLock<Enrolment>,
    /// Faults that a test wants.
    #[cfg(feature = "testkit")]
    pub(crate) script: parking_lot::Mutex<crate::testkit::Script>,
}

impl<A: Actor> Shared<A> {
    pub(crate) fn new(name: Arc<str>, mailbox: MailboxSpec) -> Self {
        Shared {
            meta: Meta::new(name, Kind::Actor, std::any::type_name::<A>()),
            mailbox: Mailbox::new(mailbox),
            control: Control::default(),
            counted: false,
            references: AtomicUsize::new(0),
            enrolment: OnceLock::new(),
            #[cfg(feature = "testkit")]
            script: parking_lot::Mutex::default(),
        }
    }

    /// Before anybody else has the address.
    pub(crate) fn set_mailbox(&mut self, mailbox: MailboxSpec) {
        self.mailbox = Mailbox::new(mailbox);
    }

    /// Before anybody else has the address.
    pub(crate) fn count_references(&mut self, count: bool) {
        self.counted = count;
    }

    pub(crate) fn counts_references(&self) -> bool {
        self.counted
    }

    /// One more address is held.
    pub(crate) fn retain(&self) {
        if self.counted {
            self.references.fetch_add(1, Relaxed);
        }
    }

    /// One address less is held. Whoever drops the last one has the actor look.
    pub(crate) fn release(&self) {
        if self.counted && self.references.fetch_sub(1, AcqRel) == 1 {
            fence(SeqCst);
            self.mailbox.wake();
        }
    }

    /// Nobody holds an address any more, and whatever was sent has been taken.
    pub(crate) fn is_deserted(&self) -> bool {
        self.counted && self.references.load(Acquire) == 0 && self.mailbox.depth() == 0
    }

    pub(crate) fn set_enrolment(&self, enrolment: Enrolment) {
        let _ = self.enrolment.set(enrolment);
    }

    pub(crate) fn registry(&self) -> Option<&Registry> {
        self.enrolment.get().map(Enrolment::registry)
    }

    /// The first message can be handled.
    pub(crate) fn started(&self) {
        self.control.started(&self.meta);
    }

    /// Puts a message in, or says at once why not.
    pub(crate) fn offer<M: Message>(&self, envelope: Box<Sealed<M>>) -> Result<(), Refused<M>>
    where
        A: Handler<M>,
    {
        let displaced = self.mailbox.offer(envelope)?;
        self.settle(displaced);
        Ok(())
    }

    /// As [`admit`](Self::admit) up to where it would wait: `Full` is not counted as a refusal.
    pub(crate) fn try_admit<M: Message>(&self, envelope: Box<Sealed<M>>) -> Result<(), Refused<M>>
    where
        A: Handler<M>,
    {
        let displaced = self.mailbox.try_admit(envelope)?;
        self.settle(displaced);
        Ok(())
    }

    /// Puts a message in, waiting for room where the policy says so.
    pub(crate) async fn admit<M: Message>(&self, envelope: Box<Sealed<M>>) -> Result<(), Refused<M>>
    where
        A: Handler<M>,
    {
        let displaced = self.mailbox.admit(envelope).await?;
        self.settle(displaced);
        Ok(())
    }

    /// Puts a message in, waiting for room for as long as it takes, whatever the policy.
    pub(crate) async fn admit_in_time<M: Message>(&self, envelope: Box<Sealed<M>>) -> Result<(), Refused<M>>
    where
        A: Handler<M>,
    {
        if let Some((older, reason)) = self.mailbox.admit_in_time(envelope).await? {
            self.lose(older, reason);
            // Whoever replaces its own messages never lacks room, and must let others run all the same.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    #[inline]
    fn settle(&self, displaced: Displaced<A>) {
        if let Some((envelope, reason)) = displaced {
            self.lose(envelope, reason);
        }
    }

    /// Tells whom it concerns that this message is not handled, and drops it.
    pub(crate) fn lose(&self, envelope: Boxed<A>, reason: UndeliveredReason) {
        if let Some(telemetry) = self.meta.telemetry() {
            telemetry.undelivered(|| Undelivered {
                actor: self.meta.id(),
                path: self.meta.path(),
                message_type: envelope.label().name(),
                reason,
            });
        }
        envelope.refuse(reason.to_asker());
    }

    /// Refuses everything that waits and everything that comes.
    pub(crate) fn close(&self) {
        for envelope in self.mailbox.close() {
            self.lose(envelope, UndeliveredReason::Stopped);
        }
    }
}

impl<A: Actor> Controlled for Shared<A> {
    fn control(&self) -> &Control {
        &self.control
    }

    fn awake(&self, task: &std::task::Context<'_>) {
        self.mailbox.awake(task);
    }

    fn enrol(self: &Arc<Self>) -> Result<(), RegisterError> {
        self.enrolment.get().map_or(Ok(()), |enrolment| enrolment.claim(self))
    }

    fn end(&self, reason: StopReason) {
        self.close();
        self.meta.end(reason);
    }
}

impl<A: Actor> Target for Shared<A> {
    fn meta(&self) -> &Meta {
        &self.meta
    }
}

/// A child as its supervisor sees it: an actor, or a supervisor.
pub(crate) trait Node: Send + Sync + 'static {
    fn meta(&self) -> &Meta;
    fn order(&self, order: Order);
    fn snapshot(&self) -> ActorSnapshot;
    /// Ends one that has no task: never launched.
    fn discard(&self, reason: StopReason);
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
    /// The first mistake in what is declared below, of a supervisor whose path will be this.
    fn check_below(&self, _path: &str) -> Result<(), SpecError> {
        Ok(())
    }
    /// Those that are there now, in their order, of a supervisor.
    fn children(&self) -> Vec<Arc<dyn Node>> {
        Vec::new()
    }
    /// The child with this name, of a supervisor.
    fn child(&self, _name: &str) -> Option<Arc<dyn Node>> {
        None
    }
}

impl<A: Actor> Node for Shared<A> {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn order(&self, order: Order) {
        self.control.order(&self.meta, order, || self.mailbox.wake());
    }

    fn snapshot(&self) -> ActorSnapshot {
        ActorSnapshot {
            depth: self.mailbox.depth(),
            capacity: self.mailbox.spec().capacity(),
            high_water: self.mailbox.high_water(),
            refused: self.mailbox.refused(),
            waits_for: waits_of(self.meta.id()),
            ..ActorSnapshot::of(&self.meta)
        }
    }

    fn discard(&self, reason: StopReason) {
        self.end(reason);
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
