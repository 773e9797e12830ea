//! Queues.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A queue and what is in it. Numbers come from totals that are kept, not counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueView {
    /// Its name.
    pub name: String,
    /// How many of its jobs a node runs at once; 0 for a queue that no node here serves.
    pub concurrency: u32,
    /// Waiting jobs after which new ones are refused.
    pub max_backlog: u64,
    /// Jobs that wait for a handler.
    pub pending: u64,
    /// Jobs that wait for their time.
    pub scheduled: u64,
    /// Jobs that wait for their turn.
    pub available: u64,
    /// Jobs that a node has claimed.
    pub executing: u64,
    /// Jobs that wait for their next attempt.
    pub retryable: u64,
    /// Jobs that were completed, ever.
    pub completed: u64,
    /// Jobs that were cancelled, ever.
    pub cancelled: u64,
    /// Jobs that failed for good, ever.
    pub discarded: u64,
    /// Since when the job that has waited longest is available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_available_at: Option<Timestamp>,
    /// Since when none of its jobs are started, because somebody has paused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Timestamp>,
    /// Its jobs that may be with all nodes together at most, if somebody has set a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_running: Option<u32>,
}

/// What holds for a queue on all nodes together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct QueueLimits {
    /// Jobs that may be with all nodes together at most, at least 1; `null`: no limit but the nodes' own.
    #[schemars(range(min = 1))]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub max_running: Option<u32>,
}
