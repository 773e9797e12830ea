//! The journals that hold something to be written.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Budget, Journal};

/// Bytes of lines that all attempts of a node may hold before they are written.
const BYTES: usize = 64 * 1024 * 1024;

/// The journals of a node that hold something to be written. Each is in it once.
pub(crate) struct Inbox {
    pub(crate) budget: Budget,
    journals: Mutex<Vec<Arc<Journal>>>,
    /// Told when one is added to none.
    added: Notify,
}

impl Default for Inbox {
    fn default() -> Self {
        Inbox::new(BYTES)
    }
}

impl Inbox {
    /// Empty, for attempts that hold so many bytes together.
    pub(super) fn new(bytes: usize) -> Self {
        Inbox { budget: Budget::new(bytes), journals: Mutex::default(), added: Notify::new() }
    }

    /// It holds something, and was not here.
    pub(super) fn add(&self, journal: &Arc<Journal>) {
        self.put_back([journal.clone()]);
    }

    /// Those that were taken out; whether they hold more is seen here.
    pub(crate) fn put_back(&self, journals: impl IntoIterator<Item = Arc<Journal>>) {
        let mut all = self.journals.lock();
        let before = all.len();
        all.extend(journals);
        if before == 0 && !all.is_empty() {
            self.added.notify_one();
        }
    }

    /// Waits until there is one.
    pub(crate) async fn filled(&self) {
        while self.journals.lock().is_empty() {
            self.added.notified().await;
        }
    }

    /// Takes those out, at most `most`, that are to be written now; those that hold nothing any more are gone. How long it
    /// is until the next one is.
    pub(crate) fn due(&self, now: Instant, most: usize) -> (Vec<Arc<Journal>>, Option<Duration>) {
        let mut due = Vec::new();
        let mut next: Option<Instant> = None;
        self.journals.lock().retain(|journal| match journal.due_at(now) {
            None => false,
            Some(at) if at <= now && due.len() < most => {
                due.push(journal.clone());
                false
            }
            Some(at) => {
                next = Some(next.map_or(at, |next| next.min(at)));
                true
            }
        });
        (due, next.map(|next| next.saturating_duration_since(now)))
    }
}
