//! Running a finished job again with another payload.

use callboard_contracts::api::{FieldError, MAX_REASON, RetryEdit};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::merge_patch::{applied, between};
use crate::{
    edges::store::{StoreError, dead_jobs::NewPayload, record::JobRecord},
    encryption::{
        envelope::{self, Part},
        vault::{NOT_PUT_BACK, Vault, WasSealed},
    },
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
    let size = envelope::plain_length(payload) + beside_the_payload(job);
    if size > limit { Err(Refusal::TooLarge { size, limit, of }) } else { Ok(()) }
}

/// A payload that a replay of this job is to have, checked as at the gate. What was encrypted in the job's is so again.
fn check_payload(
    node: &Node,
    job: &JobRecord,
    payload: Map<String, Value>,
    was: &WasSealed,
) -> Result<NewPayload, Refusal> {
    let mut payload = Value::Object(payload);
    let text = payload.to_string();
    let vault = node.vault();
    let mut pointer = String::new();
    if envelope::reserved(&payload, &mut pointer) {
        return Err(Refusal::Invalid(vec![FieldError {
            pointer: format!("/payload{pointer}"),
            message: "fields of the names $encrypted and $redacted are the server's own".to_owned(),
        }]));
    }
    check_size(node, job, &text)?;
    let secret = vault.fields_with(&job.job_type, Part::Payload, was);
    match node.registry.get(&job.job_type) {
        Some(job_type) => {
            node.registry.validate_without(job_type, &payload, &text, &secret).map_err(
                |error| match error {
                    CheckError::Forbidden(why) => Refusal::Forbidden(why),
                    CheckError::Invalid(found) => Refusal::Invalid(
                        found
                            .into_iter()
                            .map(|found| FieldError {
                                pointer: format!("/payload{}", found.pointer),
                                ..found
                            })
                            .collect(),
                    ),
                },
            )?;
        }
        // Workers outside know it, or not: nobody here can tell.
        None if node.config.outlets.contains_key(&job.queue) => {}
        None => {
            let known = node.registry.names();
            return Err(Refusal::UnknownType { job_type: job.job_type.clone(), known });
        }
    }
    let compared = if secret.is_empty() {
        text.clone()
    } else {
        let mut blinded = payload.clone();
        vault.blind_with(&secret, &mut blinded);
        blinded.to_string()
    };
    let fingerprint = Sha256::new_with_prefix("edited\0").chain_update(compared).finalize().into();
    let sealed = vault.seal_with(&job.job_type, Part::Payload, &mut payload, was, false);
    sealed.map_err(|error| Refusal::Forbidden(error.to_string()))?;
    let text = if secret.is_empty() { text } else { payload.to_string() };
    Ok(NewPayload { text, fingerprint })
}

/// The job's payload, decrypted, and what was encrypted in it.
fn payload_of(node: &Node, job: &JobRecord) -> Result<(Map<String, Value>, WasSealed), Refusal> {
    let corrupt = || StoreError::Corrupt(format!("the payload of the job {} is no JSON object", job.id));
    let mut payload: Value = serde_json::from_str(&job.payload).map_err(|_| corrupt())?;
    let was = node.vault().open_noting(&job.job_type, Part::Payload, &mut payload);
    let was =
        was.map_err(|error| Refusal::Forbidden(format!("the payload of the job {}: {error}", job.id)))?;
    match payload {
        Value::Object(payload) => Ok((payload, was)),
        _ => Err(corrupt().into()),
    }
}

/// What a patch makes of the job's payload, checked as at the gate.
pub(in crate::roles) fn patched(
    node: &Node,
    job: &JobRecord,
    patch: &Map<String, Value>,
) -> Result<NewPayload, Refusal> {
    patched_noting(node, job, patch).map(|(payload, _)| payload)
}

fn patched_noting(
    node: &Node,
    job: &JobRecord,
    patch: &Map<String, Value>,
) -> Result<(NewPayload, WasSealed), Refusal> {
    let mut patch = patch.clone();
    // What was not shown to whoever has made the patch is not to be changed.
    Vault::without_redacted(&mut patch);
    let (payload, was) = payload_of(node, job)?;
    Ok((check_payload(node, job, applied(payload, &patch), &was)?, was))
}

/// What an edit makes of the job's payload, and the patch that says so, if one can.
pub(in crate::roles) fn edited(
    node: &Node,
    job: &JobRecord,
    edit: &RetryEdit,
) -> Result<(NewPayload, Option<Map<String, Value>>), Refusal> {
    match (&edit.payload, &edit.patch) {
        (None, Some(patch)) => {
            let (payload, was) = patched_noting(node, job, patch)?;
            Ok((payload, Some(kept(node, job, patch.clone(), &was))))
        }
        (Some(payload), None) => {
            let (before, was) = payload_of(node, job)?;
            let mut payload = Value::Object(payload.clone());
            let restored = Vault::restore(&mut payload, &Value::Object(before.clone()));
            restored.map_err(|pointer| {
                let pointer = format!("/payload{pointer}");
                Refusal::Invalid(vec![FieldError { pointer, message: NOT_PUT_BACK.to_owned() }])
            })?;
            let Value::Object(payload) = payload else {
                return Err(
                    StoreError::Corrupt(format!("the payload of the job {} is no object", job.id)).into()
                );
            };
            let patch = between(&before, &payload).map(|patch| kept(node, job, patch, &was));
            Ok((check_payload(node, job, payload, &was)?, patch))
        }
        _ => Err(Refusal::Invalid(vec![FieldError {
            pointer: String::new(),
            message: "one of payload and patch is needed, and not both".to_owned(),
        }])),
    }
}

/// What is kept of a patch, for people: not the secrets.
fn kept(node: &Node, job: &JobRecord, patch: Map<String, Value>, was: &WasSealed) -> Map<String, Value> {
    let mut patch = Value::Object(patch);
    node.vault().redact_with(&job.job_type, Part::Patch, &mut patch, was);
    match patch {
        Value::Object(patch) => patch,
        _ => Map::new(),
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
