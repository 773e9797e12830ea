//! Cancelling a workflow, and running again what keeps it from going on.

use std::collections::BTreeSet;

use callboard_contracts::{JobState, api::StepState};
use uuid::Uuid;

use super::{
    super::{enqueue, transaction::Transaction},
    advance::tell_of_end,
    rows::{lock_flows, step, step_columns, write_flows, write_steps},
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

pub(super) async fn cancel(tx: &mut Transaction<'_>, id: Uuid) -> sqlx::Result<WorkflowOutcome> {
    tx.flush().await?;
    let Some(mut flow) = lock_flows(tx, vec![id]).await?.pop() else { return Ok(WorkflowOutcome::NotFound) };
    if !flow.cancel() {
        return Ok(WorkflowOutcome::NotPossible { state: flow.state });
    }
    let open = open_steps(tx, id, u32::MAX).await?;
    let told = cancel_steps(tx, &mut flow, open).await?;
    if flow.settle(tx.changes.now) {
        tell_of_end(tx, &mut flow).await?;
    }
    write_flows(tx, std::iter::once(&flow)).await?;
    Ok(WorkflowOutcome::Cancelled { state: flow.state, told })
}

/// Calls off the jobs of these steps; what is to be told.
pub(super) async fn cancel_steps(
    tx: &mut Transaction<'_>,
    flow: &mut Flow,
    mut open: Vec<Step>,
) -> sqlx::Result<Vec<(Lease, String, Uuid)>> {
    tx.load(open.iter().map(|step| step.job)).await?;
    let mut told = Vec::new();
    for step in &mut open {
        match control::cancel(&mut tx.changes, step.job) {
            Outcome::CancelRequested { lease, queue, session } => told.push((lease, queue, session)),
            Outcome::NotPossible { state } => drop(flow.ended(step, state)),
            _ => drop(flow.ended(step, JobState::Cancelled)),
        }
    }
    tx.flush().await?;
    write_steps(tx, open.iter()).await?;
    Ok(told)
}

/// Steps that have not ended.
pub(super) async fn open_steps(tx: &mut Transaction<'_>, id: Uuid, limit: u32) -> sqlx::Result<Vec<Step>> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        step_columns!(),
        " FROM workflow_steps AS steps WHERE workflow = $1 AND state IN (0, 1) LIMIT $2"
    ))
    .bind(id)
    .bind(i64::from(limit))
    .fetch_all(&mut *tx.connection)
    .await?;
    rows.iter().map(step).collect()
}

pub(super) async fn resume(tx: &mut Transaction<'_>, id: Uuid, limit: u32) -> sqlx::Result<WorkflowOutcome> {
    tx.flush().await?;
    let Some(mut flow) = lock_flows(tx, vec![id]).await?.pop() else { return Ok(WorkflowOutcome::NotFound) };
    if !flow.can_resume() {
        return Ok(WorkflowOutcome::NotPossible { state: flow.state });
    }
    let rows = sqlx::query(concat!(
        "SELECT ",
        step_columns!(),
        " FROM workflow_steps AS steps WHERE workflow = $1 AND state IN (3, 4) AND on_failure = 0 LIMIT $2"
    ))
    .bind(id)
    .bind(i64::from(limit))
    .fetch_all(&mut *tx.connection)
    .await?;
    let mut blocking = rows.iter().map(step).collect::<sqlx::Result<Vec<Step>>>()?;
    tx.load(blocking.iter().map(|step| step.job)).await?;
    let mut queues = BTreeSet::new();
    for step in &mut blocking {
        let Some(of) = tx.changes.rows.get(&step.job).cloned() else { continue };
        let mut replay = Replay::available(Uuid::now_v7(), Uuid::now_v7());
        replay.state = flow.run_again(step, replay.id);
        replay.wait_reason = (replay.state == JobState::Pending).then_some(WAITS);
        enqueue::replay(tx, &of, &replay, Some(id), None).await?;
        replayed(&mut tx.changes, &of, &replay);
        if replay.state == JobState::Available {
            queues.insert(of.queue);
        }
    }
    write_steps(tx, blocking.iter()).await?;
    write_flows(tx, std::iter::once(&flow)).await?;
    Ok(WorkflowOutcome::Resumed {
        steps: u32::try_from(blocking.len()).unwrap_or(u32::MAX),
        more: blocking.len() >= limit as usize && flow.blocking > 0,
        queues: queues.into_iter().collect(),
    })
}

/// Somebody has run the job of a step again by itself: the new job is the step's, if the step keeps others from running or has
/// not been advanced.
pub(in crate::edges::store::postgres) async fn adopt(
    tx: &mut Transaction<'_>,
    job: Uuid,
    replay: Uuid,
) -> sqlx::Result<()> {
    let workflow: Option<Uuid> = sqlx::query_scalar("SELECT workflow FROM workflow_steps WHERE job = $1")
        .bind(job)
        .fetch_optional(&mut *tx.connection)
        .await?;
    let Some(workflow) = workflow else { return adopt_end(tx, job, replay).await };
    let Some(mut flow) = lock_flows(tx, vec![workflow]).await?.pop() else { return Ok(()) };
    let row =
        sqlx::query(concat!("SELECT ", step_columns!(), " FROM workflow_steps AS steps WHERE job = $1"))
            .bind(job)
            .fetch_optional(&mut *tx.connection)
            .await?;
    let Some(row) = row else { return Ok(()) };
    let mut step = step(&row)?;
    let runs = step.state == StepState::Active;
    if !flow.can_resume() || !(runs || (step.blocks() && step.open == 0)) {
        return Ok(());
    }
    if runs {
        step.job = replay;
    } else {
        flow.run_again(&mut step, replay);
    }
    write_steps(tx, std::iter::once(&step)).await?;
    write_flows(tx, std::iter::once(&flow)).await?;
    sqlx::query("UPDATE jobs SET workflow = $2 WHERE id = $1")
        .bind(replay)
        .bind(workflow)
        .execute(&mut *tx.connection)
        .await?;
    Ok(())
}

/// The same of the job that runs at the end of a workflow.
async fn adopt_end(tx: &mut Transaction<'_>, job: Uuid, replay: Uuid) -> sqlx::Result<()> {
    sqlx::query(
        "WITH adopted AS (
            UPDATE workflows SET on_end = $2 WHERE id = (SELECT workflow FROM jobs WHERE id = $1) AND on_end = $1
            RETURNING id
         )
         UPDATE jobs SET workflow = adopted.id FROM adopted WHERE jobs.id = $2",
    )
    .bind(job)
    .bind(replay)
    .execute(&mut *tx.connection)
    .await?;
    Ok(())
}
