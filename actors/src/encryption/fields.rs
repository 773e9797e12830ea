//! Which values of a payload or a result are secret.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Places that one type may name.
const MAX_FIELDS: usize = 64;
/// How deep a schema is followed. What is deeper is as secret as what it is in.
const MAX_DEPTH: usize = 24;
/// The mark of a secret value in a JSON Schema.
const MARK: &str = "x-secret";

/// A part of a way to a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    /// The field of this name, or the entry of this number.
    Name(String),
    /// Every field, or every entry.
    Each,
}

/// The places of secret values, as patterns of JSON Pointers: `/body`, `/recipients/*/email`; `*` alone is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SecretFields(Vec<Vec<Segment>>);

impl SecretFields {
    /// Reads patterns.
    ///
    /// # Errors
    /// What is wrong with the first that cannot be.
    pub(crate) fn parse<T: AsRef<str>>(patterns: &[T]) -> Result<Self, String> {
        if patterns.len() > MAX_FIELDS {
            return Err(format!("{} secret fields; a type may have {MAX_FIELDS}", patterns.len()));
        }
        let parsed = patterns.iter().map(|pattern| segments(pattern.as_ref()));
        parsed.collect::<Result<_, _>>().map(SecretFields)
    }

    /// These places, as JSON Pointers. Of a list all entries are meant, since an entry may be another one after a change of the list;
    /// of more places than a type may name, everything is.
    pub(crate) fn of_places(places: &[String]) -> Self {
        let segment = |name: &str| match name {
            index if !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()) => Segment::Each,
            name => Segment::Name(unescaped(name)),
        };
        let pattern = |place: &String| place.split('/').skip(1).map(segment).collect();
        let mut fields = SecretFields(places.iter().map(pattern).collect());
        fields.tidy();
        if fields.0.len() > MAX_FIELDS { SecretFields::whole() } else { fields }
    }

    /// Everything.
    pub(crate) fn whole() -> Self {
        SecretFields(vec![Vec::new()])
    }

    /// What a schema marks with `"x-secret": true`.
    pub(crate) fn of_schema(schema: &Value) -> Self {
        let mut found = Vec::new();
        let mut walk = Walk { root: schema, refs: Vec::new(), found: &mut found };
        walk.schema(schema, &mut Vec::new(), 0);
        let mut fields = SecretFields(found);
        fields.tidy();
        fields
    }

    /// These and those.
    pub(crate) fn and(mut self, others: SecretFields) -> Self {
        self.0.extend(others.0);
        self.tidy();
        self
    }

    fn tidy(&mut self) {
        self.0.sort();
        self.0.dedup();
        if self.0.first().is_some_and(Vec::is_empty) {
            // Everything is secret, whatever else is.
            self.0.truncate(1);
        }
    }

    /// Whether nothing is secret.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether everything is.
    #[cfg(test)]
    pub(crate) fn is_whole(&self) -> bool {
        self.0.first().is_some_and(Vec::is_empty)
    }

    /// The patterns as text.
    pub(crate) fn patterns(&self) -> Vec<String> {
        let text = |pattern: &Vec<Segment>| match &pattern[..] {
            [] => "*".to_owned(),
            segments => segments
                .iter()
                .map(|segment| match segment {
                    Segment::Each => "/*".to_owned(),
                    Segment::Name(name) => format!("/{}", escaped(name)),
                })
                .collect(),
        };
        self.0.iter().map(text).collect()
    }

    /// Calls `change` with each secret value that is there, and its JSON Pointer.
    pub(crate) fn visit<E>(
        &self,
        value: &mut Value,
        change: &mut dyn FnMut(&str, &mut Value) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.is_empty() {
            return Ok(());
        }
        let all: Vec<&[Segment]> = self.0.iter().map(Vec::as_slice).collect();
        visit(value, &all, &mut String::new(), change)
    }

    /// Whether a place, as a JSON Pointer, is a part of a secret.
    pub(crate) fn has_within(&self, pointer: &str) -> bool {
        let depth = pointer.split('/').count() - 1;
        let shorter = self.0.iter().filter(|pattern| pattern.len() < depth).cloned().collect();
        SecretFields(shorter).concerns(pointer)
    }

    /// Whether a place, as a JSON Pointer, is secret, or within a secret.
    fn covers(&self, pointer: &str) -> bool {
        let depth = pointer.split('/').count() - 1;
        let shorter = self.0.iter().filter(|pattern| pattern.len() <= depth).cloned().collect();
        SecretFields(shorter).concerns(pointer)
    }

    /// Those of these places that are not secret by this alone.
    pub(crate) fn beside(&self, mut places: Vec<String>) -> SecretFields {
        places.retain(|place| !self.covers(place));
        SecretFields::of_places(&places)
    }

    /// Whether a place, as a JSON Pointer, is secret, within a secret, or holds one.
    pub(crate) fn concerns(&self, pointer: &str) -> bool {
        let place: Vec<String> = pointer.split('/').skip(1).map(unescaped).collect();
        let meets = |pattern: &Vec<Segment>| {
            pattern.iter().zip(&place).all(|(segment, name)| match segment {
                Segment::Each => true,
                Segment::Name(own) => own == name,
            })
        };
        self.0.iter().any(meets)
    }
}

