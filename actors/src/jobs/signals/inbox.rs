//! The signals that wait for one attempt.

use std::{collections::VecDeque, sync::Arc};

use callboard_contracts::api::MOST_SIGNALS;
use parking_lot::Mutex;
use tokio::sync::{Notify, futures::Notified};
use uuid::Uuid;

use super::{Signal, SignalDesk, SignalError};
use crate::edges::store::{record::Lease, signals::SignalRecord};

/// The signals that wait for one attempt, in their order. It holds nothing, and costs nothing, until the run asks for one.
#[derive(Debug)]
pub(crate) struct SignalInbox {
    lease: Lease,
    desk: Arc<SignalDesk>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The run has asked for one.
    listens: bool,
    /// The store has been looked into since.
    filled: bool,
    /// The number of the newest that was here.
    newest: u32,
    waiting: VecDeque<Signal>,
    closed: bool,
}

impl SignalInbox {
    pub(crate) fn new(lease: Lease, desk: Arc<SignalDesk>) -> Arc<Self> {
        Arc::new(SignalInbox { lease, desk, state: Mutex::default(), changed: Notify::new() })
    }

    pub(crate) fn job(&self) -> Uuid {
        self.lease.id
    }

    pub(crate) fn token(&self) -> u64 {
        self.lease.token
    }

    /// Something was put in, or nothing will be any more.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Takes the first, of this name if one is given; the first time it begins to listen.
    pub(super) fn take(self: &Arc<Self>, name: Option<&str>) -> Result<Option<Signal>, SignalError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(SignalError::Ended);
        }
        if !std::mem::replace(&mut state.listens, true) {
            drop(state);
            self.desk.listen(self);
            return Ok(None);
        }
        let place = state.waiting.iter().position(|signal| name.is_none_or(|name| name == signal.name()));
        Ok(place.and_then(|place| state.waiting.remove(place)))
    }

    /// Whether the store has been looked into.
    pub(super) fn is_filled(&self) -> bool {
        self.state.lock().filled
    }

    /// The number behind which signals are needed; `None`: none are, for now or for good.
    pub(crate) fn after(&self) -> Option<u32> {
        let state = self.state.lock();
        (!state.closed && state.waiting.len() < MOST_SIGNALS as usize).then_some(state.newest)
    }

    /// These follow, in their order; `all`: and no others are in the store.
    pub(crate) fn put(&self, records: &[SignalRecord], all: bool) {
        let mut state = self.state.lock();
        for record in records {
            // What does not fit is read again.
            if state.closed || state.waiting.len() >= MOST_SIGNALS as usize {
                break;
            }
            if record.number > state.newest {
                state.newest = record.number;
                state.waiting.push_back(Signal::new(record.clone()));
            }
        }
        // A full one has all that can be taken now; there is nothing more to wait for.
        state.filled |= all || state.waiting.len() >= MOST_SIGNALS as usize;
        drop(state);
        self.changed.notify_waiters();
    }

    /// The attempt has ended.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.waiting.clear();
        drop(state);
        self.desk.leave(self);
        self.changed.notify_waiters();
    }
}
