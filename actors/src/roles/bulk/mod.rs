//! Doing the same with many jobs.

mod plan;
mod worker;

use callboard_contracts::{
    JobState,
    api::{BulkAction, BulkPreview, BulkView, FieldError, MOST_COUNTED, StartBulk},
    tag,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub(super) use self::worker::Bulk;
use super::{
    audit::{Deed, carry_out},
    dead_jobs::edit::check_reason,
    node::Node,
    read_model::summary,
    request::{BulkAnswer, BulkJobs, Refusal, StopBulk, Who},
    secret_keeping::may_see,
};
use crate::{
    edges::store::{
        Operation, Outcome, StoreError,
        dead_jobs::{BulkRecord, BulkSelection, DeadJobsOperation, DeadJobsOutcome, NewBulk, jobs_of},
        record::{JobFilter, JobRecord},
    },
    encryption::{
        envelope::{self, Part},
        vault::{SecretOf, Vault},
    },
};

/// Jobs of one page of a count.
const PAGE: u32 = 1000;
/// Jobs that a preview shows.
const SAMPLE: usize = 10;
/// Bytes of a patch at most: it is kept with each job that is made.
const MAX_PATCH: usize = 16 * 1024;
/// Bytes of a name at most.
const MAX_NAME: usize = 200;

/// Begins a bulk operation, or says what it would do.
pub(super) async fn start(node: &Node, who: &Who, request: BulkJobs) -> Result<BulkAnswer, Refusal> {
    let StartBulk { id, action, filter, patch, reason, dry_run } = request.start.clone();
    check(&request.start)?;
    let counted = count(node, jobs_of(&filter)).await?;
    if dry_run {
        let sample = counted.first.into_iter().map(summary).collect();
        let (matched, at_least) = (counted.matched, counted.at_least);
        return Ok(BulkAnswer::Preview(BulkPreview { action, filter, matched, at_least, sample }));
    }
    if node.is_draining() {
        return Err(Refusal::Stopping);
    }
    let id = id.unwrap_or_else(Uuid::now_v7);
    let detail = json!({ "action": action, "filter": filter, "edited": patch.is_some(), "reason": reason });
    let patch = patch.map(|patch| stored_patch(node, filter.job_type.as_deref(), patch)).transpose()?;
    let (patch, fingerprint, shown_patch) = match patch {
        Some(StoredPatch { sealed, fingerprint, shown }) => (Some(sealed), Some(fingerprint), Some(shown)),
        None => (None, None, None),
    };
    let new = NewBulk {
        id,
        action,
        filter,
        patch,
        fingerprint,
        shown_patch,
        spares_secrets: !may_see(who),
        reason,
        by: who.name.clone(),
        matched: counted.matched,
        at_least: counted.at_least,
    };
    let operation = Operation::DeadJobs(DeadJobsOperation::StartBulk(Box::new(new)));
    let deed = Deed::new("bulk.start", id.to_string()).with(detail);
    match carry_out(node, who, deed, operation).await? {
        Outcome::DeadJobs(DeadJobsOutcome::Bulk(record)) => {
            // The leader, if it is another node, sees it in the store.
            node.bulk_begun.notify_one();
            Ok(BulkAnswer::Begun(view(node, *record)))
        }
        Outcome::DeadJobs(DeadJobsOutcome::OtherBulk) => Err(Refusal::OtherBulk(id)),
        Outcome::DeadJobs(DeadJobsOutcome::TooManyBulks { limit }) => Err(Refusal::TooManyBulks { limit }),
        other => Err(Refusal::Unavailable(other.unexpected())),
    }
}

/// A patch as it is stored.
struct StoredPatch {
    /// With what is secret in it encrypted.
    sealed: String,
    /// What a patch that comes again is compared by: encrypted it would be another one each time.
    fingerprint: String,
    /// Without what is secret in it.
    shown: String,
}

fn stored_patch(
    node: &Node,
    job_type: Option<&str>,
    mut patch: Map<String, Value>,
) -> Result<StoredPatch, Refusal> {
    Vault::without_redacted(&mut patch);
    let mut pointer = String::new();
    let value = Value::Object(patch);
    if envelope::reserved(&value, &mut pointer) {
        return Err(Refusal::Invalid(vec![FieldError {
            pointer: format!("/patch{pointer}"),
            message: "fields of the names $encrypted and $redacted are the server's own".to_owned(),
        }]));
    }
    let vault = node.vault();
    let of = job_type.unwrap_or_default();
    let (mut shown, mut blinded) = (value.clone(), value.clone());
    vault.secrets.redact(of, Part::Patch, &mut shown);
    vault.blind(of, Part::Patch, &mut blinded);
    let digest = Sha256::new_with_prefix("bulk patch\0").chain_update(blinded.to_string()).finalize();
    let fingerprint = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    match vault.seal_patch(job_type, value) {
        Ok(Ok(sealed)) => {
            Ok(StoredPatch { sealed: sealed.to_string(), fingerprint, shown: shown.to_string() })
        }
        Ok(Err(error)) => Err(Refusal::Forbidden(error.to_string())),
        Err(SecretOf(job_type)) => Err(Refusal::Invalid(vec![FieldError {
            pointer: "/filter/type".to_owned(),
            message: format!(
                "the patch sets what is secret in jobs of type {job_type:?}; say of which type the jobs are, so that it can be \
                 encrypted for them"
            ),
        }])),
    }
}

/// Lets an operation end where it is.
pub(super) async fn stop(node: &Node, who: &Who, StopBulk { id }: StopBulk) -> Result<BulkView, Refusal> {
    let operation = Operation::DeadJobs(DeadJobsOperation::StopBulk { id });
    match carry_out(node, who, Deed::new("bulk.stop", id.to_string()), operation).await? {
        Outcome::DeadJobs(DeadJobsOutcome::Bulk(record)) => Ok(view(node, *record)),
        Outcome::NotFound => Err(Refusal::NoSuchBulk(id)),
        other => Err(Refusal::Unavailable(other.unexpected())),
    }
}

/// Operations, newest first; or one of them.
pub(super) async fn views(node: &Node, id: Option<Uuid>, limit: u32) -> Result<Vec<BulkView>, StoreError> {
    let which = id.map_or(BulkSelection::Newest, BulkSelection::Id);
    Ok(node.store.bulks(which, limit).await?.into_iter().map(|record| view(node, record)).collect())
}

fn view(node: &Node, record: BulkRecord) -> BulkView {
    let shown = |patch: String| {
        let mut patch: Value = serde_json::from_str(&patch).ok()?;
        let job_type = record.filter.job_type.as_deref().unwrap_or_default();
        node.secrets.redact(job_type, Part::Patch, &mut patch);
        serde_json::from_value(patch).ok()
    };
    let patch = record.patch.clone().and_then(shown);
    BulkView {
        id: record.id,
        action: record.action,
        filter: record.filter,
        patch,
        reason: record.reason,
        by: record.by,
        started_at: record.started_at,
        state: record.state,
        waits_for: record.waits_for,
        matched: record.matched,
        at_least: record.at_least,
        dealt_with: record.outcomes.values().sum(),
        outcomes: record.outcomes,
        problems: record.problems,
        updated_at: record.updated_at,
        ended_at: record.ended_at,
    }
}

/// The states in which something can be done with jobs.
fn possible(action: BulkAction) -> &'static [JobState] {
    use JobState::{Available, Cancelled, Completed, Discarded, Executing, Pending, Retryable, Scheduled};
    match action {
        BulkAction::Retry => &[Pending, Scheduled, Retryable, Completed, Cancelled, Discarded],
        BulkAction::Cancel => &[Pending, Scheduled, Available, Executing, Retryable],
    }
}

