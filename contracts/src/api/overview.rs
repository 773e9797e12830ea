//! What there is, and how it goes, at one look.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Readiness;
use crate::Timestamp;

/// Jobs in each state, over all queues; the final ones ever since, whatever was pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StateTotals {
    /// Wait for a handler, or for other steps of their workflows.
    pub pending: u64,
    /// Wait for their time.
    pub scheduled: u64,
    /// Wait for their turn.
    pub available: u64,
    /// Claimed by a node.
    pub executing: u64,
    /// Wait for their next attempt.
    pub retryable: u64,
    /// Done.
    pub completed: u64,
    /// Called off.
    pub cancelled: u64,
    /// Failed for good.
    pub discarded: u64,
}

/// What happens to jobs, each per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rates {
    /// Were stored.
    pub submitted: f64,
    /// Runs that began.
    pub started: f64,
    /// Were completed.
    pub completed: f64,
    /// Failed for good.
    pub failed: f64,
    /// Attempts that failed and are followed by another one.
    pub retried: f64,
    /// Were called off.
    pub cancelled: f64,
}

/// How long something took, in milliseconds: so long or shorter for half of the times, for 95 and for 99 in a hundred. Within a
/// tenth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Latency {
    /// The median.
    pub p50_ms: f64,
    /// The 95th percentile.
    pub p95_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
}

/// How much an alert matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AlertSeverity {
    /// Work is not done that should be.
    Critical,
    /// It may come to that.
    Warning,
}

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Alert {
    /// How much it matters.
    pub severity: AlertSeverity,
    /// What kind of thing it is about: `actor`, `edge`, `node` or `queue`.
    pub source: String,
    /// Which one: an actor's path, or a name.
    pub subject: String,
    /// What is the matter.
    pub text: String,
    /// Since when, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// What there is, and how it goes, at one look: of the whole fleet, but for `readiness`, `version` and `started_at`, which are
/// those of the node that was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Overview {
    /// When.
    pub at: Timestamp,
    /// The node that was asked.
    pub node: String,
    /// Its program's version.
    pub version: String,
    /// Since when it runs.
    pub started_at: Timestamp,
    /// Whether it does its work.
    pub readiness: Readiness,
    /// Jobs in each state.
    pub totals: StateTotals,
    /// What has happened in the last ten seconds.
    pub rates: Rates,
    /// From the time at which jobs were available until a run of theirs began, over the last minute; absent if none began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Latency>,
    /// What attempts took, over the last minute; absent if none ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Latency>,
    /// Nodes of the fleet.
    pub nodes: u64,
    /// What a person should look at, critical things first; at most 100.
    pub alerts: Vec<Alert>,
}
