//! Where two payloads differ.

use std::collections::BTreeSet;

use callboard_contracts::api::{Change, Difference};
use serde_json::Value;

/// Places that are told at most.
pub(super) const MOST: usize = 200;
/// Bytes of a value that are shown.
const SHOWN: usize = 500;

/// The places in which they differ, from the top, and whether there are more than [`MOST`].
pub(super) fn differences(success: &Value, job: &Value) -> (Vec<Difference>, bool) {
    let mut found = Found::default();
    found.compare(&mut String::new(), Some(success), Some(job));
    (found.differences, found.more)
}

#[derive(Default)]
struct Found {
    differences: Vec<Difference>,
    more: bool,
}

impl Found {
    fn compare(&mut self, pointer: &mut String, success: Option<&Value>, job: Option<&Value>) {
        if self.more {
            return;
        }
        match (success, job) {
            (Some(Value::Object(one)), Some(Value::Object(other))) => {
                let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
                for name in names {
                    let name_in_pointer = name.replace('~', "~0").replace('/', "~1");
                    self.below(pointer, &name_in_pointer, one.get(name), other.get(name));
                }
            }
            (Some(Value::Array(one)), Some(Value::Array(other))) => {
                for index in 0..one.len().max(other.len()) {
                    self.below(pointer, &index.to_string(), one.get(index), other.get(index));
                }
            }
            (success, job) if success != job => self.note(pointer, success, job),
            _ => {}
        }
    }

    fn below(&mut self, pointer: &mut String, name: &str, success: Option<&Value>, job: Option<&Value>) {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(name);
        self.compare(pointer, success, job);
        pointer.truncate(length);
    }

    fn note(&mut self, pointer: &str, success: Option<&Value>, job: Option<&Value>) {
        if self.differences.len() >= MOST {
            self.more = true;
            return;
        }
        let change = match (success, job) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            _ => Change::Changed,
        };
        let (success, job) = (success.map(shown), job.map(shown));
        self.differences.push(Difference { pointer: pointer.to_owned(), change, success, job });
    }
}

/// The value, or what it begins with.
fn shown(value: &Value) -> Value {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => value.to_string(),
        short => return short.clone(),
    };
    if text.len() <= SHOWN {
        return value.clone();
    }
    let begin = &text[..text.floor_char_boundary(SHOWN)];
    Value::String(format!("{begin}… ({} bytes)", text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{super::merge_patch::tests::objects, *};

    #[test]
    fn each_place_is_named_with_both_values() {
        let success = json!({"a/b": {"~": 1, "same": [1, 2]}, "gone": null, "list": [1, 2, 3]});
        let job = json!({"a/b": {"~": 2, "same": [1, 2]}, "list": [1, 4], "new": {"x": 1}});
        let (found, more) = differences(&success, &job);
        let told: Vec<(&str, Change)> = found.iter().map(|place| (&*place.pointer, place.change)).collect();
        assert_eq!(
            told,
            [
                ("/a~1b/~0", Change::Changed),
                ("/gone", Change::Removed),
                ("/list/1", Change::Changed),
                ("/list/2", Change::Removed),
                ("/new", Change::Added),
            ]
        );
        assert!(!more);
        assert_eq!((&found[1].success, &found[1].job), (&Some(Value::Null), &None));
        assert_eq!(found[4].job, Some(json!({"x": 1})));
    }

    #[test]
    fn neither_many_places_nor_long_values_are_told_in_full() {
        let many = |value: usize| json!((0..MOST + 1).map(|_| value).collect::<Vec<_>>());
        let (found, more) = differences(&many(1), &many(2));
        assert_eq!((found.len(), more), (MOST, true));
        let (found, _) = differences(&json!("short"), &json!("ä".repeat(5000)));
        let long = found[0].job.as_ref().and_then(Value::as_str).unwrap();
        assert!(long.len() < SHOWN + 50 && long.ends_with("… (10000 bytes)"), "{long}");
    }

    proptest! {
        #[test]
        fn there_are_differences_where_there_are_any(one in objects(), other in objects()) {
            let (one, other) = (Value::Object(one), Value::Object(other));
            let (found, more) = differences(&one, &other);
            prop_assert_eq!(found.is_empty(), one == other);
            prop_assert!(!more && found.len() <= MOST);
            for place in &found {
                let (before, after) = (one.pointer(&place.pointer), other.pointer(&place.pointer));
                prop_assert_eq!((before, after), (place.success.as_ref(), place.job.as_ref()));
                prop_assert_ne!(before, after);
            }
            let (back, _) = differences(&other, &one);
            let turned = |change| match change {
                Change::Added => Change::Removed,
                Change::Removed => Change::Added,
                Change::Changed => Change::Changed,
            };
            let back: Vec<_> = back.into_iter().map(|place| (place.pointer, turned(place.change))).collect();
            let there: Vec<_> = found.into_iter().map(|place| (place.pointer, place.change)).collect();
            prop_assert_eq!(there, back);
        }
    }
}
