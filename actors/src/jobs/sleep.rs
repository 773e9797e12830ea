//! A job that waits.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Job, JobContext, JobError};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Waits for some milliseconds, at most a day, or until it is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sleep {
    /// How long, in milliseconds.
    #[schemars(range(max = DAY_MS))]
    pub ms: u64,
}

impl Job for Sleep {
    const TYPE: &'static str = "sleep";
    type Output = ();

    async fn run(self, cx: &JobContext) -> Result<(), JobError> {
        // Whoever stores jobs by other ways than the gate is bounded too.
        let time = Duration::from_millis(self.ms.min(DAY_MS));
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = cx.cancelled() => Err(JobError::retry("woken before its time")),
        }
    }
}
