//! Doing the same with many jobs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::JobSummary;
use crate::{JobState, Timestamp};

/// What is done with each job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BulkAction {
    /// A waiting job runs now; of a finished one a new job is made.
    Retry,
    /// It is called off.
    Cancel,
}

impl BulkAction {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            BulkAction::Retry => "retry",
            BulkAction::Cancel => "cancel",
        }
    }
}

/// Which jobs: those that fit everything that is given. At least `state` or `cause` is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BulkFilter {
    /// Jobs in one of these states.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<JobState>,
    /// Dead jobs that died of this cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Jobs of this queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Jobs of this type.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub job_type: Option<String>,
    /// Jobs with this tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// That the same is to be done with many jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StartBulk {
    /// The operation's id. Sent again, the same one is not begun twice. Default: a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// What is done with each job.
    pub action: BulkAction,
    /// Which jobs.
    pub filter: BulkFilter,
    /// With `retry`, of finished jobs alone: what changes in the payload of each new job, a JSON merge patch (RFC 7396).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<Map<String, Value>>,
    /// Why, for people; at most 500 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Only count the jobs, and show some of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// What a bulk operation would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BulkPreview {
    /// What would be done with each job.
    pub action: BulkAction,
    /// Which jobs were looked for.
    pub filter: BulkFilter,
    /// How many jobs fit now; from 10,000 on, that many at least.
    pub matched: u64,
    /// Whether there may be more than `matched`.
    pub at_least: bool,
    /// The newest of them, at most 10.
    pub sample: Vec<JobSummary>,
}

/// Where a bulk operation is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BulkState {
    /// It goes on.
    Running,
    /// It has gone through all jobs.
    Done,
    /// Somebody has stopped it; what is done stays done.
    Stopped,
}

impl BulkState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            BulkState::Running => "running",
            BulkState::Done => "done",
            BulkState::Stopped => "stopped",
        }
    }
}

/// What became of one job of a bulk operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BulkOutcome {
    /// It was finished, and runs again as a new job.
    Replayed,
    /// It waited, and may run now.
    MadeAvailable,
    /// It is cancelled.
    Cancelled,
    /// It runs, and was told to end.
    ToldToEnd,
    /// It is in another state by now, or not there any more.
    Changed,
    /// Its state does not allow it.
    NotPossible,
    /// Its new payload does not fit its type.
    Invalid,
    /// Its new payload is too large.
    TooLarge,
}

impl BulkOutcome {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            BulkOutcome::Replayed => "replayed",
            BulkOutcome::MadeAvailable => "made_available",
            BulkOutcome::Cancelled => "cancelled",
            BulkOutcome::ToldToEnd => "told_to_end",
            BulkOutcome::Changed => "changed",
            BulkOutcome::NotPossible => "not_possible",
            BulkOutcome::Invalid => "invalid",
            BulkOutcome::TooLarge => "too_large",
        }
    }

    /// Whether it is what the operation was to do.
    pub fn is_success(self) -> bool {
        use BulkOutcome::{Cancelled, MadeAvailable, Replayed, ToldToEnd};
        matches!(self, Replayed | MadeAvailable | Cancelled | ToldToEnd)
    }
}

/// A job with which a bulk operation could not do what it was to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BulkProblem {
    /// The job.
    pub job: Uuid,
    /// What became of it.
    pub outcome: BulkOutcome,
    /// What was wrong.
    pub message: String,
}

/// A bulk operation and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BulkView {
    /// Its id.
    pub id: Uuid,
    /// What is done with each job.
    pub action: BulkAction,
    /// Which jobs.
    pub filter: BulkFilter,
    /// What changes in the payload of each new job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<Map<String, Value>>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who has begun it.
    pub by: String,
    /// When. Only jobs that fitted then are concerned.
    pub started_at: Timestamp,
    /// Where it is on its way.
    pub state: BulkState,
    /// Why it waits, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// How many jobs fitted when it was begun; from 10,000 on, that many at least.
    pub matched: u64,
    /// Whether there may have been more than `matched`.
    pub at_least: bool,
    /// How many it has dealt with.
    pub dealt_with: u64,
    /// What became of them.
    pub outcomes: BTreeMap<BulkOutcome, u64>,
    /// The first ones with which it could not do what it was to do, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<BulkProblem>,
    /// When it last went on.
    pub updated_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

impl BulkView {
    /// Problems that are told at most.
    pub const MOST_PROBLEMS: usize = 20;
}
