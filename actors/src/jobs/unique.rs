//! Which words about a job's being the only one of its kind make sense.

use callboard_contracts::{
    JobState,
    api::{FieldError, MAX_UNIQUE_FIELDS, MAX_UNIQUE_PERIOD_MS, Unique, UniquePolicy},
};

/// The longest JSON Pointer, in bytes.
const MAX_POINTER: usize = 255;

/// The states that a new job can have.
const NEW: [JobState; 3] = [JobState::Pending, JobState::Scheduled, JobState::Available];

/// What is wrong with it, each place under `at`.
pub(crate) fn check(unique: &Unique, at: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut wrong = |place: &str, message: String| {
        errors.push(FieldError { pointer: format!("{at}{place}"), message });
    };
    let policy = unique.policy.as_str();
    let fields = unique.payload.as_deref().unwrap_or_default();
    if fields.len() > MAX_UNIQUE_FIELDS {
        wrong("/payload", format!("{} values; there may be {MAX_UNIQUE_FIELDS}", fields.len()));
    }
    for (index, field) in fields.iter().enumerate().take(MAX_UNIQUE_FIELDS) {
        if !is_pointer(field) {
            let message = format!(
                "must be a JSON Pointer of at most {MAX_POINTER} bytes, such as /customer/id: `/` before each name, in which \
                 `~` is written ~0 and `/` ~1"
            );
            wrong(&format!("/payload/{index}"), message);
        }
    }
    if !(unique.by_type || unique.by_queue || unique.payload.as_ref().is_none_or(|fields| !fields.is_empty()))
    {
        wrong("", "nothing makes the kind: neither type, nor queue, nor a value of the payload".to_owned());
    }
    if unique.period_ms.is_some_and(|period| !(1..=MAX_UNIQUE_PERIOD_MS).contains(&period)) {
        wrong("/period_ms", format!("must be from 1 to {MAX_UNIQUE_PERIOD_MS} (366 days)"));
    }
    let needs_period = matches!(unique.policy, UniquePolicy::Debounce | UniquePolicy::Throttle);
    if needs_period && unique.period_ms.is_none() {
        wrong("/period_ms", format!("the policy {policy} needs a period"));
    }
    if let Some(states) = &unique.states {
        if needs_period {
            wrong("/states", format!("the policy {policy} has its own states"));
        } else if let Some(missing) = NEW.into_iter().find(|state| !states.contains(state)) {
            wrong("/states", format!("{missing} must be among them, since a new job can be that"));
        }
    }
    errors
}

fn is_pointer(text: &str) -> bool {
    let escapes = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    text.len() <= MAX_POINTER && text.starts_with('/') && escapes
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn unique(value: Value) -> Unique {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_makes_no_sense_is_named_where_it_stands() {
        let cases = [
            (json!({}), &[][..]),
            (json!({"policy": "throttle", "period_ms": 1}), &[]),
            (json!({"payload": ["/a/b", "/~0~1"], "states": ["pending", "scheduled", "available"]}), &[]),
            (json!({"payload": []}), &[]),
            (json!({"payload": ["a", "", "/~2", "/b"]}), &["/payload/0", "/payload/1", "/payload/2"]),
            (json!({"payload": vec!["/a"; 17]}), &["/payload"]),
            (json!({"by_type": false, "payload": []}), &[""]),
            (json!({"period_ms": 0}), &["/period_ms"]),
            (json!({"period_ms": MAX_UNIQUE_PERIOD_MS + 1}), &["/period_ms"]),
            (json!({"policy": "debounce"}), &["/period_ms"]),
            (json!({"policy": "throttle", "period_ms": 1, "states": ["pending"]}), &["/states"]),
            (json!({"states": ["pending", "available", "executing"]}), &["/states"]),
        ];
        for (value, expected) in cases {
            let found = check(&unique(value.clone()), "/unique");
            let places: Vec<&str> = found.iter().map(|error| error.pointer.as_str()).collect();
            let expected: Vec<String> = expected.iter().map(|place| format!("/unique{place}")).collect();
            assert_eq!(places, expected, "{value}");
        }
    }
}
