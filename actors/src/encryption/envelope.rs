//! What a sealed value looks like: `{"$encrypted":"v1.KEY.CHECK.NONCE.DATA"}`, the last three in base64url.
//!
//! It is a JSON value like others, so that what is around it stays readable. Its text names the key, so that the key in use is found
//! without opening anything. Sealed with it, and so not to be exchanged, are the version, the key's name, the job type, whether it
//! is of a payload or of a result, and the place in it. Not the job: a payload is copied from row to row by replays, by the cron
//! table and by exports, and is to stay readable there.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{
    fields::escaped,
    keys::{Keyring, is_name},
};

/// The field of a sealed value.
pub const ENCRYPTED: &str = "$encrypted";
/// The field of a value that is not shown.
pub const REDACTED: &str = "$redacted";
/// With what the text of a sealed value begins.
const VERSION: &str = "v1";
/// How a sealed value begins within JSON text. Within a string the quotes would be escaped, so it stands nowhere else.
pub(crate) const MARK: &str = r#"{"$encrypted":"v1."#;

/// What a sealed value is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A job's payload, or one that the cron table has for jobs.
    Payload,
    /// A job's result.
    Result,
    /// A patch of payloads.
    Patch,
}

impl Part {
    fn as_str(self) -> &'static str {
        match self {
            Part::Payload => "payload",
            Part::Result => "result",
            Part::Patch => "patch",
        }
    }
}

/// Why a sealed value stays sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The node does not have the key.
    #[error("the key {0:?}, with which it is encrypted, is not on this node")]
    NoKey(String),
    /// The node has another key under this name.
    #[error("it is encrypted with another key than the one that this node has under the name {0:?}")]
    OtherKey(String),
    /// It is not what was sealed.
    #[error(
        "{pointer}: what is encrypted there cannot be decrypted: it was damaged, changed, or is of another job type or field"
    )]
    Damaged {
        /// Where it is, as a JSON Pointer.
        pointer: String,
    },
}

impl OpenError {
    /// Whether another node, or this one with another configuration, may be able to.
    pub fn is_about_keys(&self) -> bool {
        matches!(self, OpenError::NoKey(_) | OpenError::OtherKey(_))
    }
}

/// What a value is sealed with: each part with its length, so that no two are the same.
fn aad(key: &str, job_type: &str, part: Part, pointer: &str) -> Vec<u8> {
    let mut aad = Vec::with_capacity(64 + job_type.len() + pointer.len());
    for part in [VERSION, key, job_type, part.as_str(), pointer] {
        aad.extend((part.len() as u64).to_be_bytes());
        aad.extend(part.as_bytes());
    }
    aad
}

/// The value, sealed with the current key. None if there is none, or the system has no randomness.
pub(super) fn seal(
    keys: &Keyring,
    (job_type, part, pointer): (&str, Part, &str),
    value: &Value,
    stable: bool,
) -> Option<Value> {
    let (name, key) = keys.sealing()?;
    let aad = aad(name, job_type, part, pointer);
    let (nonce, data) = key.seal(&aad, value.to_string().as_bytes(), stable).ok()?;
    let text = format!(
        "{VERSION}.{name}.{}.{}.{}",
        key.check(),
        URL_SAFE_NO_PAD.encode(nonce),
        URL_SAFE_NO_PAD.encode(data)
    );
    Some(Value::Object(Map::from_iter([(ENCRYPTED.to_owned(), Value::String(text))])))
}

/// A sealed value, taken apart.
struct Sealed<'v> {
    key: &'v str,
    check: &'v str,
    nonce: &'v str,
    data: &'v str,
}

/// The text of a sealed value, if this is one.
fn sealed_text(value: &Value) -> Option<&str> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    let text = fields.get(ENCRYPTED)?.as_str()?;
    text.strip_prefix(VERSION)?.strip_prefix('.')
}

fn apart(text: &str) -> Option<Sealed<'_>> {
    let mut parts = text.split('.');
    let sealed =
        Sealed { key: parts.next()?, check: parts.next()?, nonce: parts.next()?, data: parts.next()? };
    (parts.next().is_none() && is_name(sealed.key)).then_some(sealed)
}

/// Whether this is a sealed value.
pub(super) fn is_sealed(value: &Value) -> bool {
    sealed_text(value).is_some()
}

/// How long JSON text would be without being sealed, about.
pub(crate) fn plain_length(text: &str) -> usize {
    if !text.contains(MARK) {
        return text.len();
    }
    let added = serde_json::from_str::<Value>(text).map_or(0, |value| added(&value));
    text.len().saturating_sub(added)
}

