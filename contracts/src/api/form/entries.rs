//! From what was entered into a form to a payload.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Number, Value};

use super::{Form, FormControl, FormField};
use crate::api::FieldError;

impl Form {
    /// The payload that these entries make: texts as they were entered, by their fields' pointers. What was not entered
    /// is not in it, so that the type's defaults hold.
    ///
    /// Only what a payload cannot be made of is found here; whether it fits the type the server says.
    ///
    /// # Errors
    /// Each entry that no field asks for or that is not what its field asks for, and each field that is missing.
    pub fn payload(&self, entries: &BTreeMap<String, String>) -> Result<Value, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut payload = Value::Object(Map::new());
        for (pointer, text) in entries {
            let read = self.field(pointer).ok_or_else(|| self.unknown()).and_then(|field| read(field, text));
            match read {
                Ok(value) => put(&mut payload, pointer, value),
                Err(message) => errors.push(FieldError { pointer: pointer.clone(), message }),
            }
        }
        for object in &self.objects {
            let (within, _) = object.rsplit_once('/').unwrap_or_default();
            if payload.pointer(within).is_some_and(Value::is_object) && payload.pointer(object).is_none() {
                put(&mut payload, object, Value::Object(Map::new()));
            }
        }
        let begun: BTreeSet<&str> = entries.keys().flat_map(|pointer| parts_of(pointer)).collect();
        let missing = self.fields.iter().filter(|field| {
            let needed =
                field.required || field.required_within.as_deref().is_some_and(|part| begun.contains(part));
            needed && !entries.contains_key(&field.pointer)
        });
        errors.extend(missing.map(|field| FieldError {
            pointer: field.pointer.clone(),
            message: format!("is needed: {}", field.control.wanted()),
        }));
        if errors.is_empty() { Ok(payload) } else { Err(errors) }
    }

    fn field(&self, pointer: &str) -> Option<&FormField> {
        self.fields.iter().find(|field| field.pointer == pointer)
    }

    fn unknown(&self) -> String {
        match self.fields.as_slice() {
            [] => "there is no such field, nor any other".to_owned(),
            fields => {
                let known: Vec<&str> = fields.iter().map(|field| field.pointer.as_str()).collect();
                format!("there is no such field; there are {}", known.join(", "))
            }
        }
    }
}

/// The parts of the payload that something at this place is in.
fn parts_of(pointer: &str) -> impl Iterator<Item = &str> {
    pointer.match_indices('/').map(|(end, _)| &pointer[..end]).filter(|part| !part.is_empty())
}

fn read(field: &FormField, text: &str) -> Result<Value, String> {
    let wrong = || format!("{} is needed", field.control.wanted());
    let trimmed = text.trim();
    match &field.control {
        FormControl::Text { .. } => Ok(Value::String(text.to_owned())),
        FormControl::Texts => Ok(lines(text).map(|line| Value::String(line.to_owned())).collect()),
        FormControl::Integer { .. } => {
            let number = trimmed.parse().map(|number: i64| number.into());
            number
                .or_else(|_| trimmed.parse().map(|number: u64| number.into()))
                .map(Value::Number)
                .map_err(|_| wrong())
        }
        FormControl::Number { .. } => {
            let whole = trimmed.parse().ok().map(|number: i64| Number::from(number));
            whole
                .or_else(|| trimmed.parse().ok().and_then(Number::from_f64))
                .map(Value::Number)
                .ok_or_else(wrong)
        }
        FormControl::Boolean => trimmed.parse().map(Value::Bool).map_err(|_| wrong()),
        FormControl::Choice { values } => {
            values.iter().find(|value| shown(value) == trimmed).cloned().ok_or_else(wrong)
        }
        FormControl::Json => {
            let value: Value = serde_json::from_str(text).map_err(|error| format!("{}: {error}", wrong()))?;
            if field.pointer.is_empty() && !value.is_object() {
                return Err("a JSON object is needed".to_owned());
            }
            Ok(value)
        }
    }
}

/// The lines of a text, also the empty ones; none of an empty text.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    lines.take(if text.is_empty() { 0 } else { usize::MAX })
}

impl FormControl {
    /// What it takes, in words, such as `a whole number from 0 to 255`.
    pub fn wanted(&self) -> String {
        let bounded =
            |what: &str, minimum: &Option<Number>, maximum: &Option<Number>| match (minimum, maximum) {
                (Some(least), Some(most)) => format!("{what} from {least} to {most}"),
                (Some(least), None) => format!("{what} of at least {least}"),
                (None, Some(most)) => format!("{what} of at most {most}"),
                (None, None) => what.to_owned(),
            };
        match self {
            FormControl::Text { .. } => "a text".to_owned(),
            FormControl::Texts => "texts, one a line".to_owned(),
            FormControl::Integer { minimum, maximum } => bounded("a whole number", minimum, maximum),
            FormControl::Number { minimum, maximum } => bounded("a number", minimum, maximum),
            FormControl::Boolean => "true or false".to_owned(),
            FormControl::Choice { values } => {
                let values: Vec<String> = values.iter().map(shown).collect();
                format!("one of {}", values.join(", "))
            }
            FormControl::Json => "JSON".to_owned(),
        }
    }
}

