//! The web terminal: its tickets and its sessions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// What a session of the web terminal may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TerminalScope {
    /// Watch, and where the program sees to it itself, look around.
    Read,
    /// Type.
    Write,
}

/// Asks for a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewTerminalTicket {
    /// What the session may do.
    pub scope: TerminalScope,
    /// Columns of the terminal.
    #[schemars(range(min = 1, max = 1000))]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1000))]
    pub cols: u16,
    /// Rows of the terminal.
    #[schemars(range(min = 1, max = 1000))]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1000))]
    pub rows: u16,
    /// A session to go on with; without it there is a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Uuid>,
}

/// A ticket: good once, for whoever has asked for it, from the address from which he has.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TerminalTicket {
    /// The secret, to be sent as the first message of the WebSocket.
    pub ticket: String,
    /// When it is good no more.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for TerminalTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TerminalTicket")
            .field("ticket", &"***")
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// A session of the web terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TerminalSessionView {
    /// Its id.
    pub id: Uuid,
    /// What it runs.
    pub command: String,
    /// `json` or `callboard.terminal.v2`.
    pub protocol: String,
    /// `read` or `write`.
    pub scope: String,
    /// Who opened it.
    pub by: String,
    /// From where.
    pub address: String,
    /// When.
    pub opened_at: Timestamp,
    /// Whether its client is there now.
    pub attached: bool,
    /// Columns of its terminal.
    pub cols: u16,
    /// Rows of its terminal.
    pub rows: u16,
    /// Bytes that its program has written.
    pub output_bytes: u64,
    /// For how long nobody has typed.
    pub idle_ms: u64,
}
