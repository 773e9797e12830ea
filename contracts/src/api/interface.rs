//! Web interfaces that belong to a system.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A web interface that somebody may want to open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InterfaceView {
    /// Its name.
    pub name: String,
    /// Where it is: a whole address, or, of the server's own, the path on the server that was asked.
    pub url: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}
