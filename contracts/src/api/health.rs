//! Readiness and totals.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Why the server is not ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReadinessReason {
    /// The actor concerned, by its path in the tree.
    pub actor: String,
    /// What it says about itself.
    pub reason: String,
}

/// Whether the server does its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Readiness {
    /// `ready`, `starting`, `degraded` or `stopping`.
    pub status: String,
    /// The program's version.
    pub version: String,
    /// What is not ready, and why. What is listed while the server is ready, it does its work without.
    pub reasons: Vec<ReadinessReason>,
}

/// The totals of the old contract (`GET /stats`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Finished jobs: completed and failed.
    pub total_jobs: u64,
    /// Jobs that were completed.
    pub completed_jobs: u64,
    /// Jobs that failed for good or were cancelled.
    pub failed_jobs: u64,
    /// When the last of them finished; null before the first.
    pub last_event_time: Option<Timestamp>,
}
