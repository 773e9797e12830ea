//! Signals: words that somebody sends to a job, and the state that a job shows.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{JobState, Timestamp};

/// Bytes of a signal's name at most.
pub const MAX_SIGNAL_NAME: usize = 64;
/// Bytes of a signal's value at most, as JSON text without blanks.
pub const MAX_SIGNAL_BYTES: usize = 16 * 1024;
/// Signals of one job that may be unacknowledged.
pub const MOST_SIGNALS: u32 = 64;
/// Bytes of the values of one job's unacknowledged signals, together.
pub const MOST_SIGNAL_BYTES: usize = 256 * 1024;
/// Acknowledged signals of one job that stay, the newest ones: to be seen, and so that the same one sent again is known.
pub const MOST_ACKNOWLEDGED: u32 = 64;
/// Bytes of a published state at most, as JSON text.
pub const MAX_STATE_BYTES: usize = 16 * 1024;

/// A text that is no name of a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSignalName(String);

impl fmt::Display for InvalidSignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = "1 to 64 lower-case letters, digits, '_', '-' and '.' are, such as approve or order.paid";
        write!(f, "{:?} is no valid name of a signal: {rule}", self.0)
    }
}

impl std::error::Error for InvalidSignalName {}

/// Checks the name of a signal.
///
/// # Errors
/// [`InvalidSignalName`], whose text quotes at most 64 characters of it.
pub fn check_signal_name(name: &str) -> Result<(), InvalidSignalName> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
    if (1..=MAX_SIGNAL_NAME).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(InvalidSignalName(name.chars().take(64).collect()))
    }
}

/// A signal that is to be sent to a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SendSignal {
    /// Its id: sent again with the same id, name and value it changes nothing. Default: a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// What it is, in a word that the job waits for: 1 to 64 lower-case letters, digits, `_`, `-` and `.`.
    #[schemars(regex(pattern = "^[a-z0-9_.-]{1,64}$"))]
    #[cfg_attr(feature = "openapi", schema(pattern = "^[a-z0-9_.-]{1,64}$"))]
    pub name: String,
    /// What it says, any JSON of at most 16 KiB. Default: `null`.
    #[serde(default)]
    pub value: Value,
}

/// The answer to [`SendSignal`]: it is stored with its job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignalSent {
    /// Its id.
    pub id: Uuid,
    /// The job.
    pub job: Uuid,
    /// Which signal of the job it is, from 1.
    pub number: u32,
    /// Where the job is on its way. One that waits gets the signal in its next attempt.
    pub state: JobState,
    /// Whether it was there already; nothing changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

/// A signal that is stored with its job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignalView {
    /// Its id.
    pub id: Uuid,
    /// Which signal of the job it is, from 1.
    pub number: u32,
    /// What it is.
    pub name: String,
    /// What it says.
    pub value: Value,
    /// Who sent it: the name of a token, or of a node.
    pub by: String,
    /// When it was stored.
    pub at: Timestamp,
    /// By which run it was taken, the last one that did. Known about a second later, or when that run ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<SignalTaken>,
    /// When a run said that it has dealt with it for good; no later run gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_at: Option<Timestamp>,
}

/// That a run has taken a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignalTaken {
    /// The attempt.
    pub attempt: u32,
    /// When that was written.
    pub at: Timestamp,
}

/// The signals of a job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignalList {
    /// Those that are unacknowledged, and the newest acknowledged ones, in the order of their numbers.
    pub signals: Vec<SignalView>,
}

/// What a run shows of itself to whoever asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublishedState {
    /// The attempt that published it.
    pub attempt: u32,
    /// When it did.
    pub at: Timestamp,
    /// What it published.
    pub value: Value,
}

/// The state that a job shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobStateView {
    /// The job.
    pub id: Uuid,
    /// Where it is on its way.
    pub state: JobState,
    /// Attempts begun so far.
    pub attempt: u32,
    /// What its last run has published last; absent if it has published nothing, and when the next run is claimed. Written
    /// about once a second, and when the run ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<PublishedState>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_for_names_is_kept() {
        for good in ["a", "approve", "order.paid", "9-_.", &"x".repeat(64)] {
            assert_eq!(check_signal_name(good), Ok(()));
        }
        for bad in ["", "Approve", "a b", "a/b", "a\n", "ä", &"x".repeat(65)] {
            assert!(check_signal_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_signal_needs_its_name_alone_and_nothing_unknown_passes() {
        let signal: SendSignal = serde_json::from_str(r#"{"name": "approve"}"#).unwrap();
        assert_eq!(signal, SendSignal { id: None, name: "approve".to_owned(), value: Value::Null });
        assert!(serde_json::from_str::<SendSignal>(r#"{"name": "approve", "payload": 1}"#).is_err());
    }
}
