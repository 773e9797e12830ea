//! [`Inbox`]: what a supervisor's task has to read.

use std::{
    collections::VecDeque,
    sync::OnceLock,
    task::{Context as Task, Waker},
};

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
    /// The supervisor's task never changes, so its waker is kept.
    waker: OnceLock<Waker>,
}

impl Inbox {
    pub(crate) fn put(&self, notice: Notice) {
        self.unread.lock().notices.push_back(notice);
        self.wake();
    }

    pub(super) fn order(&self, order: Order) {
        self.unread.lock().orders.push(order);
        self.wake();
    }

    fn wake(&self) {
        // None yet: the first poll takes what is there by then. The lock says which of the two came first.
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// To be called before [`take`](Self::take): whatever comes after that wakes the task.
    pub(super) fn awake(&self, task: &Task<'_>) {
        self.waker.get_or_init(|| task.waker().clone());
    }

    /// The notices go into `notices`, which is empty.
    pub(super) fn take(&self, notices: &mut VecDeque<Notice>) -> Vec<Order> {
        let mut unread = self.unread.lock();
        std::mem::swap(&mut unread.notices, notices);
        unread.orders.take()
    }
}
