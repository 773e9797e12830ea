//! What is read of workflows, each within one snapshot.

use callboard_contracts::api::StepState;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use uuid::Uuid;

use super::super::jobs::{id, optional_id, optional_time, time};
use crate::edges::store::{
    transition::{
        code::state_of,
        workflow::{on_failure_of, step_state_of, workflow_state_of},
    },
    workflow::{
        EndedSteps, InputRecord, InputsRecord, StepQuery, StepRecord, WorkflowFilter, WorkflowRecord,
    },
};

const COLUMNS: &str = "sequence, id, name, state, waiting, active, completed, failed, cancelled, on_end, created_at, \
    updated_at, finished_at";

fn record(row: &Row<'_>) -> rusqlite::Result<WorkflowRecord> {
    Ok(WorkflowRecord {
        sequence: row.get(0)?,
        id: id(row, 1)?,
        name: row.get(2)?,
        state: workflow_state_of(row.get(3)?),
        counts: [row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?],
        on_end: optional_id(row, 9)?,
        created_at: time(row, 10)?,
        updated_at: time(row, 11)?,
        finished_at: optional_time(row, 12)?,
    })
}

pub(in crate::edges::store::sqlite) fn one(
    connection: &Connection,
    workflow: Uuid,
) -> rusqlite::Result<Option<WorkflowRecord>> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM workflows WHERE id = ?1"))?;
    statement.query_row([workflow.as_bytes()], record).optional()
}

pub(in crate::edges::store::sqlite) fn list(
    connection: &Connection,
    filter: &WorkflowFilter,
    limit: u32,
) -> rusqlite::Result<Vec<WorkflowRecord>> {
    let state = filter.state.map(|state| state as u8);
    let before = filter.before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
    let mut sql = format!("SELECT {COLUMNS} FROM workflows WHERE sequence < ?1");
    let mut values: Vec<&dyn ToSql> = vec![&before, &limit];
    if let Some(name) = &filter.name {
        values.push(name);
        sql.push_str(&format!(" AND name = ?{}", values.len()));
    }
    if let Some(state) = &state {
        values.push(state);
        // Those of one name are gone through, rather than those of one state.
        let column = if filter.name.is_some() { "+state" } else { "state" };
        sql.push_str(&format!(" AND {column} = ?{}", values.len()));
    }
    sql.push_str(" ORDER BY sequence DESC LIMIT ?2");
    connection.prepare_cached(&sql)?.query_map(&*values, record)?.collect()
}

pub(in crate::edges::store::sqlite) fn steps(
    connection: &Connection,
    workflow: Uuid,
    query: StepQuery,
) -> rusqlite::Result<Vec<StepRecord>> {
    let after = query.after.map_or(-1, i64::from);
    let state = query.state.map(|state| state as u8);
    let only = if state.is_some() { "AND steps.state = ?4" } else { "AND ?4 IS NULL" };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT steps.number, steps.name, steps.job, jobs.type, jobs.state, steps.state, steps.on_failure, steps.open
         FROM workflow_steps AS steps LEFT JOIN jobs ON jobs.id = steps.job
         WHERE steps.workflow = ?1 AND steps.number > ?2 {only} ORDER BY steps.number LIMIT ?3"
    ))?;
    let rows = statement.query_map(params![workflow.as_bytes(), after, query.limit, state], |row| {
        Ok(StepRecord {
            number: row.get(0)?,
            name: row.get(1)?,
            job: id(row, 2)?,
            job_type: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
            job_state: state_of(row.get::<_, Option<i64>>(4)?.unwrap_or(i64::MAX)),
            state: step_state_of(row.get(5)?),
            on_failure: on_failure_of(row.get(6)?),
            open: row.get(7)?,
        })
    })?;
    rows.collect()
}

