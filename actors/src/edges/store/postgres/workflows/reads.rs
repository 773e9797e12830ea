//! What is read of workflows, each within one snapshot.

use callboard_contracts::api::StepState;
use sqlx::{PgConnection, QueryBuilder, Row, postgres::PgRow};
use uuid::Uuid;

use super::super::columns::{as_integer, as_long, count, long, optional_time, time};
use crate::edges::store::{
    transition::{
        code::state_of,
        workflow::{on_failure_of, step_state_of, workflow_state_of},
    },
    workflow::{
        EndedSteps, InputRecord, InputsRecord, StepQuery, StepRecord, WorkflowFilter, WorkflowRecord,
    },
};

/// What is read of workflows.
macro_rules! workflows {
    ($which:literal) => {
        concat!(
            "SELECT sequence, id, name, state, waiting, active, completed, failed, cancelled, on_end, created_at, updated_at,
                    finished_at
             FROM workflows WHERE ",
            $which
        )
    };
}

fn record(row: &PgRow) -> sqlx::Result<WorkflowRecord> {
    let number = |column| count(row, column);
    Ok(WorkflowRecord {
        sequence: long(row, "sequence")?,
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        state: workflow_state_of(row.try_get::<i16, _>("state")?.into()),
        counts: [
            number("waiting")?,
            number("active")?,
            number("completed")?,
            number("failed")?,
            number("cancelled")?,
        ],
        on_end: row.try_get("on_end")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        finished_at: optional_time(row, "finished_at")?,
    })
}

pub(in crate::edges::store::postgres) async fn one(
    connection: &mut PgConnection,
    workflow: Uuid,
) -> sqlx::Result<Option<WorkflowRecord>> {
    let row = sqlx::query(workflows!("id = $1")).bind(workflow).fetch_optional(connection).await?;
    row.as_ref().map(record).transpose()
}

pub(in crate::edges::store::postgres) async fn list(
    connection: &mut PgConnection,
    filter: WorkflowFilter,
    limit: u32,
) -> sqlx::Result<Vec<WorkflowRecord>> {
    let mut query = QueryBuilder::new(workflows!("sequence < "));
    query.push_bind(filter.before.map_or(i64::MAX, as_long));
    if let Some(name) = filter.name {
        query.push(" AND name = ").push_bind(name);
    }
    if let Some(state) = filter.state {
        query.push(" AND state = ").push_bind(state as i16);
    }
    query.push(" ORDER BY sequence DESC LIMIT ").push_bind(i64::from(limit));
    query.build().fetch_all(connection).await?.iter().map(record).collect()
}

pub(in crate::edges::store::postgres) async fn steps(
    connection: &mut PgConnection,
    workflow: Uuid,
    asked: StepQuery,
) -> sqlx::Result<Vec<StepRecord>> {
    let mut query = QueryBuilder::new(
        "SELECT steps.number, steps.name, steps.job, jobs.type, jobs.state AS job_state, steps.state, steps.on_failure,
                steps.open
         FROM workflow_steps AS steps LEFT JOIN jobs ON jobs.id = steps.job WHERE steps.workflow = ",
    );
    query.push_bind(workflow);
    if let Some(after) = asked.after {
        query.push(" AND steps.number > ").push_bind(as_integer(after));
    }
    if let Some(state) = asked.state {
        query.push(" AND steps.state = ").push_bind(state as i16);
    }
    query.push(" ORDER BY steps.number LIMIT ").push_bind(i64::from(asked.limit));
    let rows = query.build().fetch_all(connection).await?;
    let read = |row: &PgRow| {
        let job_state: Option<i16> = row.try_get("job_state")?;
        Ok(StepRecord {
            number: count(row, "number")?,
            name: row.try_get("name")?,
            job: row.try_get("job")?,
            job_type: row.try_get::<Option<String>, _>("type")?.unwrap_or_default(),
            job_state: state_of(job_state.map_or(i64::MAX, i64::from)),
            state: step_state_of(row.try_get::<i16, _>("state")?.into()),
            on_failure: on_failure_of(row.try_get::<i16, _>("on_failure")?.into()),
            open: count(row, "open")?,
        })
    };
    rows.iter().map(read).collect()
}

