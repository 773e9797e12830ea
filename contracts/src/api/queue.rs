//! Queues.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::QueuePause;
use crate::{Labels, Rate, Timestamp};

/// A queue and what is in it. Numbers come from totals that are kept, not counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueView {
    /// Its name.
    pub name: String,
    /// How many of its jobs a node runs at once; 0 for a queue that no node here serves.
    pub concurrency: u32,
    /// Waiting jobs after which new ones are refused.
    pub max_backlog: u64,
    /// Jobs that wait for a handler, or for other steps of their workflows.
    pub pending: u64,
    /// Jobs that wait for their time.
    pub scheduled: u64,
    /// Jobs that wait for their turn.
    pub available: u64,
    /// Jobs that a node has claimed.
    pub executing: u64,
    /// Jobs that wait for their next attempt.
    pub retryable: u64,
    /// Jobs that were completed, ever.
    pub completed: u64,
    /// Jobs that were cancelled, ever.
    pub cancelled: u64,
    /// Jobs that failed for good, ever.
    pub discarded: u64,
    /// Since when the job that has waited longest is available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_available_at: Option<Timestamp>,
    /// Since when none of its jobs are started, because it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Timestamp>,
    /// Why it is paused, and by whom; absent also of one that was paused by a version that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<QueuePause>,
    /// Its jobs that may be with all nodes together at most, if somebody has set a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_running: Option<u32>,
    /// Of those with the same key, so many at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_running_per_key: Option<u32>,
    /// Its jobs that all nodes together claim in a time at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub rate: Option<Rate>,
    /// Of those with the same key, so many at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub rate_per_key: Option<Rate>,
    /// What a node must have to run its jobs.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, String>))]
    pub labels: Labels,
}

/// What a node must have to run the jobs of a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct QueueLabels {
    /// Names with a value each; none: any node may.
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, String>))]
    pub labels: Labels,
}

/// Limits that are to hold for a queue on all nodes together. What is missing stays as it is; `null` takes a limit away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct QueueLimits {
    /// Jobs that may be with all nodes together at most, at least 1.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u32>", range(min = 1))]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>, minimum = 1))]
    pub max_running: Option<Option<u32>>,
    /// Of those with the same key, so many at most, at least 1; jobs without a key have no such limit.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u32>", range(min = 1))]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>, minimum = 1))]
    pub max_running_per_key: Option<Option<u32>>,
    /// Jobs that all nodes together claim in a time at most, such as `100/1m`: in any minute no more than 100. A claim
    /// counts also when the job is handed back, or tried again.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Rate>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, pattern = "^[0-9]{1,9}/[0-9]{1,7}[smhd]$"))]
    pub rate: Option<Option<Rate>>,
    /// Of those with the same key, so many at most; jobs without a key have no such limit.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Rate>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, pattern = "^[0-9]{1,9}/[0-9]{1,7}[smhd]$"))]
    pub rate_per_key: Option<Option<Rate>>,
}

/// A value that is there, be it `null`.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_is_null_are_two_things() {
        let read = |text| serde_json::from_str::<QueueLimits>(text);
        assert_eq!(read("{}").unwrap(), QueueLimits::default());
        let text = r#"{"max_running":null,"max_running_per_key":3,"rate":"100/1m"}"#;
        let limits = read(text).unwrap();
        let rate = "100/60s".parse().unwrap();
        let expected = QueueLimits {
            max_running: Some(None),
            max_running_per_key: Some(Some(3)),
            rate: Some(Some(rate)),
            rate_per_key: None,
        };
        assert_eq!(limits, expected);
        assert_eq!(serde_json::to_string(&limits).unwrap(), text);
        for bad in [r#"{"rate":"100"}"#, r#"{"max_running":-1}"#, r#"{"other":1}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
