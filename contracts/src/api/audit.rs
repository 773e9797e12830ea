//! The audit trail: who has changed what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// Something that somebody has done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditView {
    /// Its id.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// Who: the name of a token; where none are configured `cli` or `api`; `node NAME` for a node itself.
    pub by: String,
    /// The role of the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The node through which it was done.
    pub node: String,
    /// What, such as `queue.pause`.
    pub action: String,
    /// To what: the queue, the job, the edge, the node.
    pub target: String,
    /// With which values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<serde_json::Value>,
    /// What came of it.
    pub outcome: String,
}

/// A page of the audit trail, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditPage {
    /// What was done.
    pub entries: Vec<AuditView>,
    /// Where the next page begins, if there is one: give it as `cursor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
