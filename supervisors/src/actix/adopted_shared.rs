//! [`AdoptedShared`]: what the two sides of an adopted actor's handle share.

use std::{
    any::{Any, type_name},
    sync::Arc,
    task::Context as Task,
};

use ::actix::{Actor, Addr, Context};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{
    meta::{ActorSnapshot, Kind, Meta, State, StopReason},
    reference::{Control, Controlled, Node},
    task::Order,
};

/// As `Shared`, without a mailbox: the queue is actix's.
pub(crate) struct AdoptedShared<A: Actor<Context = Context<A>>> {
    meta: Meta,
    control: Control,
    waker: AtomicWaker,
    /// Of the generation that takes messages.
    addr: Mutex<Option<Addr<A>>>,
}

impl<A: Actor<Context = Context<A>>> AdoptedShared<A> {
    pub(super) fn new(name: Arc<str>) -> Self {
        AdoptedShared {
            meta: Meta::new(name, Kind::Actor, type_name::<A>()),
            control: Control::default(),
            waker: AtomicWaker::new(),
            addr: Mutex::new(None),
        }
    }

    pub(super) fn addr(&self) -> Option<Addr<A>> {
        self.addr.lock().clone()
    }

    /// None once it is gone for good.
    pub(super) async fn wait_for_addr(&self) -> Option<Addr<A>> {
        self.meta.wait_until(|state| state == State::Stopped || self.addr.lock().is_some()).await;
        self.addr()
    }

    /// Waits until the task is between two polls. An asker hears of a panic while it still unwinds; after this, the
    /// address of the generation that panicked is withdrawn.
    pub(super) async fn settled(&self) {
        let (to, answer) = oneshot::channel();
        self.order(Order::Inspect(to));
        tokio::select! {
            _ = answer => {}
            _ = self.meta.watch() => {}
        }
    }

    /// The generation takes messages from now on. Whoever waits for the address hears of it.
    pub(super) fn started(&self, addr: Addr<A>) {
        let before = self.addr.lock().replace(addr);
        drop(before);
        self.control.started(&self.meta);
    }

    /// The generation whose address it is takes no more messages.
    pub(super) fn withdraw(&self) {
        let addr = self.addr.lock().take();
        drop(addr);
    }
}

impl<A: Actor<Context = Context<A>>> Controlled for AdoptedShared<A> {
    fn control(&self) -> &Control {
        &self.control
    }

    fn awake(&self, task: &Task<'_>) {
        self.waker.register(task.waker());
    }

    fn end(&self, reason: StopReason) {
        self.withdraw();
        self.meta.end(reason);
    }
}

impl<A: Actor<Context = Context<A>>> Node for AdoptedShared<A> {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn order(&self, order: Order) {
        self.control.order(&self.meta, order, || self.waker.wake());
    }

    fn snapshot(&self) -> ActorSnapshot {
        // actix shows nothing of its queue, and of no message when it is handled.
        ActorSnapshot::of(&self.meta)
    }

    fn discard(&self, reason: StopReason) {
        self.end(reason);
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
