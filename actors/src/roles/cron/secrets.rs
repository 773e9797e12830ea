//! Secret values of jobs in the cron table.

use std::borrow::Cow;

use callboard_contracts::api::{CronDefinition, FieldError};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::super::{
    node::Node,
    request::{Refusal, Who},
    secret_keeping::{self, may_see},
};
use crate::{
    edges::store::{StoreError, record::NewJob},
    encryption::{
        OpenError,
        envelope::{MARK, Part},
        vault::{NOT_PUT_BACK, SealError, Secrets, Vault, WasSealed},
    },
};

/// The definition as it is stored, with what `was` sealed before sealed again. Sealed again it is the same, so that it is seen whether
/// a configuration's has changed.
pub(super) fn seal(vault: &Vault, definition: &mut CronDefinition, was: &WasSealed) -> Result<(), SealError> {
    with_payload(definition, |job_type, payload| vault.seal_with(job_type, Part::Payload, payload, was, true))
}

/// Seals what was sealed in an entry, and is not marked as secret here, in the job that was made of it. `submitted`: the payload of
/// which it was made.
pub(super) fn seal_again(
    vault: &Vault,
    job: &mut NewJob,
    submitted: &Value,
    was: &WasSealed,
) -> Result<(), Refusal> {
    if was.beside.is_empty() {
        return Ok(());
    }
    let mut payload: Value = serde_json::from_str(&job.payload)
        .map_err(|error| StoreError::Corrupt(format!("the payload of an entry's job is no JSON: {error}")))?;
    vault
        .open(&job.job_type, Part::Payload, &mut payload)
        .map_err(|error| Refusal::Forbidden(error.to_string()))?;
    // An upcaster has put the values to other places.
    let was = if payload == *submitted { was.clone() } else { was.anywhere() };
    let mut blinded = payload.clone();
    vault.blind_with(&vault.fields_with(&job.job_type, Part::Payload, &was), &mut blinded);
    job.fingerprint =
        Sha256::new_with_prefix("sealed again\0").chain_update(blinded.to_string()).finalize().into();
    vault
        .seal_with(&job.job_type, Part::Payload, &mut payload, &was, false)
        .map_err(|error| Refusal::Forbidden(error.to_string()))?;
    job.payload = payload.to_string();
    Ok(())
}

/// The definition with its payload decrypted, and what was encrypted in it.
pub(super) fn opened<'d>(
    vault: &Vault,
    definition: &'d CronDefinition,
) -> Result<(Cow<'d, CronDefinition>, WasSealed), OpenError> {
    let text = serde_json::to_string(&definition.job.payload).unwrap_or_default();
    if !text.contains(MARK) {
        return Ok((Cow::Borrowed(definition), WasSealed::default()));
    }
    let mut opened = definition.clone();
    let was =
        with_payload(&mut opened, |job_type, payload| vault.open_noting(job_type, Part::Payload, payload))?;
    Ok((Cow::Owned(opened), was))
}

/// The definition as it is shown.
pub(super) fn redact(secrets: &Secrets, definition: &mut CronDefinition) {
    let Ok(()) = with_payload(definition, |job_type, payload| {
        secrets.redact(job_type, Part::Payload, payload);
        Ok::<(), std::convert::Infallible>(())
    });
}

/// Puts values back that were not shown to whoever has changed an entry. What else its jobs are given, and where they go, is only changed
/// with them by whoever may see them. What was encrypted in the entry before, if there were any.
pub(super) async fn restored(
    node: &Node,
    who: &Who,
    name: &str,
    definition: &mut CronDefinition,
) -> Result<WasSealed, Refusal> {
    let text = serde_json::to_string(&definition.job.payload).unwrap_or_default();
    if !text.contains("\"$redacted\"") {
        return Ok(WasSealed::default());
    }
    let known = node.store.cron_entry(name.to_owned()).await?;
    let known = known.filter(|known| known.definition.job.job_type == definition.job.job_type);
    if let Some(known) = &known
        && !may_see(who)
    {
        let mut shown = known.definition.clone();
        redact(&node.secrets, &mut shown);
        let (job, shown) = (&definition.job, &shown.job);
        if (&job.queue, &job.payload) != (&shown.queue, &shown.payload) {
            return Err(secret_keeping::refusal());
        }
    }
    let (before, was) = match &known {
        Some(known) => {
            let (known, was) = opened(&node.vault(), &known.definition)
                .map_err(|error| Refusal::Forbidden(format!("the payload of the entry: {error}")))?;
            (known.job.payload.clone(), was)
        }
        None => (Map::new(), WasSealed::default()),
    };
    with_payload(definition, |_, payload| Vault::restore(payload, &Value::Object(before))).map_err(
        |pointer| {
            Refusal::Invalid(vec![FieldError {
                pointer: format!("/job/payload{pointer}"),
                message: NOT_PUT_BACK.to_owned(),
            }])
        },
    )?;
    Ok(was)
}

fn with_payload<T, E>(
    definition: &mut CronDefinition,
    change: impl FnOnce(&str, &mut Value) -> Result<T, E>,
) -> Result<T, E> {
    let job = &mut definition.job;
    let mut payload = Value::Object(std::mem::take(&mut job.payload));
    let done = change(&job.job_type, &mut payload);
    // An object is sealed to an object, and a hidden one is one.
    if let Value::Object(payload) = payload {
        job.payload = payload;
    }
    done
}
