//! JSON merge patches (RFC 7396) of payloads.

use serde_json::{Map, Value};

/// The object with the patch applied.
pub(in crate::roles) fn applied(
    mut to: Map<String, Value>,
    patch: &Map<String, Value>,
) -> Map<String, Value> {
    for (name, change) in patch {
        match change {
            Value::Null => {
                to.remove(name);
            }
            Value::Object(inner) => {
                let before = match to.remove(name) {
                    Some(Value::Object(before)) => before,
                    _ => Map::new(),
                };
                to.insert(name.clone(), Value::Object(applied(before, inner)));
            }
            value => {
                to.insert(name.clone(), value.clone());
            }
        }
    }
    to
}

/// The patch that makes one object of the other; `None` if none can, because a field is to be `null`.
pub(super) fn between(from: &Map<String, Value>, to: &Map<String, Value>) -> Option<Map<String, Value>> {
    let gone = from.keys().filter(|name| !to.contains_key(*name));
    let mut patch: Map<String, Value> = gone.map(|name| (name.clone(), Value::Null)).collect();
    for (name, after) in to {
        let change = match (from.get(name), after) {
            (Some(before), after) if before == after => continue,
            (Some(Value::Object(before)), Value::Object(after)) => Value::Object(between(before, after)?),
            (_, after) if can_be_set(after) => after.clone(),
            _ => return None,
        };
        patch.insert(name.clone(), change);
    }
    Some(patch)
}

/// Whether a patch that has this value makes it so. Within arrays, `null` is a value like others.
fn can_be_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Object(fields) => fields.values().all(can_be_set),
        _ => true,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    pub(in super::super) fn objects() -> impl Strategy<Value = Map<String, Value>> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..3_i64).prop_map(Value::from),
            "[ab~/]{0,2}".prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[ab~/]{0,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        });
        proptest::collection::btree_map("[ab~/]{0,2}", value, 0..4).prop_map(|map| map.into_iter().collect())
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    /// The examples of RFC 7396, of objects.
    #[test]
    fn a_patch_does_what_its_standard_says() {
        for (from, patch, to) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            assert_eq!(applied(object(from), &object(patch)), object(to));
        }
        assert_eq!(between(&object(json!({})), &object(json!({"a":null}))), None);
        assert_eq!(between(&object(json!({"a":null})), &object(json!({"a":null}))), Some(Map::new()));
    }

    proptest! {
        #[test]
        fn a_patch_between_two_makes_one_of_the_other(from in objects(), to in objects()) {
            if let Some(patch) = between(&from, &to) {
                prop_assert_eq!(applied(from, &patch), to);
            } else {
                let text = Value::Object(to).to_string();
                prop_assert!(text.contains("null"), "{}", text);
            }
        }
    }
}
