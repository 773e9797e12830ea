//! What a bulk operation is to do with each of its jobs.

use std::{borrow::Cow, collections::BTreeMap};

use callboard_contracts::{
    JobState, Timestamp,
    api::{BulkAction, BulkOutcome},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    edges::store::{
        StoreError,
        dead_jobs::{BulkJob, BulkPlan, BulkRecord, BulkStep, NewPayload},
        record::{JobRecord, JobWithAttempts},
    },
    encryption::envelope::Part,
    jobs::registry::bounded,
    roles::{
        dead_jobs::edit,
        node::Node,
        request::Refusal,
        secret_keeping::{Change, WHY, keeps_secrets},
    },
};

/// Jobs of one step.
const STEP: u32 = 100;
/// Jobs that are read at a time.
const READS: usize = 4;

/// The next step of an operation.
pub(super) async fn next_step(node: &Node, record: &BulkRecord, leader: u64) -> Result<BulkStep, StoreError> {
    let page = node.store.jobs(record.rest(), STEP).await?;
    let patch: Option<Map<String, Value>> = match &record.patch {
        Some(patch) => Some(opened(node, record, patch)?),
        None => None,
    };
    let last = page.len() < STEP as usize;
    let limits = limits(node, &page).await?;
    let plans = page.into_iter().map(|job| {
        let (patch, limits) = (patch.as_ref(), &limits);
        async move {
            let plan = plan(node, record, patch, limits, &job).await?;
            Ok::<_, StoreError>(BulkJob { id: job.id, sequence: job.sequence, plan })
        }
    });
    let jobs = stream::iter(plans).buffered(READS).try_collect().await?;
    let max_total = with_room(node.tuned().max_backlog);
    Ok(BulkStep { id: record.id, from: record.cursor, jobs, last, max_total, leader })
}

/// The patch of an operation, decrypted. Without its key the operation waits for a leader that has it.
fn opened(node: &Node, record: &BulkRecord, patch: &str) -> Result<Map<String, Value>, StoreError> {
    let job_type = record.filter.job_type.as_deref().unwrap_or_default();
    let text = node.vault().open_text(job_type, Part::Patch, patch).map(Cow::into_owned);
    let text = text.map_err(|error| {
        StoreError::Failed(format!("the patch of the bulk operation {}: {error}", record.id))
    })?;
    serde_json::from_str(&text).map_err(|_| {
        StoreError::Corrupt(format!("the patch of the bulk operation {} is no JSON object", record.id))
    })
}

/// How many jobs of the queues of these jobs may wait. What leads need not serve all queues of the fleet.
async fn limits(node: &Node, jobs: &[JobRecord]) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut limits: BTreeMap<String, u64> =
        node.queues.iter().map(|(name, queue)| (name.clone(), queue.max_backlog())).collect();
    if jobs.iter().any(|job| !limits.contains_key(&job.queue)) {
        for (queue, _) in node.store.queues().await? {
            limits.entry(queue.name).or_insert(queue.max_backlog);
        }
    }
    Ok(limits)
}

async fn plan(
    node: &Node,
    record: &BulkRecord,
    patch: Option<&Map<String, Value>>,
    limits: &BTreeMap<String, u64>,
    job: &JobRecord,
) -> Result<BulkPlan, StoreError> {
    if !is_unchanged(job, record.started_at) {
        return Ok(BulkPlan::PassOver);
    }
    if record.action == BulkAction::Cancel {
        return Ok(BulkPlan::Cancel);
    }
    let payload = if job.state.is_final() {
        // A new job is made of it, for which the limits of today hold.
        let Some(JobWithAttempts { job, .. }) = node.store.job(job.id).await? else {
            let message = "it is not there any more".to_owned();
            return Ok(BulkPlan::Count(BulkOutcome::Changed, message));
        };
        let keeps = |patch| keeps_secrets(node, &job, Change::Patch(patch));
        if record.spares_secrets && patch.is_some_and(keeps) {
            return Ok(BulkPlan::Count(BulkOutcome::Invalid, WHY.to_owned()));
        }
        match new_payload(node, &job, patch) {
            Ok(payload) => payload,
            // A damaged job is left alone, and does not keep the others.
            Err(Refusal::Unavailable(StoreError::Corrupt(damage))) => {
                return Ok(BulkPlan::Count(BulkOutcome::Invalid, damage));
            }
            Err(Refusal::Unavailable(error)) => return Err(error),
            Err(refusal @ Refusal::TooLarge { .. }) => {
                return Ok(BulkPlan::Count(BulkOutcome::TooLarge, refusal.to_string()));
            }
            Err(refusal) => {
                return Ok(BulkPlan::Count(BulkOutcome::Invalid, bounded(refusal.to_string())));
            }
        }
    } else {
        None
    };
    Ok(BulkPlan::Retry {
        replay_id: replay_id(record.id, job.id),
        event_id: Uuid::now_v7(),
        max_backlog: limits.get(&job.queue).copied().map_or(u64::MAX, with_room),
        payload,
    })
}

fn new_payload(
    node: &Node,
    job: &JobRecord,
    patch: Option<&Map<String, Value>>,
) -> Result<Option<NewPayload>, Refusal> {
    match patch {
        Some(patch) => edit::patched(node, job, patch).map(Some),
        None => edit::check_size(node, job, &job.payload).map(|()| None),
    }
}

/// Whether the job is in its state since before this time.
fn is_unchanged(job: &JobRecord, since: Timestamp) -> bool {
    let entered = match job.state {
        state if state.is_final() => job.finished_at,
        JobState::Executing => job.claimed_at,
        _ => None,
    };
    entered.unwrap_or(job.updated_at) <= since
}

/// A tenth of a backlog is left to others.
fn with_room(limit: u64) -> u64 {
    limit - limit / 10
}

/// The id of the job that an operation makes of another one: the same each time, and nobody else's.
fn replay_id(operation: Uuid, job: Uuid) -> Uuid {
    let digest = Sha256::new_with_prefix("bulk\0").chain_update(operation).chain_update(job).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_has_one_id_in_each_operation() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let id = replay_id(one, other);
        assert_eq!(id, replay_id(one, other));
        assert_eq!(id.get_version_num(), 8);
        for another in [replay_id(other, one), replay_id(one, one), replay_id(other, other)] {
            assert_ne!(id, another);
        }
    }

    #[test]
    fn a_tenth_of_a_backlog_is_left_to_others() {
        assert_eq!([0, 1, 9, 10, 1000].map(with_room), [0, 1, 9, 9, 900]);
        assert_eq!(with_room(u64::MAX), u64::MAX - u64::MAX / 10);
    }
}
