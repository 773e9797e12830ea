//! Calls about workflows.

use callboard_contracts::api::{
    JobInputs, StepList, StepState, SubmitWorkflow, WorkflowCancelled, WorkflowGraph, WorkflowList,
    WorkflowResumed, WorkflowState, WorkflowSubmitted, WorkflowView,
};
use serde_json::json;
use uuid::Uuid;

use crate::{Client, ClientError, request::Call};

/// Which workflows a page shows. Empty fields let everything pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkflowQuery {
    /// Only those in this state.
    pub state: Option<WorkflowState>,
    /// Only those that are called so.
    pub name: Option<String>,
    /// How many at most, 1 to 1000. Default: the server's.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Which steps a page shows. Empty fields let everything pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkflowStepQuery {
    /// Only those in this state.
    pub state: Option<StepState>,
    /// How many at most, 1 to 1000. Default: the server's.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

fn parameters(
    state: Option<&str>,
    limit: Option<u32>,
    cursor: Option<&String>,
) -> Vec<(&'static str, String)> {
    let state = state.map(|state| ("state", state.to_owned()));
    let limit = limit.map(|limit| ("limit", limit.to_string()));
    let cursor = cursor.map(|cursor| ("cursor", cursor.clone()));
    [state, limit, cursor].into_iter().flatten().collect()
}

impl Client {
    /// Submits a workflow. Without an id it is given one here, so that the call can be repeated after a lost connection.
    ///
    /// # Errors
    /// See [`ClientError`]; a problem names the place of each step that is wrong, and nothing is stored then.
    pub async fn submit_workflow(
        &self,
        mut workflow: SubmitWorkflow,
    ) -> Result<WorkflowSubmitted, ClientError> {
        workflow.id.get_or_insert_with(Uuid::now_v7);
        self.call(Call::post("/api/v1/workflows", &workflow)?.repeatable()).await
    }

    /// A page of workflows, newest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn workflows(&self, query: &WorkflowQuery) -> Result<WorkflowList, ClientError> {
        let WorkflowQuery { state, name, limit, cursor } = query;
        let mut all = parameters(state.map(WorkflowState::as_str), *limit, cursor.as_ref());
        all.extend(name.iter().map(|name| ("name", name.clone())));
        self.call(Call::get("/api/v1/workflows").query(all)).await
    }

    /// One workflow.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such workflow, as in the calls that follow.
    pub async fn workflow(&self, id: Uuid) -> Result<WorkflowView, ClientError> {
        self.call(Call::get(format!("/api/v1/workflows/{id}"))).await
    }

    /// A page of the steps of a workflow, in their order.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn workflow_steps(&self, id: Uuid, query: &WorkflowStepQuery) -> Result<StepList, ClientError> {
        let WorkflowStepQuery { state, limit, cursor } = query;
        let all = parameters(state.map(StepState::as_str), *limit, cursor.as_ref());
        self.call(Call::get(format!("/api/v1/workflows/{id}/steps")).query(all)).await
    }

    /// A workflow as a graph, of its first steps, `limit` at most; [`WorkflowGraph::mermaid`] draws it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn workflow_graph(&self, id: Uuid, limit: u32) -> Result<WorkflowGraph, ClientError> {
        let query = vec![("limit", limit.to_string())];
        self.call(Call::get(format!("/api/v1/workflows/{id}/graph")).query(query)).await
    }

    /// Cancels all of a workflow that has not ended.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 409 if it is completed or cancelled. It is not repeated after a lost connection.
    pub async fn cancel_workflow(&self, id: Uuid) -> Result<WorkflowCancelled, ClientError> {
        self.call(Call::post(format!("/api/v1/workflows/{id}/cancel"), &json!({}))?).await
    }

    /// Runs the jobs of steps again that failed, or were cancelled, and that keep others from running.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 409 if it is completed or cancelled. It is not repeated after a lost connection.
    pub async fn resume_workflow(&self, id: Uuid) -> Result<WorkflowResumed, ClientError> {
        self.call(Call::post(format!("/api/v1/workflows/{id}/resume"), &json!({}))?).await
    }

    /// What the steps have come to that the job of a step waits for, page by page.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if the job is of no workflow.
    pub async fn job_inputs(
        &self,
        job: Uuid,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<JobInputs, ClientError> {
        let mut query = vec![("limit", limit.to_string())];
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        self.call(Call::get(format!("/api/v1/jobs/{job}/inputs")).query(query)).await
    }
}
