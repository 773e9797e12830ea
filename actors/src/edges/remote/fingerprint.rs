//! [`fingerprint`]: whether two nodes mean the same by a message.

use schemars::schema_for;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::RemoteMessage;

/// What is in a schema for people alone.
const FOR_PEOPLE: [&str; 5] = ["$schema", "$comment", "title", "description", "examples"];
/// Keywords whose members have names of the schema's author.
const NAMED: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];
/// Keywords that hold values, no schemas.
const VALUES: [&str; 4] = ["const", "enum", "default", "required"];

/// The same for two nodes that have the same form of the message and of its answer, whatever they say about it.
pub(super) fn fingerprint<M: RemoteMessage>() -> String {
    let (message, answer) = (schema_for!(M).to_value(), schema_for!(M::Result).to_value());
    digest(&json!([form(message), form(answer)]).to_string())
}

/// Hexadecimal digits of a text, that no other text has.
pub(super) fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The schema without what is for people, its keys in order.
fn form(schema: Value) -> Value {
    match schema {
        Value::Object(keywords) => {
            let kept = keywords.into_iter().filter(|(keyword, _)| !FOR_PEOPLE.contains(&&**keyword));
            sorted(kept.map(|(keyword, value)| {
                let value = match value {
                    Value::Object(named) if NAMED.contains(&&*keyword) => {
                        sorted(named.into_iter().map(|(name, schema)| (name, form(schema))))
                    }
                    value if VALUES.contains(&&*keyword) => value,
                    value => form(value),
                };
                (keyword, value)
            }))
        }
        Value::Array(schemas) => schemas.into_iter().map(form).collect(),
        other => other,
    }
}

fn sorted(members: impl Iterator<Item = (String, Value)>) -> Value {
    let mut members: Vec<_> = members.collect();
    members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Value::Object(members.into_iter().collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_message_may_hold_counts() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Add", "type": "object",
            "description": "Adds.", "required": ["title"],
            "properties": { "title": { "type": "string", "description": "Its name." }, "description": { "$ref": "#/$defs/D" } },
            "$defs": { "D": { "title": "D", "enum": [{ "title": "a" }] } },
        });
        let expected = json!({
            "$defs": { "D": { "enum": [{ "title": "a" }] } },
            "properties": { "description": { "$ref": "#/$defs/D" }, "title": { "type": "string" } },
            "required": ["title"], "type": "object",
        });
        assert_eq!(form(schema).to_string(), expected.to_string());
    }

    #[test]
    fn another_order_is_the_same_form_and_another_type_is_not() {
        let of = |text: &str| digest(&form(serde_json::from_str(text).unwrap()).to_string());
        let one = of(r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"}}}"#);
        let same = of(r#"{"properties":{"b":{"type":"integer"},"a":{"type":"string"}},"type":"object"}"#);
        let other = of(r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"number"}}}"#);
        assert_eq!(one, same);
        assert_ne!(one, other);
        assert_eq!(one.len(), 32);
    }
}
