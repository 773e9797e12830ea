//! Secrets that requests carry without knowing them.

use std::{collections::BTreeMap, sync::Arc};

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::{Origin, OriginList};

/// What a secret is shown as.
pub(super) const MASK: &str = "***";

/// A named secret, and where it may be sent.
#[derive(Clone, Debug)]
pub struct Secret {
    /// What payloads call it.
    pub name: String,
    /// The secret itself.
    pub value: SecretString,
    /// Where it may be sent; nowhere else, also when more is allowed.
    pub origins: OriginList,
}

/// Two secrets have one name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("two secrets have the name {0:?}: give one of them another")]
pub struct DuplicateSecret(String);

/// The secrets that payloads may name. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Arc<BTreeMap<String, Secret>>);

impl Secrets {
    /// These.
    ///
    /// # Errors
    /// Two have one name.
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Result<Self, DuplicateSecret> {
        let mut named = BTreeMap::new();
        for secret in secrets {
            if let Some(other) = named.insert(secret.name.clone(), secret) {
                return Err(DuplicateSecret(other.name));
            }
        }
        Ok(Secrets(Arc::new(named)))
    }

    /// The secret of this name, if it may be sent there, or why not.
    pub(super) fn get(&self, name: &str, origin: &Origin) -> Result<&SecretString, String> {
        match self.0.get(name) {
            None => Err(format!("names no secret that this server has; it has {}", self.names())),
            Some(secret) if !secret.origins.covers(origin) => Err(format!(
                "may not be sent to {origin}: the `origins` of the secret in `http.secrets` do not cover it"
            )),
            Some(secret) => Ok(&secret.value),
        }
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        if names.is_empty() { "none: add it to `http.secrets`".to_owned() } else { names.join(", ") }
    }

    /// The text without what is secret: an answer may repeat what it was sent.
    pub(super) fn mask(&self, mut text: String) -> String {
        for secret in self.0.values() {
            let value = secret.value.expose_secret();
            if !value.is_empty() && text.contains(value) {
                text = text.replace(value, MASK);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    #[test]
    fn a_secret_is_given_to_its_origins_alone() {
        let secret = |name: &str| Secret {
            name: name.to_owned(),
            value: "hush-hush".into(),
            origins: OriginList::new(["https://a.example"]).unwrap(),
        };
        let secrets = Secrets::new([secret("a")]).unwrap();
        let origin = |url: &str| Origin::of(&Url::parse(url).unwrap()).unwrap();
        assert_eq!(secrets.get("a", &origin("https://a.example/x")).unwrap().expose_secret(), "hush-hush");
        assert!(secrets.get("a", &origin("http://a.example/x")).unwrap_err().contains("`origins`"));
        assert!(secrets.get("b", &origin("https://a.example/x")).unwrap_err().contains("it has a"));
        assert_eq!(secrets.mask("x hush-hush y".to_owned()), "x *** y");
        assert!(Secrets::new([secret("a"), secret("a")]).unwrap_err().to_string().contains("\"a\""));
        assert!(!format!("{secrets:?}").contains("hush"));
    }
}