fn visit<E>(
    value: &mut Value,
    patterns: &[&[Segment]],
    pointer: &mut String,
    change: &mut dyn FnMut(&str, &mut Value) -> Result<(), E>,
) -> Result<(), E> {
    if patterns.iter().any(|pattern| pattern.is_empty()) {
        return change(pointer, value);
    }
    let mut below = |name: &str, child: &mut Value| {
        let meet = |pattern: &&[Segment]| match pattern.split_first() {
            Some((Segment::Name(own), _)) => own == name,
            Some((Segment::Each, _)) => true,
            None => false,
        };
        let rest: Vec<&[Segment]> =
            patterns.iter().copied().filter(meet).map(|pattern| &pattern[1..]).collect();
        if rest.is_empty() {
            return Ok(());
        }
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&escaped(name));
        let done = visit(child, &rest, pointer, change);
        pointer.truncate(length);
        done
    };
    match value {
        Value::Object(fields) => fields.iter_mut().try_for_each(|(name, child)| below(name, child)),
        Value::Array(entries) => {
            entries.iter_mut().enumerate().try_for_each(|(index, child)| below(&index.to_string(), child))
        }
        _ => Ok(()),
    }
}

pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn unescaped(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

fn segments(pattern: &str) -> Result<Vec<Segment>, String> {
    if pattern == "*" {
        return Ok(Vec::new());
    }
    let wrong = || {
        format!(
            "{:?} names no secret field: `*` for everything, or a JSON Pointer such as /recipient/email or \
             /recipients/*/email is needed",
            pattern.chars().take(100).collect::<String>()
        )
    };
    if !pattern.starts_with('/') || pattern.len() > 255 {
        return Err(wrong());
    }
    let segment = |name: &str| match name {
        "*" => Segment::Each,
        name => Segment::Name(unescaped(name)),
    };
    Ok(pattern.split('/').skip(1).map(segment).collect())
}

/// A walk through a schema.
struct Walk<'s> {
    root: &'s Value,
    /// The references that are being followed.
    refs: Vec<&'s str>,
    found: &'s mut Vec<Vec<Segment>>,
}

impl<'s> Walk<'s> {
    fn schema(&mut self, schema: &'s Value, at: &mut Vec<Segment>, depth: usize) {
        let Some(fields) = schema.as_object() else { return };
        if fields.get(MARK).is_some_and(|mark| *mark == Value::Bool(true)) {
            self.found.push(at.clone());
            return;
        }
        if depth >= MAX_DEPTH {
            if has_mark(schema, self.root, &mut self.refs.clone(), 0) {
                self.found.push(at.clone());
            }
            return;
        }
        self.reference(fields, at, depth);
        for name in ["allOf", "anyOf", "oneOf"] {
            for inner in fields.get(name).and_then(Value::as_array).into_iter().flatten() {
                self.schema(inner, at, depth + 1);
            }
        }
        for name in ["if", "then", "else"] {
            if let Some(inner) = fields.get(name) {
                self.schema(inner, at, depth + 1);
            }
        }
        for inner in objects(fields, "dependentSchemas").map(|(_, inner)| inner) {
            self.schema(inner, at, depth + 1);
        }
        for (name, inner) in objects(fields, "properties") {
            self.below(inner, Segment::Name(name.clone()), at, depth);
        }
        for (_, inner) in objects(fields, "patternProperties") {
            self.below(inner, Segment::Each, at, depth);
        }
        for name in [
            "items",
            "additionalProperties",
            "contains",
            "additionalItems",
            "unevaluatedProperties",
            "unevaluatedItems",
        ] {
            match fields.get(name) {
                Some(Value::Array(inner)) => self.entries(inner, at, depth),
                Some(inner) => self.below(inner, Segment::Each, at, depth),
                None => {}
            }
        }
        if let Some(inner) = fields.get("prefixItems").and_then(Value::as_array) {
            self.entries(inner, at, depth);
        }
    }

