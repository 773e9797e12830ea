//! Orders: obeyed before any message, also while an exclusive handler waits.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::meta::ActorSnapshot;

/// Orders wait.
pub(crate) const ORDERS: u8 = 1;
/// Stop at the next message boundary.
pub(crate) const STOP: u8 = 2;
/// Handle no messages.
pub(crate) const SUSPEND: u8 = 4;

pub(crate) enum Order {
    /// By anybody: an orderly end for good.
    Stop,
    /// By anybody: a crash.
    Kill,
    Suspend,
    Resume,
    /// By anybody: an orderly end, and the next generation.
    Restart,
    Inspect(oneshot::Sender<ActorSnapshot>),
    /// By the supervisor: begin a generation after a pause.
    Start {
        generation: u64,
        after: Duration,
    },
    /// By the supervisor: an orderly end, which it times itself. The address stays unless it is for good.
    Halt {
        for_good: bool,
    },
    /// By the supervisor: an end at once, without the stop hook.
    Abort {
        for_good: bool,
    },
    /// By the supervisor, between two generations: there will be no further one.
    Close,
}

/// The queue of orders. Bounded: an order that says the same as one that waits is not added.
#[derive(Default)]
pub(crate) struct Orders(Vec<Order>);

impl Orders {
    /// Gives whether none of this kind waited already.
    pub(crate) fn push(&mut self, order: Order) -> bool {
        let kind = std::mem::discriminant(&order);
        let is_first = self.0.iter().all(|waiting| std::mem::discriminant(waiting) != kind);
        self.0.retain(|waiting| !supersedes(&order, waiting));
        self.0.push(order);
        is_first
    }

    pub(crate) fn take(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.0)
    }
}

fn supersedes(new: &Order, waiting: &Order) -> bool {
    match (new, waiting) {
        (Order::Suspend | Order::Resume, Order::Suspend | Order::Resume) => true,
        (_, Order::Inspect(to)) => to.is_closed(),
        (Order::Stop, Order::Stop) | (Order::Kill, Order::Kill) | (Order::Restart, Order::Restart) => true,
        _ => false,
    }
}