/// A value as a person enters it.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Puts a value at its place, in objects that are made on the way.
fn put(payload: &mut Value, pointer: &str, value: Value) {
    let mut at = payload;
    for name in pointer.split('/').skip(1) {
        let name = name.replace("~1", "/").replace("~0", "~");
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(map) = at else { return };
        at = map.entry(name).or_insert(Value::Null);
    }
    *at = value;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn form() -> Form {
        Form::of(&json!({
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "count": {"type": "integer", "minimum": 0, "maximum": 9},
                "share": {"type": "number"},
                "urgent": {"type": "boolean"},
                "paper": {"enum": ["white", 3]},
                "words": {"type": "array", "items": {"type": "string"}},
                "extra": {},
                "to": {"type": "object", "properties": {"a/b": {"type": "string"}, "c": {"type": "string"}}, "required": ["c"]},
            },
            "required": ["name"],
        }))
    }

    fn payload(entries: &[(&str, &str)]) -> Result<Value, Vec<(String, String)>> {
        let entries =
            entries.iter().map(|(pointer, text)| ((*pointer).to_owned(), (*text).to_owned())).collect();
        form()
            .payload(&entries)
            .map_err(|errors| errors.into_iter().map(|error| (error.pointer, error.message)).collect())
    }

    #[test]
    fn entries_become_what_their_fields_ask_for() {
        let all = [
            ("/name", " Ada "),
            ("/count", "7 "),
            ("/share", "0.5"),
            ("/urgent", "true"),
            ("/paper", "3"),
            ("/words", "one\ntwo"),
            ("/extra", r#"{"x": [1]}"#),
            ("/to/a~1b", ""),
            ("/to/c", "d"),
        ];
        assert_eq!(
            payload(&all),
            Ok(
                json!({"name": " Ada ", "count": 7, "share": 0.5, "urgent": true, "paper": 3, "words": ["one", "two"],
                      "extra": {"x": [1]}, "to": {"a/b": "", "c": "d"}})
            )
        );
        assert_eq!(payload(&[("/name", "")]), Ok(json!({"name": ""})));
    }

    #[test]
    fn what_is_missing_and_what_cannot_be_read_is_named() {
        let wrong = |entries: &[(&str, &str)]| payload(entries).unwrap_err();
        assert_eq!(wrong(&[]), [("/name".to_owned(), "is needed: a text".to_owned())]);
        let found = wrong(&[
            ("/name", "x"),
            ("/count", "a few"),
            ("/share", "NaN"),
            ("/urgent", "yes"),
            ("/paper", "red"),
            ("/extra", "{"),
            ("/to/a~1b", "x"),
            ("/wrong", "1"),
        ]);
        let expected = [
            ("/count", "a whole number from 0 to 9 is needed"),
            ("/extra", "JSON is needed: EOF while parsing an object at line 1 column 1"),
            ("/paper", "one of white, 3 is needed"),
            ("/share", "a number is needed"),
            ("/urgent", "true or false is needed"),
            (
                "/wrong",
                "there is no such field; there are /name, /count, /extra, /paper, /share, /to/a~1b, /to/c, /urgent, /words",
            ),
            ("/to/c", "is needed: a text"),
        ];
        assert_eq!(found, expected.map(|(pointer, message)| (pointer.to_owned(), message.to_owned())));
    }

    #[test]
    fn lines_are_texts_also_the_empty_ones() {
        let words = |text: &str| payload(&[("/name", "x"), ("/words", text)]).unwrap()["words"].clone();
        assert_eq!(
            [words(""), words("a"), words("a\n"), words("a\r\n\nb")],
            [json!([]), json!(["a"]), json!(["a", ""]), json!(["a", "", "b"])]
        );
    }

    #[test]
    fn objects_that_must_be_there_are_there() {
        let inner = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
        let outer = json!({"type": "object", "properties": {"in": inner, "b": {"type": "integer"}}, "required": ["in"]});
        let form = Form::of(&json!({
            "type": "object", "properties": {"must": outer, "may": outer}, "required": ["must"],
        }));
        assert_eq!(form.objects, ["/may/in", "/must", "/must/in"]);
        let of = |entries: &[(&str, &str)]| {
            form.payload(&entries.iter().map(|(at, text)| ((*at).to_owned(), (*text).to_owned())).collect())
        };
        assert_eq!(of(&[]), Ok(json!({"must": {"in": {}}})));
        assert_eq!(of(&[("/may/b", "1")]), Ok(json!({"must": {"in": {}}, "may": {"b": 1, "in": {}}})));
    }

    #[test]
    fn a_payload_as_a_whole_is_an_object() {
        let form = Form::of(&json!({"type": "object", "additionalProperties": {"type": "string"}}));
        let whole = |text: &str| form.payload(&BTreeMap::from([(String::new(), text.to_owned())]));
        assert_eq!(whole(r#"{"a": "b"}"#), Ok(json!({"a": "b"})));
        assert_eq!(whole("[]").unwrap_err()[0].message, "a JSON object is needed");
        assert_eq!(form.payload(&BTreeMap::new()), Ok(json!({})));
    }

    proptest! {
        #[test]
        fn whatever_is_entered_makes_an_object_or_an_error(
            entries in proptest::collection::btree_map(
                prop_oneof![Just("/name".to_owned()), Just("/to/c".to_owned()), Just("/to".to_owned()), Just(String::new()), "[/~a-c01]{0,6}"],
                "\\PC{0,12}",
                0..6,
            )
        ) {
            match form().payload(&entries) {
                Ok(payload) => prop_assert!(payload.is_object() && payload.get("name").is_some()),
                Err(errors) => prop_assert!(!errors.is_empty()),
            }
        }
    }
}
