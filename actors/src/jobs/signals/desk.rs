//! The attempts of a node that listen for signals.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::{Notify, futures::Notified};
use uuid::Uuid;

use super::SignalInbox;

/// The inboxes of a node's attempts that listen, by the tokens of their leases.
#[derive(Debug, Default)]
pub(crate) struct SignalDesk {
    inboxes: Mutex<BTreeMap<u64, Entry>>,
    told: Notify,
}

#[derive(Debug)]
struct Entry {
    job: Uuid,
    /// An attempt that is gone took its inbox along.
    inbox: Weak<SignalInbox>,
    /// There may be something for it.
    due: bool,
}

impl SignalDesk {
    /// Resolves when an inbox is due.
    pub(crate) fn told(&self) -> Notified<'_> {
        self.told.notified()
    }

    /// It is to be filled, now and whenever there is news.
    pub(super) fn listen(&self, inbox: &Arc<SignalInbox>) {
        let entry = Entry { job: inbox.job(), inbox: Arc::downgrade(inbox), due: true };
        self.inboxes.lock().insert(inbox.token(), entry);
        self.told.notify_one();
    }

    pub(super) fn leave(&self, inbox: &SignalInbox) {
        self.inboxes.lock().remove(&inbox.token());
    }

    /// A signal was sent to this job.
    pub(crate) fn news(&self, job: Uuid) {
        let mut found = false;
        for entry in self.inboxes.lock().values_mut().filter(|entry| entry.job == job) {
            entry.due = true;
            found = true;
        }
        if found {
            self.told.notify_one();
        }
    }

    /// Anything may have been sent.
    pub(crate) fn news_for_all(&self) {
        let mut inboxes = self.inboxes.lock();
        inboxes.values_mut().for_each(|entry| entry.due = true);
        if !inboxes.is_empty() {
            self.told.notify_one();
        }
    }

    /// Whether nobody listens.
    pub(crate) fn is_empty(&self) -> bool {
        self.inboxes.lock().is_empty()
    }

    /// Those for which there may be something, which are not due any more.
    pub(crate) fn take_due(&self) -> Vec<Arc<SignalInbox>> {
        let mut due = Vec::new();
        self.inboxes.lock().retain(|_, entry| {
            let Some(inbox) = entry.inbox.upgrade() else { return false };
            if std::mem::take(&mut entry.due) {
                due.push(inbox);
            }
            true
        });
        due
    }
}
