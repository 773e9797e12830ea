//! The workflow of one attempt, as its run has it.

use std::{fmt, sync::Arc};

use callboard_contracts::api::{JobInputs, WorkflowStep};
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::Value;

use super::{Shown, inputs, request::AddSteps};
use crate::{
    edges::store::record::Lease,
    jobs::{StepError, steps::StepAccess},
    roles::{
        gateway,
        node::Node,
        request::{Origin, Refusal},
    },
};

/// Steps of which one page tells.
const PAGE: u32 = 1000;

/// The way of one attempt to its workflow.
pub(crate) struct AttemptSteps {
    pub(crate) node: Arc<Node>,
    pub(crate) lease: Lease,
    pub(crate) origin: Origin,
}

impl fmt::Debug for AttemptSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttemptSteps").field("lease", &self.lease).finish_non_exhaustive()
    }
}

impl StepAccess for AttemptSteps {
    fn inputs(&self, after: Option<u32>) -> BoxFuture<'static, Result<JobInputs, StepError>> {
        let (node, job) = (self.node.clone(), self.lease.id);
        async move {
            let found = inputs(&node, Shown::ToRun, job, after, PAGE).await;
            let found = found.map_err(|error| StepError::Unavailable(error.to_string()))?;
            found.ok_or(StepError::NoStep)
        }
        .boxed()
    }

    fn add(&self, steps: Vec<WorkflowStep>) -> BoxFuture<'static, Result<u32, StepError>> {
        let (node, lease, origin) = (self.node.clone(), self.lease, self.origin);
        async move {
            let steps = steps.into_iter().map(|step| serde_json::to_value(step).unwrap_or(Value::Null));
            let request = AddSteps { lease, steps: steps.collect(), origin };
            match gateway::add_steps(&node, request).await {
                Ok(Some(added)) => Ok(added),
                Ok(None) => Err(StepError::Stale),
                Err(Refusal::Unavailable(error)) => Err(StepError::Unavailable(error.to_string())),
                Err(Refusal::NotFound(_)) => Err(StepError::NoStep),
                Err(refusal) => Err(StepError::Refused(refusal.to_string())),
            }
        }
        .boxed()
    }
}
