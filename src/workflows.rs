//! Workflows of an [`App`].

use std::time::Duration;

use callboard_actors::{
    edges::store::workflow::{StepQuery, WorkflowFilter},
    roles::request::{
        CancelWorkflow, GetGraph, GetInputs, GetWorkflow, ListSteps, ListWorkflows, Origin, Refusal,
        ResumeWorkflow,
    },
};
use callboard_contracts::api::{
    JobInputs, StepList, StepState, SubmitWorkflow, WorkflowCancelled, WorkflowGraph, WorkflowList,
    WorkflowResumed, WorkflowState, WorkflowSubmitted, WorkflowView,
};
use callboard_supervisors::AskError;
use serde_json::Value;
use uuid::Uuid;

use crate::app::{ASK_LIMIT, App, AppError};

/// How often whoever waits for a workflow looks at it, when the log says nothing.
const LOOK: Duration = Duration::from_millis(250);

/// What an [`App`] can do with workflows: [`App::workflows`].
///
/// ```
/// use callboard::{App, contracts::api::{SubmitWorkflow, WorkflowState}, jobs::{Noop, Sleep, step}};
///
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let folder = tempfile::tempdir().unwrap();
/// let app = App::builder().data_dir(folder.path()).start().await?;
/// let workflow = SubmitWorkflow {
///     name: Some("a diamond".to_owned()),
///     steps: vec![
///         step("begin", &Noop {})?,
///         step("left", &Sleep { ms: 5 })?.waits_for(["begin"]),
///         step("right", &Sleep { ms: 1 })?.waits_for(["begin"]),
///         step("end", &Noop {})?.waits_for(["left", "right"]),
///     ],
///     ..SubmitWorkflow::default()
/// };
/// let submitted = app.workflows().submit(workflow).await?;
/// let ended = app.workflows().wait(submitted.id).await?;
/// assert_eq!((ended.state, ended.completed), (WorkflowState::Completed, 4));
/// # app.stop().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy)]
pub struct Workflows<'a> {
    app: &'a App,
}

impl<'a> Workflows<'a> {
    pub(crate) fn of(app: &'a App) -> Self {
        Workflows { app }
    }

    /// Submits a workflow. All of it is stored durably when this returns.
    ///
    /// # Errors
    /// [`AppError::Refused`] says what is wrong, with the place of each problem; nothing of it is stored then.
    pub async fn submit(self, workflow: SubmitWorkflow) -> Result<WorkflowSubmitted, AppError> {
        let workflow = serde_json::to_value(workflow).unwrap_or(Value::Null);
        let request = callboard_actors::roles::request::SubmitWorkflow { workflow, origin: Origin::here() };
        Ok(self.app.handles.gateway.ask_within(ASK_LIMIT, request).await??)
    }

    /// A workflow as it stands.
    ///
    /// # Errors
    /// [`AppError::Refused`] if there is none.
    pub async fn get(self, id: Uuid) -> Result<WorkflowView, AppError> {
        let found = self.app.handles.read_model.ask_within(ASK_LIMIT, GetWorkflow { id }).await?;
        let found = found.map_err(|error| self.app.store_error(error))?;
        found.ok_or(AppError::Refused(Refusal::NoSuchWorkflow(id)))
    }

    /// Waits until a workflow has ended, whichever way, and gives it. Dropping the future only ends the waiting.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn wait(self, id: Uuid) -> Result<WorkflowView, AppError> {
        let mut committed = self.app.store.committed();
        loop {
            committed.mark_unchanged();
            let workflow = self.get(id).await?;
            if workflow.state.has_ended() {
                return Ok(workflow);
            }
            // What ends a workflow need not be an event of its own.
            if let Ok(Err(_)) = tokio::time::timeout(LOOK, committed.changed()).await {
                return Err(AppError::Unanswered(AskError::Stopped));
            }
        }
    }

    /// A page of workflows, newest first: those in this state and of this name, if they are given. Give its `next_cursor` as
    /// `cursor` for the next one.
    ///
    /// # Errors
    /// [`AppError::Store`] if they cannot be read.
    pub async fn list(
        self,
        state: Option<WorkflowState>,
        name: Option<String>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<WorkflowList, AppError> {
        let before = cursor.and_then(|cursor| cursor.parse().ok());
        let request = ListWorkflows { filter: WorkflowFilter { state, name, before }, limit };
        let found = self.app.handles.read_model.ask_within(ASK_LIMIT, request).await?;
        found.map_err(|error| self.app.store_error(error))
    }

    /// A page of the steps of a workflow, in their order, of those in this state if it is given: those behind this number.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn steps(
        self,
        id: Uuid,
        state: Option<StepState>,
        limit: u32,
        after: Option<u32>,
    ) -> Result<StepList, AppError> {
        let request = ListSteps { id, query: StepQuery { state, after, limit } };
        let found = self.app.handles.read_model.ask_within(ASK_LIMIT, request).await?;
        let found = found.map_err(|error| self.app.store_error(error))?;
        found.ok_or(AppError::Refused(Refusal::NoSuchWorkflow(id)))
    }

    /// A workflow as a graph, of its first steps, `limit` at most; [`WorkflowGraph::mermaid`] draws it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn graph(self, id: Uuid, limit: u32) -> Result<WorkflowGraph, AppError> {
        let found = self.app.handles.read_model.ask_within(ASK_LIMIT, GetGraph { id, limit }).await?;
        let found = found.map_err(|error| self.app.store_error(error))?;
        found.ok_or(AppError::Refused(Refusal::NoSuchWorkflow(id)))
    }

    /// What the steps have come to that the job of a step waits for, behind this number.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a job that is of no workflow.
    pub async fn inputs(self, job: Uuid, after: Option<u32>, limit: u32) -> Result<JobInputs, AppError> {
        let found =
            self.app.handles.read_model.ask_within(ASK_LIMIT, GetInputs { job, after, limit }).await?;
        let found = found.map_err(|error| self.app.store_error(error))?;
        found.ok_or(AppError::NotFound(job))
    }

    /// Cancels all of a workflow that has not ended.
    ///
    /// # Errors
    /// [`AppError::Refused`], for example because it is completed.
    pub async fn cancel(self, id: Uuid) -> Result<WorkflowCancelled, AppError> {
        Ok(self.app.handles.gateway.ask_within(ASK_LIMIT, CancelWorkflow { id }).await??)
    }

    /// Runs the jobs of steps again that failed, or were cancelled, and that keep others from running.
    ///
    /// # Errors
    /// [`AppError::Refused`], for example because it is completed.
    pub async fn resume(self, id: Uuid) -> Result<WorkflowResumed, AppError> {
        Ok(self.app.handles.gateway.ask_within(ASK_LIMIT, ResumeWorkflow { id }).await??)
    }
}
