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
    let Ok(()) = envelope::each_sealed::<Infallible>(value, &mut String::new(), &mut |_, value| {
        *value = redacted();
        Ok(())
    });
}

/// Why a value is not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    /// The type's jobs must be encrypted.
    #[error(
        "jobs of this type must be encrypted, and this node has no key: set `encryption.keys` and `encryption.current`"
    )]
    NoKey,
    /// Something in it was encrypted, and was to be so again.
    #[error(
        "it has values that were encrypted, and this node has no key to encrypt them again: set `encryption.current`"
    )]
    NoKeyAgain,
    /// Its text cannot be read, so nobody knows what is secret in it.
    #[error(
        "it has secret values, and cannot be read to encrypt them: it is no JSON, or is nested more than 127 deep"
    )]
    Unreadable,
    /// The system has no randomness.
    #[error("it cannot be encrypted: the system gives no random bytes")]
    NoRandomness,
}

/// What was sealed in a value that was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WasSealed {
    /// Whether anything was.
    pub(crate) any: bool,
    /// What was, and is not marked as secret here: this node may not know the type, or the mark was taken off.
    pub(crate) beside: SecretFields,
}

impl WasSealed {
    /// Everything, if anything was: of a payload that was made another one nobody knows where its values went.
    pub(crate) fn anywhere(&self) -> WasSealed {
        let beside = if self.any { SecretFields::whole() } else { SecretFields::default() };
        WasSealed { any: self.any, beside }
    }
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
        self.seal_with(job_type, part, value, &WasSealed::default(), false)
    }

    /// Seals what is secret in a value, and what was sealed before it was opened, if it is not marked as secret here; `stable`: to the
    /// same text for the same value, for what is compared with what is stored.
    pub(crate) fn seal_with(
        &self,
        job_type: &str,
        part: Part,
        value: &mut Value,
        was: &WasSealed,
        stable: bool,
    ) -> Result<(), SealError> {
        if self.keys.current().is_none() {
            let required = self.secrets.of(job_type).is_some_and(|secrets| secrets.required);
            return match (required, was.beside.is_empty()) {
                (true, _) => Err(SealError::NoKey),
                (false, false) => Err(SealError::NoKeyAgain),
                (false, true) => Ok(()),
            };
        }
        self.fields_with(job_type, part, was).visit(value, &mut |pointer, value| {
            let place = (job_type, part, pointer);
            *value = envelope::seal(&self.keys, place, value, stable).ok_or(SealError::NoRandomness)?;
            Ok(())
        })
    }

    /// What is secret, and what was sealed.
    pub(crate) fn fields_with(&self, job_type: &str, part: Part, was: &WasSealed) -> SecretFields {
        let marked = self.secrets.fields(job_type, part).cloned().unwrap_or_default();
        if was.beside.is_empty() { marked } else { marked.and(was.beside.clone()) }
    }

    /// JSON text with what is secret in it sealed. What cannot be read, as it is nested too deep, is an error of types with secrets.
    pub(crate) fn seal_text(&self, job_type: &str, part: Part, text: String) -> Result<String, SealError> {
        let needed = self.secrets.of(job_type).is_some_and(|secrets| secrets.required)
            || self.secrets.fields(job_type, part).is_some();
        if !needed {
            return Ok(text);
        }
        let mut value: Value = serde_json::from_str(&text).map_err(|_| SealError::Unreadable)?;
        self.seal(job_type, part, &mut value)?;
        Ok(value.to_string())
    }

    /// Opens what is sealed in a value. If it cannot be, the value stays as it is.
    pub(crate) fn open(&self, job_type: &str, part: Part, value: &mut Value) -> Result<(), OpenError> {
        self.open_noting(job_type, part, value).map(drop)
    }

    /// The same, and says what that was: whoever stores or tells of the value must know, whatever is marked as secret here by now.
    pub(crate) fn open_noting(
        &self,
        job_type: &str,
        part: Part,
        value: &mut Value,
    ) -> Result<WasSealed, OpenError> {
        let (mut opened, mut noted) = (value.clone(), Vec::new());
        envelope::open(&self.keys, (job_type, part), &mut opened, &mut noted)?;
        *value = opened;
        let any = !noted.is_empty();
        let beside = match self.secrets.fields(job_type, part) {
            Some(marked) => marked.beside(noted),
            None => SecretFields::of_places(&noted),
        };
        Ok(WasSealed { any, beside })
    }

    /// Hides what is secret in a value, and what was sealed.
    pub(crate) fn redact_with(&self, job_type: &str, part: Part, value: &mut Value, was: &WasSealed) {
        let Ok(()) = self.fields_with(job_type, part, was).visit::<Infallible>(value, &mut |_, value| {
            *value = redacted();
            Ok(())
        });
        redact_sealed(value);
    }

    /// What is secret in a stored value, replaced by marks: what is marked here, and what is sealed, whatever it is. What cannot be
    /// opened is marked as it stands.
    pub(crate) fn mark(&self, job_type: &str, part: Part, value: &mut Value, mark: impl Fn(&Value) -> Value) {
        let mut noted = Vec::new();
        let Ok(()) = envelope::each_sealed::<Infallible>(value, &mut String::new(), &mut |pointer, value| {
            noted.push(pointer.to_owned());
            if let Ok(opened) = envelope::open_at(&self.keys, (job_type, part, pointer), value) {
                *value = opened;
            }
            Ok(())
        });
        let was = WasSealed { any: !noted.is_empty(), beside: SecretFields::of_places(&noted) };
        let fields = self.fields_with(job_type, part, &was);
        let Ok(()) = fields.visit::<Infallible>(value, &mut |_, value| {
            *value = mark(value);
            Ok(())
        });
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
        envelope::open(&self.keys, (job_type, part), &mut value, &mut Vec::new())?;
        Ok(Cow::Owned(value.to_string()))
    }

    /// JSON text that is sealed, sealed anew with the current key; `None` if it is so already, or nothing in it is sealed. `stable`: as
    /// [`seal_with`](Self::seal_with) has it.
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
        envelope::each_sealed(&mut value, &mut String::new(), &mut |pointer, value| {
            let place = (job_type, part, pointer);
            let opened = envelope::open_at(&self.keys, place, value)?;
            let damaged = || OpenError::Damaged { pointer: pointer.to_owned() };
            *value = envelope::seal(&self.keys, place, &opened, stable).ok_or_else(damaged)?;
            Ok(())
        })?;
        Ok(Some(value.to_string()))
    }

    /// The value with what is secret in it replaced by what it is compared by: the same for the same value where there is a key for
    /// that, else the same for every value.
    pub(crate) fn blind(&self, job_type: &str, part: Part, value: &mut Value) {
        self.blind_with(&self.fields_with(job_type, part, &WasSealed::default()), value);
    }

    /// The same with these values.
    pub(crate) fn blind_with(&self, fields: &SecretFields, value: &mut Value) {
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
