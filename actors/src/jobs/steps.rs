//! What the run of a workflow's step can ask for.

use std::fmt;

use callboard_contracts::api::{JobInputs, WorkflowStep};
use futures_util::future::BoxFuture;

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

/// The way to the workflow of one attempt.
pub(crate) trait StepAccess: fmt::Debug + Send + Sync {
    /// What the steps behind this number have come to that the job waits for.
    fn inputs(&self, after: Option<u32>) -> BoxFuture<'static, Result<JobInputs, StepError>>;

    /// Adds steps.
    fn add(&self, steps: Vec<WorkflowStep>) -> BoxFuture<'static, Result<u32, StepError>>;
}