pub(in crate::edges::store::sqlite) fn edges(
    connection: &Connection,
    workflow: Uuid,
    below: u32,
    limit: u32,
) -> rusqlite::Result<Vec<(u32, u32)>> {
    let mut statement = connection.prepare_cached(
        "SELECT earlier, later FROM workflow_edges WHERE workflow = ?1 AND earlier < ?2 AND later < ?2
         ORDER BY earlier, later LIMIT ?3",
    )?;
    let edges = statement
        .query_map(params![workflow.as_bytes(), below, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
    edges.collect()
}

pub(in crate::edges::store::sqlite) fn inputs(
    connection: &Connection,
    job: Uuid,
    after: Option<u32>,
    limit: u32,
) -> rusqlite::Result<Option<InputsRecord>> {
    let mut step =
        connection.prepare_cached("SELECT workflow, number, name FROM workflow_steps WHERE job = ?1")?;
    let found: Option<(Uuid, u32, String)> =
        step.query_row([job.as_bytes()], |row| Ok((id(row, 0)?, row.get(1)?, row.get(2)?))).optional()?;
    let Some((workflow, number, name)) = found else {
        let mut of_end =
            connection.prepare_cached(&format!("SELECT {COLUMNS} FROM workflows WHERE on_end = ?1"))?;
        let workflow = of_end.query_row([job.as_bytes()], record).optional()?;
        return Ok(workflow.map(|workflow| InputsRecord { workflow, step: None, inputs: Vec::new() }));
    };
    let Some(record) = one(connection, workflow)? else { return Ok(None) };
    let mut statement = connection.prepare_cached(
        "SELECT steps.number, steps.name, steps.state, steps.job, jobs.result, jobs.last_error
         FROM workflow_edges AS edge
         JOIN workflow_steps AS steps ON steps.workflow = edge.workflow AND steps.number = edge.earlier
         LEFT JOIN jobs ON jobs.id = steps.job
         WHERE edge.workflow = ?1 AND edge.later = ?2 AND edge.earlier > ?3 ORDER BY edge.earlier LIMIT ?4",
    )?;
    let after = after.map_or(-1, i64::from);
    let inputs = statement.query_map(params![workflow.as_bytes(), number, after, limit], |row| {
        let state = step_state_of(row.get(2)?);
        let error: Option<String> = row.get(5)?;
        Ok(InputRecord {
            number: row.get(0)?,
            name: row.get(1)?,
            state,
            job: id(row, 3)?,
            result: row.get(4)?,
            // A step that was completed in the end may have failed before.
            error: error.filter(|_| state != StepState::Completed),
        })
    })?;
    let inputs = inputs.collect::<Result<_, _>>()?;
    Ok(Some(InputsRecord { workflow: record, step: Some(name), inputs }))
}

pub(in crate::edges::store::sqlite) fn has_open(connection: &Connection) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM workflows WHERE state IN (0, 1) LIMIT 1")?;
    statement.exists(())
}

/// Looks at the jobs of so many steps that were not advanced, after this one.
pub(in crate::edges::store::sqlite) fn ended_steps(
    connection: &Connection,
    after: Uuid,
    looked_at: u32,
) -> rusqlite::Result<EndedSteps> {
    let mut statement = connection.prepare_cached(
        "SELECT open.job, jobs.state IN (5, 6, 7)
         FROM (SELECT job FROM workflow_steps INDEXED BY workflow_steps_open
               WHERE state IN (0, 1) AND job > ?1 ORDER BY job LIMIT ?2) AS open
         JOIN jobs ON jobs.id = open.job ORDER BY open.job",
    )?;
    let rows = statement
        .query_map(params![after.as_bytes(), looked_at], |row| Ok((id(row, 0)?, row.get::<_, bool>(1)?)))?;
    let rows: Vec<(Uuid, bool)> = rows.collect::<Result<_, _>>()?;
    let next = rows.last().map(|(job, _)| *job).filter(|_| rows.len() >= looked_at as usize);
    let jobs = rows.into_iter().filter(|(_, ended)| *ended).map(|(job, _)| job).collect();
    Ok(EndedSteps { jobs, next })
}
