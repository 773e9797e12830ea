//! Workflows and steps as the writers hold them.

use callboard_contracts::Timestamp;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::super::{
    columns::{as_integer, count, optional_time},
    transaction::Transaction,
};
use crate::edges::store::{
    transition::workflow::{Flow, Step, on_failure_code, on_failure_of, step_state_of, workflow_state_of},
    workflow::NewStep,
};

/// The columns of [`step`].
macro_rules! step_columns {
    () => {
        "steps.workflow, steps.number, steps.job, steps.state, steps.open, steps.on_failure, steps.followers"
    };
}
pub(super) use step_columns;

/// A row with [`step_columns`].
pub(super) fn step(row: &PgRow) -> sqlx::Result<Step> {
    Ok(Step {
        workflow: row.try_get("workflow")?,
        number: count(row, "number")?,
        job: row.try_get("job")?,
        state: step_state_of(row.try_get::<i16, _>("state")?.into()),
        open: count(row, "open")?,
        on_failure: on_failure_of(row.try_get::<i16, _>("on_failure")?.into()),
        followers: count(row, "followers")?,
    })
}

/// Locks these workflows, as far as they exist; in the order of their ids.
pub(super) async fn lock_flows(tx: &mut Transaction<'_>, ids: Vec<Uuid>) -> sqlx::Result<Vec<Flow>> {
    let rows = sqlx::query(
        "SELECT id, state, waiting, active, completed, failed, cancelled, blocking, on_end, finished_at
         FROM workflows WHERE id = ANY($1) ORDER BY id FOR UPDATE",
    )
    .bind(ids)
    .fetch_all(&mut *tx.connection)
    .await?;
    let read = |row: &PgRow| {
        let number = |column| count(row, column);
        Ok(Flow {
            id: row.try_get("id")?,
            state: workflow_state_of(row.try_get::<i16, _>("state")?.into()),
            counts: [
                number("waiting")?,
                number("active")?,
                number("completed")?,
                number("failed")?,
                number("cancelled")?,
            ],
            blocking: number("blocking")?,
            on_end: row.try_get("on_end")?,
            finished_at: optional_time(row, "finished_at")?,
            changed: false,
        })
    };
    rows.iter().map(read).collect()
}

/// Writes workflows back that have changed.
pub(super) async fn write_flows<'f>(
    tx: &mut Transaction<'_>,
    flows: impl Iterator<Item = &'f Flow>,
) -> sqlx::Result<()> {
    let flows: Vec<&Flow> = flows.filter(|flow| flow.changed).collect();
    if flows.is_empty() {
        return Ok(());
    }
    let counts = |place: usize| flows.iter().map(|flow| as_integer(flow.counts[place])).collect::<Vec<_>>();
    sqlx::query(
        "UPDATE workflows SET state = new.state, waiting = new.waiting, active = new.active, completed = new.completed,
                              failed = new.failed, cancelled = new.cancelled, blocking = new.blocking,
                              on_end = new.on_end, finished_at = new.finished_at, updated_at = $11
         FROM unnest($1::uuid[], $2::smallint[], $3::integer[], $4::integer[], $5::integer[], $6::integer[],
                     $7::integer[], $8::integer[], $9::uuid[], $10::bigint[])
            AS new (id, state, waiting, active, completed, failed, cancelled, blocking, on_end, finished_at)
         WHERE workflows.id = new.id",
    )
    .bind(flows.iter().map(|flow| flow.id).collect::<Vec<_>>())
    .bind(flows.iter().map(|flow| flow.state as i16).collect::<Vec<_>>())
    .bind(counts(0))
    .bind(counts(1))
    .bind(counts(2))
    .bind(counts(3))
    .bind(counts(4))
    .bind(flows.iter().map(|flow| as_integer(flow.blocking)).collect::<Vec<_>>())
    .bind(flows.iter().map(|flow| flow.on_end).collect::<Vec<_>>())
    .bind(flows.iter().map(|flow| flow.finished_at.map(Timestamp::as_micros)).collect::<Vec<_>>())
    .bind(tx.changes.now.as_micros())
    .execute(&mut *tx.connection)
    .await?;
    Ok(())
}

/// Writes steps back.
pub(super) async fn write_steps<'s>(
    tx: &mut Transaction<'_>,
    steps: impl Iterator<Item = &'s Step>,
) -> sqlx::Result<()> {
    let steps: Vec<&Step> = steps.collect();
    if steps.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE workflow_steps SET job = new.job, state = new.state, open = new.open, followers = new.followers
         FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::smallint[], $5::integer[], $6::integer[])
            AS new (workflow, number, job, state, open, followers)
         WHERE workflow_steps.workflow = new.workflow AND workflow_steps.number = new.number",
    )
    .bind(steps.iter().map(|step| step.workflow).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| as_integer(step.number)).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| step.job).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| step.state as i16).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| as_integer(step.open)).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| as_integer(step.followers)).collect::<Vec<_>>())
    .execute(&mut *tx.connection)
    .await?;
    Ok(())
}

/// Stores new steps: their numbers, what they are, how many they wait for, and how many wait for them.
pub(super) async fn insert_steps(
    tx: &mut Transaction<'_>,
    workflow: Uuid,
    steps: &[(u32, &NewStep, u32, u32)],
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO workflow_steps (workflow, number, name, job, state, open, on_failure, followers)
         SELECT $1, * FROM unnest($2::integer[], $3::text[], $4::uuid[], $5::smallint[], $6::integer[],
                                  $7::smallint[], $8::integer[])",
    )
    .bind(workflow)
    .bind(steps.iter().map(|(number, ..)| as_integer(*number)).collect::<Vec<_>>())
    .bind(steps.iter().map(|(_, step, ..)| step.name.as_str()).collect::<Vec<_>>())
    .bind(steps.iter().map(|(_, step, ..)| step.job.id).collect::<Vec<_>>())
    .bind(steps.iter().map(|(_, _, open, _)| i16::from(*open == 0)).collect::<Vec<_>>())
    .bind(steps.iter().map(|(_, _, open, _)| as_integer(*open)).collect::<Vec<_>>())
    .bind(steps.iter().map(|(_, step, ..)| on_failure_code(step.on_failure)).collect::<Vec<_>>())
    .bind(steps.iter().map(|(.., followers)| as_integer(*followers)).collect::<Vec<_>>())
    .execute(&mut *tx.connection)
    .await?;
    Ok(())
}

pub(super) async fn insert_edges(
    tx: &mut Transaction<'_>,
    workflow: Uuid,
    edges: &[(u32, u32)],
) -> sqlx::Result<()> {
    if edges.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO workflow_edges (workflow, earlier, later)
         SELECT $1, * FROM unnest($2::integer[], $3::integer[]) ON CONFLICT DO NOTHING",
    )
    .bind(workflow)
    .bind(edges.iter().map(|(earlier, _)| as_integer(*earlier)).collect::<Vec<_>>())
    .bind(edges.iter().map(|(_, later)| as_integer(*later)).collect::<Vec<_>>())
    .execute(&mut *tx.connection)
    .await?;
    Ok(())
}
