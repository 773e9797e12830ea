//! A job that does nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Job, JobContext, JobError};

/// Does nothing, to measure and to try things out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Noop {}

impl Job for Noop {
    const TYPE: &'static str = "noop";
    type Output = ();

    async fn run(self, _: &JobContext) -> Result<(), JobError> {
        Ok(())
    }
}
