//! Old events, kept for longer than the store's log keeps them, and where programs outside look for them.
//!
//! What is here is the port for reading; the backend writes as an [`EventSink`](super::sink::EventSink).

#[cfg(feature = "mongodb")]
mod document;
#[cfg(feature = "mongodb")]
mod mongodb;
#[cfg(feature = "mongodb")]
mod sink;

use std::{cmp::Reverse, fmt};

use callboard_contracts::{EventEnvelope, api::LogCursor};
use futures_util::future::BoxFuture;
use uuid::Uuid;

#[cfg(feature = "mongodb")]
pub use self::mongodb::{ArchiveSetupError, MongodbArchive, MongodbOptions};
use super::store::StoreHandle;

/// What an archive has.
#[derive(Clone, Debug, PartialEq)]
pub struct Archived {
    /// Events of contract 1.0.0, newest first.
    pub events: Vec<EventEnvelope>,
    /// Whether all that the log says up to the place that was asked for is in the archive. If not, the log has the rest.
    pub complete: bool,
}

impl Archived {
    /// With what the log says, newest first, added to it. At most `limit` events.
    pub(crate) fn with(self, log: Vec<EventEnvelope>, limit: usize) -> Vec<EventEnvelope> {
        let mut events = log;
        events.extend(self.events);
        // Ids of events that were made one after the other are in that order.
        events.sort_by_key(|event| Reverse((event.occurred_at, event.event_id)));
        events.dedup_by_key(|event| event.event_id);
        events.truncate(limit);
        events
    }
}

/// Reads events from a server outside.
pub trait ReadArchive: fmt::Debug + Send + Sync + 'static {
    /// The newest events of contract 1.0.0, of all jobs or of one, at most `limit`; `None` if the server is not there. `newest` is
    /// how far the log is known to go. Never waits for a connection to be made.
    fn recent(
        &self,
        store: StoreHandle,
        newest: LogCursor,
        job: Option<Uuid>,
        limit: u32,
    ) -> BoxFuture<'static, Option<Archived>>;
}

#[cfg(test)]
mod tests {
    use callboard_contracts::{EventType, Producer, Timestamp};

    use super::*;

    fn event(id: u128, at: i64) -> EventEnvelope {
        EventEnvelope {
            contract_version: "1.0.0".to_owned(),
            event_type: EventType::Created,
            event_id: Uuid::from_u128(id),
            occurred_at: Timestamp::from_micros(at),
            producer: Producer {
                service: "s".to_owned(),
                instance_id: "i".to_owned(),
                version: "v".to_owned(),
            },
            correlation_id: Uuid::nil(),
            idempotency_key: String::new(),
            payload: serde_json::Map::new(),
        }
    }

    #[test]
    fn what_the_archive_has_not_yet_comes_from_the_log_and_nothing_comes_twice() {
        let archived = Archived { events: vec![event(3, 20), event(2, 20), event(1, 10)], complete: false };
        let all = archived.with(vec![event(5, 20), event(4, 20), event(3, 20)], 4);
        let ids: Vec<u128> = all.iter().map(|event| event.event_id.as_u128()).collect();
        assert_eq!(ids, [5, 4, 3, 2]);
    }
}
