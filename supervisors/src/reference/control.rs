//! [`Control`]: orders to one actor, and its way to its supervisor.

use std::sync::{Arc, OnceLock, atomic::Ordering::SeqCst};

use crate::{
    meta::{Meta, State, StopReason},
    reference::Node,
    registry::RegisterError,
    sync::{AtomicU8, Mutex, fence},
    task::{Link, ORDERS, Order, Orders, SUSPEND},
};

/// What the address of an actor of any kind shares with the task that owns the actor.
#[derive(Default)]
pub(crate) struct Control {
    orders: Mutex<Orders>,
    /// Bits of `task`: orders wait, stop, suspend. One relaxed load per message.
    pub(crate) flags: AtomicU8,
    /// The way to the supervisor; set when the actor is launched.
    link: OnceLock<Link>,
}

impl Control {
    pub(crate) fn set_link(&self, link: Link) {
        let _ = self.link.set(link);
    }

    pub(crate) fn link(&self) -> Option<&Link> {
        self.link.get()
    }

    /// Gives an order to the task, which `wake` wakes.
    pub(crate) fn order(&self, meta: &Meta, order: Order, wake: impl FnOnce()) {
        // Read before the order can be obeyed: what it ends is this generation, or one that is known to come after it.
        let killed = (matches!(order, Order::Kill) && meta.state().is_at_work()).then(|| meta.generation());
        let is_first = self.orders.lock().push(order);
        self.flags.fetch_or(ORDERS, SeqCst);
        fence(SeqCst);
        wake();
        // The supervisor looks after a second whether it had any effect.
        if let (Some(generation), true, Some(link)) = (killed, is_first, self.link()) {
            link.killed(generation);
        }
    }

    pub(crate) fn take_orders(&self) -> Vec<Order> {
        self.flags.fetch_and(!ORDERS, SeqCst);
        self.orders.lock().take()
    }

    /// The first message can be handled.
    pub(crate) fn started(&self, meta: &Meta) {
        let suspended = self.flags.load(SeqCst) & SUSPEND != 0;
        meta.set_state(if suspended { State::Suspended } else { State::Running });
        if let Some(link) = self.link() {
            link.started(meta.generation());
        }
    }
}

/// A node that a task owns: an actor, its own or an adopted one.
pub(crate) trait Controlled: Node {
    fn control(&self) -> &Control;

    /// Called at the start of every poll of the task, so that orders wake it.
    fn awake(&self, task: &std::task::Context<'_>);

    /// Has the name in the registry that the specification says, if it says one.
    fn enrol(self: &Arc<Self>) -> Result<(), RegisterError> {
        Ok(())
    }

    /// Gone for good: what waits is refused.
    fn end(&self, reason: StopReason);
}
