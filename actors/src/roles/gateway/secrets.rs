//! What becomes of secret values at the gate.

use std::borrow::Cow;

use callboard_contracts::api::{FieldError, SubmitJob, Unique};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    super::{node::Node, request::Refusal},
    fingerprint::Fingerprint,
};
use crate::encryption::{
    envelope::{MARK, Part, reserved},
    fields::SecretFields,
    vault::Vault,
};
use crate::jobs::CheckError;

/// The fields of which only we make use, if the payload has one: what is sealed, or was not shown, is not submitted.
pub(super) fn reserved_field(payload: &Value) -> Option<FieldError> {
    let mut pointer = String::new();
    reserved(payload, &mut pointer).then(|| FieldError {
        pointer: format!("/payload{pointer}"),
        message: "fields of the names $encrypted and $redacted are the server's own: submit the value itself"
            .to_owned(),
    })
}

/// Which values of the payloads of a type are secret.
pub(in crate::roles) fn payload_fields(vault: &Vault, job_type: &str) -> SecretFields {
    vault.secrets.of(job_type).map(|secrets| secrets.payload.clone()).unwrap_or_default()
}

/// Whether jobs of this type may go to workers outside, who are given their payloads in the clear.
pub(in crate::roles) fn may_leave(vault: &Vault, job_type: &str, queue: &str) -> Result<(), Refusal> {
    match vault.secrets.of(job_type) {
        Some(secrets) if !secrets.outside && secrets.has_any() => Err(Refusal::Forbidden(format!(
            "the queue {queue:?} is served by workers outside, who would be given the secrets of {job_type:?} in the clear; \
                 allow that by `outside = true` for the type in `encryption.types`, or choose another queue"
        ))),
        _ => Ok(()),
    }
}

/// The same of a payload as it is stored. What is encrypted in it was secret to whoever took it in: of a type of which nothing is known
/// here, nothing allows it to leave.
pub(in crate::roles) fn may_leave_sealed(
    vault: &Vault,
    job_type: &str,
    queue: &str,
    stored: &str,
) -> Result<(), Refusal> {
    may_leave(vault, job_type, queue)?;
    let outside = vault.secrets.of(job_type).is_some_and(|secrets| secrets.outside);
    if outside || !stored.contains(MARK) {
        return Ok(());
    }
    Err(Refusal::Forbidden(format!(
        "the queue {queue:?} is served by workers outside, who would be given in the clear what is encrypted in the payload; allow \
             that by `outside = true` for the type {job_type:?} in `encryption.types`"
    )))
}

/// That a kind is made of secret values which cannot be compared, since whoever reads the hash of a short one finds it by trying.
pub(super) fn kind(vault: &Vault, job_type: &str, unique: &Unique) -> Option<FieldError> {
    if !vault.has_secrets(job_type) {
        return None;
    }
    if vault.keys.has_fingerprints() {
        // A secret is compared as a whole.
        let secret = payload_fields(vault, job_type);
        let place = unique.payload.iter().flatten().position(|field| secret.has_within(field))?;
        return Some(FieldError {
            pointer: format!("/unique/payload/{place}"),
            message: "it is a part of a secret value, which is only compared as a whole; name that, or another value".to_owned(),
        });
    }
    let message = "the kind is made of secret values, which are only compared where `encryption.fingerprint_key` is set; set \
                   that, or name other values of the payload";
    let wrong = |pointer: &str| FieldError { pointer: pointer.to_owned(), message: message.to_owned() };
    let Some(fields) = &unique.payload else { return Some(wrong("/unique/payload")) };
    let place = fields.iter().position(|field| vault.secrets.concerns(job_type, field))?;
    Some(wrong(&format!("/unique/payload/{place}")))
}

/// The payload as it is compared.
pub(in crate::roles) fn blinded<'p>(vault: &Vault, job_type: &str, payload: &'p Value) -> Cow<'p, Value> {
    if !vault.has_secrets(job_type) {
        return Cow::Borrowed(payload);
    }
    let mut payload = payload.clone();
    vault.blind(job_type, Part::Payload, &mut payload);
    Cow::Owned(payload)
}

