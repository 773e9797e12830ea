//! Why a queue is paused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ErrorKind;
use crate::Timestamp;

/// What has made that a queue is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PauseCause {
    /// Somebody has asked for it.
    Requested,
    /// Attempts of its jobs crashed too often on one node (`pause_after_crashes`).
    JobCrashes,
    /// Its own actors on one node crashed too often (`max_restarts`).
    ActorCrashes,
}

impl PauseCause {
    /// All of them.
    pub const ALL: [PauseCause; 3] =
        [PauseCause::Requested, PauseCause::JobCrashes, PauseCause::ActorCrashes];

    /// The word that stands for it in JSON, and as a label of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            PauseCause::Requested => "requested",
            PauseCause::JobCrashes => "job_crashes",
            PauseCause::ActorCrashes => "actor_crashes",
        }
    }
}

/// Why a queue is paused, and by whom. The first pause stands until the queue goes on: what pauses it again meanwhile changes
/// none of this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueuePause {
    /// What has made it.
    pub cause: PauseCause,
    /// Who: the name of a token; where none are configured `cli` or `api`; `node NAME` for a node on which there were too many
    /// crashes.
    pub by: String,
    /// Why, for people: as they have said it themselves, or what crashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The crashes that have made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crashes: Option<QueueCrashes>,
}

/// Crashes of one queue on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueCrashes {
    /// The node.
    pub node: String,
    /// How many there were, the last one with them.
    pub count: u32,
    /// Within how many milliseconds they are counted.
    pub within_ms: u64,
    /// The last one.
    pub last: QueueCrash,
}

/// One crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueCrash {
    /// When.
    pub at: Timestamp,
    /// The job whose attempt crashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Uuid>,
    /// Its type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub job_type: Option<String>,
    /// The number of the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// What kind of end the attempt came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ErrorKind>,
    /// The path of the actor, if it was one of the queue's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// What it said, at most 500 characters.
    pub message: String,
}

/// That a queue is to be paused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// Why, for people: at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    #[cfg_attr(feature = "openapi", schema(max_length = 500))]
    pub reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_json() {
        for cause in PauseCause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
        }
    }

    #[test]
    fn a_reason_may_be_left_out_and_nothing_else_is_taken() {
        let read = |text| serde_json::from_str::<PauseRequest>(text);
        assert_eq!(read("{}").unwrap(), PauseRequest::default());
        assert_eq!(read(r#"{"reason":"x"}"#).unwrap().reason.as_deref(), Some("x"));
        for bad in [r#"{"reasons":"x"}"#, r#"{"reason":1}"#, "7"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
