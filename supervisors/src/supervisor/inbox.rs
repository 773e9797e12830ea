//! [`Inbox`]: what a supervisor's task has to read.

use std::collections::VecDeque;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::task::{Notice, Order, Orders};

#[derive(Default)]
struct Unread {
    notices: VecDeque<Notice>,
    orders: Orders,
}

/// Bounded: see [`Notice`] and [`Orders`].
#[derive(Default)]
pub(crate) struct Inbox {
    unread: Mutex<Unread>,
    pub(super) waker: AtomicWaker,
}

impl Inbox {
    pub(crate) fn put(&self, notice: Notice) {
        self.unread.lock().notices.push_back(notice);
        self.waker.wake();
    }

    pub(super) fn order(&self, order: Order) {
        self.unread.lock().orders.push(order);
        self.waker.wake();
    }

    /// The notices go into `notices`, which is empty.
    pub(super) fn take(&self, notices: &mut VecDeque<Notice>) -> Vec<Order> {
        let mut unread = self.unread.lock();
        std::mem::swap(&mut unread.notices, notices);
        unread.orders.take()
    }
}
