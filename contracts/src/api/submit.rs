//! Submitting jobs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Problem, Unique};
use crate::{
    JobState, Timestamp,
    tag::{MAX_TAGS, TAG_PATTERN},
};

/// The lowest and the highest priority that a job may have.
pub const PRIORITIES: std::ops::RangeInclusive<i16> = -1000..=1000;

/// A job to be run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SubmitJob {
    /// The job type, one that the server knows.
    #[serde(rename = "type")]
    pub job_type: String,
    /// What the job is about; must fit the type's schema. Default: an empty object.
    #[serde(default)]
    pub payload: Map<String, Value>,
    /// The job's id. Submitting the same job with the same id again changes nothing. Default: a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// The queue. Default: the job type's own, mostly `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// How many attempts it may take, 1 to 1000. Default: the job type's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// How long one attempt may take, in milliseconds. Default: the job type's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The earliest time at which it may run, RFC 3339. One that has passed means now, as does none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Timestamp>,
    /// Of the jobs of a queue that are ready, the one with the highest priority runs first, -1000 to 1000; of equals,
    /// the one that is ready for longest, then the one that was stored first. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = -1000, maximum = 1000))]
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: Option<i16>,
    /// Words by which it is found again, at most 16 different ones, each of 1 to 64 letters, digits and `-_.:/@=+`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 16))]
    #[schemars(length(max = MAX_TAGS), inner(regex(pattern = TAG_PATTERN)))]
    pub tags: Vec<String>,
    /// Whom or what it is for: the jobs of a queue take turns by their keys, and limits by key hold for those that share
    /// one. 1 to 200 bytes of text without control characters. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 200))]
    #[schemars(length(min = 1, max = 200))]
    pub partition_key: Option<String>,
    /// That it is to be the only one of its kind. Default: the job type's, mostly none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<Unique>,
    /// What its maker wants to remember about it. It counts towards the size of the payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

/// Many jobs at once. Each is accepted or refused by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SubmitMany {
    /// The jobs, at most `web.max_batch` of them. Each is read by itself, so that a malformed one does not refuse the
    /// others.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<SubmitJob>))]
    #[schemars(with = "Vec<SubmitJob>")]
    pub jobs: Vec<Value>,
}

/// An accepted job. It is stored durably.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Submitted {
    /// The job's id.
    pub id: Uuid,
    /// The id of its `job.created` event.
    pub event_id: Uuid,
    /// Its state at the moment of acceptance; of a job submitted before, the state it is in now.
    pub state: JobState,
    /// Whether this very job had been accepted before, under the same id.
    pub duplicate: bool,
    /// Whether nothing was stored because another job has the place of its kind: all of this is that job's then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
    /// The job that had the place of its kind, and was cancelled for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Uuid>,
}

/// What became of one of many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum ItemOutcome {
    /// It is stored.
    Accepted(Submitted),
    /// It was refused, and why.
    Refused(Problem),
}

/// One line of the answer to many jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SubmittedItem {
    /// The job's place in the request, from 0.
    pub index: usize,
    /// The HTTP status that this job alone would have been answered with.
    pub status: u16,
    /// The acceptance, or the problem.
    pub outcome: ItemOutcome,
}

/// The answer to many jobs, in the order of the request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SubmitAnswer {
    /// How many were accepted.
    pub accepted: usize,
    /// How many were refused.
    pub refused: usize,
    /// One entry for each job.
    pub items: Vec<SubmittedItem>,
}
