//! Secret values of jobs in the cron table.

use std::borrow::Cow;

use callboard_contracts::api::{CronDefinition, FieldError};
use serde_json::{Map, Value};

use super::super::{
    node::Node,
    request::{Refusal, Who},
    secret_keeping::{self, may_see},
};
use crate::encryption::{
    OpenError,
    envelope::{MARK, Part},
    vault::{NOT_PUT_BACK, SealError, Secrets, Vault},
};

/// The definition as it is stored. Sealed again it is the same, so that it is seen whether a configuration's has changed.
pub(super) fn seal(vault: &Vault, definition: &mut CronDefinition) -> Result<(), SealError> {
    with_payload(definition, |job_type, payload| vault.seal_stable(job_type, Part::Payload, payload))
}

/// The definition with its payload decrypted.
pub(super) fn opened<'d>(
    vault: &Vault,
    definition: &'d CronDefinition,
) -> Result<Cow<'d, CronDefinition>, OpenError> {
    let text = serde_json::to_string(&definition.job.payload).unwrap_or_default();
    if !text.contains(MARK) {
        return Ok(Cow::Borrowed(definition));
    }
    let mut opened = definition.clone();
    with_payload(&mut opened, |job_type, payload| vault.open(job_type, Part::Payload, payload))?;
    Ok(Cow::Owned(opened))
}

/// The definition as it is shown.
pub(super) fn redact(secrets: &Secrets, definition: &mut CronDefinition) {
    let Ok(()) = with_payload(definition, |job_type, payload| {
        secrets.redact(job_type, Part::Payload, payload);
        Ok::<(), std::convert::Infallible>(())
    });
}

/// Puts values back that were not shown to whoever has changed an entry. What else its jobs are given, and where they go, is only changed
/// with them by whoever may see them.
pub(super) async fn restored(
    node: &Node,
    who: &Who,
    name: &str,
    definition: &mut CronDefinition,
) -> Result<(), Refusal> {
    let text = serde_json::to_string(&definition.job.payload).unwrap_or_default();
    if !text.contains("\"$redacted\"") {
        return Ok(());
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
    let before = match &known {
        Some(known) => opened(&node.vault(), &known.definition)
            .map_err(|error| Refusal::Forbidden(format!("the payload of the entry: {error}")))?
            .job
            .payload
            .clone(),
        None => Map::new(),
    };
    with_payload(definition, |_, payload| Vault::restore(payload, &Value::Object(before))).map_err(
        |pointer| {
            Refusal::Invalid(vec![FieldError {
                pointer: format!("/job/payload{pointer}"),
                message: NOT_PUT_BACK.to_owned(),
            }])
        },
    )
}

fn with_payload<E>(
    definition: &mut CronDefinition,
    change: impl FnOnce(&str, &mut Value) -> Result<(), E>,
) -> Result<(), E> {
    let job = &mut definition.job;
    let mut payload = Value::Object(std::mem::take(&mut job.payload));
    let done = change(&job.job_type, &mut payload);
    // An object is sealed to an object, and a hidden one is one.
    if let Value::Object(payload) = payload {
        job.payload = payload;
    }
    done
}
