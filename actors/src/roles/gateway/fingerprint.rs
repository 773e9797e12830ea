//! What makes two submissions the same.

use std::collections::BTreeSet;

use callboard_contracts::api::{SubmitJob, Unique};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// SHA-256 of a submission in canonical form: the same whatever the order of its keys.
pub(super) struct Fingerprint(Sha256);

impl Fingerprint {
    /// Of a contract document, as it stands.
    pub(super) fn of_document(document: &Value) -> [u8; 32] {
        let mut fingerprint = Fingerprint(Sha256::new_with_prefix("contract\0"));
        fingerprint.value(document);
        fingerprint.0.finalize().into()
    }

    /// Of a workflow, as it stands without its id.
    pub(super) fn of_workflow(workflow: &Value) -> [u8; 32] {
        let mut fingerprint = Fingerprint(Sha256::new_with_prefix("workflow\0"));
        fingerprint.value(workflow);
        fingerprint.0.finalize().into()
    }

    /// Of a submission under `/api/v1`. The id is not part of it: it is what the fingerprint is compared for.
    pub(super) fn of_submission(job: &SubmitJob) -> [u8; 32] {
        let mut fingerprint = Fingerprint(Sha256::new_with_prefix("api\0"));
        fingerprint.text(&job.job_type);
        fingerprint.object(&job.payload);
        fingerprint.optional(job.queue.as_deref(), Self::text);
        fingerprint.optional(job.max_attempts, |to, attempts| to.0.update(attempts.to_be_bytes()));
        fingerprint.optional(job.timeout_ms, |to, time| to.0.update(time.to_be_bytes()));
        fingerprint.optional(job.metadata.as_ref(), Self::object);
        // What later versions have added is only there if it is given: jobs that are stored keep their fingerprints.
        fingerprint.added(2, job.scheduled_at, |to, at| to.0.update(at.as_micros().to_be_bytes()));
        fingerprint.added(3, job.priority, |to, priority| to.0.update(priority.to_be_bytes()));
        fingerprint.added(4, (!job.tags.is_empty()).then_some(&job.tags), |to, tags| {
            to.length(tags.len());
            tags.iter().for_each(|tag| to.text(tag));
        });
        fingerprint.added(6, job.partition_key.as_deref(), Self::text);
        fingerprint.added(7, job.unique.as_ref(), |to, unique| to.value(&serde_json::json!(unique)));
        fingerprint.0.finalize().into()
    }

    /// Of what makes a job the only one of its kind.
    pub(super) fn of_kind(unique: &Unique, job_type: &str, queue: &str, payload: &Value) -> [u8; 32] {
        let mut fingerprint = Fingerprint(Sha256::new_with_prefix("unique\0"));
        fingerprint.optional(unique.by_type.then_some(job_type), Self::text);
        fingerprint.optional(unique.by_queue.then_some(queue), Self::text);
        fingerprint.optional(unique.payload.as_ref(), |to, fields| {
            let fields: BTreeSet<&String> = fields.iter().collect();
            to.length(fields.len());
            for field in fields {
                to.text(field);
                to.optional(payload.pointer(field), Self::value);
            }
        });
        if unique.payload.is_none() {
            fingerprint.value(payload);
        }
        fingerprint.0.finalize().into()
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => {
                self.0.update([1]);
                write(self, value);
            }
            None => self.0.update([0]),
        }
    }

    fn added<T>(&mut self, mark: u8, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        if let Some(value) = value {
            self.0.update([mark]);
            write(self, value);
        }
    }

    /// Every value begins with its kind and, where it can be of any length, with that, so that no two read alike.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.0.update(b"n"),
            Value::Bool(false) => self.0.update(b"f"),
            Value::Bool(true) => self.0.update(b"t"),
            Value::Number(number) => {
                self.0.update(b"d");
                self.text(&number.to_string());
            }
            Value::String(text) => {
                self.0.update(b"s");
                self.text(text);
            }
            Value::Array(items) => {
                self.0.update(b"a");
                self.length(items.len());
                items.iter().for_each(|item| self.value(item));
            }
            Value::Object(object) => {
                self.0.update(b"o");
                self.object(object);
            }
        }
    }

    fn object(&mut self, object: &Map<String, Value>) {
        self.length(object.len());
        let mut entries: Vec<_> = object.iter().collect();
        // A map keeps the order in which its keys came if any part of the program has asked serde_json for that.
        entries.sort_unstable_by_key(|(key, _)| *key);
        for (key, value) in entries {
            self.text(key);
            self.value(value);
        }
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.update(text);
    }

    fn length(&mut self, length: usize) {
        self.0.update((length as u64).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            proptest::num::f64::NORMAL.prop_map(Value::from),
            "[ab]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[ab]{0,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn equal_documents_and_no_others_have_equal_fingerprints(a in values(), b in values()) {
            let again: Value = serde_json::from_str(&a.to_string()).unwrap();
            // Numbers can change with their way through text; what is compared has always come that way.
            let text: Value = serde_json::from_str(&again.to_string()).unwrap();
            prop_assert_eq!(Fingerprint::of_document(&again), Fingerprint::of_document(&text));
            prop_assert_eq!(a == b, Fingerprint::of_document(&a) == Fingerprint::of_document(&b));
        }
    }

    #[test]
    fn every_part_of_a_submission_counts_but_its_id() {
        let job = |value: Value| serde_json::from_value::<SubmitJob>(value).unwrap();
        let base = job(json!({"type": "a"}));
        let same = job(json!({"type": "a", "payload": {}, "id": "0199e9a0-0000-7000-8000-000000000000"}));
        assert_eq!(Fingerprint::of_submission(&base), Fingerprint::of_submission(&same));
        let others = [
            json!({"type": "b"}),
            json!({"type": "a", "payload": {"x": 1}}),
            json!({"type": "a", "queue": "q"}),
            json!({"type": "a", "max_attempts": 1}),
            json!({"type": "a", "timeout_ms": 1}),
            json!({"type": "a", "metadata": {}}),
            json!({"type": "a", "scheduled_at": "2026-01-01T00:00:00Z"}),
            json!({"type": "a", "priority": 1}),
            json!({"type": "a", "priority": 0}),
            json!({"type": "a", "tags": ["b"]}),
            json!({"type": "a", "tags": ["b", "c"]}),
            json!({"type": "a", "tags": ["bc"]}),
            json!({"type": "a", "partition_key": "b"}),
            json!({"type": "a", "partition_key": "bc"}),
            json!({"type": "a", "unique": {}}),
            json!({"type": "a", "unique": {"policy": "keep"}}),
            json!({"type": "a", "unique": {"payload": []}}),
        ];
        let mut seen = vec![Fingerprint::of_submission(&base)];
        for other in others {
            let fingerprint = Fingerprint::of_submission(&job(other.clone()));
            assert!(!seen.contains(&fingerprint), "{other}");
            seen.push(fingerprint);
        }
    }
}
