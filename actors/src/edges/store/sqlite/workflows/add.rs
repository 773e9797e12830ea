//! Steps that a running one adds to its workflow.

use std::collections::{BTreeMap, BTreeSet};

use callboard_contracts::{JobState, api::WorkflowState};
use rusqlite::{OptionalExtension, params};

use super::{
    super::{enqueue, jobs::id, transaction::Transaction},
    Decided,
    rows::{self, flow, insert_edges, step, step_columns, write_flow, write_steps},
};
use crate::edges::store::{
    record::NewJob,
    transition::{
        workflow::{Step, job_of, on_failure_code, refusal},
        workflow_addition::{self, Addition},
    },
    workflow::{AddedSteps, WorkflowOutcome},
};

pub(super) fn add(tx: &mut Transaction<'_>, added: &AddedSteps) -> Decided {
    let lease = added.lease;
    tx.load(std::iter::once(lease.id))?;
    let current = tx.changes.rows.get(&lease.id);
    if !current.is_some_and(|row| row.state == JobState::Executing && row.has_token(lease.token)) {
        return Ok(Ok(WorkflowOutcome::Stale));
    }
    tx.flush()?;
    let mut find = tx.connection.prepare_cached("SELECT workflow FROM workflow_steps WHERE job = ?1")?;
    let Some(workflow) = find.query_row([lease.id.as_bytes()], |row| id(row, 0)).optional()? else {
        return Ok(Ok(WorkflowOutcome::NotFound));
    };
    let Some(mut flow) = flow(tx, workflow)? else { return Ok(Ok(WorkflowOutcome::NotFound)) };
    debug_assert!(
        matches!(flow.state, WorkflowState::Running | WorkflowState::Cancelling),
        "a step of it runs"
    );
    let mut known: BTreeMap<String, Step> = BTreeMap::new();
    let mut find = tx.connection.prepare_cached(concat!(
        "SELECT ",
        step_columns!(),
        " FROM workflow_steps WHERE workflow = ?1 AND name = ?2"
    ))?;
    for name in workflow_addition::names(added) {
        if let Some(found) = find.query_row(params![workflow.as_bytes(), name], step).optional()? {
            known.insert(name.to_owned(), found);
        }
    }
    let first = flow.steps();
    let Addition { steps, followers, edges, touched } = match workflow_addition::add(&mut flow, added, known)
    {
        Ok(addition) => addition,
        Err(refused) => return Ok(Ok(WorkflowOutcome::Refused(refused))),
    };
    let jobs: Vec<NewJob> =
        steps.iter().map(|(place, open)| job_of(&added.steps[*place].job, *open)).collect();
    let all: Vec<&NewJob> = jobs.iter().collect();
    match enqueue::store_whole(tx, &all, workflow)? {
        Ok(None) => {}
        Ok(Some((place, outcome))) => return Ok(Ok(refusal(&all[place].queue, outcome))),
        Err(error) => return Ok(Err(error)),
    }
    let mut insert = tx.connection.prepare_cached(rows::INSERT_STEP)?;
    for ((number, (place, open)), followers) in (first..).zip(&steps).zip(&followers) {
        let new = &added.steps[*place];
        let (workflow, job) = (workflow.as_bytes(), new.job.id.as_bytes());
        let (state, policy) = (u8::from(*open == 0), on_failure_code(new.on_failure));
        insert.execute(params![workflow, number, new.name, job, state, open, policy, followers])?;
    }
    insert_edges(tx, workflow, edges.into_iter())?;
    write_steps(tx, touched.iter())?;
    write_flow(tx, &flow)?;
    let free = jobs.iter().zip(&steps).filter(|(_, step)| step.1 == 0).map(|(job, _)| job.queue.clone());
    let queues: BTreeSet<String> = free.collect();
    Ok(Ok(WorkflowOutcome::Added {
        steps: u32::try_from(steps.len()).unwrap_or(u32::MAX),
        queues: queues.into_iter().collect(),
    }))
}
