//! Workflows as they are shown.

use callboard_contracts::api::{StepList, StepView, WorkflowGraph, WorkflowList, WorkflowView};
use uuid::Uuid;

use crate::edges::store::{
    StoreError, StoreHandle,
    workflow::{StepQuery, StepRecord, WorkflowFilter, WorkflowRecord},
};

/// Edges that one answer holds at most.
const MOST_EDGES: u32 = 200_000;

pub(in crate::roles) fn view(record: WorkflowRecord) -> WorkflowView {
    let [waiting, active, completed, failed, cancelled] = record.counts;
    WorkflowView {
        id: record.id,
        name: record.name,
        state: record.state,
        steps: record.counts.iter().sum(),
        waiting,
        active,
        completed,
        failed,
        cancelled,
        on_end: record.on_end,
        created_at: record.created_at,
        updated_at: record.updated_at,
        finished_at: record.finished_at,
    }
}

fn step_view(step: StepRecord) -> StepView {
    let StepRecord { number, name, job, job_type, job_state, state, on_failure, open } = step;
    StepView { number, name, job, job_type, state, job_state, on_failure, open }
}

pub(in crate::roles) async fn list(
    store: &StoreHandle,
    filter: WorkflowFilter,
    limit: u32,
) -> Result<WorkflowList, StoreError> {
    // One more than asked for tells whether there is a next page.
    let mut found = store.workflows(filter, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let last = found.last().map(|workflow| workflow.sequence.to_string());
    Ok(WorkflowList { next_cursor: last.filter(|_| more), workflows: found.into_iter().map(view).collect() })
}

pub(in crate::roles) async fn steps(
    store: &StoreHandle,
    id: Uuid,
    query: StepQuery,
) -> Result<Option<StepList>, StoreError> {
    if store.workflow(id).await?.is_none() {
        return Ok(None);
    }
    let limit = query.limit as usize;
    let mut found = store.workflow_steps(id, StepQuery { limit: query.limit + 1, ..query }).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().map(|step| step.number.to_string());
    let steps = found.into_iter().map(step_view).collect();
    Ok(Some(StepList { next_cursor: last.filter(|_| more), steps }))
}

pub(in crate::roles) async fn graph(
    store: &StoreHandle,
    id: Uuid,
    limit: u32,
) -> Result<Option<WorkflowGraph>, StoreError> {
    let Some(workflow) = store.workflow(id).await? else { return Ok(None) };
    let query = StepQuery { limit, ..StepQuery::default() };
    let steps: Vec<StepView> = store.workflow_steps(id, query).await?.into_iter().map(step_view).collect();
    let below = steps.last().map_or(0, |step| step.number + 1);
    let edges = store.workflow_edges(id, below, MOST_EDGES).await?;
    let workflow = view(workflow);
    let truncated = (steps.len() as u64) < u64::from(workflow.steps);
    Ok(Some(WorkflowGraph { workflow, steps, edges, truncated }))
}
