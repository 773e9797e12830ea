//! Envelopes as documents, and back.

use callboard_contracts::EventEnvelope;
use mongodb::bson::{Bson, Document};
use serde_json::{Map, Number, Value};

/// The largest document that is written as it stands. The server takes 16 MiB.
const LARGEST: usize = 15 * 1024 * 1024;
/// What stands in place of what makes an envelope too large.
const LEFT_OUT: &str = "left out: too large for the archive";

/// The envelope as a document, field by field as it stands in JSON. A payload that would not fit loses its result, and then its
/// own payload, and says so.
pub(super) fn document(envelope: &EventEnvelope) -> Document {
    let mut envelope = match serde_json::to_value(envelope) {
        Ok(Value::Object(envelope)) => envelope,
        // It has only text keys and finite numbers, so it is an object.
        _ => Map::new(),
    };
    for long in ["result", "payload"] {
        if size(&envelope) <= LARGEST {
            break;
        }
        if let Some(Value::Object(payload)) = envelope.get_mut("payload")
            && payload.contains_key(long)
        {
            // An object, as the contract has it.
            payload.insert(
                long.to_owned(),
                Value::Object(Map::from_iter([("archive".to_owned(), LEFT_OUT.into())])),
            );
        }
    }
    fields(envelope)
}

/// About as many bytes as the document has: more than its text in JSON only where there are many small numbers.
fn size(envelope: &Map<String, Value>) -> usize {
    fn of(value: &Value) -> usize {
        // A type, a length and an end, and a number's bytes.
        const FRAME: usize = 16;
        FRAME
            + match value {
                Value::Null | Value::Bool(_) | Value::Number(_) => 0,
                Value::String(text) => text.len(),
                // Places in a list are written as text.
                Value::Array(values) => values.iter().map(|value| of(value) + 8).sum(),
                Value::Object(fields) => fields.iter().map(|(key, value)| key.len() + of(value)).sum(),
            }
    }
    envelope.iter().map(|(key, value)| key.len() + of(value)).sum()
}

fn fields(object: Map<String, Value>) -> Document {
    // The only character that a key cannot have.
    let key = |key: String| if key.contains('\0') { key.replace('\0', "\u{fffd}") } else { key };
    object.into_iter().map(|(name, value)| (key(name), bson(value))).collect()
}

fn bson(value: Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(value) => Bson::Boolean(value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => i32::try_from(number).map_or(Bson::Int64(number), Bson::Int32),
            // The largest whole numbers have no type there.
            None => Bson::Double(number.as_f64().unwrap_or(f64::MAX)),
        },
        Value::String(text) => Bson::String(text),
        Value::Array(values) => Bson::Array(values.into_iter().map(bson).collect()),
        Value::Object(object) => Bson::Document(fields(object)),
    }
}

/// The envelope that a document holds; `None` if it holds none.
pub(super) fn envelope(mut document: Document) -> Option<EventEnvelope> {
    document.remove("_id");
    serde_json::from_value(json(Bson::Document(document))).ok()
}

fn json(value: Bson) -> Value {
    match value {
        Bson::Boolean(value) => value.into(),
        Bson::Int32(number) => number.into(),
        Bson::Int64(number) => number.into(),
        Bson::Double(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        Bson::String(text) => text.into(),
        Bson::Array(values) => values.into_iter().map(json).collect(),
        Bson::Document(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, json(value))).collect())
        }
        // Another writer may keep times and ids as such.
        Bson::DateTime(time) => {
            callboard_contracts::Timestamp::from_micros(time.timestamp_millis().saturating_mul(1000))
                .to_string()
                .into()
        }
        Bson::ObjectId(id) => id.to_hex().into(),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use callboard_contracts::{EventType, Producer, Timestamp};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn event(payload: Value) -> EventEnvelope {
        let Value::Object(payload) = payload else { panic!("an object") };
        EventEnvelope {
            contract_version: "1.0.0".to_owned(),
            event_type: EventType::Completed,
            event_id: Uuid::from_u128(1),
            occurred_at: Timestamp::from_micros(1_800_000_000_000_000),
            producer: Producer {
                service: "s".to_owned(),
                instance_id: "i".to_owned(),
                version: "v".to_owned(),
            },
            correlation_id: Uuid::from_u128(2),
            idempotency_key: "key".to_owned(),
            payload,
        }
    }

    #[test]
    fn an_envelope_comes_back_as_it_went() {
        let event = event(json!({
            "id": Uuid::from_u128(3), "null": null, "yes": true, "small": -7, "large": i64::MIN, "half": 0.5, "whole": 1.0,
            "list": [1, "two", {"a.b": {"$c": []}}], "result": {"text": "ä\u{0}"},
        }));
        let mut document = document(&event);
        let text = |key: &str| document.get_str(key).unwrap().to_owned();
        assert_eq!(
            (text("contractVersion"), text("eventType")),
            ("1.0.0".to_owned(), "job.completed".to_owned())
        );
        assert_eq!(text("occurredAt"), "2027-01-15T08:00:00.000000Z");
        assert_eq!(text("eventId"), Uuid::from_u128(1).to_string());
        document.insert("_id", mongodb::bson::oid::ObjectId::new());
        assert_eq!(envelope(document), Some(event));
    }

    #[test]
    fn what_a_document_cannot_hold_is_not_in_its_way() {
        let back = envelope(document(&event(json!({"most": u64::MAX, "a\u{0}b": 1})))).unwrap();
        assert_eq!(back.payload, *json!({"most": u64::MAX as f64, "a\u{fffd}b": 1}).as_object().unwrap());
        let huge = "x".repeat(16 * 1024 * 1024);
        let back =
            envelope(document(&event(json!({"result": {"text": huge}, "payload": {"a": 1}})))).unwrap();
        assert_eq!(back.payload["result"]["archive"], LEFT_OUT);
        assert_eq!(back.payload["payload"]["a"], 1);
    }

    #[test]
    fn what_is_no_envelope_is_none() {
        assert_eq!(envelope(Document::new()), None);
    }
}
