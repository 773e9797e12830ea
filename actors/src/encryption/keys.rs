//! The keys of a node, by their names.

use std::{collections::BTreeMap, fmt, sync::Arc};

use base64::{Engine, engine::general_purpose};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::envelope::{self, OpenError, Part};

/// Bytes of a key.
const KEY_LEN: usize = 32;
/// Letters of a name at most.
const MAX_NAME: usize = 32;
/// Keys that a node may have.
const MAX_KEYS: usize = 64;
/// Bytes of the check that tells whether a key is the one that a value was sealed with.
const CHECK_LEN: usize = 4;

/// A key that cannot be used. It never says what the key is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The name breaks the rule.
    #[error("the key {0:?}: a name has 1 to {MAX_NAME} of the letters a-z, A-Z, 0-9, - and _")]
    Name(String),
    /// Two keys have one name.
    #[error("the key {0:?} is there twice")]
    Twice(String),
    /// It is not 32 bytes.
    #[error(
        "the key {0:?}: {KEY_LEN} bytes in base64 or in hexadecimal digits are needed, such as `openssl rand -base64 {KEY_LEN}` writes"
    )]
    Form(String),
    /// A name that no key has.
    #[error("{role} is the key {name:?}, which is not among the keys")]
    Unknown {
        /// What the key is to be.
        role: &'static str,
        /// The name.
        name: String,
    },
    /// There are too many.
    #[error("{0} keys; a node may have {MAX_KEYS}")]
    TooMany(usize),
    /// There are keys, and nothing says which one new values are sealed with.
    #[error("there are keys, but none is the current one, with which new payloads are encrypted")]
    NoCurrent,
    /// A key serves two purposes that exclude each other.
    #[error(
        "the key {0:?} is the one of fingerprints, which never changes, and so cannot be the current one, which is rotated"
    )]
    Both(String),
}

/// One key. What is done with it is done with keys that are derived from it, one for each purpose.
pub(crate) struct Key {
    cipher: LessSafeKey,
    nonces: hmac::Key,
    fingerprints: hmac::Key,
    check: String,
}

impl Key {
    fn new(name: &str, text: &SecretString) -> Result<Self, KeyError> {
        let wrong = || KeyError::Form(name.to_owned());
        let master =
            hmac::Key::new(hmac::HMAC_SHA256, &bytes(text.expose_secret().trim()).ok_or_else(wrong)?);
        let derived =
            |purpose: &str| hmac::sign(&master, format!("callboard encryption v1\0{purpose}").as_bytes());
        let cipher = UnboundKey::new(&AES_256_GCM, derived("cipher").as_ref()).map_err(|_| wrong())?;
        let check = general_purpose::URL_SAFE_NO_PAD.encode(&derived("check").as_ref()[..CHECK_LEN]);
        Ok(Key {
            cipher: LessSafeKey::new(cipher),
            nonces: hmac::Key::new(hmac::HMAC_SHA256, derived("nonce").as_ref()),
            fingerprints: hmac::Key::new(hmac::HMAC_SHA256, derived("fingerprint").as_ref()),
            check,
        })
    }

    /// What tells this key from others of its name.
    pub(super) fn check(&self) -> &str {
        &self.check
    }

    /// Seals a text. `stable`: the same text at the same place is sealed to the same again, which says that it is the same.
    pub(super) fn seal(
        &self,
        aad: &[u8],
        text: &[u8],
        stable: bool,
    ) -> Result<([u8; NONCE_LEN], Vec<u8>), ring::error::Unspecified> {
        let mut nonce = [0; NONCE_LEN];
        if stable {
            let mut of = hmac::Context::with_key(&self.nonces);
            of.update(&(aad.len() as u64).to_be_bytes());
            of.update(aad);
            of.update(text);
            nonce.copy_from_slice(&of.sign().as_ref()[..NONCE_LEN]);
        } else {
            SystemRandom::new().fill(&mut nonce)?;
        }
        let mut data = text.to_vec();
        let assumed = Nonce::assume_unique_for_key(nonce);
        self.cipher.seal_in_place_append_tag(assumed, Aad::from(aad), &mut data)?;
        Ok((nonce, data))
    }

