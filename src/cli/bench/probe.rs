//! The job that says when it began.

use std::time::Duration;

use callboard::jobs::{Job, JobContext, JobError};
use rustix::time::{ClockId, clock_gettime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The time since the machine's start: the same clock in every process of it.
pub(super) fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Gives the time at which its run began.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Probe {}

impl Job for Probe {
    const TYPE: &'static str = "bench-probe";
    /// Nanoseconds of [`monotonic`].
    type Output = u64;

    async fn run(self, _: &JobContext) -> Result<u64, JobError> {
        let began = monotonic();
        u64::try_from(began.as_nanos()).map_err(|error| JobError::fatal(error.to_string()))
    }
}
