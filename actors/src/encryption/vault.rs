//! [`Vault`]: what is done with secret values, given the keys of this moment.

use std::{borrow::Cow, collections::BTreeMap, convert::Infallible, sync::Arc};

use serde_json::{Map, Value, json};

use super::{
    envelope::{self, MARK, OpenError, Part, REDACTED},
    fields::{SecretFields, SecretsByType, TypeSecrets},
    keys::Keyring,
};
use crate::jobs::JobRegistry;

/// What is secret, by type. It is what the types and the configuration say at the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets {
    types: BTreeMap<String, TypeSecrets>,
}

impl Secrets {
    /// What the types mark, and what the configuration says besides.
    ///
    /// # Errors
    /// The type whose fields cannot be, and why.
    pub(crate) fn new(registry: &JobRegistry, configured: &SecretsByType) -> Result<Self, (String, String)> {
        let mut types = BTreeMap::new();
        for job_type in registry.types() {
            types.insert(job_type.name().to_owned(), job_type.secrets().clone());
        }
        for (name, own) in configured {
            let wrong = |problem| (name.clone(), problem);
            let payload = SecretFields::parse(&own.payload).map_err(wrong)?;
            let result = SecretFields::parse(&own.result).map_err(wrong)?;
            let known = types.remove(name).unwrap_or_default();
            let both = TypeSecrets {
                payload: known.payload.and(payload),
                result: known.result.and(result),
                required: known.required || own.required,
                outside: known.outside || own.outside,
            };
            types.insert(name.clone(), both);
        }
        types.retain(|_, secrets| *secrets != TypeSecrets::default());
        Ok(Secrets { types })
    }

    /// The first type whose jobs are only taken if they are encrypted.
    pub(crate) fn required(&self) -> Option<&str> {
        self.types.iter().find(|(_, secrets)| secrets.required).map(|(name, _)| name.as_str())
    }

    pub(crate) fn of(&self, job_type: &str) -> Option<&TypeSecrets> {
        self.types.get(job_type)
    }

    /// The types that have any.
    pub(crate) fn types(&self) -> impl Iterator<Item = (&str, &TypeSecrets)> {
        self.types.iter().map(|(name, secrets)| (name.as_str(), secrets))
    }

    /// Whether results of any type are secret.
    pub(crate) fn any_results(&self) -> bool {
        self.types.values().any(|secrets| !secrets.result.is_empty())
    }

    fn fields(&self, job_type: &str, part: Part) -> Option<&SecretFields> {
        let secrets = self.of(job_type)?;
        let fields = match part {
            Part::Payload | Part::Patch => &secrets.payload,
            Part::Result => &secrets.result,
        };
        Some(fields).filter(|fields| !fields.is_empty())
    }

    /// Hides what is secret in a value, sealed or not.
    pub(crate) fn redact(&self, job_type: &str, part: Part, value: &mut Value) {
        if let Some(fields) = self.fields(job_type, part) {
            let Ok(()) = fields.visit::<Infallible>(value, &mut |_, value| {
                *value = redacted();
                Ok(())
            });
        }
        redact_sealed(value);
    }

    /// Hides what is secret in the payload and the result of a job that an event tells of.
    pub(crate) fn redact_event(&self, payload: &mut Map<String, Value>) {
        let Some(job_type) = payload.get("type").and_then(Value::as_str).map(str::to_owned) else { return };
        for (name, part) in [("payload", Part::Payload), ("result", Part::Result)] {
            if let Some(value) = payload.get_mut(name) {
                self.redact(&job_type, part, value);
            }
        }
    }

    /// Whether a message about a place in a payload could quote a secret.
    pub(crate) fn concerns(&self, job_type: &str, pointer: &str) -> bool {
        self.fields(job_type, Part::Payload).is_some_and(|fields| fields.concerns(pointer))
    }
}

/// What is shown instead of a value.
fn redacted() -> Value {
    json!({ REDACTED: true })
}

/// Whether this stands for a value that was not shown.
fn is_redacted(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|fields| fields.len() == 1 && fields.get(REDACTED) == Some(&Value::Bool(true)))
}

fn redact_sealed(value: &mut Value) {
    if envelope::is_sealed(value) {
        *value = redacted();
        return;
    }
    match value {
        Value::Object(fields) => fields.values_mut().for_each(redact_sealed),
        Value::Array(entries) => entries.iter_mut().for_each(redact_sealed),
        _ => {}
    }
}

/// Why a value is not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    /// The type's jobs must be encrypted.
    #[error(
        "jobs of this type must be encrypted, and this node has no key: set `encryption.keys` and `encryption.current`"
    )]
    NoKey,
    /// The system has no randomness.
    #[error("it cannot be encrypted: the system gives no random bytes")]
    NoRandomness,
}

/// What a patch of payloads says about secrets, of whose type nothing is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretOf(pub(crate) String);

