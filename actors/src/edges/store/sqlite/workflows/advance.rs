//! Advancing steps whose jobs have ended.

use std::collections::{BTreeMap, BTreeSet};

use callboard_contracts::JobState;
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use super::{
    super::{control::each, enqueue, transaction::Transaction},
    rows::{flow, step, step_columns, write_flow, write_steps},
};
use crate::edges::store::{
    transition::{
        code::state_of,
        enqueue::{Replay, replayed},
        workflow::{Advance, Flow, Step, set_free, tells_again, within},
    },
    workflow::WorkflowOutcome,
};

pub(super) fn advance(
    tx: &mut Transaction<'_>,
    jobs: &[Uuid],
    limit: u32,
) -> rusqlite::Result<WorkflowOutcome> {
    // The ends of jobs may be in this very transaction.
    tx.flush()?;
    let mut ended = ended(tx, jobs)?;
    let fit = within(ended.iter().map(|(step, _)| step.followers), limit);
    let mut left: Vec<Uuid> = ended.split_off(fit).into_iter().map(|(step, _)| step.job).collect();
    let steps = u32::try_from(ended.len()).unwrap_or(u32::MAX);
    let mut all = Advance::default();
    for (step, _) in &ended {
        if !all.flows.contains_key(&step.workflow)
            && let Some(found) = flow(tx, step.workflow)?
        {
            all.flows.insert(step.workflow, found);
        }
    }
    for (workflow, number) in all.end(ended) {
        for follower in followers(tx, workflow, number)? {
            all.count_off(follower, 1);
        }
    }
    write_steps(tx, all.steps.values())?;
    // One that somebody has cancelled while it waited has ended already.
    let freed = each(tx, &all.free, |changes, row| match row.state.is_final() {
        true => left.push(row.id),
        false => set_free(changes, row),
    })?;
    let mut queues: BTreeSet<String> = freed.into_iter().collect();
    let mut over = 0;
    for flow in all.flows.values_mut() {
        if flow.settle(tx.changes.now) {
            over += 1;
            queues.extend(tell_of_end(tx, flow)?);
        }
        write_flow(tx, flow)?;
    }
    Ok(WorkflowOutcome::Advanced { left, queues: queues.into_iter().collect(), steps, ended: over })
}

/// The steps of these jobs that have not been advanced and whose jobs have ended, and how.
fn ended(tx: &Transaction<'_>, jobs: &[Uuid]) -> rusqlite::Result<Vec<(Step, JobState)>> {
    let mut statement = tx.connection.prepare_cached(concat!(
        "SELECT ",
        step_columns!(),
        ", (SELECT state FROM jobs WHERE jobs.id = workflow_steps.job) AS job_state
         FROM workflow_steps WHERE job = ?1 AND state IN (0, 1)"
    ))?;
    let mut found: BTreeMap<(Uuid, u32), (Step, JobState)> = BTreeMap::new();
    for job in jobs {
        let read =
            statement.query_row([job.as_bytes()], |row| Ok((step(row)?, row.get::<_, Option<i64>>(7)?)));
        if let Some((step, Some(state))) = read.optional()?
            && state_of(state).is_final()
        {
            found.insert((step.workflow, step.number), (step, state_of(state)));
        }
    }
    Ok(found.into_values().collect())
}

/// The steps that wait for this one.
fn followers(tx: &Transaction<'_>, workflow: Uuid, number: u32) -> rusqlite::Result<Vec<Step>> {
    let mut statement = tx.connection.prepare_cached(concat!(
        "SELECT ",
        step_columns!(),
        " FROM workflow_steps WHERE workflow = ?1
            AND number IN (SELECT later FROM workflow_edges WHERE workflow = ?1 AND earlier = ?2)"
    ))?;
    statement.query_map(params![workflow.as_bytes(), number], step)?.collect()
}

/// Lets the job run that is for the end of a workflow; if it ran before, again. The queues that have more jobs to be claimed.
pub(super) fn tell_of_end(tx: &mut Transaction<'_>, flow: &mut Flow) -> rusqlite::Result<Vec<String>> {
    let Some(job) = flow.on_end else { return Ok(Vec::new()) };
    let queues = each(tx, &[job], set_free)?;
    // It was written back, so what is there is what was found, or available.
    tx.load(std::iter::once(job))?;
    let Some(row) = tx.changes.rows.get(&job).cloned() else { return Ok(Vec::new()) };
    if tells_again(row.state) {
        let replay = Replay::available(Uuid::now_v7(), Uuid::now_v7());
        enqueue::replay(tx, &row, &replay, Some(flow.id), None)?;
        replayed(&mut tx.changes, &row, &replay);
        flow.on_end = Some(replay.id);
        return Ok(vec![row.queue]);
    }
    Ok(queues)
}