    fn entries(&mut self, schemas: &'s [Value], at: &mut Vec<Segment>, depth: usize) {
        for (index, inner) in schemas.iter().enumerate() {
            self.below(inner, Segment::Name(index.to_string()), at, depth);
        }
    }

    fn below(&mut self, schema: &'s Value, segment: Segment, at: &mut Vec<Segment>, depth: usize) {
        at.push(segment);
        self.schema(schema, at, depth + 1);
        at.pop();
    }

    fn reference(&mut self, fields: &'s Map<String, Value>, at: &mut Vec<Segment>, depth: usize) {
        let Some(name) = fields.get("$ref").and_then(Value::as_str) else { return };
        let Some(target) = name.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) else {
            return;
        };
        if self.refs.contains(&name) {
            // A type that holds itself: what is marked in it is so at every depth, so all of this is secret.
            if has_mark(target, self.root, &mut Vec::new(), 0) {
                self.found.push(at.clone());
            }
            return;
        }
        self.refs.push(name);
        self.schema(target, at, depth + 1);
        self.refs.pop();
    }
}

fn objects<'s>(fields: &'s Map<String, Value>, name: &str) -> impl Iterator<Item = (&'s String, &'s Value)> {
    fields.get(name).and_then(Value::as_object).into_iter().flatten()
}

/// Whether anything in a schema, or in what it refers to, is marked.
fn has_mark<'s>(schema: &'s Value, root: &'s Value, refs: &mut Vec<&'s str>, depth: usize) -> bool {
    if depth > 10 * MAX_DEPTH {
        return true;
    }
    match schema {
        Value::Object(fields) => {
            if fields.get(MARK).is_some_and(|mark| *mark == Value::Bool(true)) {
                return true;
            }
            if let Some(name) = fields.get("$ref").and_then(Value::as_str)
                && !refs.contains(&name)
                && let Some(target) = name.strip_prefix('#').and_then(|pointer| root.pointer(pointer))
            {
                refs.push(name);
                if has_mark(target, root, refs, depth + 1) {
                    return true;
                }
            }
            // What is only defined there is not used there.
            let used = fields.iter().filter(|(name, _)| !matches!(name.as_str(), "$defs" | "definitions"));
            used.map(|(_, inner)| inner).any(|inner| has_mark(inner, root, refs, depth + 1))
        }
        Value::Array(inner) => inner.iter().any(|inner| has_mark(inner, root, refs, depth + 1)),
        _ => false,
    }
}

/// The secret values of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TypeSecrets {
    /// Of its payloads.
    pub(crate) payload: SecretFields,
    /// Of its results.
    pub(crate) result: SecretFields,
    /// Whether its jobs are taken only if they are encrypted.
    pub(crate) required: bool,
    /// Whether workers outside are given its payloads, in the clear.
    pub(crate) outside: bool,
}

impl TypeSecrets {
    /// Whether any value is secret.
    pub(crate) fn has_any(&self) -> bool {
        !self.payload.is_empty() || !self.result.is_empty()
    }
}

/// What the configuration says of the secrets of a type, beside what the type's schema marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretsOfType {
    /// Secret values of its payloads: `/body`, `/recipients/*/email`, or `*` for everything.
    pub payload: Vec<String>,
    /// The same of its results.
    pub result: Vec<String>,
    /// Whether its jobs are taken only if there is a key.
    pub required: bool,
    /// Whether its jobs may go to workers outside, which are given the secrets in the clear.
    pub outside: bool,
}

