//! Running a finished job again with another payload.

use callboard_contracts::api::{FieldError, MAX_REASON, RetryEdit};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::merge_patch::{applied, between};
use crate::{
    edges::store::{StoreError, dead_jobs::NewPayload, record::JobRecord},
    jobs::CheckError,
    roles::{bounds::max_payload, node::Node, request::Refusal},
};

/// Bytes of a job that count towards the size of its payload, beside the payload itself.
fn beside_the_payload(job: &JobRecord) -> usize {
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    length(&job.metadata) + length(&job.document)
}

/// Checks that a finished job is no larger than a new one may be now. `payload`: what it will have.
pub(in crate::roles) fn check_size(node: &Node, job: &JobRecord, payload: &str) -> Result<(), Refusal> {
    let options = node.registry.get(&job.job_type).map(|job_type| job_type.options());
    let (limit, of) = max_payload(&node.tuned(), &job.job_type, options, &job.queue);
    let size = payload.len() + beside_the_payload(job);
    if size > limit { Err(Refusal::TooLarge { size, limit, of }) } else { Ok(()) }
}

/// A payload that a replay of this job is to have, checked as at the gate.
pub(in crate::roles) fn check_payload(
    node: &Node,
    job: &JobRecord,
    payload: Map<String, Value>,
) -> Result<NewPayload, Refusal> {
    let payload = Value::Object(payload);
    let text = payload.to_string();
    check_size(node, job, &text)?;
    match node.registry.get(&job.job_type) {
        Some(job_type) => node.registry.validate(job_type, &payload, &text).map_err(|error| match error {
            CheckError::Forbidden(why) => Refusal::Forbidden(why),
            CheckError::Invalid(found) => Refusal::Invalid(
                found
                    .into_iter()
                    .map(|found| FieldError { pointer: format!("/payload{}", found.pointer), ..found })
                    .collect(),
            ),
        })?,
        // Workers outside know it, or not: nobody here can tell.
        None if node.config.outlets.contains_key(&job.queue) => {}
        None => {
            let known = node.registry.names();
            return Err(Refusal::UnknownType { job_type: job.job_type.clone(), known });
        }
    }
    let fingerprint = Sha256::new_with_prefix("edited\0").chain_update(&text).finalize().into();
    Ok(NewPayload { text, fingerprint })
}

/// The job's payload.
pub(in crate::roles) fn payload_of(job: &JobRecord) -> Result<Map<String, Value>, StoreError> {
    serde_json::from_str(&job.payload).map_err(|error| {
        StoreError::Corrupt(format!("the payload of the job {} is no JSON: {error}", job.id))
    })
}

/// What a patch makes of the job's payload, checked as at the gate.
pub(in crate::roles) fn patched(
    node: &Node,
    job: &JobRecord,
    patch: &Map<String, Value>,
) -> Result<NewPayload, Refusal> {
    check_payload(node, job, applied(payload_of(job)?, patch))
}

/// What an edit makes of the job's payload, and the patch that says so, if one can.
pub(in crate::roles) fn edited(
    node: &Node,
    job: &JobRecord,
    edit: &RetryEdit,
) -> Result<(NewPayload, Option<Map<String, Value>>), Refusal> {
    match (&edit.payload, &edit.patch) {
        (None, Some(patch)) => Ok((patched(node, job, patch)?, Some(patch.clone()))),
        (Some(payload), None) => {
            let patch = between(&payload_of(job)?, payload);
            Ok((check_payload(node, job, payload.clone())?, patch))
        }
        _ => Err(Refusal::Invalid(vec![FieldError {
            pointer: String::new(),
            message: "one of payload and patch is needed, and not both".to_owned(),
        }])),
    }
}

/// Checks a reason that is to be kept.
pub(in crate::roles) fn check_reason(reason: Option<&str>) -> Result<(), Refusal> {
    match reason {
        Some(reason) if reason.len() > MAX_REASON => Err(Refusal::Invalid(vec![FieldError {
            pointer: "/reason".to_owned(),
            message: format!("it has {} bytes; {MAX_REASON} are allowed", reason.len()),
        }])),
        _ => Ok(()),
    }
}
