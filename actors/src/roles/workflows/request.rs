//! What the outside may ask of workflows.

use callboard_contracts::api::{
    JobInputs, StepList, WorkflowCancelled, WorkflowGraph, WorkflowList, WorkflowResumed, WorkflowSubmitted,
    WorkflowView,
};
use callboard_supervisors::Message;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    edges::store::{
        StoreError,
        record::Lease,
        workflow::{StepQuery, WorkflowFilter},
    },
    roles::request::{Origin, Refusal},
};

/// To the gateway: store this workflow. The answer comes when all of it is durable.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<WorkflowSubmitted, Refusal>)]
pub struct SubmitWorkflow {
    /// The workflow, as [`SubmitWorkflow`](callboard_contracts::api::SubmitWorkflow).
    pub workflow: Value,
    /// What caused it.
    pub origin: Origin,
}

/// To the gateway: add steps to the workflow of a step that runs; how many were new.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<Option<u32>, Refusal>)]
pub(crate) struct AddSteps {
    /// The lease of the running step.
    pub(crate) lease: Lease,
    /// The steps, as [`WorkflowStep`](callboard_contracts::api::WorkflowStep).
    pub(crate) steps: Vec<Value>,
    /// What caused it.
    pub(crate) origin: Origin,
}

/// To the gateway: cancel all of a workflow that has not ended.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<WorkflowCancelled, Refusal>)]
pub struct CancelWorkflow {
    /// The workflow.
    pub id: Uuid,
}

/// To the gateway: run the jobs of a workflow's steps again that keep it from going on.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<WorkflowResumed, Refusal>)]
pub struct ResumeWorkflow {
    /// The workflow.
    pub id: Uuid,
}

/// To the read model: one workflow.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Option<WorkflowView>, StoreError>)]
pub struct GetWorkflow {
    /// The workflow.
    pub id: Uuid,
}

/// To the read model: a page of workflows, newest first.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<WorkflowList, StoreError>)]
pub struct ListWorkflows {
    /// Which ones.
    pub filter: WorkflowFilter,
    /// How many at most, 1 to 1000.
    pub limit: u32,
}

/// To the read model: a page of the steps of a workflow; `None` if there is no such workflow.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Option<StepList>, StoreError>)]
pub struct ListSteps {
    /// The workflow.
    pub id: Uuid,
    /// Which steps; 1 to 1000.
    pub query: StepQuery,
}

/// To the read model: a workflow as a graph; `None` if there is no such workflow.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Option<WorkflowGraph>, StoreError>)]
pub struct GetGraph {
    /// The workflow.
    pub id: Uuid,
    /// Steps at most, 1 to 10000.
    pub limit: u32,
}

/// To the read model: what the steps have come to that a job waits for, page by page; `None` if the job is of no workflow.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Option<JobInputs>, StoreError>)]
pub struct GetInputs {
    /// The job.
    pub job: Uuid,
    /// Only steps behind this number.
    pub after: Option<u32>,
    /// How many at most, 1 to 1000; fewer if their results are large.
    pub limit: u32,
}
