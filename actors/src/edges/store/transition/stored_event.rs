//! Events as they come out of the log.

use std::time::Duration;

use callboard_contracts::{EventEnvelope, EventType, JobStatus, Producer, Timestamp, api::LogCursor};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::edges::store::record::LoggedEvent;

/// An event as it is stored, with what its envelope says of the job. Text is JSON.
#[derive(Clone, Debug)]
pub(crate) struct StoredEvent {
    pub(crate) cursor: LogCursor,
    pub(crate) id: Uuid,
    pub(crate) event: EventType,
    pub(crate) occurred_at: Timestamp,
    pub(crate) job: Uuid,
    pub(crate) job_type: String,
    pub(crate) queue: String,
    pub(crate) job_created_at: Timestamp,
    pub(crate) correlation_id: Uuid,
    pub(crate) attempt: u32,
    pub(crate) error: Option<String>,
    /// Microseconds.
    pub(crate) duration: Option<u64>,
    /// How far the run is.
    pub(crate) progress: Option<String>,
    pub(crate) instance: String,
    pub(crate) version: String,
    pub(crate) payload: Option<String>,
    pub(crate) metadata: Option<String>,
    pub(crate) document: Option<String>,
    /// Only for the event that tells of it.
    pub(crate) result: Option<String>,
}

impl StoredEvent {
    /// The event as readers get it.
    pub(crate) fn logged(self) -> LoggedEvent {
        let payload = self.contract_payload();
        LoggedEvent {
            cursor: self.cursor,
            queue: self.queue,
            job_type: self.job_type,
            duration: self.duration.map(Duration::from_micros),
            event: EventEnvelope {
                contract_version: self.event.contract_version().to_owned(),
                event_type: self.event,
                event_id: self.id,
                occurred_at: self.occurred_at,
                producer: Producer {
                    service: "callboard".to_owned(),
                    instance_id: self.instance,
                    version: self.version,
                },
                correlation_id: self.correlation_id,
                idempotency_key: self.job.to_string(),
                payload,
            },
        }
    }

    /// The fields of the contract document that we do not know stay; those that we know are ours.
    fn contract_payload(&self) -> Map<String, Value> {
        let mut payload = object(self.document.as_deref()).unwrap_or_default();
        payload.entry("createdAt").or_insert_with(|| json!(self.job_created_at));
        payload.insert("id".to_owned(), json!(self.job));
        payload.insert("type".to_owned(), json!(self.job_type));
        payload.insert("status".to_owned(), json!(status_after(self.event)));
        payload.insert("updatedAt".to_owned(), json!(self.occurred_at));
        if let Some(object) = object(self.payload.as_deref()) {
            payload.insert("payload".to_owned(), Value::Object(object));
        }
        if let Some(metadata) = object(self.metadata.as_deref()) {
            payload.insert("metadata".to_owned(), Value::Object(metadata));
        }
        if let Some(error) = &self.error {
            payload.insert("error".to_owned(), json!(error));
        }
        if let Some(result) = self.result.as_deref().and_then(|text| serde_json::from_str(text).ok()) {
            payload.insert("result".to_owned(), result);
        }
        match object(self.progress.as_deref()) {
            // It says in which state the job was, which such an event leaves as it is.
            Some(told) if self.event == EventType::Signalled => payload.extend(told),
            Some(progress) => drop(payload.insert("progress".to_owned(), Value::Object(progress))),
            None => {}
        }
        if !self.event.is_original() {
            payload.insert("attempt".to_owned(), json!(self.attempt));
        }
        payload
    }
}

fn object(text: Option<&str>) -> Option<Map<String, Value>> {
    text.and_then(|text| serde_json::from_str(text).ok())
}

/// The job's status at the moment after the event.
fn status_after(event: EventType) -> JobStatus {
    match event {
        EventType::Created
        | EventType::AttemptFailed
        | EventType::Released
        | EventType::MadeAvailable
        | EventType::Quarantined
        | EventType::Snoozed => JobStatus::Pending,
        EventType::Validated => JobStatus::Validated,
        EventType::Executed
        | EventType::AttemptStarted
        | EventType::CancelRequested
        | EventType::Progressed
        | EventType::Signalled => JobStatus::Executing,
        EventType::Completed => JobStatus::Completed,
        EventType::Failed => JobStatus::Failed,
    }
}

/// From where a read of the log begins, given the reader's place: the place after which events are read, and whether the
/// reader has missed some.
pub(crate) fn read_from(after: LogCursor, epoch: u64, oldest: u64, newest: u64) -> (u64, bool) {
    let missed = after.epoch != epoch || after.position + 1 < oldest || after.position > newest;
    // A reader of the very beginning has missed nothing as long as the beginning is there.
    let reset = missed && !(after == LogCursor::default() && oldest == 1);
    (if reset { oldest.saturating_sub(1) } else { after.position }, reset)
}
