//! Forgetting workflows that have ended, in bounded steps.

use std::time::Duration;

use callboard_contracts::api::{StepState, WorkflowState};
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use super::{
    super::{jobs::id, transaction::Transaction},
    control::{cancel_steps, open_steps},
    rows::{flow, write_flow},
};
use crate::edges::store::workflow::WorkflowOutcome;

/// Forgets a part of the first workflow that is old enough.
pub(super) fn prune(
    tx: &mut Transaction<'_>,
    kept: [Duration; 3],
    limit: u32,
) -> rusqlite::Result<WorkflowOutcome> {
    tx.flush()?;
    let states = [WorkflowState::Completed, WorkflowState::Cancelled, WorkflowState::Failed];
    for (state, age) in states.into_iter().zip(kept) {
        // One whose last job has not run yet is not old.
        let mut find = tx.connection.prepare_cached(
            "SELECT id FROM workflows WHERE state = ?1 AND finished_at IS NOT NULL AND finished_at < ?2
                AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = workflows.on_end AND jobs.state NOT IN (5, 6, 7))
             ORDER BY finished_at LIMIT 1",
        )?;
        let before = tx.changes.now.saturating_sub(age).as_micros();
        let found = find.query_row(params![state as u8, before], |row| id(row, 0)).optional()?;
        drop(find);
        if let Some(workflow) = found {
            forget(tx, workflow, limit)?;
            return Ok(WorkflowOutcome::Pruned { more: true });
        }
    }
    Ok(WorkflowOutcome::Pruned { more: false })
}

/// One step of it: what waits is cancelled, then jobs are let go, then edges and steps are deleted, then the workflow.
fn forget(tx: &mut Transaction<'_>, workflow: Uuid, limit: u32) -> rusqlite::Result<()> {
    let Some(mut flow) = flow(tx, workflow)? else { return Ok(()) };
    if flow.counts[StepState::Waiting as usize] > 0 {
        let open = open_steps(tx, workflow, limit)?;
        cancel_steps(tx, &mut flow, open)?;
        return write_flow(tx, &flow);
    }
    for delete in [
        "UPDATE jobs SET workflow = NULL WHERE sequence IN (SELECT sequence FROM jobs WHERE workflow = ?1 LIMIT ?2)",
        "DELETE FROM workflow_edges WHERE (workflow, earlier, later) IN
            (SELECT workflow, earlier, later FROM workflow_edges WHERE workflow = ?1 LIMIT ?2)",
        "DELETE FROM workflow_steps WHERE (workflow, number) IN
            (SELECT workflow, number FROM workflow_steps WHERE workflow = ?1 LIMIT ?2)",
    ] {
        if tx.connection.prepare_cached(delete)?.execute(params![workflow.as_bytes(), limit])? > 0 {
            return Ok(());
        }
    }
    tx.connection.prepare_cached("DELETE FROM workflows WHERE id = ?1")?.execute([workflow.as_bytes()])?;
    Ok(())
}
