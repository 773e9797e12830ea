//! Dead jobs: why they died, how they differ from a success, and what was changed when they were run again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::ErrorKind;
use crate::{JobState, Timestamp};

/// Jobs that are counted at most, wherever counting them one by one could take long.
pub const MOST_COUNTED: u64 = 10_000;
/// The longest reason that is kept with an edit or a bulk operation, in bytes.
pub const MAX_REASON: usize = 500;

/// Dead jobs of one type and queue that died of the same cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadCause {
    /// The cause's fingerprint: the same for errors that differ only in numbers, ids, paths, times and quoted words. Lists of
    /// jobs take it as a filter.
    pub cause: String,
    /// The cause for people.
    pub title: String,
    /// What kind of end the sample's last attempt came to.
    pub kind: ErrorKind,
    /// Their type.
    #[serde(rename = "type")]
    pub job_type: String,
    /// Their queue.
    pub queue: String,
    /// How many there are, counted up to 10,000.
    pub count: u64,
    /// Whether there may be more than `count`.
    pub at_least: bool,
    /// When the first of them died.
    pub first_at: Timestamp,
    /// When the last of them died.
    pub last_at: Timestamp,
    /// The one that died last.
    pub sample: Uuid,
}

/// A page of causes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadCauseList {
    /// The causes, by type, queue and cause.
    pub causes: Vec<DeadCause>,
    /// Give this as `cursor` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// How a payload is to differ when a finished job is run again. At most one of `payload` and `patch`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RetryEdit {
    /// The new job's payload, in the place of the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Map<String, Value>>,
    /// What changes in the payload: a JSON merge patch (RFC 7396), in which `null` takes a field away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<Map<String, Value>>,
    /// Why, for people; at most 500 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What was changed when a finished job was run again; shown with both jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobEdit {
    /// The job as it was, which stays so.
    pub original: Uuid,
    /// The job that was made of it.
    pub replay: Uuid,
    /// What differs in the payload, as a JSON merge patch (RFC 7396); absent if a merge patch cannot say it, as with a field that
    /// became `null`: then the two payloads do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<Map<String, Value>>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who has changed it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// A job beside the last success of its type and queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobComparison {
    /// The job.
    pub job: ComparedJob,
    /// The success; absent if none was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<ComparedJob>,
    /// Where the job's payload differs from that of the success, at most 200 places.
    pub differences: Vec<Difference>,
    /// Whether there are more places.
    pub more_differences: bool,
}

/// What is compared of a job, beside its payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ComparedJob {
    /// Its id.
    pub id: Uuid,
    /// Where it is on its way.
    pub state: JobState,
    /// Attempts begun.
    pub attempt: u32,
    /// Attempts it may take.
    pub max_attempts: u32,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: u64,
    /// The node of its last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// How long its last attempt ran, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran_ms: Option<u64>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// One place in which two payloads differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Difference {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// How.
    pub change: Change,
    /// What the success has there; a long value is cut short and says so.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub success: Option<Value>,
    /// What the job has there; likewise.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub job: Option<Value>,
}

/// How a payload differs from another one in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Only the job has it.
    Added,
    /// Only the success has it.
    Removed,
    /// Both have it, and it is not the same.
    Changed,
}

/// `null` is a value, too: no value is no field.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