/// How many bytes of a value's text sealing has added.
fn added(value: &Value) -> usize {
    match (sealed_text(value), value) {
        (Some(text), _) => {
            // The tag is 16 bytes.
            let data = apart(text).map_or(0, |sealed| (sealed.data.len() / 4 * 3).saturating_sub(16));
            value.to_string().len().saturating_sub(data)
        }
        (None, Value::Object(fields)) => fields.values().map(added).sum(),
        (None, Value::Array(entries)) => entries.iter().map(added).sum(),
        _ => 0,
    }
}

/// Opens everything that is sealed in a value, and notes where that was.
pub(super) fn open(
    keys: &Keyring,
    (job_type, part): (&str, Part),
    value: &mut Value,
    noted: &mut Vec<String>,
) -> Result<(), OpenError> {
    each_sealed(value, &mut String::new(), &mut |pointer, value| {
        noted.push(pointer.to_owned());
        *value = open_at(keys, (job_type, part, pointer), value)?;
        Ok(())
    })
}

/// What is sealed in the value at this place.
pub(super) fn open_at(keys: &Keyring, place: (&str, Part, &str), sealed: &Value) -> Result<Value, OpenError> {
    let damaged = || OpenError::Damaged { pointer: place.2.to_owned() };
    open_one(keys, place, sealed_text(sealed).ok_or_else(damaged)?)
}

/// Calls `change` with each sealed value, and its JSON Pointer.
pub(super) fn each_sealed<E>(
    value: &mut Value,
    pointer: &mut String,
    change: &mut dyn FnMut(&str, &mut Value) -> Result<(), E>,
) -> Result<(), E> {
    if is_sealed(value) {
        return change(pointer, value);
    }
    let length = pointer.len();
    let mut below = |name: &str, child: &mut Value| {
        pointer.push('/');
        pointer.push_str(&escaped(name));
        let done = each_sealed(child, pointer, change);
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

fn open_one(
    keys: &Keyring,
    (job_type, part, pointer): (&str, Part, &str),
    text: &str,
) -> Result<Value, OpenError> {
    let damaged = || OpenError::Damaged { pointer: pointer.to_owned() };
    let sealed = apart(text).ok_or_else(damaged)?;
    let Some(key) = keys.opening(sealed.key, sealed.check) else {
        let name = sealed.key.to_owned();
        return Err(if keys.has(&name) { OpenError::OtherKey(name) } else { OpenError::NoKey(name) });
    };
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| damaged());
    let nonce = decoded(sealed.nonce)?.try_into().map_err(|_| damaged())?;
    let aad = aad(sealed.key, job_type, part, pointer);
    let opened = key.open(&aad, nonce, decoded(sealed.data)?).map_err(|_| damaged())?;
    serde_json::from_slice(&opened).map_err(|_| damaged())
}

/// The keys that JSON text is sealed with: their names, and what tells them from others of these names.
pub(crate) fn keys_of(text: &str) -> Vec<(&str, &str)> {
    let key = |rest| {
        let (name, rest): (&str, &str) = str::split_once(rest, '.')?;
        let check = rest.split(['.', '"']).next().unwrap_or_default();
        is_name(name).then_some((name, check))
    };
    let mut keys: Vec<(&str, &str)> = text.split(MARK).skip(1).filter_map(key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The place of a field of ours in JSON text that comes from elsewhere, and why that cannot be.
pub(crate) fn forged(text: &str) -> Option<String> {
    // Escapes can spell every letter of a name.
    if !(text.contains(ENCRYPTED) || text.contains(REDACTED) || text.contains("\\u")) {
        return None;
    }
    let value = serde_json::from_str::<Value>(text).ok()?;
    let mut pointer = String::new();
    reserved(&value, &mut pointer)
        .then(|| format!("{pointer}: fields of the names {ENCRYPTED} and {REDACTED} are the server's own"))
}

/// The place of the first field that only sealed and redacted values have.
pub(crate) fn reserved(value: &Value, pointer: &mut String) -> bool {
    let length = pointer.len();
    let mut below = |name: &str, child: &Value| {
        pointer.push('/');
        pointer.push_str(&escaped(name));
        let found = matches!(name, ENCRYPTED | REDACTED) || reserved(child, pointer);
        if !found {
            pointer.truncate(length);
        }
        found
    };
    match value {
        Value::Object(fields) => fields.iter().any(|(name, child)| below(name, child)),
        Value::Array(entries) => {
            entries.iter().enumerate().any(|(index, child)| below(&index.to_string(), child))
        }
        _ => false,
    }
}
