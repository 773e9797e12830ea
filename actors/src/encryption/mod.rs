//! Secret values of jobs: encrypted where they are stored, hidden where they are shown.
//!
//! A value is secret if its type's schema marks it (`"x-secret": true`), or if the type's options or the configuration name it. Secret
//! values are hidden in all views. Where there are keys they are sealed before the store sees them ([`Keyring`]), and opened
//! just before the job runs.

pub(crate) mod envelope;
pub(crate) mod fields;
mod keys;
#[cfg(test)]
mod tests;
pub(crate) mod vault;

pub use envelope::{ENCRYPTED, OpenError, REDACTED};
pub use fields::{SecretsByType, SecretsOfType};
pub use keys::{KeyError, Keyring};
