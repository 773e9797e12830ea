//! What a message must be like, whatever it says: an event envelope of contract 1.

use std::sync::LazyLock;

use callboard_contracts::EventEnvelope;
use jsonschema::Validator;
use serde_json::Value;

use super::InboundConfig;
use crate::jobs::registry::{bounded, pointer};

/// Errors that are listed of one message at most.
const MAX_ERRORS: usize = 16;

/// The contract's schema, with formats checked.
static CONTRACT: LazyLock<Validator> = LazyLock::new(|| {
    let schema = schemars::schema_for!(EventEnvelope).to_value();
    let options = jsonschema::options().should_validate_formats(true);
    options.build(&schema).expect("the schema of the contract's own type is valid, which a test proves")
});

/// Why a message is no envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// In one word.
    pub(super) reason: &'static str,
    /// In words.
    pub(super) problem: String,
    /// The one that the message names, as far as it can be read.
    pub(super) correlation_id: Option<String>,
}

/// Reads an envelope.
pub(super) fn read(body: &[u8], bounds: &InboundConfig) -> Result<EventEnvelope, Refused> {
    let value = parse(body, bounds)?;
    let correlation_id = value.get("correlationId").and_then(Value::as_str).map(str::to_owned);
    let refuse = |reason, problem| Refused { reason, problem, correlation_id: correlation_id.clone() };
    if !CONTRACT.is_valid(&value) {
        let errors = CONTRACT.iter_errors(&value).take(MAX_ERRORS);
        let errors = errors.map(|error| named(error.instance_path().as_str(), &error.to_string()));
        return Err(refuse("envelope", errors.collect::<Vec<_>>().join("; ")));
    }
    // What is left must be of the types that the schema cannot express, such as a time that exists.
    let envelope: EventEnvelope = serde_path_to_error::deserialize(value)
        .map_err(|error| refuse("envelope", named(&pointer(error.path()), &error.inner().to_string())))?;
    if !envelope.contract_version.starts_with("1.") {
        let problem = format!("/contractVersion: {} is not known here, only 1", envelope.contract_version);
        return Err(refuse("version", bounded(problem)));
    }
    Ok(envelope)
}

fn parse(body: &[u8], bounds: &InboundConfig) -> Result<Value, Refused> {
    let refuse = |reason, problem| Refused { reason, problem, correlation_id: None };
    if body.len() > bounds.max_message {
        let problem = format!("it has {} bytes, and {} are allowed", body.len(), bounds.max_message);
        return Err(refuse("too_large", problem));
    }
    if depth(body) > bounds.max_depth {
        let problem = format!("arrays and objects are nested deeper than {}", bounds.max_depth);
        return Err(refuse("too_deep", problem));
    }
    serde_json::from_slice(body).map_err(|error| refuse("not_json", format!("it is no JSON: {error}")))
}

fn named(pointer: &str, problem: &str) -> String {
    let problem = bounded(problem.to_owned());
    if pointer.is_empty() { problem } else { format!("{pointer}: {problem}") }
}

/// How deep arrays and objects are nested, if it is JSON.
fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event() -> Value {
        json!({
            "contractVersion": "1.0.0",
            "eventType": "job.created",
            "eventId": "0199e9a0-0000-7000-8000-000000000001",
            "occurredAt": "2026-01-01T00:00:00.5Z",
            "producer": {"service": "gateway", "instanceId": "g-1", "version": "2.1.0", "more": true},
            "correlationId": "0199e9a0-0000-7000-8000-000000000002",
            "idempotencyKey": "key",
            "payload": {"id": 1},
            "unknown": [{}],
        })
    }

    fn refused(change: impl FnOnce(&mut Value)) -> Refused {
        let mut event = event();
        change(&mut event);
        read(event.to_string().as_bytes(), &InboundConfig::default()).unwrap_err()
    }

    #[test]
    fn an_envelope_is_read_and_may_say_more_than_it_must() {
        let read = read(event().to_string().as_bytes(), &InboundConfig::default()).unwrap();
        assert_eq!(read.idempotency_key, "key");
        assert_eq!(read.occurred_at.to_string(), "2026-01-01T00:00:00.500000Z");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for field in [
            "contractVersion",
            "eventType",
            "eventId",
            "occurredAt",
            "producer",
            "correlationId",
            "idempotencyKey",
            "payload",
        ] {
            let found = refused(|event| drop(event.as_object_mut().unwrap().remove(field)));
            assert!(found.reason == "envelope" && found.problem.contains(field), "{found:?}");
            assert_eq!(found.correlation_id.is_some(), field != "correlationId");
        }
        let found = refused(|event| event["producer"]["version"] = json!(2));
        assert!(found.problem.contains("/producer/version"), "{found:?}");
        let found = refused(|event| event["eventId"] = json!("7"));
        assert!(found.problem.contains("/eventId"), "{found:?}");
        let found = refused(|event| event["occurredAt"] = json!("2026-02-30T00:00:00Z"));
        assert!(found.problem.contains("/occurredAt"), "{found:?}");
        let found = refused(|event| event["eventType"] = json!("job.eaten"));
        assert!(found.problem.contains("/eventType"), "{found:?}");
        assert_eq!(refused(|event| event["contractVersion"] = json!("2.0.0")).reason, "version");
        assert_eq!(refused(|event| *event = json!([])).reason, "envelope");
    }

    #[test]
    fn what_cannot_be_read_is_refused_before_it_costs_anything() {
        let bounds = InboundConfig { on: true, max_message: 100, max_depth: 3, concurrency: 1 };
        let reason = |body: &str| read(body.as_bytes(), &bounds).unwrap_err().reason;
        assert_eq!(reason(&"x".repeat(101)), "too_large");
        assert_eq!(reason("[[[[]]]]"), "too_deep");
        assert_eq!(reason(r#"["[[[[", "\"[[["]"#), "envelope");
        assert_eq!(reason("{"), "not_json");
        assert_eq!(reason(""), "not_json");
        assert_eq!(reason("}}}][][["), "not_json");
        let bounds = InboundConfig::default();
        assert_eq!(read(&[0xff, 0xfe], &bounds).unwrap_err().reason, "not_json");
        assert_eq!(read("[".repeat(500_000).as_bytes(), &bounds).unwrap_err().reason, "too_deep");
    }
}
