//! The settings that a node runs with, and changes of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A setting as a node runs with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingView {
    /// Its key, such as `retention.completed`.
    pub key: String,
    /// Its value as TOML; secrets are masked.
    pub value: String,
    /// Where it is set.
    pub source: String,
    /// Whether the node takes a change of it up while it runs; else it needs a restart.
    pub live: bool,
}

/// A setting that is, or is to be, another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingChange {
    /// Its key; `queues.NAME` for a queue that is new or gone.
    pub key: String,
    /// The value before, as TOML; none of a queue that is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The value after, as TOML; none of a queue that is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// Where the value after is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// The settings of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingsView {
    /// The node.
    pub node: String,
    /// What it runs with.
    pub settings: Vec<SettingView>,
    /// What its sources say now and it does not run with: a restart is needed.
    pub waiting: Vec<SettingChange>,
    /// Why its sources could not be taken as they are when they were read last. It runs with what it had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What came of a change of settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingsChanged {
    /// What the node runs with from now on. What was set by a request holds until the node ends: it is in no file.
    pub applied: Vec<SettingChange>,
    /// What needs a restart: all that its sources say and it does not run with.
    pub waiting: Vec<SettingChange>,
    /// Actors that have not said yet that they have taken it up, by their paths: they have crashed or have much to do, and
    /// take it up when they are back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<String>,
}
