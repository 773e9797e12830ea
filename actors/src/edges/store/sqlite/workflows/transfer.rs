//! Workflows in exports.

use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::{
    super::jobs::{id, optional_id, optional_time, time},
    rows::INSERT_STEP,
};
use crate::edges::store::{
    transfer::{StepLine, WorkflowLine},
    transition::workflow::{degrees, on_failure_code, on_failure_of, step_state_of, workflow_state_of},
};

/// The ids of all workflows, in the order of storing.
pub(in crate::edges::store::sqlite) fn all(connection: &Connection) -> rusqlite::Result<Vec<Uuid>> {
    let mut statement = connection.prepare_cached("SELECT id FROM workflows ORDER BY sequence")?;
    statement.query_map((), |row| id(row, 0))?.collect()
}

/// A workflow as a line.
pub(in crate::edges::store::sqlite) fn line(
    connection: &Connection,
    workflow: Uuid,
) -> rusqlite::Result<WorkflowLine> {
    let mut statement = connection.prepare_cached(
        "SELECT name, job, state, on_failure, open FROM workflow_steps WHERE workflow = ?1 ORDER BY number",
    )?;
    let step = |row: &Row<'_>| {
        Ok(StepLine {
            name: row.get(0)?,
            job: id(row, 1)?,
            state: step_state_of(row.get(2)?),
            on_failure: on_failure_of(row.get(3)?),
            open: row.get(4)?,
            after: Vec::new(),
        })
    };
    let mut steps: Vec<StepLine> =
        statement.query_map([workflow.as_bytes()], step)?.collect::<Result<_, _>>()?;
    let mut statement = connection.prepare_cached(
        "SELECT earlier, later FROM workflow_edges WHERE workflow = ?1 ORDER BY later, earlier",
    )?;
    let mut rows = statement.query([workflow.as_bytes()])?;
    while let Some(row) = rows.next()? {
        if let Some(step) = steps.get_mut(row.get::<_, usize>(1)?) {
            step.after.push(row.get(0)?);
        }
    }
    let mut statement = connection.prepare_cached(
        "SELECT name, state, fingerprint, on_end, created_at, updated_at, finished_at FROM workflows WHERE id = ?1",
    )?;
    statement.query_row([workflow.as_bytes()], |row| {
        Ok(WorkflowLine {
            id: workflow,
            name: row.get(0)?,
            state: workflow_state_of(row.get(1)?),
            fingerprint: row.get(2)?,
            on_end: optional_id(row, 3)?,
            created_at: time(row, 4)?,
            updated_at: time(row, 5)?,
            finished_at: optional_time(row, 6)?,
            steps,
        })
    })
}

/// Stores a line, with these edges.
pub(in crate::edges::store::sqlite) fn put(
    connection: &Connection,
    line: &WorkflowLine,
    edges: &[(u32, u32)],
) -> rusqlite::Result<()> {
    let ([waiting, active, completed, failed, cancelled], blocking) = line.counts();
    let workflow = line.id.as_bytes();
    let mut insert = connection.prepare_cached(
        "INSERT INTO workflows (id, name, state, fingerprint, waiting, active, completed, failed, cancelled, blocking,
                                on_end, created_at, updated_at, finished_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    insert.execute(params![
        workflow,
        line.name,
        line.state as u8,
        line.fingerprint,
        waiting,
        active,
        completed,
        failed,
        cancelled,
        blocking,
        line.on_end.map(Uuid::into_bytes),
        line.created_at.as_micros(),
        line.updated_at.as_micros(),
        line.finished_at.map(|at| at.as_micros()),
    ])?;
    let (_, followers) = degrees(line.steps.len(), edges);
    let mut insert = connection.prepare_cached(INSERT_STEP)?;
    for (number, (step, followers)) in line.steps.iter().zip(followers).enumerate() {
        let (job, policy) = (step.job.as_bytes(), on_failure_code(step.on_failure));
        insert.execute(params![
            workflow,
            number,
            step.name,
            job,
            step.state as u8,
            step.open,
            policy,
            followers
        ])?;
    }
    let mut insert = connection
        .prepare_cached("INSERT INTO workflow_edges (workflow, earlier, later) VALUES (?1, ?2, ?3)")?;
    for (earlier, later) in edges {
        insert.execute(params![workflow, earlier, later])?;
    }
    let mut keep = connection.prepare_cached("UPDATE jobs SET workflow = ?2 WHERE id = ?1")?;
    for job in line.jobs() {
        keep.execute(params![job.as_bytes(), workflow])?;
    }
    Ok(())
}
