//! What the run of a workflow's step can ask for.

use std::fmt;

use callboard_contracts::api::{JobInputs, SubmitJob, WorkflowStep};
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::Job;

/// Why a run was not given what it asked of its workflow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// The job is of no workflow.
    #[error("the job is no step of a workflow")]
    NoStep,
    /// There is too much of it.
    #[error("the results of the steps before this one have more than {0} bytes: read them page by page")]
    TooLarge(usize),
    /// Another attempt has the job by now.
    #[error("this attempt does not hold the job any more")]
    Stale,
    /// The steps cannot be added; says why.
    #[error("the steps are not added: {0}")]
    Refused(String),
    /// The store cannot do it now.
    #[error("the store: {0}")]
    Unavailable(String),
}

/// A step of this name with this job, which has its type's options: for a workflow that is submitted, or one that a run adds to.
///
/// ```
/// use callboard_actors::jobs::{Sleep, step};
///
/// let second = step("second", &Sleep { ms: 5 })?.waits_for(["first"]);
/// assert_eq!(second.job.job_type, "sleep");
/// # Ok::<(), callboard_actors::jobs::StepError>(())
/// ```
///
/// # Errors
/// [`StepError::Refused`] if the job is no JSON object.
pub fn step<J: Job>(name: impl Into<String>, job: &J) -> Result<WorkflowStep, StepError> {
    let Ok(Value::Object(payload)) = serde_json::to_value(job) else {
        return Err(StepError::Refused(format!("a job of type {:?} is no JSON object", J::TYPE)));
    };
    let job = SubmitJob { job_type: J::TYPE.to_owned(), payload, ..SubmitJob::default() };
    Ok(WorkflowStep { name: name.into(), job, ..WorkflowStep::default() })
}

/// The way to the workflow of one attempt.
pub(crate) trait StepAccess: fmt::Debug + Send + Sync {
    /// What the steps behind this number have come to that the job waits for.
    fn inputs(&self, after: Option<u32>) -> BoxFuture<'static, Result<JobInputs, StepError>>;

    /// Adds steps.
    fn add(&self, steps: Vec<WorkflowStep>) -> BoxFuture<'static, Result<u32, StepError>>;
}
