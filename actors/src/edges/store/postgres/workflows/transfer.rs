//! Workflows in exports.

use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::super::columns::{as_integer, as_text, count, optional_time, time};
use crate::edges::store::{
    transfer::{StepLine, WorkflowLine},
    transition::workflow::{degrees, on_failure_code, on_failure_of, step_state_of, workflow_state_of},
};

/// The ids of all workflows, in the order of storing.
pub(in crate::edges::store::postgres) async fn all(connection: &mut PgConnection) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar("SELECT id FROM workflows ORDER BY sequence").fetch_all(connection).await
}

/// A workflow as a line.
pub(in crate::edges::store::postgres) async fn line(
    connection: &mut PgConnection,
    workflow: Uuid,
) -> sqlx::Result<WorkflowLine> {
    let rows = sqlx::query(
        "SELECT name, job, state, on_failure, open FROM workflow_steps WHERE workflow = $1 ORDER BY number",
    )
    .bind(workflow)
    .fetch_all(&mut *connection)
    .await?;
    let step = |row: &PgRow| {
        Ok(StepLine {
            name: row.try_get("name")?,
            job: row.try_get("job")?,
            state: step_state_of(row.try_get::<i16, _>("state")?.into()),
            on_failure: on_failure_of(row.try_get::<i16, _>("on_failure")?.into()),
            open: count(row, "open")?,
            after: Vec::new(),
        })
    };
    let mut steps = rows.iter().map(step).collect::<sqlx::Result<Vec<StepLine>>>()?;
    let edges: Vec<(i32, i32)> = sqlx::query_as(
        "SELECT earlier, later FROM workflow_edges WHERE workflow = $1 ORDER BY later, earlier",
    )
    .bind(workflow)
    .fetch_all(&mut *connection)
    .await?;
    for (earlier, later) in edges {
        if let Some(step) = usize::try_from(later).ok().and_then(|later| steps.get_mut(later)) {
            step.after.push(u32::try_from(earlier).unwrap_or(0));
        }
    }
    let row = sqlx::query(
        "SELECT name, state, fingerprint, on_end, created_at, updated_at, finished_at FROM workflows WHERE id = $1",
    )
    .bind(workflow)
    .fetch_one(connection)
    .await?;
    Ok(WorkflowLine {
        id: workflow,
        name: row.try_get("name")?,
        state: workflow_state_of(row.try_get::<i16, _>("state")?.into()),
        fingerprint: row.try_get("fingerprint")?,
        on_end: row.try_get("on_end")?,
        created_at: time(&row, "created_at")?,
        updated_at: time(&row, "updated_at")?,
        finished_at: optional_time(&row, "finished_at")?,
        steps,
    })
}

/// Stores a line, with these edges.
pub(in crate::edges::store::postgres) async fn put(
    connection: &mut PgConnection,
    line: &WorkflowLine,
    edges: &[(u32, u32)],
) -> sqlx::Result<()> {
    let (counts, blocking) = line.counts();
    let mut insert = sqlx::query(
        "INSERT INTO workflows (id, sequence, name, state, fingerprint, on_end, created_at, updated_at, finished_at,
                                blocking, waiting, active, completed, failed, cancelled)
         VALUES ($1, nextval('workflow_sequence'), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(line.id)
    .bind(line.name.as_deref().map(as_text))
    .bind(line.state as i16)
    .bind(&line.fingerprint)
    .bind(line.on_end)
    .bind(line.created_at.as_micros())
    .bind(line.updated_at.as_micros())
    .bind(line.finished_at.map(|at| at.as_micros()))
    .bind(as_integer(blocking));
    for number in counts {
        insert = insert.bind(as_integer(number));
    }
    insert.execute(&mut *connection).await?;
    let (_, followers) = degrees(line.steps.len(), edges);
    sqlx::query(
        "INSERT INTO workflow_steps (workflow, number, name, job, state, open, on_failure, followers)
         SELECT $1, place - 1, name, job, state, open, on_failure, followers
         FROM unnest($2::text[], $3::uuid[], $4::smallint[], $5::integer[], $6::smallint[], $7::integer[])
            WITH ORDINALITY AS new (name, job, state, open, on_failure, followers, place)",
    )
    .bind(line.id)
    .bind(line.steps.iter().map(|step| as_text(&step.name)).collect::<Vec<_>>())
    .bind(line.steps.iter().map(|step| step.job).collect::<Vec<_>>())
    .bind(line.steps.iter().map(|step| step.state as i16).collect::<Vec<_>>())
    .bind(line.steps.iter().map(|step| as_integer(step.open)).collect::<Vec<_>>())
    .bind(line.steps.iter().map(|step| on_failure_code(step.on_failure)).collect::<Vec<_>>())
    .bind(followers.into_iter().map(as_integer).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO workflow_edges (workflow, earlier, later)
         SELECT $1, * FROM unnest($2::integer[], $3::integer[])",
    )
    .bind(line.id)
    .bind(edges.iter().map(|(earlier, _)| as_integer(*earlier)).collect::<Vec<_>>())
    .bind(edges.iter().map(|(_, later)| as_integer(*later)).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE jobs SET workflow = $1 WHERE id = ANY($2)")
        .bind(line.id)
        .bind(line.jobs().collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}
