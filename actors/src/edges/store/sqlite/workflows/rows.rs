//! Workflows and steps as the writer holds them.

use rusqlite::{OptionalExtension, Row, params};
use uuid::Uuid;

use super::super::{
    jobs::{id, optional_id, optional_time},
    transaction::Transaction,
};
use crate::edges::store::transition::workflow::{
    Flow, Step, on_failure_of, step_state_of, workflow_state_of,
};

pub(super) const INSERT_STEP: &str =
    "INSERT INTO workflow_steps (workflow, number, name, job, state, open, on_failure, followers)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// The columns of [`step`].
macro_rules! step_columns {
    () => {
        "workflow, number, job, state, open, on_failure, followers"
    };
}
pub(super) use step_columns;

/// A row of [`step_columns`].
pub(super) fn step(row: &Row<'_>) -> rusqlite::Result<Step> {
    Ok(Step {
        workflow: id(row, 0)?,
        number: row.get(1)?,
        job: id(row, 2)?,
        state: step_state_of(row.get(3)?),
        open: row.get(4)?,
        on_failure: on_failure_of(row.get(5)?),
        followers: row.get(6)?,
    })
}

pub(super) fn flow(tx: &Transaction<'_>, workflow: Uuid) -> rusqlite::Result<Option<Flow>> {
    let mut statement = tx.connection.prepare_cached(
        "SELECT state, waiting, active, completed, failed, cancelled, blocking, on_end, finished_at
         FROM workflows WHERE id = ?1",
    )?;
    let read = |row: &Row<'_>| {
        Ok(Flow {
            id: workflow,
            state: workflow_state_of(row.get(0)?),
            counts: [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?],
            blocking: row.get(6)?,
            on_end: optional_id(row, 7)?,
            finished_at: optional_time(row, 8)?,
            changed: false,
        })
    };
    statement.query_row([workflow.as_bytes()], read).optional()
}

/// Writes a workflow back.
pub(super) fn write_flow(tx: &Transaction<'_>, flow: &Flow) -> rusqlite::Result<()> {
    if !flow.changed {
        return Ok(());
    }
    let mut statement = tx.connection.prepare_cached(
        "UPDATE workflows SET state = ?2, waiting = ?3, active = ?4, completed = ?5, failed = ?6, cancelled = ?7,
                              blocking = ?8, on_end = ?9, finished_at = ?10, updated_at = ?11
         WHERE id = ?1",
    )?;
    let [waiting, active, completed, failed, cancelled] = flow.counts;
    statement.execute(params![
        flow.id.as_bytes(),
        flow.state as u8,
        waiting,
        active,
        completed,
        failed,
        cancelled,
        flow.blocking,
        flow.on_end.map(Uuid::into_bytes),
        flow.finished_at.map(|at| at.as_micros()),
        tx.changes.now.as_micros(),
    ])?;
    Ok(())
}

/// Writes steps back.
pub(super) fn write_steps<'s>(
    tx: &Transaction<'_>,
    steps: impl Iterator<Item = &'s Step>,
) -> rusqlite::Result<()> {
    let mut statement = tx.connection.prepare_cached(
        "UPDATE workflow_steps SET job = ?3, state = ?4, open = ?5, followers = ?6 WHERE workflow = ?1 AND number = ?2",
    )?;
    for step in steps {
        let Step { workflow, number, job, state, open, followers, .. } = step;
        let (workflow, job) = (workflow.as_bytes(), job.as_bytes());
        statement.execute(params![workflow, number, job, *state as u8, open, followers])?;
    }
    Ok(())
}

pub(super) fn insert_edges(
    tx: &Transaction<'_>,
    workflow: Uuid,
    edges: impl Iterator<Item = (u32, u32)>,
) -> rusqlite::Result<()> {
    let mut statement = tx.connection.prepare_cached(
        "INSERT INTO workflow_edges (workflow, earlier, later) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    for (earlier, later) in edges {
        statement.execute(params![workflow.as_bytes(), earlier, later])?;
    }
    Ok(())
}
