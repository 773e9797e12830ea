//! What a sink must have been told.

use callboard_actors::edges::store::StoreHandle;
use callboard_contracts::{EventType, api::LogCursor};
use uuid::Uuid;

/// What the log says, as sinks keep it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The ids of the events of contract 1.0.0, in order: what an archive has.
    pub events: Vec<Uuid>,
    /// Jobs that were completed.
    pub completed: u64,
    /// Jobs that have failed for good, or were cancelled.
    pub failed: u64,
}

/// What the log of this store says, from its beginning.
///
/// # Panics
/// If it cannot be read.
pub async fn log_of(store: &StoreHandle) -> Told {
    let mut after = LogCursor::default();
    let mut told = Told::default();
    loop {
        let page = store.events_after(after, None, 1000).await.unwrap();
        let Some(last) = page.events.last() else { return told };
        after = last.cursor;
        for event in &page.events {
            match event.event.event_type {
                EventType::Completed => told.completed += 1,
                EventType::Failed => told.failed += 1,
                _ => {}
            }
            if event.event.event_type.is_original() {
                told.events.push(event.event.event_id);
            }
        }
    }
}
