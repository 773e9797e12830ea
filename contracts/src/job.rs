//! Job 1.0.0 and the answer to its submission.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{Timestamp, name::JOB_TYPE_PATTERN};

/// The version of this contract.
pub const JOB_VERSION: &str = "1.0.0";

/// A job's state as the contract names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum JobStatus {
    /// It waits.
    Pending,
    /// A node has taken it.
    Validated,
    /// It runs.
    Executing,
    /// It is done.
    Completed,
    /// It has failed for good, or was called off.
    Failed,
}

/// A job as it travels between programs: contract job 1.0.0. Fields that are not named here are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[schemars(rename = "Job")]
#[serde(rename_all = "camelCase")]
pub struct ContractJob {
    /// The job's id, chosen by whoever makes it.
    pub id: Uuid,
    /// What kind of work it is: 1 to 50 letters, digits, `-`, `_` and `.`.
    #[schemars(regex(pattern = JOB_TYPE_PATTERN))]
    #[serde(rename = "type")]
    pub job_type: String,
    /// Where it is on its way.
    pub status: JobStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// What the work is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Map<String, Value>>,
    /// When it last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// What its maker wants to remember about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// Fields beyond the contract, passed on as they came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The answer to an accepted job: contract job accepted 1.0.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobAccepted {
    /// The job's id.
    pub job_id: Uuid,
    /// The id of its `job.created` event.
    pub event_id: Uuid,
}