    /// Opens what was sealed.
    pub(super) fn open(
        &self,
        aad: &[u8],
        nonce: [u8; NONCE_LEN],
        mut data: Vec<u8>,
    ) -> Result<Vec<u8>, ring::error::Unspecified> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let length = self.cipher.open_in_place(nonce, Aad::from(aad), &mut data)?.len();
        data.truncate(length);
        Ok(data)
    }
}

/// The bytes of a key as it is written: base64 of either alphabet, padded or not, or hexadecimal.
fn bytes(text: &str) -> Option<[u8; KEY_LEN]> {
    if text.len() == KEY_LEN * 2 && text.bytes().all(|letter| letter.is_ascii_hexdigit()) {
        let mut key = [0; KEY_LEN];
        for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        return Some(key);
    }
    let plain = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
    general_purpose::URL_SAFE_NO_PAD.decode(plain).ok()?.try_into().ok()
}

/// The keys of a node. One of them, the current one, seals; all of them open.
#[derive(Clone, Default)]
pub struct Keyring {
    keys: Arc<BTreeMap<String, Key>>,
    current: Option<String>,
    fingerprints: Option<String>,
}

impl Keyring {
    /// Keys with their names, and the names of the current one and of the one for fingerprints, if there is one.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub fn new(
        keys: impl IntoIterator<Item = (String, SecretString)>,
        current: Option<&str>,
        fingerprints: Option<&str>,
    ) -> Result<Self, KeyError> {
        let mut known = BTreeMap::new();
        for (name, text) in keys {
            if !is_name(&name) {
                return Err(KeyError::Name(name.chars().take(MAX_NAME).collect()));
            }
            let key = Key::new(&name, &text)?;
            if known.contains_key(&name) {
                return Err(KeyError::Twice(name));
            }
            known.insert(name, key);
        }
        if known.len() > MAX_KEYS {
            return Err(KeyError::TooMany(known.len()));
        }
        for (role, name) in [("the current one", current), ("the one of fingerprints", fingerprints)] {
            if let Some(name) = name.filter(|name| !known.contains_key(*name)) {
                return Err(KeyError::Unknown { role, name: name.to_owned() });
            }
        }
        if let Some(both) = current.filter(|current| Some(*current) == fingerprints) {
            return Err(KeyError::Both(both.to_owned()));
        }
        if current.is_none() && !known.is_empty() {
            return Err(KeyError::NoCurrent);
        }
        let owned = |name: Option<&str>| name.map(str::to_owned);
        Ok(Keyring { keys: Arc::new(known), current: owned(current), fingerprints: owned(fingerprints) })
    }

    /// The name of the key that seals; none: nothing is encrypted.
    pub fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// The names of all keys that open.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().filter(|name| Some(*name) != self.fingerprints.as_ref()).map(String::as_str)
    }

    /// A payload of this job type, encrypted as a whole with the current key; `None` if there is none, or the system gives no random
    /// bytes.
    pub fn encrypt_payload(&self, job_type: &str, payload: &Value) -> Option<Value> {
        envelope::seal(self, (job_type, Part::Payload, ""), payload, false)
    }

    /// A payload of this job type as it is stored or exported, decrypted: all that is encrypted in it.
    ///
    /// # Errors
    /// The first value that cannot be decrypted.
    pub fn decrypt_payload(&self, job_type: &str, payload: &Value) -> Result<Value, OpenError> {
        let mut payload = payload.clone();
        envelope::open(self, (job_type, Part::Payload), &mut payload, &mut Vec::new())?;
        Ok(payload)
    }

    /// Whether there is a key for fingerprints.
    pub(crate) fn has_fingerprints(&self) -> bool {
        self.fingerprints.is_some()
    }

    pub(super) fn sealing(&self) -> Option<(&str, &Key)> {
        let name = self.current.as_deref()?;
        Some((name, self.keys.get(name)?))
    }

    /// The key of this name, if it is the one with this check.
    pub(super) fn opening(&self, name: &str, check: &str) -> Option<&Key> {
        self.keys.get(name).filter(|key| key.check == check)
    }

    /// Whether the key of this name is the one with this check.
    pub(crate) fn has_key(&self, name: &str, check: &str) -> bool {
        self.opening(name, check).is_some()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.keys.contains_key(name)
    }

    /// What stands for a value where it is compared: nobody without the key can find the value by trying.
    pub(super) fn fingerprint(&self, value: &[u8]) -> Option<[u8; 32]> {
        let key = self.keys.get(self.fingerprints.as_deref()?)?;
        let mut tag = [0; 32];
        tag.copy_from_slice(hmac::sign(&key.fingerprints, value).as_ref());
        Some(tag)
    }
}

