//! What nodes send each other.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// A question or its answer; both have the question's id.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Envelope {
    pub(super) id: Uuid,
    #[serde(flatten)]
    pub(super) body: Body,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Body {
    Question(Question),
    Answer(Answer),
}

/// A message to an actor.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Question {
    /// The node that waits for the answer.
    pub(super) answer_to: String,
    pub(super) actor: String,
    #[serde(rename = "type")]
    pub(super) message_type: String,
    pub(super) payload: Value,
    /// How long its asker waits, from when it was sent.
    pub(super) valid_for_ms: u64,
}

/// What came of it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Value(Value),
    /// No actor was given it.
    Refused(String),
    /// The actor gave no answer.
    Failed(String),
}
