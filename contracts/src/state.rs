//! The states of a job.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::JobStatus;

/// Where a job is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Not yet to be run: it waits for a handler of its type, or for other steps of its workflow.
    Pending,
    /// To be run at a later time.
    Scheduled,
    /// Ready to be claimed.
    Available,
    /// Claimed by a node; it runs, or is about to.
    Executing,
    /// An attempt failed, and the next one has a time.
    Retryable,
    /// Done. Final.
    Completed,
    /// Called off before it was done. Final.
    Cancelled,
    /// Failed for good: a dead job. Final.
    Discarded,
}

impl JobState {
    /// Every state, in the order of a job's way.
    pub const ALL: [JobState; 8] = [
        JobState::Pending,
        JobState::Scheduled,
        JobState::Available,
        JobState::Executing,
        JobState::Retryable,
        JobState::Completed,
        JobState::Cancelled,
        JobState::Discarded,
    ];

    /// The state's name on every wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            JobState::Pending => "pending",
            JobState::Scheduled => "scheduled",
            JobState::Available => "available",
            JobState::Executing => "executing",
            JobState::Retryable => "retryable",
            JobState::Completed => "completed",
            JobState::Cancelled => "cancelled",
            JobState::Discarded => "discarded",
        }
    }

    /// Whether nothing can happen to the job any more.
    pub const fn is_final(self) -> bool {
        matches!(self, JobState::Completed | JobState::Cancelled | JobState::Discarded)
    }

    /// The state as the event contract and the old read side name it. `started` tells whether a run has begun.
    pub const fn status(self, started: bool) -> JobStatus {
        match self {
            JobState::Executing if started => JobStatus::Executing,
            JobState::Executing => JobStatus::Validated,
            JobState::Completed => JobStatus::Completed,
            JobState::Cancelled | JobState::Discarded => JobStatus::Failed,
            _ => JobStatus::Pending,
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no job state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownState(String);

impl fmt::Display for UnknownState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no job state; there are ", self.0)?;
        for (i, state) in JobState::ALL.iter().enumerate() {
            write!(f, "{}{state}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownState {}

impl FromStr for JobState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = JobState::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| UnknownState(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for state in JobState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        assert!("running".parse::<JobState>().unwrap_err().to_string().contains("executing"));
    }
}