/// Makes of a payload that was submitted what it is compared by. One that does not fit its type may be of an earlier form, with its
/// secrets at other places, so that it is compared as a whole.
fn blind_submitted(node: &Node, vault: &Vault, job_type: &str, payload: &mut Value) {
    let whole = SecretFields::whole();
    let fits = node.registry.get(job_type).is_none_or(|known| {
        let checked = node.registry.validate_without(known, payload, &payload.to_string(), &whole);
        !matches!(checked, Err(CheckError::Invalid(_)))
    });
    if fits { vault.blind(job_type, Part::Payload, payload) } else { vault.blind_with(&whole, payload) }
}

/// A submission as it is compared.
pub(super) fn blinded_submission(node: &Node, vault: &Vault, job: &SubmitJob) -> SubmitJob {
    let mut payload = Value::Object(job.payload.clone());
    blind_submitted(node, vault, &job.job_type, &mut payload);
    let payload = match payload {
        Value::Object(payload) => payload,
        // All of it is secret.
        whole => serde_json::Map::from_iter([("whole".to_owned(), whole)]),
    };
    SubmitJob { payload, ..job.clone() }
}

/// A document with a type and a payload as it is compared.
pub(super) fn blinded_document<'d>(node: &Node, vault: &Vault, document: &'d Value) -> Cow<'d, Value> {
    let job_type = document.get("type").and_then(Value::as_str).unwrap_or_default();
    if !vault.has_secrets(job_type) {
        return Cow::Borrowed(document);
    }
    let mut blind = document.clone();
    if let Some(payload) = blind.get_mut("payload") {
        blind_submitted(node, vault, job_type, payload);
    }
    Cow::Owned(blind)
}

/// A workflow as it is compared.
pub(super) fn blinded_workflow(node: &Node, vault: &Vault, mut workflow: Value) -> Value {
    let blind = |job: &mut Value| {
        if let Cow::Owned(blinded) = blinded_document(node, vault, job) {
            *job = blinded;
        }
    };
    if let Some(steps) = workflow.get_mut("steps").and_then(Value::as_array_mut) {
        steps.iter_mut().for_each(blind);
    }
    if let Some(job) = workflow.get_mut("on_end") {
        blind(job);
    }
    workflow
}

/// What a request with a key is compared by. `fingerprint`: of its body as it came, which is not kept if there are secrets in it.
pub(super) fn request_fingerprint(
    node: &Node,
    vault: &Vault,
    jobs: &[Value],
    fingerprint: [u8; 32],
) -> [u8; 32] {
    let job_type = |job: &Value| job.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !jobs.iter().any(|job| vault.has_secrets(&job_type(job))) {
        return fingerprint;
    }
    let mut digest = Sha256::new_with_prefix("request with secrets\0");
    for job in jobs {
        digest.update(Fingerprint::of_document(&blinded_document(node, vault, job)));
    }
    digest.finalize().into()
}

/// The payload's text as it is stored, if it has secrets.
pub(in crate::roles) fn sealed(
    vault: &Vault,
    job_type: &str,
    mut payload: Value,
) -> Result<Option<String>, Refusal> {
    if vault.secrets.of(job_type).is_none() {
        return Ok(None);
    }
    let sealed = vault.seal(job_type, Part::Payload, &mut payload);
    sealed.map_err(|error| Refusal::Forbidden(error.to_string()))?;
    Ok(Some(payload.to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        encryption::{Keyring, SecretsByType, SecretsOfType, vault::Secrets},
        jobs::JobRegistry,
    };

    #[test]
    fn what_is_encrypted_leaves_only_where_its_type_says_so() {
        let vault = |own: Option<SecretsOfType>| {
            let types = own.map(|own| ("mail".to_owned(), own)).into_iter().collect::<SecretsByType>();
            let registry = JobRegistry::builder().build().unwrap();
            Vault { secrets: Arc::new(Secrets::new(&registry, &types).unwrap()), keys: Keyring::default() }
        };
        let stored = r#"{"body":{"$encrypted":"v1.a.b.c.d"}}"#;
        let leaves = |vault: &Vault, stored: &str| may_leave_sealed(vault, "mail", "out", stored).is_ok();
        let unknown = vault(None);
        assert!(!leaves(&unknown, stored));
        assert!(leaves(&unknown, r#"{"body":"{\"$encrypted\":\"v1.\"}"}"#));
        let outside = vault(Some(SecretsOfType { outside: true, ..SecretsOfType::default() }));
        assert!(leaves(&outside, stored));
        let marked = SecretsOfType { payload: vec!["/body".to_owned()], ..SecretsOfType::default() };
        assert!(!leaves(&vault(Some(marked)), "{}"));
    }
}
