//! What the steps have come to that a job waits for.

use std::collections::BTreeMap;

use callboard_contracts::api::{JobInputs, StepResult};
use serde_json::Value;
use uuid::Uuid;

use super::views::view;
use crate::{
    edges::store::{StoreError, workflow::InputRecord},
    encryption::envelope::{MARK, Part},
    roles::node::Node,
};

/// Bytes of results after which a page ends.
const ENOUGH: usize = 4 * 1024 * 1024;
/// Steps that are read first, and at most, at a time: how large their results are is seen only then.
const FIRST: usize = 8;
const MOST: usize = 500;

/// To whom results are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::roles) enum Shown {
    /// To the run that waits for them: as they are.
    ToRun,
    /// To people: without secrets.
    ToPeople,
}

/// The results with what is secret in them opened, or hidden. Which values are is known by the types of the steps' jobs.
async fn secrets(
    node: &Node,
    shown: Shown,
    mut results: Vec<StepResult>,
) -> Result<Vec<StepResult>, StoreError> {
    let vault = node.vault();
    let sealed =
        |step: &StepResult| step.result.as_ref().is_some_and(|result| result.to_string().contains(MARK));
    let concerned = |step: &&StepResult| {
        step.result.is_some() && ((shown == Shown::ToPeople && vault.secrets.any_results()) || sealed(step))
    };
    let ids: Vec<Uuid> = results.iter().filter(concerned).map(|step| step.job).collect();
    if ids.is_empty() {
        return Ok(results);
    }
    let mut types = BTreeMap::new();
    for ids in ids.chunks(MOST) {
        let jobs = node.store.jobs_by_id(ids.to_vec()).await?;
        types.extend(jobs.into_iter().map(|job| (job.id, job.job_type)));
    }
    for step in &mut results {
        let (Some(result), Some(job_type)) = (&mut step.result, types.get(&step.job)) else { continue };
        match shown {
            Shown::ToPeople => vault.secrets.redact(job_type, Part::Result, result),
            Shown::ToRun => vault.open(job_type, Part::Result, result).map_err(|error| {
                StoreError::Failed(format!(
                    "the result of the step {:?} (job {}): {error}",
                    step.name, step.job
                ))
            })?,
        }
    }
    Ok(results)
}

/// A page of at most `limit` steps behind a number.
pub(in crate::roles) async fn inputs(
    node: &Node,
    shown: Shown,
    job: Uuid,
    after: Option<u32>,
    limit: u32,
) -> Result<Option<JobInputs>, StoreError> {
    let (store, limit) = (&node.store, limit as usize);
    let (mut results, mut bytes, mut after) = (Vec::new(), 0usize, after);
    let mut ask = FIRST;
    loop {
        // One more than there is room for tells whether there is a next page.
        ask = ask.min(limit + 1 - results.len());
        let rows = u32::try_from(ask).unwrap_or(u32::MAX);
        let Some(page) = store.step_inputs(job, after, rows).await? else { return Ok(None) };
        let last_page = page.inputs.len() < ask;
        let mut next_cursor = None;
        for input in page.inputs {
            if results.len() >= limit || (bytes > ENOUGH && !results.is_empty()) {
                next_cursor = after.map(|last| last.to_string());
                break;
            }
            bytes += input.result.as_ref().map_or(0, String::len);
            after = Some(input.number);
            results.push(result(input)?);
        }
        if last_page || next_cursor.is_some() {
            let results = secrets(node, shown, results).await?;
            return Ok(Some(JobInputs {
                workflow: view(page.workflow),
                step: page.step,
                results,
                next_cursor,
            }));
        }
        ask = (ENOUGH / (bytes / results.len().max(1)).max(1)).clamp(1, MOST);
    }
}

fn result(input: InputRecord) -> Result<StepResult, StoreError> {
    let InputRecord { number, name, state, job, result, error } = input;
    let result: Option<Value> = result
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|error| StoreError::Corrupt(format!("the result of job {job} is no JSON: {error}")))?;
    Ok(StepResult { number, name, state, job, result, error })
}
