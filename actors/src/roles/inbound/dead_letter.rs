//! Dead letters: what is told of an invalid message.

use bytes::Bytes;
use callboard_contracts::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::roles::{RolesConfig, outlet::SERVICE, queue::cut};

/// Bytes that are kept of a message that is no JSON, or too large.
const MAX_TEXT: usize = 64 * 1024;
/// Bytes that are kept of what is wrong with it, and of a correlation id.
const MAX_PROBLEM: usize = 16 * 1024;
const MAX_ID: usize = 256;

/// The contract's [`DeadLetter`](callboard_contracts::DeadLetter), with the message as it came.
#[derive(Serialize)]
struct Letter<'l> {
    original_event: Original<'l>,
    validation_error: &'l str,
    rejected_at: Timestamp,
    correlation_id: &'l str,
    service: &'l str,
    service_version: &'l str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Original<'l> {
    Json(&'l RawValue),
    Text(String),
}

/// A dead letter, and the correlation id that stands in it.
pub(super) struct Written {
    pub(super) body: Bytes,
    pub(super) correlation_id: String,
}

/// Writes the dead letter of a message.
pub(super) fn write(
    config: &RolesConfig,
    body: &[u8],
    problem: &str,
    correlation_id: Option<String>,
    now: Timestamp,
) -> Written {
    // What names none gets one that is in our log as well.
    let correlation_id = correlation_id.unwrap_or_else(|| Uuid::now_v7().to_string());
    let correlation_id = cut(correlation_id, MAX_ID);
    let json = Some(body).filter(|body| body.len() <= config.inbound.max_message);
    let json = json.and_then(|body| serde_json::from_slice::<&RawValue>(body).ok());
    let original_event = match json {
        Some(json) => Original::Json(json),
        None => {
            let note = format!("… ({} bytes in all)", body.len());
            let shown = String::from_utf8_lossy(&body[..body.len().min(MAX_TEXT)]).into_owned();
            Original::Text(if body.len() > MAX_TEXT { shown + &note } else { shown })
        }
    };
    let validation_error = cut(problem.to_owned(), MAX_PROBLEM);
    let letter = Letter {
        original_event,
        validation_error: &validation_error,
        rejected_at: now,
        correlation_id: &correlation_id,
        service: SERVICE,
        service_version: &config.version,
    };
    // What serialises by derive, of strings and of JSON as it stands, does not fail.
    let body = serde_json::to_vec(&letter).unwrap_or_default().into();
    Written { body, correlation_id }
}

#[cfg(test)]
mod tests {
    use callboard_contracts::DeadLetter;
    use serde_json::{Value, json};

    use super::*;

    fn letter(body: &[u8], correlation_id: Option<&str>) -> DeadLetter {
        let config = RolesConfig { version: "1.2.3".to_owned(), ..RolesConfig::default() };
        let id = correlation_id.map(str::to_owned);
        let written = write(&config, body, "no good", id, Timestamp::from_micros(0));
        let text = std::str::from_utf8(&written.body).unwrap();
        let fields: Value = serde_json::from_str(text).unwrap();
        assert_eq!(fields.as_object().unwrap().len(), 6, "{text}");
        let letter: DeadLetter = serde_json::from_str(text).unwrap();
        assert_eq!(letter.correlation_id, written.correlation_id);
        letter
    }

    #[test]
    fn a_letter_has_the_contracts_fields_and_the_message_as_it_came() {
        let found = letter(br#"{"b": 1.50, "a": [null]}"#, Some("c"));
        let expected = DeadLetter {
            original_event: json!({"b": 1.5, "a": [null]}),
            validation_error: "no good".to_owned(),
            rejected_at: Timestamp::from_micros(0),
            correlation_id: "c".to_owned(),
            service: "callboard".to_owned(),
            service_version: "1.2.3".to_owned(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_json_is_kept_as_text_and_not_without_bound() {
        assert_eq!(letter(b"not {json", None).original_event, json!("not {json"));
        assert_eq!(letter(b"", None).original_event, json!(""));
        assert_eq!(letter(&[b'a', 0xff], None).original_event, json!("a\u{fffd}"));
        let large = vec![b'x'; 3 * MAX_TEXT];
        let found = letter(&large, None).original_event;
        let text = found.as_str().unwrap();
        assert!(text.len() < MAX_TEXT + 100 && text.ends_with("bytes in all)"), "{}", text.len());
        let huge = format!("[{}]", "1,".repeat(1024 * 1024) + "1");
        assert!(letter(huge.as_bytes(), None).original_event.is_string());
        assert!(letter(b"x", Some(&"i".repeat(10_000))).correlation_id.len() <= MAX_ID);
        assert_ne!(letter(b"x", None).correlation_id, letter(b"x", None).correlation_id);
    }
}