/// What is secret, with the keys of this moment.
#[derive(Clone, Debug)]
pub(crate) struct Vault {
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) keys: Keyring,
}

impl Vault {
    /// Seals what is secret in a value; without a key it stays as it is.
    pub(crate) fn seal(&self, job_type: &str, part: Part, value: &mut Value) -> Result<(), SealError> {
        self.seal_by(job_type, part, value, false)
    }

    /// The same, to the same text for the same value: for what is compared with what is stored.
    pub(crate) fn seal_stable(&self, job_type: &str, part: Part, value: &mut Value) -> Result<(), SealError> {
        self.seal_by(job_type, part, value, true)
    }

    fn seal_by(&self, job_type: &str, part: Part, value: &mut Value, stable: bool) -> Result<(), SealError> {
        let Some(secrets) = self.secrets.of(job_type) else { return Ok(()) };
        if self.keys.current().is_none() {
            return if secrets.required { Err(SealError::NoKey) } else { Ok(()) };
        }
        let Some(fields) = self.secrets.fields(job_type, part) else { return Ok(()) };
        fields.visit(value, &mut |pointer, value| {
            let place = (job_type, part, pointer);
            *value = envelope::seal(&self.keys, place, value, stable).ok_or(SealError::NoRandomness)?;
            Ok(())
        })
    }

    /// JSON text with what is secret in it sealed. What is no JSON stays as it is.
    pub(crate) fn seal_text(&self, job_type: &str, part: Part, text: String) -> Result<String, SealError> {
        let needed = self.secrets.of(job_type).is_some_and(|secrets| secrets.required)
            || self.secrets.fields(job_type, part).is_some();
        match serde_json::from_str::<Value>(&text) {
            Ok(mut value) if needed => {
                self.seal(job_type, part, &mut value)?;
                Ok(value.to_string())
            }
            _ => Ok(text),
        }
    }

    /// Opens what is sealed in a value.
    pub(crate) fn open(&self, job_type: &str, part: Part, value: &mut Value) -> Result<(), OpenError> {
        envelope::open(&self.keys, job_type, part, value, &mut String::new())
    }

    /// JSON text with what is sealed in it opened.
    pub(crate) fn open_text<'t>(
        &self,
        job_type: &str,
        part: Part,
        text: &'t str,
    ) -> Result<Cow<'t, str>, OpenError> {
        if !text.contains(MARK) {
            return Ok(Cow::Borrowed(text));
        }
        let Ok(mut value) = serde_json::from_str::<Value>(text) else { return Ok(Cow::Borrowed(text)) };
        self.open(job_type, part, &mut value)?;
        Ok(Cow::Owned(value.to_string()))
    }

    /// JSON text that is sealed, sealed anew with the current key; `None` if it is so already, or nothing in it is sealed. `stable`: as
    /// [`seal_stable`](Self::seal_stable) does.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub(crate) fn reseal(
        &self,
        (job_type, part): (&str, Part),
        text: &str,
        stable: bool,
    ) -> Result<Option<String>, OpenError> {
        let Some(current) = self.keys.current() else { return Ok(None) };
        // Another key of the current one's name is not the current one.
        let is_current = |(name, check): &(&str, &str)| *name == current && self.keys.has_key(name, check);
        if !text.contains(MARK) || envelope::keys_of(text).iter().all(is_current) {
            return Ok(None);
        }
        let Ok(mut value) = serde_json::from_str::<Value>(text) else { return Ok(None) };
        reseal(&self.keys, (job_type, part, stable), &mut value, &mut String::new())?;
        Ok(Some(value.to_string()))
    }

    /// The value with what is secret in it replaced by what it is compared by: the same for the same value where there is a key for
    /// that, else the same for every value.
    pub(crate) fn blind(&self, job_type: &str, part: Part, value: &mut Value) {
        let Some(fields) = self.secrets.fields(job_type, part) else { return };
        let Ok(()) = fields.visit::<Infallible>(value, &mut |_, value| {
            *value = match self.keys.fingerprint(canonical(value).as_bytes()) {
                Some(tag) => json!({ "$fingerprint": tag.iter().map(|byte| format!("{byte:02x}")).collect::<String>() }),
                None => redacted(),
            };
            Ok(())
        });
    }

    /// Whether a job of this type has values that must not be hashed as they are.
    pub(crate) fn has_secrets(&self, job_type: &str) -> bool {
        self.secrets.fields(job_type, Part::Payload).is_some()
    }

    /// Puts values that were not shown back where they were. In a list that is so only if it has as many entries as before, and the
    /// entry is otherwise the one that was there: else the secret of one entry would become another's.
    ///
    /// # Errors
    /// Where there was none, as a JSON Pointer.
    pub(crate) fn restore(value: &mut Value, original: &Value) -> Result<(), String> {
        restore(value, Some(original), &mut String::new())
    }

    /// Leaves out of a patch what was not shown, and so is not to be changed.
    pub(crate) fn without_redacted(patch: &mut Map<String, Value>) {
        patch.retain(|_, change| !is_redacted(change));
        for change in patch.values_mut() {
            if let Value::Object(inner) = change {
                Self::without_redacted(inner);
            }
        }
    }

    /// A patch with what is secret in it sealed. `job_type`: the type of all the jobs that it changes, if it is known.
    ///
    /// # Errors
    /// The type of which it changes a secret, if the type of its jobs is not known; or why it cannot be sealed.
    pub(crate) fn seal_patch(
        &self,
        job_type: Option<&str>,
        mut value: Value,
    ) -> Result<Result<Value, SealError>, SecretOf> {
        let Some(job_type) = job_type else {
            let mut touched = self.secrets.types().filter(|(_, secrets)| touches(&secrets.payload, &value));
            return match touched.next() {
                Some((name, _)) => Err(SecretOf(name.to_owned())),
                None => Ok(Ok(value)),
            };
        };
        Ok(self.seal(job_type, Part::Patch, &mut value).map(|()| value))
    }
}

