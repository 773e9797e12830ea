//! Dead jobs: what they died of, how they differ from a success, and running them again with another payload.

mod difference;
pub(super) mod edit;
pub(super) mod merge_patch;
mod secrets;

use callboard_contracts::api::{
    ComparedJob, DeadCause, DeadCauseList, JobComparison, JobEdit, Retried, RetryEdit,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    audit::{Deed, carry_out},
    node::Node,
    request::{Refusal, RetryEdited, Who},
    secret_keeping::{self, Change, keeps_secrets, may_see},
};
use crate::edges::store::{
    Operation, Outcome, StoreError,
    dead_jobs::{CauseKey, CauseQuery, CauseRecord, DeadJobsOperation, EditNote, EditRecord, EditedReplay},
    record::JobWithAttempts,
};
use crate::encryption::envelope::Part;

/// A page of what dead jobs died of.
pub(super) async fn causes(node: &Node, query: CauseQuery) -> Result<DeadCauseList, StoreError> {
    let page = node.store.dead_causes(query).await?;
    let cursor = |CauseKey { job_type, queue, cause }: CauseKey| json!([job_type, queue, cause]).to_string();
    Ok(DeadCauseList {
        causes: page.causes.into_iter().map(cause).collect(),
        next_cursor: page.next.map(cursor),
    })
}

/// Where a page of what dead jobs died of begins, as the one before it has said; `None`: this is no cursor of ours.
pub fn cursor(text: &str) -> Option<CauseKey> {
    let (job_type, queue, cause) = serde_json::from_str(text).ok()?;
    Some(CauseKey { job_type, queue, cause })
}

fn cause(record: CauseRecord) -> DeadCause {
    let CauseRecord { key, title, kind, count, at_least, first_at, last_at, sample } = record;
    let CauseKey { job_type, queue, cause } = key;
    DeadCause { cause, title, kind, job_type, queue, count, at_least, first_at, last_at, sample }
}

/// What was changed when a job was made of another one, and others of it.
pub(super) async fn edits(node: &Node, id: Uuid, job_type: &str) -> Result<Vec<JobEdit>, StoreError> {
    let view = |edit| edit_view(node, job_type, edit);
    Ok(node.store.job_edits(id).await?.into_iter().map(view).collect())
}

fn edit_view(node: &Node, job_type: &str, record: EditRecord) -> JobEdit {
    let EditRecord { original, replay, note: EditNote { patch, reason, by }, at } = record;
    let patch = patch.and_then(|patch| {
        let mut patch: Value = serde_json::from_str(&patch).ok()?;
        // That of a bulk operation of an earlier version has its secrets, encrypted or not.
        node.secrets.redact(job_type, Part::Patch, &mut patch);
        serde_json::from_value(patch).ok()
    });
    JobEdit { original, replay, patch, reason, by, at }
}

/// A job beside the last success of its type and queue.
pub(super) async fn compare(node: &Node, id: Uuid) -> Result<Option<JobComparison>, StoreError> {
    let Some(job) = node.store.job(id).await? else { return Ok(None) };
    let success = match node.store.last_success(id).await? {
        Some(success) if success != id => node.store.job(success).await?,
        _ => None,
    };
    let (differences, more_differences) = match &success {
        Some(success) => {
            let (success, job) = secrets::comparable(node, &success.job, &job.job)?;
            difference::differences(&success, &job)
        }
        None => (Vec::new(), false),
    };
    Ok(Some(JobComparison {
        job: compared(&job),
        success: success.as_ref().map(compared),
        differences,
        more_differences,
    }))
}

fn compared(found: &JobWithAttempts) -> ComparedJob {
    let (job, last) = (&found.job, found.attempts.last());
    let milliseconds = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let ran = last.and_then(|last| Some(last.finished_at.saturating_since(last.started_at?)));
    ComparedJob {
        id: job.id,
        state: job.state,
        attempt: job.attempt,
        max_attempts: job.max_attempts,
        timeout_ms: milliseconds(job.timeout),
        node: last.map(|last| last.node.clone()),
        ran_ms: ran.map(milliseconds),
        created_at: job.created_at,
        finished_at: job.finished_at,
    }
}

/// Runs a finished job again with another payload.
pub(super) async fn retry(node: &Node, who: &Who, request: RetryEdited) -> Result<Retried, Refusal> {
    let RetryEdited { id, edit: RetryEdit { reason, .. } } = &request;
    let id = *id;
    if node.is_draining() {
        return Err(Refusal::Stopping);
    }
    edit::check_reason(reason.as_deref())?;
    let Some(found) = node.store.job(id).await? else { return Err(Refusal::NotFound(id)) };
    let job = &found.job;
    let not_finished = |state| Refusal::WrongState {
        state,
        detail: "only a finished job can be run again with another payload; cancel it first".to_owned(),
    };
    if !job.state.is_final() {
        return Err(not_finished(job.state));
    }
    let change = match (&request.edit.payload, &request.edit.patch) {
        (Some(payload), _) => Some(Change::Payload(payload)),
        (None, patch) => patch.as_ref().map(Change::Patch),
    };
    if !may_see(who) && change.is_some_and(|change| keeps_secrets(node, job, change)) {
        return Err(secret_keeping::refusal());
    }
    let (payload, patch) = edit::edited(node, job, &request.edit)?;
    let queue = node.queues.get(&job.queue);
    let operation = Operation::DeadJobs(DeadJobsOperation::Replay(Box::new(EditedReplay {
        id,
        replay_id: Uuid::now_v7(),
        event_id: Uuid::now_v7(),
        max_backlog: queue.map_or(u64::MAX, |queue| queue.max_backlog()),
        max_total: node.tuned().max_backlog,
        payload,
        note: EditNote {
            patch: patch.map(|patch| Value::Object(patch).to_string()),
            reason: reason.clone(),
            by: who.name.clone(),
        },
    })));
    let deed = Deed::new("job.retry", id.to_string()).with(json!({ "edited": true, "reason": reason }));
    match carry_out(node, who, deed, operation).await? {
        Outcome::Replayed { id: replay, queue, state } => {
            node.wake([&queue]);
            Ok(Retried { id: replay, state, replay_of: Some(id) })
        }
        Outcome::BacklogFull { waiting, limit } => {
            Err(super::gateway::backlog_full(node, found.job.queue, waiting, limit))
        }
        Outcome::StoreFull { waiting, limit } => {
            Err(super::gateway::store_full(node, &found.job.queue, waiting, limit))
        }
        Outcome::NotFound => Err(Refusal::NotFound(id)),
        Outcome::NotPossible { state } => Err(not_finished(state)),
        other => Err(Refusal::Unavailable(other.unexpected())),
    }
}
