//! Numbers over time.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Numbers over time, as far back as the node that was asked runs and keeps them.
///
/// | name | what |
/// |---|---|
/// | `submitted`, `started`, `completed`, `failed`, `retried`, `cancelled` | jobs, or attempts, per second |
/// | `available`, `executing`, `retryable` | jobs in that state at the end of the step |
/// | `oldest_ms` | for how long the job that has waited longest is available, the longest of the step |
/// | `wait_p50_ms`, `wait_p99_ms` | from available until the run began |
/// | `run_p50_ms`, `run_p99_ms` | what attempts took |
///
/// Of a single queue there are `completed`, `failed`, `available`, `executing` and `oldest_ms`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Series {
    /// The length of a step.
    pub resolution_ms: u64,
    /// When the last step ends.
    pub end: Timestamp,
    /// By name: a number for each step, oldest first, as many for each; null where there is none.
    pub points: BTreeMap<String, Vec<Option<f64>>>,
}
