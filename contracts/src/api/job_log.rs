//! What runs of jobs say while they run.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::{JobState, Timestamp};

/// How far a run says that it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobProgress {
    /// The part of the work that is done, 0 to 1.
    pub fraction: f64,
    /// What it is at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it said so.
    pub at: Timestamp,
    /// The attempt that said so.
    pub attempt: u32,
}

/// What kind of line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For whoever looks for a fault.
    Debug,
    /// What happens.
    Info,
    /// What may become a fault.
    Warn,
    /// A fault.
    Error,
    /// What a program wrote to its standard output.
    Stdout,
    /// What a program wrote to its standard error.
    Stderr,
}

impl LogLevel {
    /// Every level.
    pub const ALL: [LogLevel; 6] = [
        LogLevel::Debug,
        LogLevel::Info,
        LogLevel::Warn,
        LogLevel::Error,
        LogLevel::Stdout,
        LogLevel::Stderr,
    ];

    /// The level's name on every wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
            LogLevel::Stdout => "stdout",
            LogLevel::Stderr => "stderr",
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A place in a job's log: `token-number`. The token is that of the run's lease, and those of a job only grow; the number
/// is the line's in the run's log, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobLogPosition {
    /// The token of the run's lease.
    pub token: u64,
    /// The line's number; 0 is before the first.
    pub number: u64,
}

/// A text that is no place in a job's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidJobLogPosition;

impl fmt::Display for InvalidJobLogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a place in a job's log is a token and a number, such as 4711-12")
    }
}

impl std::error::Error for InvalidJobLogPosition {}

impl fmt::Display for JobLogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.token, self.number)
    }
}

impl FromStr for JobLogPosition {
    type Err = InvalidJobLogPosition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // What the stores count with has a sign.
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse::<i64>().ok()?.try_into().ok()).flatten()
        };
        let (token, line) = text.split_once('-').ok_or(InvalidJobLogPosition)?;
        let token = number(token).ok_or(InvalidJobLogPosition)?;
        Ok(JobLogPosition { token, number: number(line).ok_or(InvalidJobLogPosition)? })
    }
}

impl Serialize for JobLogPosition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for JobLogPosition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A line of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobLogLine {
    /// Its place, `token-number`: give it as `after` to go on behind it.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "4711-12"))]
    pub position: JobLogPosition,
    /// The attempt that said it.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
    /// What kind of line it is.
    pub level: LogLevel,
    /// What it says.
    pub text: String,
    /// Lines of the same run directly before this one that were not kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped_before: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A part of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobLogPage {
    /// The lines, in their order.
    pub lines: Vec<JobLogLine>,
    /// Give this as `after` for what follows; absent while there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "4711-12"))]
    pub next: Option<JobLogPosition>,
    /// Whether there are more lines already.
    pub more: bool,
    /// Whether no further line can come: the job, or the attempt that was asked for, has ended.
    pub ended: bool,
}

/// Which part of a job's log is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobLogQuery {
    /// Only lines of this attempt. Default: of all.
    pub attempt: Option<u32>,
    /// Only lines behind this place. Default: from the beginning.
    pub after: Option<JobLogPosition>,
    /// How many at most, 1 to 1000. Default: 100.
    pub limit: Option<u32>,
}

/// The last word of a stream of a job's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobLogEnd {
    /// The job's state; absent if it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<JobState>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_go_both_ways_and_nothing_else_passes() {
        let place = JobLogPosition { token: 4711, number: 12 };
        assert_eq!(place.to_string().parse(), Ok(place));
        assert_eq!(serde_json::to_value(place).unwrap(), "4711-12");
        for bad in ["", "1", "-1", "1-", "+1-2", "1-2-3", "1-9223372036854775808", "a-b", " 1-2"] {
            assert_eq!(bad.parse::<JobLogPosition>(), Err(InvalidJobLogPosition), "{bad:?}");
        }
    }

    #[test]
    fn names_of_levels_are_the_serialised_ones() {
        for level in LogLevel::ALL {
            assert_eq!(serde_json::to_value(level).unwrap(), level.as_str());
        }
    }
}
