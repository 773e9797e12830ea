//! Workflows: storing them, advancing their steps, cancelling and resuming them, forgetting them.

mod add;
mod advance;
mod control;
mod forget;
#[cfg(test)]
mod plans;
mod reads;
mod rows;
mod transfer;

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params};

use super::{enqueue, transaction::Transaction};
use crate::edges::store::{
    OperationResult, Outcome, StoreError,
    record::NewJob,
    transition::workflow::{degrees, job_of, job_of_end, on_failure_code, refusal},
    workflow::{NewWorkflow, WorkflowOperation, WorkflowOutcome},
};
pub(super) use control::adopt;
pub(super) use reads::{edges, ended_steps, has_open, inputs, list, one, steps};
pub(super) use transfer::{all, line, put};

/// Carries an operation out.
pub(super) fn run(
    tx: &mut Transaction<'_>,
    operation: &WorkflowOperation,
) -> rusqlite::Result<OperationResult> {
    let done = match operation {
        WorkflowOperation::Submit(new) => submit(tx, new)?,
        WorkflowOperation::AddSteps(added) => add::add(tx, added)?,
        other => Ok(change(tx, other)?),
    };
    Ok(done.map(Outcome::Workflow))
}

/// Carries an operation out that stores no new jobs.
pub(super) fn change(
    tx: &mut Transaction<'_>,
    operation: &WorkflowOperation,
) -> rusqlite::Result<WorkflowOutcome> {
    match operation {
        WorkflowOperation::Advance { jobs, limit, .. } => advance::advance(tx, jobs, *limit),
        WorkflowOperation::Cancel { id } => control::cancel(tx, *id),
        WorkflowOperation::Resume { id, limit } => control::resume(tx, *id, *limit),
        WorkflowOperation::Prune { completed, cancelled, failed, limit, .. } => {
            forget::prune(tx, [*completed, *cancelled, *failed], *limit)
        }
        // These are not for here.
        WorkflowOperation::Submit(_) | WorkflowOperation::AddSteps(_) => Ok(WorkflowOutcome::NotFound),
    }
}

type Decided = rusqlite::Result<Result<WorkflowOutcome, StoreError>>;

fn submit(tx: &mut Transaction<'_>, new: &NewWorkflow) -> Decided {
    let mut find = tx.connection.prepare_cached(
        "SELECT fingerprint, waiting + active + completed + failed + cancelled FROM workflows WHERE id = ?1",
    )?;
    let known: Option<(Vec<u8>, u32)> =
        find.query_row([new.id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    if let Some((fingerprint, steps)) = known {
        let same = fingerprint == new.fingerprint;
        return Ok(Ok(if same { WorkflowOutcome::Duplicate { steps } } else { WorkflowOutcome::Conflict }));
    }
    let (open, followers) = degrees(new.steps.len(), &new.edges);
    let jobs: Vec<NewJob> =
        new.steps.iter().zip(&open).map(|(step, open)| job_of(&step.job, *open)).collect();
    let on_end = new.on_end.as_ref().map(job_of_end);
    let all: Vec<&NewJob> = jobs.iter().chain(&on_end).collect();
    if let Some(refused) = match enqueue::store_whole(tx, &all, new.id)? {
        Ok(refused) => refused,
        Err(error) => return Ok(Err(error)),
    } {
        return Ok(Ok(refusal(&all[refused.0].queue, refused.1)));
    }
    let waiting = open.iter().filter(|open| **open > 0).count();
    let mut insert = tx.connection.prepare_cached(
        "INSERT INTO workflows (id, name, state, fingerprint, waiting, active, completed, failed, cancelled, blocking,
                                on_end, created_at, updated_at)
         VALUES (?1, ?2, 0, ?3, ?4, ?5, 0, 0, 0, 0, ?6, ?7, ?7)",
    )?;
    insert.execute(params![
        new.id.as_bytes(),
        new.name,
        new.fingerprint,
        waiting,
        new.steps.len() - waiting,
        on_end.as_ref().map(|job| job.id.into_bytes()),
        tx.changes.now.as_micros(),
    ])?;
    let mut insert = tx.connection.prepare_cached(rows::INSERT_STEP)?;
    for (number, step) in new.steps.iter().enumerate() {
        let (open, followers) = (open[number], followers[number]);
        let state = u8::from(open == 0);
        let policy = on_failure_code(step.on_failure);
        insert.execute(params![
            new.id.as_bytes(),
            number,
            step.name,
            step.job.id.as_bytes(),
            state,
            open,
            policy,
            followers
        ])?;
    }
    rows::insert_edges(tx, new.id, new.edges.iter().copied())?;
    let free = jobs.iter().zip(&open).filter(|(_, open)| **open == 0).map(|(job, _)| job.queue.clone());
    let queues: BTreeSet<String> = free.collect();
    Ok(Ok(WorkflowOutcome::Stored { queues: queues.into_iter().collect() }))
}
