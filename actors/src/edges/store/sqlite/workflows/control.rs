//! Cancelling a workflow, and running again what keeps it from going on.

use std::collections::BTreeSet;

use callboard_contracts::{JobState, api::StepState};
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use super::{
    super::{enqueue, transaction::Transaction},
    advance::tell_of_end,
    rows::{flow, step, step_columns, write_flow, write_steps},
};
use crate::edges::store::{
    Outcome,
    record::Lease,
    transition::{
        control,
        enqueue::{Replay, replayed},
        workflow::{Flow, Step, WAITS},
    },
    workflow::WorkflowOutcome,
};

pub(super) fn cancel(tx: &mut Transaction<'_>, id: Uuid) -> rusqlite::Result<WorkflowOutcome> {
    tx.flush()?;
    let Some(mut flow) = flow(tx, id)? else { return Ok(WorkflowOutcome::NotFound) };
    if !flow.cancel() {
        return Ok(WorkflowOutcome::NotPossible { state: flow.state });
    }
    let open = open_steps(tx, id, u32::MAX)?;
    let told = cancel_steps(tx, &mut flow, open)?;
    if flow.settle(tx.changes.now) {
        tell_of_end(tx, &mut flow)?;
    }
    write_flow(tx, &flow)?;
    Ok(WorkflowOutcome::Cancelled { state: flow.state, told })
}

/// Calls off the jobs of these steps; what is to be told.
pub(super) fn cancel_steps(
    tx: &mut Transaction<'_>,
    flow: &mut Flow,
    mut open: Vec<Step>,
) -> rusqlite::Result<Vec<(Lease, String, Uuid)>> {
    tx.load(open.iter().map(|step| step.job))?;
    let mut told = Vec::new();
    for step in &mut open {
        match control::cancel(&mut tx.changes, step.job) {
            Outcome::CancelRequested { lease, queue, session } => told.push((lease, queue, session)),
            Outcome::NotPossible { state } => drop(flow.ended(step, state)),
            _ => drop(flow.ended(step, JobState::Cancelled)),
        }
    }
    tx.flush()?;
    write_steps(tx, open.iter())?;
    Ok(told)
}

/// Steps that have not ended.
pub(super) fn open_steps(tx: &Transaction<'_>, id: Uuid, limit: u32) -> rusqlite::Result<Vec<Step>> {
    let mut statement = tx.connection.prepare_cached(concat!(
        "SELECT ",
        step_columns!(),
        " FROM workflow_steps WHERE workflow = ?1 AND state IN (0, 1) LIMIT ?2"
    ))?;
    statement.query_map(params![id.as_bytes(), limit], step)?.collect()
}

pub(super) fn resume(tx: &mut Transaction<'_>, id: Uuid, limit: u32) -> rusqlite::Result<WorkflowOutcome> {
    tx.flush()?;
    let Some(mut flow) = flow(tx, id)? else { return Ok(WorkflowOutcome::NotFound) };
    if !flow.can_resume() {
        return Ok(WorkflowOutcome::NotPossible { state: flow.state });
    }
    let mut statement = tx.connection.prepare_cached(concat!(
        "SELECT ",
        step_columns!(),
        " FROM workflow_steps WHERE workflow = ?1 AND state IN (3, 4) AND on_failure = 0 LIMIT ?2"
    ))?;
    let blocking = statement.query_map(params![id.as_bytes(), limit], step)?;
    let mut blocking: Vec<Step> = blocking.collect::<Result<_, _>>()?;
    drop(statement);
    tx.load(blocking.iter().map(|step| step.job))?;
    let mut queues = BTreeSet::new();
    for step in &mut blocking {
        let Some(of) = tx.changes.rows.get(&step.job).cloned() else { continue };
        let mut replay = Replay::available(Uuid::now_v7(), Uuid::now_v7());
        replay.state = flow.run_again(step, replay.id);
        replay.wait_reason = (replay.state == JobState::Pending).then_some(WAITS);
        enqueue::replay(tx, &of, &replay, Some(id), None)?;
        replayed(&mut tx.changes, &of, &replay);
        if replay.state == JobState::Available {
            queues.insert(of.queue);
        }
    }
    write_steps(tx, blocking.iter())?;
    write_flow(tx, &flow)?;
    Ok(WorkflowOutcome::Resumed {
        steps: u32::try_from(blocking.len()).unwrap_or(u32::MAX),
        more: blocking.len() >= limit as usize && flow.blocking > 0,
        queues: queues.into_iter().collect(),
    })
}

/// Somebody has run the job of a step again by itself: the new job is the step's, if the step keeps others from running or has
/// not been advanced.
pub(in crate::edges::store::sqlite) fn adopt(
    tx: &mut Transaction<'_>,
    job: Uuid,
    replay: Uuid,
) -> rusqlite::Result<()> {
    let mut statement = tx.connection.prepare_cached(concat!(
        "SELECT ",
        step_columns!(),
        " FROM workflow_steps WHERE job = ?1"
    ))?;
    let Some(mut step) = statement.query_row([job.as_bytes()], step).optional()? else {
        return adopt_end(tx, job, replay);
    };
    let Some(mut flow) = flow(tx, step.workflow)? else { return Ok(()) };
    let runs = step.state == StepState::Active;
    if !flow.can_resume() || !(runs || (step.blocks() && step.open == 0)) {
        return Ok(());
    }
    if runs {
        step.job = replay;
    } else {
        flow.run_again(&mut step, replay);
    }
    write_steps(tx, std::iter::once(&step))?;
    write_flow(tx, &flow)?;
    let mut keep = tx.connection.prepare_cached("UPDATE jobs SET workflow = ?2 WHERE id = ?1")?;
    keep.execute(params![replay.as_bytes(), flow.id.as_bytes()])?;
    Ok(())
}

/// The same of the job that runs at the end of a workflow.
fn adopt_end(tx: &Transaction<'_>, job: Uuid, replay: Uuid) -> rusqlite::Result<()> {
    let mut adopt = tx.connection.prepare_cached(
        "UPDATE workflows SET on_end = ?2 WHERE id = (SELECT workflow FROM jobs WHERE id = ?1) AND on_end = ?1",
    )?;
    if adopt.execute(params![job.as_bytes(), replay.as_bytes()])? > 0 {
        let mut keep = tx.connection.prepare_cached(
            "UPDATE jobs SET workflow = (SELECT workflow FROM jobs WHERE id = ?1) WHERE id = ?2",
        )?;
        keep.execute(params![job.as_bytes(), replay.as_bytes()])?;
    }
    Ok(())
}
