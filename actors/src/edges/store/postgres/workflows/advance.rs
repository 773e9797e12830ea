//! Advancing steps whose jobs have ended.

use std::collections::BTreeSet;

use callboard_contracts::JobState;
use sqlx::Row;
use uuid::Uuid;

use super::{
    super::{columns::as_integer, control::each, enqueue, transaction::Transaction},
    rows::{lock_flows, step, step_columns, write_flows, write_steps},
};
use crate::edges::store::{
    transition::{
        code::state_of,
        enqueue::{Replay, replayed},
        workflow::{Advance, Flow, Step, set_free, tells_again, within},
    },
    workflow::WorkflowOutcome,
};

pub(super) async fn advance(
    tx: &mut Transaction<'_>,
    jobs: &[Uuid],
    limit: u32,
) -> sqlx::Result<WorkflowOutcome> {
    // The ends of jobs may be in this very transaction.
    tx.flush().await?;
    let mut all = Advance::default();
    let workflows: Vec<Uuid> = sqlx::query_scalar(
        "SELECT DISTINCT workflow FROM workflow_steps WHERE job = ANY($1) AND state IN (0, 1)",
    )
    .bind(jobs)
    .fetch_all(&mut *tx.connection)
    .await?;
    if !workflows.is_empty() {
        let flows = lock_flows(tx, workflows).await?;
        all.flows.extend(flows.into_iter().map(|flow| (flow.id, flow)));
    }
    // As it is now that nobody else advances them.
    let mut ended = if all.flows.is_empty() { Vec::new() } else { ended(tx, jobs).await? };
    let fit = within(ended.iter().map(|(step, _)| step.followers), limit);
    let mut left: Vec<Uuid> = ended.split_off(fit).into_iter().map(|(step, _)| step.job).collect();
    let steps = u32::try_from(ended.len()).unwrap_or(u32::MAX);
    let satisfied = all.end(ended);
    for (follower, by) in followers(tx, &satisfied).await? {
        all.count_off(follower, by);
    }
    write_steps(tx, all.steps.values()).await?;
    // One that somebody has cancelled while it waited has ended already.
    let freed = each(tx, &all.free, |changes, row| match row.state.is_final() {
        true => left.push(row.id),
        false => set_free(changes, row),
    })
    .await?;
    let mut queues: BTreeSet<String> = freed.into_iter().collect();
    let mut over = 0;
    for flow in all.flows.values_mut() {
        if flow.settle(tx.changes.now) {
            over += 1;
            queues.extend(tell_of_end(tx, flow).await?);
        }
    }
    write_flows(tx, all.flows.values()).await?;
    Ok(WorkflowOutcome::Advanced { left, queues: queues.into_iter().collect(), steps, ended: over })
}

/// The steps of these jobs that have not been advanced and whose jobs have ended, and how; by workflow, in their order.
async fn ended(tx: &mut Transaction<'_>, jobs: &[Uuid]) -> sqlx::Result<Vec<(Step, JobState)>> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        step_columns!(),
        ", jobs.state AS job_state
         FROM workflow_steps AS steps JOIN jobs ON jobs.id = steps.job
         WHERE steps.job = ANY($1) AND steps.state IN (0, 1) AND jobs.state IN (5, 6, 7)
         ORDER BY steps.workflow, steps.number"
    ))
    .bind(jobs)
    .fetch_all(&mut *tx.connection)
    .await?;
    rows.iter().map(|row| Ok((step(row)?, state_of(row.try_get::<i16, _>("job_state")?.into())))).collect()
}

/// The steps that wait for these, and for how many of them.
async fn followers(tx: &mut Transaction<'_>, of: &[(Uuid, u32)]) -> sqlx::Result<Vec<(Step, u32)>> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(concat!(
        "SELECT ",
        step_columns!(),
        ", gone.times
         FROM (SELECT edge.workflow, edge.later, count(*) AS times
               FROM unnest($1::uuid[], $2::integer[]) AS ended (workflow, number)
               JOIN workflow_edges AS edge ON edge.workflow = ended.workflow AND edge.earlier = ended.number
               GROUP BY edge.workflow, edge.later) AS gone
         JOIN workflow_steps AS steps ON steps.workflow = gone.workflow AND steps.number = gone.later
         ORDER BY steps.workflow, steps.number"
    ))
    .bind(of.iter().map(|(workflow, _)| *workflow).collect::<Vec<_>>())
    .bind(of.iter().map(|(_, number)| as_integer(*number)).collect::<Vec<_>>())
    .fetch_all(&mut *tx.connection)
    .await?;
    let times = |times: i64| u32::try_from(times).unwrap_or(u32::MAX);
    rows.iter().map(|row| Ok((step(row)?, times(row.try_get("times")?)))).collect()
}

/// Lets the job run that is for the end of a workflow; if it ran before, again. The queues that have more jobs to be claimed.
pub(super) async fn tell_of_end(tx: &mut Transaction<'_>, flow: &mut Flow) -> sqlx::Result<Vec<String>> {
    let Some(job) = flow.on_end else { return Ok(Vec::new()) };
    let queues = each(tx, &[job], set_free).await?;
    let Some(row) = tx.changes.rows.get(&job).cloned() else { return Ok(Vec::new()) };
    if tells_again(row.state) {
        let replay = Replay::available(Uuid::now_v7(), Uuid::now_v7());
        enqueue::replay(tx, &row, &replay, Some(flow.id), None).await?;
        replayed(&mut tx.changes, &row, &replay);
        flow.on_end = Some(replay.id);
        return Ok(vec![row.queue]);
    }
    Ok(queues)
}
