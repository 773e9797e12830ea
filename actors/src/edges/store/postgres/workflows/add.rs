//! Steps that a running one adds to its workflow.

use std::collections::{BTreeMap, BTreeSet};

use callboard_contracts::JobState;
use sqlx::Row;
use uuid::Uuid;

use super::{
    super::{enqueue, transaction::Transaction},
    rows::{insert_edges, insert_steps, lock_flows, step, step_columns, write_flows, write_steps},
};
use crate::edges::store::{
    record::NewJob,
    transition::{
        workflow::{Step, job_of, refusal},
        workflow_addition::{self, Addition},
    },
    workflow::{AddedSteps, NewStep, WorkflowOutcome},
};

pub(super) async fn add(tx: &mut Transaction<'_>, added: &AddedSteps) -> sqlx::Result<WorkflowOutcome> {
    let lease = added.lease;
    tx.flush().await?;
    let workflow: Option<Uuid> = sqlx::query_scalar("SELECT workflow FROM workflow_steps WHERE job = $1")
        .bind(lease.id)
        .fetch_optional(&mut *tx.connection)
        .await?;
    // The row of a workflow is taken before those of its jobs.
    let flow = match workflow {
        Some(workflow) => lock_flows(tx, vec![workflow]).await?.pop(),
        None => None,
    };
    tx.load(std::iter::once(lease.id)).await?;
    let current = tx.changes.rows.get(&lease.id);
    if !current.is_some_and(|row| row.state == JobState::Executing && row.has_token(lease.token)) {
        return Ok(WorkflowOutcome::Stale);
    }
    let Some(mut flow) = flow else { return Ok(WorkflowOutcome::NotFound) };
    let names = workflow_addition::names(added);
    let rows = sqlx::query(concat!(
        "SELECT ",
        step_columns!(),
        ", name FROM workflow_steps AS steps WHERE workflow = $1 AND name = ANY($2)"
    ))
    .bind(flow.id)
    .bind(names)
    .fetch_all(&mut *tx.connection)
    .await?;
    let known = rows.iter().map(|row| Ok((row.try_get("name")?, step(row)?)));
    let known = known.collect::<sqlx::Result<BTreeMap<String, Step>>>()?;
    let first = flow.steps();
    let Addition { steps, followers, edges, touched } = match workflow_addition::add(&mut flow, added, known)
    {
        Ok(addition) => addition,
        Err(refused) => return Ok(WorkflowOutcome::Refused(refused)),
    };
    let jobs: Vec<NewJob> =
        steps.iter().map(|(place, open)| job_of(&added.steps[*place].job, *open)).collect();
    let all: Vec<&NewJob> = jobs.iter().collect();
    if let Some((place, outcome)) = enqueue::store_whole(tx, &all, flow.id).await? {
        return Ok(refusal(&all[place].queue, outcome));
    }
    let new: Vec<(u32, &NewStep, u32, u32)> = (first..)
        .zip(&steps)
        .zip(&followers)
        .map(|((number, (place, open)), followers)| (number, &added.steps[*place], *open, *followers))
        .collect();
    insert_steps(tx, flow.id, &new).await?;
    insert_edges(tx, flow.id, &edges).await?;
    write_steps(tx, touched.iter()).await?;
    write_flows(tx, std::iter::once(&flow)).await?;
    let free = jobs.iter().zip(&steps).filter(|(_, step)| step.1 == 0).map(|(job, _)| job.queue.clone());
    let queues: BTreeSet<String> = free.collect();
    Ok(WorkflowOutcome::Added {
        steps: u32::try_from(steps.len()).unwrap_or(u32::MAX),
        queues: queues.into_iter().collect(),
    })
}
