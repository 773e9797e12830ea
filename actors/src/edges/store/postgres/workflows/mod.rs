//! Workflows: storing them, advancing their steps, cancelling and resuming them, forgetting them.
//!
//! Whoever changes steps holds the row of their workflow, and takes it before the rows of their jobs.

mod add;
mod advance;
mod control;
mod forget;
mod reads;
mod rows;
mod transfer;

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{
    columns::{as_long, as_text},
    enqueue, session,
    transaction::Transaction,
};
use crate::edges::store::{
    Outcome,
    record::NewJob,
    transition::workflow::{degrees, job_of, job_of_end, leader, refusal},
    workflow::{NewStep, NewWorkflow, WorkflowOperation, WorkflowOutcome},
};
pub(super) use control::adopt;
pub(super) use forget::forgettable;
pub(super) use reads::{edges, ended_steps, has_open, inputs, list, one, steps};
pub(super) use transfer::{all, line, put};

/// Carries an operation out.
pub(super) async fn run(tx: &mut Transaction<'_>, operation: &WorkflowOperation) -> sqlx::Result<Outcome> {
    if let Some(leader) = leader(operation)
        && !session::leads(tx.connection, leader).await?
    {
        return Ok(Outcome::NotLeader);
    }
    let outcome = match operation {
        WorkflowOperation::Submit(new) => submit(tx, new).await?,
        WorkflowOperation::AddSteps(added) => add::add(tx, added).await?,
        WorkflowOperation::Advance { jobs, limit, .. } => advance::advance(tx, jobs, *limit).await?,
        WorkflowOperation::Cancel { id } => control::cancel(tx, *id).await?,
        WorkflowOperation::Resume { id, limit } => control::resume(tx, *id, *limit).await?,
        WorkflowOperation::Prune { completed, cancelled, failed, limit, .. } => {
            forget::prune(tx, [*completed, *cancelled, *failed], *limit).await?
        }
    };
    Ok(Outcome::Workflow(outcome))
}

/// Locks these workflows and those that these jobs are of, in the order of their ids.
pub(super) async fn lock(
    tx: &mut Transaction<'_>,
    workflows: BTreeSet<Uuid>,
    of_jobs: BTreeSet<Uuid>,
) -> sqlx::Result<()> {
    let mut ids: Vec<Uuid> = workflows.into_iter().collect();
    if !of_jobs.is_empty() {
        let of_jobs: Vec<Uuid> = of_jobs.into_iter().collect();
        let found: Vec<Uuid> = sqlx::query_scalar(
            "SELECT DISTINCT workflow FROM jobs WHERE id = ANY($1) AND workflow IS NOT NULL",
        )
        .bind(of_jobs)
        .fetch_all(&mut *tx.connection)
        .await?;
        ids.extend(found);
    }
    if !ids.is_empty() {
        sqlx::query("SELECT FROM workflows WHERE id = ANY($1) ORDER BY id FOR UPDATE")
            .bind(ids)
            .execute(&mut *tx.connection)
            .await?;
    }
    Ok(())
}

async fn submit(tx: &mut Transaction<'_>, new: &NewWorkflow) -> sqlx::Result<WorkflowOutcome> {
    let known: Option<(Vec<u8>, i32)> = sqlx::query_as(
        "SELECT fingerprint, waiting + active + completed + failed + cancelled FROM workflows WHERE id = $1",
    )
    .bind(new.id)
    .fetch_optional(&mut *tx.connection)
    .await?;
    if let Some((fingerprint, steps)) = known {
        let same = fingerprint == new.fingerprint;
        let steps = u32::try_from(steps).unwrap_or(0);
        return Ok(if same { WorkflowOutcome::Duplicate { steps } } else { WorkflowOutcome::Conflict });
    }
    let (open, followers) = degrees(new.steps.len(), &new.edges);
    let jobs: Vec<NewJob> =
        new.steps.iter().zip(&open).map(|(step, open)| job_of(&step.job, *open)).collect();
    let on_end = new.on_end.as_ref().map(job_of_end);
    let all: Vec<&NewJob> = jobs.iter().chain(&on_end).collect();
    if let Some((place, outcome)) = enqueue::store_whole(tx, &all, new.id).await? {
        return Ok(refusal(&all[place].queue, outcome));
    }
    let waiting = open.iter().filter(|open| **open > 0).count() as u64;
    // Should another transaction store the same one just now, this one fails and is tried again.
    sqlx::query(
        "INSERT INTO workflows (id, sequence, name, state, fingerprint, waiting, active, completed, failed, cancelled,
                                blocking, on_end, created_at, updated_at)
         VALUES ($1, nextval('workflow_sequence'), $2, 0, $3, $4, $5, 0, 0, 0, 0, $6, $7, $7)",
    )
    .bind(new.id)
    .bind(new.name.as_deref().map(as_text))
    .bind(new.fingerprint.as_slice())
    .bind(as_long(waiting))
    .bind(as_long(new.steps.len() as u64 - waiting))
    .bind(on_end.as_ref().map(|job| job.id))
    .bind(tx.changes.now.as_micros())
    .execute(&mut *tx.connection)
    .await?;
    let steps: Vec<(u32, &NewStep, u32, u32)> = (0..)
        .zip(&new.steps)
        .zip(open.iter().zip(&followers))
        .map(|((number, step), (open, followers))| (number, step, *open, *followers))
        .collect();
    rows::insert_steps(tx, new.id, &steps).await?;
    rows::insert_edges(tx, new.id, &new.edges).await?;
    let free = jobs.iter().zip(&open).filter(|(_, open)| **open == 0).map(|(job, _)| job.queue.clone());
    let queues: BTreeSet<String> = free.collect();
    Ok(WorkflowOutcome::Stored { queues: queues.into_iter().collect() })
}