/// The secrets of types by the types' names.
pub type SecretsByType = BTreeMap<String, SecretsOfType>;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(patterns: &[&str]) -> SecretFields {
        SecretFields::parse(patterns).unwrap()
    }

    fn visited(fields: &SecretFields, mut value: Value) -> (Vec<String>, Value) {
        let mut seen = Vec::new();
        fields
            .visit::<()>(&mut value, &mut |pointer, value| {
                seen.push(pointer.to_owned());
                *value = json!("*");
                Ok(())
            })
            .unwrap();
        (seen, value)
    }

    #[test]
    fn each_secret_value_is_met_once() {
        let payload =
            || json!({"a": 1, "b": [{"c": 2, "d": 3}, {"c": 4}], "x/y": {"~": 5}, "e": {"f": {"g": 6}}});
        let (seen, value) = visited(&fields(&["/b/*/c", "/x~1y/~0", "/e", "/e/f/g", "/gone"]), payload());
        assert_eq!(seen, ["/b/0/c", "/b/1/c", "/e", "/x~1y/~0"]);
        assert_eq!(
            value,
            json!({"a": 1, "b": [{"c": "*", "d": 3}, {"c": "*"}], "x/y": {"~": "*"}, "e": "*"})
        );
        assert_eq!(visited(&fields(&["*"]), payload()), (vec![String::new()], json!("*")));
        assert_eq!(visited(&fields(&["/b/1/c"]), payload()).0, ["/b/1/c"]);
        assert_eq!(visited(&SecretFields::default(), payload()).0, [""; 0]);
    }

    #[test]
    fn what_names_no_field_is_refused() {
        for wrong in ["", "a", "a/b", "**"] {
            assert!(SecretFields::parse(&[wrong]).unwrap_err().contains("secret field"), "{wrong}");
        }
        assert!(SecretFields::parse(&vec!["/a"; MAX_FIELDS + 1]).is_err());
    }

    #[test]
    fn places_around_a_secret_concern_it() {
        let fields = fields(&["/a/*/b"]);
        for concerned in ["", "/a", "/a/0", "/a/0/b", "/a/0/b/c"] {
            assert!(fields.concerns(concerned), "{concerned}");
        }
        assert!(fields.has_within("/a/0/b/c") && !fields.has_within("/a/0/b") && !fields.has_within("/a"));
        assert!(SecretFields::parse(&["*"]).unwrap().has_within("/a"));
        for other in ["/b", "/a/0/c", "/ab"] {
            assert!(!fields.concerns(other), "{other}");
        }
    }

    #[test]
    fn a_schema_says_where_its_marks_are() {
        let secret = || json!({"type": "string", "x-secret": true});
        let schema = json!({
            "properties": {
                "plain": {"type": "string"},
                "off": {"type": "string", "x-secret": false},
                "own": secret(),
                "list": {"type": "array", "items": {"$ref": "#/$defs/Person"}},
                "pair": {"prefixItems": [{"type": "string"}, secret()]},
                "map": {"additionalProperties": secret()},
                "either": {"anyOf": [{"$ref": "#/$defs/Person"}, {"type": "null"}]},
                "tree": {"$ref": "#/$defs/Tree"},
                "bush": {"$ref": "#/$defs/Bush"},
            },
            "$defs": {
                "Person": {"properties": {"name": {"type": "string"}, "email": secret()}},
                "Tree": {"properties": {"leaf": secret(), "left": {"$ref": "#/$defs/Tree"}}},
                "Bush": {"properties": {"leaf": {"type": "string"}, "left": {"$ref": "#/$defs/Bush"}}},
            },
        });
        let found = SecretFields::of_schema(&schema);
        let expected =
            ["/either/email", "/list/*/email", "/map/*", "/own", "/pair/1", "/tree/leaf", "/tree/left"];
        assert_eq!(found.patterns(), expected);
        assert!(SecretFields::of_schema(&json!({"x-secret": true, "type": "object"})).is_whole());
        assert!(SecretFields::of_schema(&json!(true)).is_empty());
    }

    #[test]
    fn deep_schemas_are_secret_from_where_they_are_not_followed() {
        let mut schema = json!({"x-secret": true});
        for _ in 0..40 {
            schema = json!({"properties": {"a": schema}});
        }
        let found = SecretFields::of_schema(&schema).patterns();
        assert_eq!(found, ["/a".repeat(MAX_DEPTH)]);
    }
}