fn check(start: &StartBulk) -> Result<(), Refusal> {
    let StartBulk { id: _, action, filter, patch, reason, dry_run: _ } = start;
    let mut errors = Vec::new();
    let mut wrong = |pointer: String, message: String| errors.push(FieldError { pointer, message });
    if filter.state.is_empty() && filter.cause.is_none() {
        let message = "state or cause is needed: nothing is done with all jobs at once".to_owned();
        wrong("/filter".to_owned(), message);
    }
    let names =
        |states: &[JobState]| states.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(", ");
    for (index, state) in filter.state.iter().enumerate() {
        let pointer = format!("/filter/state/{index}");
        if !possible(*action).contains(state) {
            let message =
                format!("to {} is possible for jobs that are {}", action.as_str(), names(possible(*action)));
            wrong(pointer, message);
        } else if patch.is_some() && !state.is_final() {
            wrong(pointer, "with a patch only finished jobs can be run again".to_owned());
        } else if filter.cause.is_some() && *state != JobState::Discarded {
            wrong(pointer, "only jobs that are discarded have a cause".to_owned());
        }
    }
    if filter.cause.is_some() && *action == BulkAction::Cancel {
        wrong("/filter/cause".to_owned(), "dead jobs cannot be cancelled".to_owned());
    }
    for (name, value) in [("cause", &filter.cause), ("queue", &filter.queue), ("type", &filter.job_type)] {
        if value.as_ref().is_some_and(|value| value.is_empty() || value.len() > MAX_NAME) {
            wrong(format!("/filter/{name}"), format!("must have 1 to {MAX_NAME} bytes"));
        }
    }
    if let Some(Err(problem)) = filter.tag.as_deref().map(tag::check) {
        wrong("/filter/tag".to_owned(), problem.to_string());
    }
    if let Some(patch) = patch {
        let size = Value::Object(patch.clone()).to_string().len();
        if *action != BulkAction::Retry {
            wrong("/patch".to_owned(), "it is of use with retry alone".to_owned());
        } else if size > MAX_PATCH {
            wrong("/patch".to_owned(), format!("it has {size} bytes; {MAX_PATCH} are allowed"));
        }
    }
    if errors.is_empty() { check_reason(reason.as_deref()) } else { Err(Refusal::Invalid(errors)) }
}