/// Whether the same names stand for the same keys, in the same roles. What keys are is not compared, but what tells them apart.
impl PartialEq for Keyring {
    fn eq(&self, other: &Self) -> bool {
        let checks = |ring: &Keyring| -> Vec<(String, String)> {
            ring.keys.iter().map(|(name, key)| (name.clone(), key.check.clone())).collect()
        };
        (&self.current, &self.fingerprints) == (&other.current, &other.fingerprints)
            && checks(self) == checks(other)
    }
}

impl Eq for Keyring {}

/// Names only.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("keys", &self.keys.keys().collect::<Vec<_>>())
            .field("current", &self.current)
            .field("fingerprints", &self.fingerprints)
            .finish()
    }
}

/// Whether this can be the name of a key.
pub(super) fn is_name(name: &str) -> bool {
    let letter = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn ring(keys: &[(&str, &str)], current: Option<&str>) -> Result<Keyring, KeyError> {
        let keys = keys.iter().map(|(name, key)| ((*name).to_owned(), SecretString::from(*key)));
        Keyring::new(keys, current, None)
    }

    #[test]
    fn a_key_is_32_bytes_in_either_form() {
        let hex: String = (0..32).map(|byte| format!("{byte:02x}")).collect();
        let url = KEY.trim_end_matches('=').replace('+', "-").replace('/', "_");
        let checks: Vec<String> = [KEY, &hex, &url, &format!("{KEY}\n")]
            .into_iter()
            .map(|text| Key::new("a", &SecretString::from(text)).unwrap().check)
            .collect();
        assert!(checks.iter().all(|check| *check == checks[0]), "{checks:?}");
        for wrong in ["", "short", &hex[2..], &format!("{KEY}AAAA"), "!!!!"] {
            let error = ring(&[("a", wrong)], Some("a")).unwrap_err();
            assert_eq!(error, KeyError::Form("a".to_owned()));
            assert!(wrong.is_empty() || !error.to_string().contains(wrong), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        assert!(matches!(ring(&[("a.b", KEY)], Some("a.b")), Err(KeyError::Name(_))));
        assert!(matches!(ring(&[("a", KEY), ("a", KEY)], Some("a")), Err(KeyError::Twice(_))));
        assert!(matches!(ring(&[("a", KEY)], Some("b")), Err(KeyError::Unknown { .. })));
        assert_eq!(ring(&[("a", KEY)], None).unwrap_err(), KeyError::NoCurrent);
        let both = Keyring::new([("a".to_owned(), SecretString::from(KEY))], Some("a"), Some("a"));
        assert_eq!(both.unwrap_err(), KeyError::Both("a".to_owned()));
        assert_eq!(ring(&[], None).unwrap().current(), None);
    }

    #[test]
    fn other_bytes_under_a_name_are_another_key() {
        let other = "f".repeat(64);
        let of = |key: &str| ring(&[("a", key)], Some("a")).unwrap();
        assert_eq!(of(KEY), of(KEY));
        assert_ne!(of(KEY), of(&other));
        let both = [("a", KEY), ("b", other.as_str())];
        assert_ne!(ring(&both, Some("a")).unwrap(), ring(&both, Some("b")).unwrap());
        assert_ne!(ring(&both, Some("a")).unwrap(), of(KEY));
    }

    #[test]
    fn what_is_printed_has_names_alone() {
        let printed = format!("{:?}", ring(&[("a", KEY)], Some("a")).unwrap());
        assert!(printed.contains("\"a\"") && !printed.contains("AAEC"), "{printed}");
    }
}
