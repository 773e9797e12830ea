//! The event envelope 1.0.0, and the event types.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::Timestamp;

/// What has happened to a job.
///
/// The first five are contract 1.0.0, each sent at most once a job; the others came with 1.1.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EventType {
    /// The job is stored.
    #[serde(rename = "job.created")]
    Created,
    /// A node has claimed it for the first time.
    #[serde(rename = "job.validated")]
    Validated,
    /// Its first run has begun.
    #[serde(rename = "job.executed")]
    Executed,
    /// It is done.
    #[serde(rename = "job.completed")]
    Completed,
    /// It has failed for good, or was cancelled.
    #[serde(rename = "job.failed")]
    Failed,
    /// An attempt began after the first one.
    #[serde(rename = "job.attempt_started")]
    AttemptStarted,
    /// An attempt failed, timed out or was lost with its node; another one follows.
    #[serde(rename = "job.attempt_failed")]
    AttemptFailed,
    /// A claimed job was handed back before its end, for example by a node that stops.
    #[serde(rename = "job.released")]
    Released,
    /// Somebody asked that a running job be cancelled.
    #[serde(rename = "job.cancel_requested")]
    CancelRequested,
    /// Its waiting time is over, or somebody ended it: the job is available again.
    #[serde(rename = "job.made_available")]
    MadeAvailable,
    /// Too many of its runs died with their nodes: it waits until somebody runs it again.
    #[serde(rename = "job.quarantined")]
    Quarantined,
    /// Its run asked to be continued later; the attempt does not count.
    #[serde(rename = "job.snoozed")]
    Snoozed,
    /// Its run has said how far it is; at most about once a second, and always the last word of a run.
    #[serde(rename = "job.progressed")]
    Progressed,
    /// Somebody has sent it a signal, which is stored.
    #[serde(rename = "job.signalled")]
    Signalled,
}

impl EventType {
    /// Every type.
    pub const ALL: [EventType; 14] = [
        EventType::Created,
        EventType::Validated,
        EventType::Executed,
        EventType::Completed,
        EventType::Failed,
        EventType::AttemptStarted,
        EventType::AttemptFailed,
        EventType::Released,
        EventType::CancelRequested,
        EventType::MadeAvailable,
        EventType::Quarantined,
        EventType::Snoozed,
        EventType::Progressed,
        EventType::Signalled,
    ];

    /// The type's name on every wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            EventType::Created => "job.created",
            EventType::Validated => "job.validated",
            EventType::Executed => "job.executed",
            EventType::Completed => "job.completed",
            EventType::Failed => "job.failed",
            EventType::AttemptStarted => "job.attempt_started",
            EventType::AttemptFailed => "job.attempt_failed",
            EventType::Released => "job.released",
            EventType::CancelRequested => "job.cancel_requested",
            EventType::MadeAvailable => "job.made_available",
            EventType::Quarantined => "job.quarantined",
            EventType::Snoozed => "job.snoozed",
            EventType::Progressed => "job.progressed",
            EventType::Signalled => "job.signalled",
        }
    }

    /// The contract version that an envelope of this type carries.
    pub const fn contract_version(self) -> &'static str {
        if self.is_original() { "1.0.0" } else { "1.1.0" }
    }

    /// Whether contract 1.0.0 knows this type.
    pub const fn is_original(self) -> bool {
        matches!(
            self,
            EventType::Created
                | EventType::Validated
                | EventType::Executed
                | EventType::Completed
                | EventType::Failed
        )
    }

    /// The type of this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == name)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which program an event came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Producer {
    /// The service's name.
    pub service: String,
    /// Which of its instances.
    pub instance_id: String,
    /// The service's version.
    pub version: String,
}

/// An event as it travels between programs: contract event envelope 1.0.0 (1.1.0 for the wider types).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EventEnvelope {
    /// The contract's version, `1.0.0` or `1.1.0`.
    #[schemars(regex(pattern = r"^\d+\.\d+\.\d+$"))]
    pub contract_version: String,
    /// What has happened.
    pub event_type: EventType,
    /// The event's id; whoever has seen it ignores it.
    pub event_id: Uuid,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Where it happened.
    pub producer: Producer,
    /// Ties together what one request has caused.
    pub correlation_id: Uuid,
    /// The job's id, or the key its submitter gave.
    pub idempotency_key: String,
    /// The job, as contract job 1.0.0, with `error` or `result` where there is one.
    pub payload: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_serialised_ones() {
        for event in EventType::ALL {
            assert_eq!(serde_json::to_value(event).unwrap(), event.as_str());
            assert_eq!(EventType::from_name(event.as_str()), Some(event));
        }
        assert_eq!(EventType::ALL.into_iter().filter(|event| event.is_original()).count(), 5);
    }
}