fn touches(fields: &SecretFields, patch: &Value) -> bool {
    let mut found = false;
    let Ok(()) = fields.visit::<Infallible>(&mut patch.clone(), &mut |_, _| {
        found = true;
        Ok(())
    });
    found
}

fn restore(value: &mut Value, original: Option<&Value>, pointer: &mut String) -> Result<(), String> {
    if is_redacted(value) {
        // What stands for nothing would be stored as it is.
        *value =
            original.filter(|original| !is_redacted(original)).cloned().ok_or_else(|| pointer.clone())?;
        return Ok(());
    }
    let length = pointer.len();
    let mut below = |name: &str, child: &mut Value, original: Option<&Value>| {
        pointer.push('/');
        pointer.push_str(&super::fields::escaped(name));
        let done = restore(child, original, pointer);
        pointer.truncate(length);
        done
    };
    match value {
        Value::Object(fields) => fields
            .iter_mut()
            .try_for_each(|(name, child)| below(name, child, original.and_then(|before| before.get(name)))),
        Value::Array(entries) => {
            let before = original.and_then(Value::as_array).filter(|before| before.len() == entries.len());
            entries.iter_mut().enumerate().try_for_each(|(index, child)| {
                let before = before.and_then(|before| before.get(index));
                below(&index.to_string(), child, before.filter(|before| is_shown_of(child, before)))
            })
        }
        _ => Ok(()),
    }
}

/// Whether a value is what could be shown of the original: the same but for what is hidden in it.
fn is_shown_of(value: &Value, original: &Value) -> bool {
    match (value, original) {
        (value, _) if is_redacted(value) => true,
        (Value::Object(fields), Value::Object(before)) => {
            fields.len() == before.len()
                && fields
                    .iter()
                    .all(|(name, child)| before.get(name).is_some_and(|before| is_shown_of(child, before)))
        }
        (Value::Array(entries), Value::Array(before)) => {
            entries.len() == before.len()
                && entries.iter().zip(before).all(|(child, before)| is_shown_of(child, before))
        }
        (value, before) => value == before,
    }
}

/// What to say of the place of a value that cannot be put back.
pub(crate) const NOT_PUT_BACK: &str = "what was not shown cannot be put back here: there was no such value, or the list or the entry of it \
                                       that it is in was changed; give the value itself";

fn reseal(
    keys: &Keyring,
    (job_type, part, stable): (&str, Part, bool),
    value: &mut Value,
    pointer: &mut String,
) -> Result<(), OpenError> {
    if envelope::is_sealed(value) {
        let damaged = || OpenError::Damaged { pointer: pointer.clone() };
        let place = pointer.clone();
        let mut opened = value.take();
        envelope::open(keys, job_type, part, &mut opened, &mut pointer.clone())?;
        *value = envelope::seal(keys, (job_type, part, &place), &opened, stable).ok_or_else(damaged)?;
        return Ok(());
    }
    let length = pointer.len();
    let mut below = |name: &str, child: &mut Value| {
        pointer.push('/');
        pointer.push_str(&super::fields::escaped(name));
        let done = reseal(keys, (job_type, part, stable), child, pointer);
        pointer.truncate(length);
        done
    };
    match value {
        Value::Object(fields) => fields.iter_mut().try_for_each(|(name, child)| below(name, child)),
        Value::Array(entries) => {
            entries.iter_mut().enumerate().try_for_each(|(index, child)| below(&index.to_string(), child))
        }
        _ => Ok(()),
    }
}

/// JSON text in one form, whatever the order of the fields.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, String> =
                fields.iter().map(|(name, child)| (name, canonical(child))).collect();
            let inner: Vec<String> =
                sorted.into_iter().map(|(name, child)| format!("{}:{child}", json!(name))).collect();
            format!("{{{}}}", inner.join(","))
        }
        Value::Array(entries) => {
            format!("[{}]", entries.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        plain => plain.to_string(),
    }
}