pub(in crate::edges::store::postgres) async fn edges(
    connection: &mut PgConnection,
    workflow: Uuid,
    below: u32,
    limit: u32,
) -> sqlx::Result<Vec<(u32, u32)>> {
    let rows = sqlx::query(
        "SELECT earlier, later FROM workflow_edges WHERE workflow = $1 AND earlier < $2 AND later < $2
         ORDER BY earlier, later LIMIT $3",
    )
    .bind(workflow)
    .bind(as_integer(below))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok((count(row, "earlier")?, count(row, "later")?))).collect()
}

pub(in crate::edges::store::postgres) async fn inputs(
    connection: &mut PgConnection,
    job: Uuid,
    after: Option<u32>,
    limit: u32,
) -> sqlx::Result<Option<InputsRecord>> {
    let found: Option<(Uuid, i32, String)> =
        sqlx::query_as("SELECT workflow, number, name FROM workflow_steps WHERE job = $1")
            .bind(job)
            .fetch_optional(&mut *connection)
            .await?;
    let Some((workflow, number, name)) = found else {
        let row = sqlx::query(workflows!("on_end = $1")).bind(job).fetch_optional(connection).await?;
        let workflow = row.as_ref().map(record).transpose()?;
        return Ok(workflow.map(|workflow| InputsRecord { workflow, step: None, inputs: Vec::new() }));
    };
    let Some(workflow) = one(connection, workflow).await? else { return Ok(None) };
    let rows = sqlx::query(
        "SELECT steps.number, steps.name, steps.state, steps.job, jobs.result, jobs.last_error
         FROM workflow_edges AS edge
         JOIN workflow_steps AS steps ON steps.workflow = edge.workflow AND steps.number = edge.earlier
         LEFT JOIN jobs ON jobs.id = steps.job
         WHERE edge.workflow = $1 AND edge.later = $2 AND edge.earlier > $3 ORDER BY edge.earlier LIMIT $4",
    )
    .bind(workflow.id)
    .bind(number)
    .bind(after.map_or(-1, as_integer))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    let read = |row: &PgRow| {
        let state = step_state_of(row.try_get::<i16, _>("state")?.into());
        let error: Option<String> = row.try_get("last_error")?;
        Ok(InputRecord {
            number: count(row, "number")?,
            name: row.try_get("name")?,
            state,
            job: row.try_get("job")?,
            result: row.try_get("result")?,
            // A step that was completed in the end may have failed before.
            error: error.filter(|_| state != StepState::Completed),
        })
    };
    let inputs = rows.iter().map(read).collect::<sqlx::Result<_>>()?;
    Ok(Some(InputsRecord { workflow, step: Some(name), inputs }))
}

pub(in crate::edges::store::postgres) async fn has_open(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM workflows WHERE state IN (0, 1))")
        .fetch_one(connection)
        .await
}

/// Looks at the jobs of so many steps that were not advanced, after this one.
pub(in crate::edges::store::postgres) async fn ended_steps(
    connection: &mut PgConnection,
    after: Uuid,
    looked_at: u32,
) -> sqlx::Result<EndedSteps> {
    let rows: Vec<(Uuid, bool)> = sqlx::query_as(
        "SELECT open.job, jobs.state IN (5, 6, 7)
         FROM (SELECT job FROM workflow_steps WHERE state IN (0, 1) AND job > $1 ORDER BY job LIMIT $2) AS open
         JOIN jobs ON jobs.id = open.job ORDER BY open.job",
    )
    .bind(after)
    .bind(i64::from(looked_at))
    .fetch_all(connection)
    .await?;
    let next = rows.last().map(|(job, _)| *job).filter(|_| rows.len() >= looked_at as usize);
    let jobs = rows.into_iter().filter(|(_, ended)| *ended).map(|(job, _)| job).collect();
    Ok(EndedSteps { jobs, next })
}
