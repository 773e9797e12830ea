//! Looking at jobs, and changing them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Form, JobEdit, JobProgress, PublishedState, Unique};
use crate::{JobState, JobStatus, Timestamp};

/// What kind of end an attempt came to, other than success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The job returned an error.
    Failed,
    /// The job panicked.
    Panicked,
    /// It took longer than it may.
    TimedOut,
    /// Its node died while it ran.
    Lost,
    /// It was cancelled.
    Cancelled,
    /// Its payload does not fit its type.
    InvalidPayload,
}

/// Why an attempt did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttemptError {
    /// What kind of end it was.
    pub kind: ErrorKind,
    /// What the job, or the runtime, says about it.
    pub message: String,
    /// Where it panicked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backtrace: Option<String>,
    /// Whether the job said that another attempt is of no use.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_final: bool,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// With a result.
    Completed,
    /// With an error.
    Failed,
    /// By a request to cancel it.
    Cancelled,
    /// It was handed back and does not count.
    Released,
}

/// One attempt that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttemptView {
    /// Which attempt, from 1.
    pub attempt: u32,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// The node that ran it.
    pub node: String,
    /// When it was claimed.
    pub claimed_at: Timestamp,
    /// When its run began; absent if it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<AttemptError>,
}

/// A job in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobSummary {
    /// Its id.
    pub id: Uuid,
    /// Its type.
    #[serde(rename = "type")]
    pub job_type: String,
    /// Its queue.
    pub queue: String,
    /// Where it is on its way.
    pub state: JobState,
    /// The same in the words of the event contract.
    pub status: JobStatus,
    /// Attempts begun so far.
    pub attempt: u32,
    /// Attempts it may take.
    pub max_attempts: u32,
    /// The higher, the sooner it runs.
    #[serde(default)]
    pub priority: i16,
    /// Words by which it is found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// By what it takes turns with the other jobs of its queue, and is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<String>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it becomes available, for a scheduled or retryable job; else since when it last was.
    pub scheduled_at: Timestamp,
    /// When the run of the current or last attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it reached its final state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Why it waits, where that is not just its turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_reason: Option<String>,
    /// The message of its last failed attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Of a dead job: the fingerprint of what it died of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// A job with all there is to know about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobDetail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: JobSummary,
    /// What it is about.
    pub payload: Map<String, Value>,
    /// What its maker wants to remember about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// What it gave, once completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: u64,
    /// Ties together what one request has caused.
    pub correlation_id: Uuid,
    /// The trace that it belongs to: 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The finished job of which this one is a replay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<Uuid>,
    /// What it waits for, in words; absent for a job that runs or is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// The edges that it needs: while one of them is tripped it waits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// When somebody asked to cancel it while it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_requested_at: Option<Timestamp>,
    /// How far its last run has said that it is; absent if it has said nothing, and when the next run is claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<JobProgress>,
    /// What its last run shows of itself; as `GET /api/v1/jobs/{id}/state` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<PublishedState>,
    /// What was changed when it was made of a finished job, and when others were made of it; of these at most the last 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<JobEdit>,
    /// The attempts that have ended, oldest first; at most the last 100.
    pub attempts: Vec<AttemptView>,
}

/// A page of jobs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobList {
    /// The jobs, newest first.
    pub jobs: Vec<JobSummary>,
    /// Give this as `cursor` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// The answer to a request to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Cancelled {
    /// The job's id.
    pub id: Uuid,
    /// Its state now: `cancelled`, or `executing` while the running attempt is being told.
    pub state: JobState,
}

/// The answer to a request to retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Retried {
    /// The job that will run: the same one if it was waiting, a new one if it was finished.
    pub id: Uuid,
    /// Its state now.
    pub state: JobState,
    /// The finished job of which it is a replay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<Uuid>,
}

/// A job type that the server knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobTypeView {
    /// Its name.
    #[serde(rename = "type")]
    pub job_type: String,
    /// What it does, from its documentation.
    pub description: String,
    /// The queue its jobs go to.
    pub queue: String,
    /// Attempts its jobs may take.
    pub max_attempts: u32,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: u64,
    /// When a failed attempt is followed by the next; an older server does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryView>,
    /// The largest payload of its jobs, with their metadata, in bytes, if it has a limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_payload: Option<u64>,
    /// The edges that its jobs need: while one of them is tripped they wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// That a job is to be the only one of its kind, unless it says so itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<Unique>,
    /// What a person is asked for to make one: the fields of the schema of its payload.
    #[serde(default)]
    pub form: Form,
    /// JSON Schema of its payload.
    pub payload_schema: Value,
    /// JSON Schema of its result.
    pub result_schema: Value,
}

/// When a failed attempt is followed by the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "policy", rename_all = "snake_case")]
pub enum RetryView {
    /// A failed attempt is the last one.
    Never,
    /// After always the same time.
    Fixed {
        /// How long, in milliseconds.
        delay_ms: u64,
    },
    /// Later each time.
    Exponential {
        /// After the first attempt, in milliseconds.
        first_ms: u64,
        /// At most, in milliseconds.
        max_ms: u64,
        /// How many times longer each time.
        factor: f64,
        /// The part of it that chance adds or takes off, 0 to 1.
        jitter: f64,
    },
    /// By a rule of its own, or one that is newer than this program.
    #[serde(other)]
    Other,
}