/// Jobs that fit.
struct Counted {
    matched: u64,
    at_least: bool,
    /// The newest of them.
    first: Vec<JobRecord>,
}

/// Counts the jobs that fit, page by page, up to [`MOST_COUNTED`].
async fn count(node: &Node, mut filter: JobFilter) -> Result<Counted, StoreError> {
    let mut counted = Counted { matched: 0, at_least: false, first: Vec::new() };
    loop {
        let mut page = node.store.jobs(filter.clone(), PAGE).await?;
        let whole = page.len() >= PAGE as usize;
        counted.matched += page.len() as u64;
        filter.before = page.last().map(|job| job.sequence);
        if counted.first.is_empty() {
            page.truncate(SAMPLE);
            counted.first = page;
        }
        if !whole {
            return Ok(counted);
        }
        if counted.matched >= MOST_COUNTED {
            counted.at_least = true;
            return Ok(counted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(start: Value) -> Vec<String> {
        match check(&serde_json::from_value(start).unwrap()) {
            Ok(()) => Vec::new(),
            Err(Refusal::Invalid(errors)) => errors.into_iter().map(|error| error.pointer).collect(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn what_cannot_be_done_with_many_jobs_is_refused_before_it_begins() {
        let long = "x".repeat(501);
        for (start, expected) in [
            (json!({"action": "retry", "filter": {"state": ["discarded"]}}), vec![]),
            (json!({"action": "retry", "filter": {"cause": "0123456789abcdef"}, "patch": {"a": 1}}), vec![]),
            (
                json!({"action": "cancel", "filter": {"state": ["available", "executing"], "tag": "a"}}),
                vec![],
            ),
            (json!({"action": "retry", "filter": {}}), vec!["/filter"]),
            (json!({"action": "retry", "filter": {"queue": "q"}}), vec!["/filter"]),
            (json!({"action": "cancel", "filter": {"state": ["discarded"]}}), vec!["/filter/state/0"]),
            (
                json!({"action": "retry", "filter": {"state": ["discarded", "executing"]}}),
                vec!["/filter/state/1"],
            ),
            (
                json!({"action": "retry", "filter": {"state": ["retryable"]}, "patch": {}}),
                vec!["/filter/state/0"],
            ),
            (
                json!({"action": "retry", "filter": {"state": ["completed"], "cause": "x"}}),
                vec!["/filter/state/0"],
            ),
            (json!({"action": "cancel", "filter": {"cause": "x"}}), vec!["/filter/cause"]),
            (
                json!({"action": "cancel", "filter": {"state": ["pending"]}, "patch": {}}),
                vec!["/filter/state/0", "/patch"],
            ),
            (
                json!({"action": "retry", "filter": {"state": ["discarded"], "tag": "a b", "queue": ""}}),
                vec!["/filter/queue", "/filter/tag"],
            ),
            (json!({"action": "retry", "filter": {"state": ["discarded"]}, "reason": long}), vec!["/reason"]),
            (
                json!({"action": "retry", "filter": {"state": ["discarded"]}, "patch": {"a": "x".repeat(20_000)}}),
                vec!["/patch"],
            ),
        ] {
            assert_eq!(pointers(start.clone()), expected, "{start}");
        }
    }
}
