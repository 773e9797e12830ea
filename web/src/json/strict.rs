//! The parser: serde_json's, with names that may be used once.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::check_depth;

/// A text that is not the JSON that is accepted; says what is wrong and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreadable(String);

/// Reads one JSON value.
///
/// # Errors
/// [`Unreadable`] for what is empty, not UTF-8, not JSON, too deep, or names a field twice.
pub(crate) fn read(text: &[u8], max_depth: usize) -> Result<Value, Unreadable> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(Unreadable("the body is empty; a JSON value is needed".to_owned()));
    }
    if text.starts_with(b"\xEF\xBB\xBF") {
        return Err(Unreadable("the body begins with a byte order mark; send UTF-8 without one".to_owned()));
    }
    if let Err(error) = std::str::from_utf8(text) {
        return Err(Unreadable(format!("the body is not UTF-8: byte {} is wrong", error.valid_up_to())));
    }
    check_depth(text, max_depth).map_err(|error| Unreadable(error.to_string()))?;
    match serde_json::from_slice::<Strict>(text) {
        Ok(Strict(value)) => Ok(value),
        Err(error) => Err(Unreadable(format!("not valid JSON: {error}"))),
    }
}

/// A value in which no object names a field twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if object.contains_key(&name) {
                let short: String = name.chars().take(64).collect();
                return Err(A::Error::custom(format_args!("duplicate field {short:?}")));
            }
            let Strict(value) = fields.next_value()?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_accepted_is_what_serde_json_reads() {
        for text in [r#"{"a":[1,-2,3.5,true,null,"\u00e9"],"b":{"a":{}}}"#, " 7 ", r#""x""#, "[]", "null"] {
            assert_eq!(read(text.as_bytes(), 8).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        }
        assert_eq!(read(b"18446744073709551616", 8), Ok(json!(18446744073709551616.0)));
    }

    #[test]
    fn what_is_refused_says_what_and_where() {
        let cases: [(&[u8], &str); 9] = [
            (b" \n", "the body is empty; a JSON value is needed"),
            (b"\xEF\xBB\xBF{}", "the body begins with a byte order mark; send UTF-8 without one"),
            (b"{\"a\":\"\xff\"}", "the body is not UTF-8: byte 6 is wrong"),
            (b"{\"a\":{\"a\":1,\n\"a\":2}}", "not valid JSON: duplicate field \"a\" at line 2 column 3"),
            (b"{} {}", "not valid JSON: trailing characters at line 1 column 4"),
            (b"1e999", "not valid JSON: number out of range at line 1 column 5"),
            (b"\"\\ud800\"", "not valid JSON: unexpected end of hex escape at line 1 column 8"),
            (
                b"\"a\0b\"",
                "not valid JSON: control character (\\u0000-\\u001F) found while parsing a string at line 1 column 3",
            ),
            (b"[[[]]]", "the JSON nests deeper than 2 levels at line 1 column 3"),
        ];
        for (text, message) in cases {
            assert_eq!(read(text, 2).unwrap_err().to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes, 5);
        }
    }
}
