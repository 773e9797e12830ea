//! [`Trail`]: what is yet to be written to the audit trail.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use callboard_actors::{edges::store::record::NewAudit, roles::Handles};
use callboard_config::Change;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::sleep};
use uuid::Uuid;

use super::kept::Kept;

/// Entries that wait for the store at most; the oldest of more are only in the log.
const MOST: usize = 1000;
/// How long the store is left alone after it has not taken an entry, and no longer than that.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Entries that are yet to be written: settings change also while the store is away, which may be why somebody changes them.
#[derive(Default)]
pub(super) struct Trail {
    waiting: Mutex<VecDeque<NewAudit>>,
    more: Notify,
}

impl Trail {
    /// A setting has changed.
    pub(super) fn note(&self, change: &Change, by: &str, role: Option<&str>) {
        let source = change.source.as_ref().map(ToString::to_string);
        let detail = serde_json::json!({ "old": change.old, "new": change.new, "source": source });
        let entry = NewAudit {
            id: Uuid::now_v7(),
            by: by.to_owned(),
            role: role.map(str::to_owned),
            action: "setting.change".to_owned(),
            target: change.key.clone(),
            detail: Some(detail.to_string()),
        };
        let mut waiting = self.waiting.lock();
        if waiting.len() == MOST
            && let Some(lost) = waiting.pop_front()
        {
            tracing::error!(
                key = lost.target,
                detail = lost.detail,
                "the audit trail has no room for this change"
            );
        }
        waiting.push_back(entry);
        drop(waiting);
        self.more.notify_one();
    }
}

/// Writes what waits, for ever.
pub(super) async fn write(kept: Arc<Kept>, handles: Handles) {
    let (first, longest) = PAUSE;
    let mut pause = first;
    loop {
        // It stays where it is until it is written: the next generation goes on with it.
        let next = kept.trail.waiting.lock().front().cloned();
        let Some(entry) = next else {
            kept.trail.more.notified().await;
            continue;
        };
        let id = entry.id;
        match handles.note(entry, "done".to_owned()).await {
            Ok(()) => {
                kept.trail.waiting.lock().retain(|entry| entry.id != id);
                pause = first;
            }
            Err(error) => {
                tracing::debug!(%error, "a change of settings waits to be written to the audit trail");
                sleep(pause).await;
                pause = (2 * pause).min(longest);
            }
        }
    }
}
