//! Forgetting workflows that have ended, in bounded steps.

use std::time::Duration;

use callboard_contracts::api::{StepState, WorkflowState};
use uuid::Uuid;

use super::{
    super::transaction::Transaction,
    control::{cancel_steps, open_steps},
    rows::{lock_flows, write_flows},
};
use crate::edges::store::workflow::WorkflowOutcome;

/// Forgets a part of the first workflow that is old enough.
pub(super) async fn prune(
    tx: &mut Transaction<'_>,
    kept: [Duration; 3],
    limit: u32,
) -> sqlx::Result<WorkflowOutcome> {
    tx.flush().await?;
    let Some((workflow, state)) = forgettable(tx, kept).await? else {
        return Ok(WorkflowOutcome::Pruned { more: false });
    };
    forget(tx, workflow, state, limit).await?;
    Ok(WorkflowOutcome::Pruned { more: true })
}

/// The first workflow that is old enough, and its state.
pub(in crate::edges::store::postgres) async fn forgettable(
    tx: &mut Transaction<'_>,
    kept: [Duration; 3],
) -> sqlx::Result<Option<(Uuid, WorkflowState)>> {
    let states = [WorkflowState::Completed, WorkflowState::Cancelled, WorkflowState::Failed];
    for (state, age) in states.into_iter().zip(kept) {
        // One whose last job has not run yet is not old.
        let found: Option<Uuid> = sqlx::query_scalar(
            "SELECT id FROM workflows WHERE state = $1 AND finished_at IS NOT NULL AND finished_at < $2
                AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = workflows.on_end AND jobs.state NOT IN (5, 6, 7))
             ORDER BY finished_at LIMIT 1",
        )
        .bind(state as i16)
        .bind(tx.changes.now.saturating_sub(age).as_micros())
        .fetch_optional(&mut *tx.connection)
        .await?;
        if let Some(workflow) = found {
            return Ok(Some((workflow, state)));
        }
    }
    Ok(None)
}

/// One step of it: what waits is cancelled, then jobs are let go, then edges and steps are deleted, then the workflow.
async fn forget(
    tx: &mut Transaction<'_>,
    workflow: Uuid,
    state: WorkflowState,
    limit: u32,
) -> sqlx::Result<()> {
    // Somebody may have resumed it meanwhile.
    let Some(mut flow) = lock_flows(tx, vec![workflow]).await?.pop().filter(|flow| flow.state == state)
    else {
        return Ok(());
    };
    if flow.counts[StepState::Waiting as usize] > 0 {
        let open = open_steps(tx, workflow, limit).await?;
        cancel_steps(tx, &mut flow, open).await?;
        return write_flows(tx, std::iter::once(&flow)).await;
    }
    for delete in [
        "UPDATE jobs SET workflow = NULL WHERE id IN (SELECT id FROM jobs WHERE workflow = $1 LIMIT $2)",
        "DELETE FROM workflow_edges WHERE workflow = $1 AND (earlier, later) IN
            (SELECT earlier, later FROM workflow_edges WHERE workflow = $1 LIMIT $2)",
        "DELETE FROM workflow_steps WHERE workflow = $1 AND number IN
            (SELECT number FROM workflow_steps WHERE workflow = $1 LIMIT $2)",
    ] {
        let done =
            sqlx::query(delete).bind(workflow).bind(i64::from(limit)).execute(&mut *tx.connection).await?;
        if done.rows_affected() > 0 {
            return Ok(());
        }
    }
    sqlx::query("DELETE FROM workflows WHERE id = $1").bind(workflow).execute(&mut *tx.connection).await?;
    Ok(())
}
