//! What goes between Callboard and workers outside: the queues, what a job's message says of its attempt, and dead letters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Timestamp;

/// The queue on which workers outside tell how attempts ended.
pub const OUTCOMES: &str = "callboard.outcomes";
/// Where, in the metadata of a job, stands which attempt it is: a [`WorkerAttempt`].
pub const METADATA: &str = "callboard";
/// The version of [`WorkerAttempt`].
pub const WORKER_ATTEMPT_VERSION: &str = "1.0.0";

/// The queue on which the jobs of a queue of this name go out to workers outside.
pub fn jobs_queue(name: &str) -> String {
    format!("callboard.jobs.{name}")
}

/// Which attempt of a job a message is about: `payload.metadata.callboard`, of messages to workers and of theirs.
///
/// A worker gives `attempt` and `token` back as they came. What else stands here it may leave out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WorkerAttempt {
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The token of its lease: of two attempts of a job the later one has the larger.
    pub token: u64,
    /// To the worker: attempts that the job may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// To the worker: the job's queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// To the worker: for how many milliseconds nothing may be heard of the attempt before it is taken for lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility_timeout_ms: Option<u64>,
    /// From the worker: when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// From the worker, of an attempt that has failed: whether another one is of no use.
    #[serde(default, rename = "final", skip_serializing_if = "Option::is_none")]
    pub is_final: Option<bool>,
}

/// A message that was not accepted, and why: contract dead letter 1.0.0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadLetter {
    /// The message as it came; text, perhaps shortened, if it is no JSON or too large.
    pub original_event: Value,
    /// What is wrong with it.
    pub validation_error: String,
    /// When it was rejected, UTC.
    pub rejected_at: Timestamp,
    /// The message's own correlation id, if it has one; else one that stands in the log of whoever rejected it.
    pub correlation_id: String,
    /// Who rejected it.
    pub service: String,
    /// That service's version.
    pub service_version: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_worker_gives_back_what_it_was_given_and_may_leave_out_the_rest() {
        let given = json!({"attempt": 2, "token": 9_007_199_254_740_993_u64, "queue": "mail", "other": 1});
        let read: WorkerAttempt = serde_json::from_value(given).unwrap();
        assert_eq!(
            (read.attempt, read.token, read.queue.as_deref()),
            (2, 9_007_199_254_740_993, Some("mail"))
        );
        let told = WorkerAttempt { is_final: Some(true), ..WorkerAttempt::default() };
        assert_eq!(serde_json::to_value(told).unwrap(), json!({"attempt": 0, "token": 0, "final": true}));
        assert_eq!(jobs_queue("mail"), "callboard.jobs.mail");
    }
}
