//! What nodes send each other.

use callboard_contracts::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// A message to an actor.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Question {
    pub(super) id: Uuid,
    /// Who asks, for people.
    pub(super) from: String,
    pub(super) actor: String,
    #[serde(rename = "type")]
    pub(super) message_type: String,
    /// The fingerprint of the message's schema, and of its answer's, as the asker knows them.
    pub(super) schema: String,
    pub(super) payload: Value,
    /// By the asker's clock.
    pub(super) sent_at: Timestamp,
    /// How long its asker waits, from when it was sent.
    pub(super) valid_for_ms: u64,
}

/// A question's answer.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Reply {
    /// The question's.
    pub(super) id: Uuid,
    /// An [`Answer`]; read by itself, so that one of a kind that is not known here is told as that.
    pub(super) answer: Value,
}

/// What came of a question.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Value(Value),
    /// The node lets nobody send such messages to such an actor.
    NotOffered,
    /// The node knows another form of the message, or of its answer.
    OtherSchema,
    /// No actor was given it.
    Refused(String),
    /// The actor gave no answer.
    Failed(String),
}
