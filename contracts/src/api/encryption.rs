//! Which keys encrypt what is stored.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What of the store is encrypted with which key, page by page: the numbers are those of this page, and add up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EncryptionStatus {
    /// The node that answers.
    pub node: String,
    /// The key that encrypts there; none: nothing is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The keys that the node has to decrypt with.
    pub keys: Vec<String>,
    /// Whether secret values can be compared there.
    pub fingerprints: bool,
    /// The job types with secrets that the node knows of.
    pub types: Vec<SecretType>,
    /// What is encrypted, by the names of the keys.
    pub uses: BTreeMap<String, KeyUse>,
    /// Jobs that were looked at.
    pub looked_at: u64,
    /// Where the next page begins; none: this is the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// What is secret in the jobs of a type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SecretType {
    /// The type.
    #[serde(rename = "type")]
    pub job_type: String,
    /// Secret values of payloads; `*` is everything.
    pub fields: Vec<String>,
    /// The same of results.
    pub results: Vec<String>,
    /// Whether its jobs are taken only if they are encrypted.
    pub required: bool,
    /// Whether workers outside may be given them in the clear.
    pub outside: bool,
}

/// What is encrypted with a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyUse {
    /// Payloads of jobs.
    pub payloads: u64,
    /// Of these, payloads of jobs that are not finished.
    pub waiting: u64,
    /// Results of jobs.
    pub results: u64,
    /// Entries of the cron table.
    pub cron: u64,
    /// Patches of bulk operations.
    pub patches: u64,
}

impl KeyUse {
    /// Adds the numbers of another page.
    pub fn add(&mut self, other: &KeyUse) {
        self.payloads += other.payloads;
        self.waiting += other.waiting;
        self.results += other.results;
        self.cron += other.cron;
        self.patches += other.patches;
    }
}

/// A step of encrypting everything with the current key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RotateEncryption {
    /// The `next_cursor` of the step before; none: from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What a step of encrypting everything with the current key came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EncryptionRotated {
    /// The current key.
    pub current: String,
    /// Jobs that were looked at.
    pub looked_at: u64,
    /// Texts that were encrypted anew.
    pub rotated: u64,
    /// Texts that somebody else changed or deleted meanwhile.
    pub passed_over: u64,
    /// Texts that the node could not decrypt, by what is wrong with them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unreadable: BTreeMap<String, u64>,
    /// Where the next step begins; none: everything was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
