//! Edges: services outside that jobs need.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Whether the jobs that need an edge run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EdgeCondition {
    /// They do.
    Ready,
    /// They wait.
    Tripped,
}

impl EdgeCondition {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            EdgeCondition::Ready => "ready",
            EdgeCondition::Tripped => "tripped",
        }
    }
}

/// An edge, a service outside that jobs need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EdgeView {
    /// Its name.
    pub name: String,
    /// Whether its jobs run.
    pub state: EdgeCondition,
    /// Since when it is tripped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When it counts as ready by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why it is tripped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who tripped it last, or made it ready: the name of a token, or of a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_at: Option<Timestamp>,
    /// Available jobs that are put aside because of it, counted up to 1000. For a moment after it was tripped, jobs that
    /// wait for it are not counted yet.
    pub parked: u64,
    /// The job types that need it, of those that are handled here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needed_by: Vec<String>,
}

/// How an edge is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutEdge {
    /// Whether its jobs are to run.
    pub state: EdgeCondition,
    /// Why it is tripped, for people: at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    #[cfg_attr(feature = "openapi", schema(max_length = 500))]
    pub reason: Option<String>,
    /// After so many milliseconds it counts as ready by itself; without it, when somebody says so. At most a year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub for_ms: Option<u64>,
}

impl PutEdge {
    /// Its jobs run.
    pub fn ready() -> Self {
        PutEdge { state: EdgeCondition::Ready, reason: None, for_ms: None }
    }

    /// Its jobs wait, until somebody makes it ready.
    pub fn tripped() -> Self {
        PutEdge { state: EdgeCondition::Tripped, ..PutEdge::ready() }
    }
}
