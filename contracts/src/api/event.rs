//! The event log.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::EventEnvelope;

/// A place in the event log: `epoch-position`. A reader that gives it back gets what came after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogCursor {
    /// Which log: an import or a restore begins a new one.
    pub epoch: u64,
    /// The event's number in it, without gaps from 1; 0 is before the first.
    pub position: u64,
}

/// A text that is no cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidCursor;

impl fmt::Display for InvalidCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cursor is an epoch and a position, such as 1-4711")
    }
}

impl std::error::Error for InvalidCursor {}

impl fmt::Display for LogCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.position)
    }
}

impl FromStr for LogCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse().ok()).flatten()
        };
        let (epoch, position) = text.split_once('-').ok_or(InvalidCursor)?;
        let epoch = digits(epoch).ok_or(InvalidCursor)?;
        Ok(LogCursor { epoch, position: digits(position).ok_or(InvalidCursor)? })
    }
}

/// An event and its place in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventRecord {
    /// Its place, `epoch-position`.
    pub cursor: String,
    /// The job's queue.
    pub queue: String,
    /// The event.
    pub event: EventEnvelope,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_go_both_ways_and_nothing_else_passes() {
        let cursor = LogCursor { epoch: 3, position: u64::MAX };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for bad in ["", "1", "-1", "1-", "+1-2", "1-2-3", "1-18446744073709551616", "a-b", " 1-2"] {
            assert_eq!(bad.parse::<LogCursor>(), Err(InvalidCursor), "{bad:?}");
        }
    }
}
