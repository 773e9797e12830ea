//! What the steps have come to that a job waits for.

use callboard_contracts::api::{JobInputs, StepResult};
use serde_json::Value;
use uuid::Uuid;

use super::views::view;
use crate::edges::store::{StoreError, StoreHandle, workflow::InputRecord};

/// Bytes of results after which a page ends.
const ENOUGH: usize = 4 * 1024 * 1024;
/// Steps that are read first, and at most, at a time: how large their results are is seen only then.
const FIRST: usize = 8;
const MOST: usize = 500;

/// A page of at most `limit` steps behind a number.
pub(in crate::roles) async fn inputs(
    store: &StoreHandle,
    job: Uuid,
    after: Option<u32>,
    limit: u32,
) -> Result<Option<JobInputs>, StoreError> {
    let limit = limit as usize;
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
