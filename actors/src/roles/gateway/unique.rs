//! What makes a job the only one of its kind.

use std::{collections::BTreeSet, time::Duration};

use callboard_contracts::{
    JobState, Timestamp,
    api::{Unique, UniquePolicy},
};
use serde_json::Value;

use super::fingerprint::Fingerprint;
use crate::edges::store::record::{IfTaken, Uniqueness};

const NOT_STARTED: [JobState; 4] =
    [JobState::Pending, JobState::Scheduled, JobState::Available, JobState::Retryable];

/// The place that a job asks for. What it says was [checked](crate::jobs::unique::check).
pub(super) fn uniqueness(unique: &Unique, job_type: &str, queue: &str, payload: &Value) -> Uniqueness {
    let not_final = || JobState::ALL.into_iter().filter(|state| !state.is_final()).collect();
    let own: BTreeSet<JobState> =
        unique.states.as_ref().map_or_else(not_final, |states| states.iter().copied().collect());
    let (states, if_taken) = match unique.policy {
        UniquePolicy::Reject => (own, IfTaken::Refuse),
        UniquePolicy::Keep => (own, IfTaken::Keep),
        UniquePolicy::Replace => (own, IfTaken::Replace),
        UniquePolicy::Debounce => (NOT_STARTED.into_iter().collect(), IfTaken::Replace),
        UniquePolicy::Throttle => (JobState::ALL.into_iter().collect(), IfTaken::Keep),
    };
    // A debounced job has its place for as long as it waits, however long a full queue makes that.
    let period = unique.period_ms.filter(|_| unique.policy != UniquePolicy::Debounce);
    Uniqueness {
        key: Fingerprint::of_kind(unique, job_type, queue, payload),
        states,
        period: period.map(Duration::from_millis),
        if_taken,
    }
}

/// When a job may run, if its policy says that.
pub(super) fn due(unique: &Unique, now: Timestamp) -> Option<Timestamp> {
    let period = unique.period_ms.filter(|_| unique.policy == UniquePolicy::Debounce)?;
    Some(now.saturating_add(Duration::from_millis(period)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unique(value: Value) -> Unique {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_kind_is_what_was_chosen_and_nothing_else() {
        let payload = json!({"a": 1, "b": {"c": [2]}});
        let key = |value: Value, job_type: &str, queue: &str, payload: &Value| {
            uniqueness(&unique(value), job_type, queue, payload).key
        };
        let all = || key(json!({}), "t", "q", &payload);
        assert_eq!(all(), key(json!({"policy": "keep", "period_ms": 5}), "t", "other", &payload));
        assert_ne!(all(), key(json!({}), "t2", "q", &payload));
        assert_ne!(all(), key(json!({}), "t", "q", &json!({"a": 1})));
        assert_ne!(all(), key(json!({"by_queue": true}), "t", "q", &payload));
        assert_ne!(
            key(json!({"by_queue": true}), "t", "q", &payload),
            key(json!({"by_queue": true}), "t", "q2", &payload)
        );
        let any_type = json!({"by_type": false});
        assert_eq!(key(any_type.clone(), "t", "q", &payload), key(any_type, "t2", "q", &payload));
        let some = |fields: Value, payload: &Value| key(json!({"payload": fields}), "t", "q", payload);
        assert_eq!(some(json!(["/b/c", "/a"]), &payload), some(json!(["/a", "/b/c", "/a"]), &payload));
        assert_eq!(
            some(json!(["/b/c/0"]), &payload),
            some(json!(["/b/c/0"]), &json!({"a": 7, "b": {"c": [2]}}))
        );
        assert_ne!(some(json!(["/a"]), &json!({"a": null})), some(json!(["/a"]), &json!({})));
        assert_ne!(some(json!(["/a"]), &json!({"b": 1})), some(json!(["/b"]), &json!({"b": 1})));
        assert_eq!(some(json!([]), &payload), some(json!([]), &json!({})));
    }
}
