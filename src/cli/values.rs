//! Values of flags that clap does not know by itself.

use std::time::Duration;

use callboard::contracts::JobState;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Map, Value};

/// A job state, by its name on the wire.
pub(super) fn state() -> impl TypedValueParser<Value = JobState> {
    let names = PossibleValuesParser::new(JobState::ALL.map(JobState::as_str));
    names.try_map(|name| name.parse::<JobState>())
}

/// A JSON object.
pub(super) fn object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("a JSON object is needed, such as {\"field\": 1}".to_owned()),
        Err(error) => Err(format!("a JSON object is needed: {error}")),
    }
}

/// A duration with a unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| "a number with a unit is needed, such as 30s".to_owned())?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        "h" => Ok(Duration::from_secs(number.saturating_mul(3600))),
        "" => Err(format!("a unit is needed, such as {number}s or {number}ms")),
        unit => Err(format!("{unit:?} is no unit: there are ms, s, m and h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_no_other_value() {
        assert_eq!(object("{\"a\": null}").unwrap().len(), 1);
        for wrong in ["", "1", "[]", "{"] {
            assert!(object(wrong).unwrap_err().contains("a JSON object is needed"), "{wrong:?}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for wrong in ["", "5", "m", "5x", "-1s", "1.5s", "5 s", "é"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
