//! From a JSON Schema to the fields of a form.

use serde_json::{Map, Number, Value};

use super::{Form, FormControl, FormField, MAX_FORM_FIELDS};

/// How far references are followed and objects entered; schemas of types that hold themselves have no end.
const MAX_DEPTH: usize = 16;
/// The mark by which a schema says that a value is not to be shown.
const SECRET_MARK: &str = "x-secret";

pub(super) fn form(schema: &Value) -> Form {
    let mut walk = Walk { definitions: schema, fields: Vec::new(), objects: Vec::new(), full: false };
    let root = walk.resolved(schema);
    walk.part(&root, &Place::default(), 0);
    if walk.full {
        walk.fields = vec![field(&root, &Place::default())];
        walk.objects.clear();
    }
    walk.fields.sort_by_key(|field| !field.required);
    Form { fields: walk.fields, objects: walk.objects }
}

/// Where in the payload a schema is.
#[derive(Clone, Debug, Default)]
struct Place {
    pointer: String,
    name: String,
    required: bool,
    required_within: Option<String>,
}

struct Walk<'a> {
    definitions: &'a Value,
    fields: Vec<FormField>,
    objects: Vec<String>,
    full: bool,
}

impl Walk<'_> {
    /// Adds the fields of one part of the payload.
    fn part(&mut self, schema: &Map<String, Value>, place: &Place, depth: usize) {
        if self.fields.len() >= MAX_FORM_FIELDS {
            self.full = true;
            return;
        }
        match enterable(schema).filter(|_| depth < MAX_DEPTH) {
            Some(properties) => self.object(schema, properties, place, depth),
            None => {
                let control = control(schema);
                self.fields.push(FormField { control, ..field(schema, place) });
            }
        }
    }

    fn object(
        &mut self,
        schema: &Map<String, Value>,
        properties: Vec<(&String, &Value)>,
        place: &Place,
        depth: usize,
    ) {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if place.required || place.required_within.is_some() {
            self.objects.push(place.pointer.clone());
        }
        // What may be left out as a whole asks for its own fields only when something of it is given.
        let optional = !place.pointer.is_empty() && !place.required;
        let within = optional.then(|| place.required_within.clone().unwrap_or_else(|| place.pointer.clone()));
        for (name, of) in properties {
            let needed = required.contains(&name.as_str());
            let (resolved, nullable) = without_null(self.resolved(of), |of| self.resolved(of));
            let inner = Place {
                pointer: format!("{}/{}", place.pointer, name.replace('~', "~0").replace('/', "~1")),
                name: name.clone(),
                required: needed && !nullable && within.is_none(),
                required_within: within.clone().filter(|_| needed && !nullable),
            };
            self.part(&resolved, &inner, depth + 1);
        }
    }

    /// The schema with its references put in; what stands beside a reference stays above it.
    fn resolved(&self, schema: &Value) -> Map<String, Value> {
        let mut resolved = schema.as_object().cloned().unwrap_or_default();
        for _ in 0..MAX_DEPTH {
            let next = match (resolved.remove("$ref"), resolved.get("allOf").and_then(Value::as_array)) {
                (Some(reference), _) => reference
                    .as_str()
                    .and_then(|reference| self.definitions.pointer(reference.strip_prefix('#')?))
                    .cloned(),
                (None, Some(all)) if all.len() == 1 => {
                    let only = all.first().cloned();
                    resolved.remove("allOf");
                    only
                }
                _ => return resolved,
            };
            let Some(Value::Object(below)) = next else { return resolved };
            for (key, value) in below {
                resolved.entry(key).or_insert(value);
            }
        }
        resolved
    }
}

/// The properties of an object that has these and no others that a form would have to ask for.
fn enterable(schema: &Map<String, Value>) -> Option<Vec<(&String, &Value)>> {
    let branches = ["oneOf", "anyOf", "allOf", "not", "if", "patternProperties", "enum", "const"];
    if schema.get("type")?.as_str()? != "object" || branches.iter().any(|key| schema.contains_key(*key)) {
        return None;
    }
    match (schema.get("properties").and_then(Value::as_object), schema.get("additionalProperties")) {
        (Some(properties), None | Some(Value::Bool(false))) => Some(properties.iter().collect()),
        (None, Some(Value::Bool(false))) => Some(Vec::new()),
        _ => None,
    }
}

/// The schema without the possibility of null, and whether it had one.
fn without_null(
    mut schema: Map<String, Value>,
    resolved: impl Fn(&Value) -> Map<String, Value>,
) -> (Map<String, Value>, bool) {
    let is_null = |schema: &Value| schema.get("type").and_then(Value::as_str) == Some("null");
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        let before = types.len();
        types.retain(|name| name != "null");
        let had = types.len() < before;
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
        if had && let Some(Value::Array(values)) = schema.get_mut("enum") {
            values.retain(|value| !value.is_null());
        }
        return (schema, had);
    }
    for key in ["anyOf", "oneOf"] {
        let Some(Value::Array(branches)) = schema.get(key) else { continue };
        let others: Vec<Value> = branches.iter().filter(|branch| !is_null(branch)).cloned().collect();
        if others.len() == branches.len() {
            continue;
        }
        match others.as_slice() {
            [only] => {
                let only = resolved(only);
                schema.remove(key);
                for (name, value) in only {
                    schema.entry(name).or_insert(value);
                }
            }
            _ => drop(schema.insert(key.to_owned(), Value::Array(others))),
        }
        return (schema, true);
    }
    (schema, false)
}

fn field(schema: &Map<String, Value>, place: &Place) -> FormField {
    let text = |key: &str| schema.get(key).and_then(Value::as_str).map(str::to_owned);
    FormField {
        pointer: place.pointer.clone(),
        label: if place.pointer.is_empty() { "payload".to_owned() } else { place.name.clone() },
        help: text("description").or_else(|| text("title").filter(|_| !place.pointer.is_empty())),
        required: place.required,
        required_within: place.required_within.clone(),
        secret: schema.get(SECRET_MARK) == Some(&Value::Bool(true)),
        default: schema.get("default").filter(|default| !default.is_null()).cloned(),
        control: FormControl::Json,
    }
}

fn control(schema: &Map<String, Value>) -> FormControl {
    if let Some(values) = choice(schema) {
        return FormControl::Choice { values };
    }
    let number = |key: &str| match schema.get(key) {
        Some(Value::Number(number)) => Some(whole(number)),
        _ => None,
    };
    let length = |key: &str| schema.get(key).and_then(Value::as_u64);
    let text = |key: &str| schema.get(key).and_then(Value::as_str).map(str::to_owned);
    // What must also hold, besides the type, a form does not know how to ask for.
    let plain = !["oneOf", "anyOf", "allOf", "not", "if"].iter().any(|key| schema.contains_key(*key));
    match schema.get("type").and_then(Value::as_str).filter(|_| plain) {
        Some("string") => FormControl::Text {
            format: text("format"),
            min_length: length("minLength"),
            max_length: length("maxLength"),
            pattern: text("pattern"),
        },
        Some("integer") => FormControl::Integer { minimum: number("minimum"), maximum: number("maximum") },
        Some("number") => FormControl::Number { minimum: number("minimum"), maximum: number("maximum") },
        Some("boolean") => FormControl::Boolean,
        Some("array") if texts(schema) => FormControl::Texts,
        _ => FormControl::Json,
    }
}

/// `0.0`, as some generators write a whole number's bound, is `0`.
fn whole(number: &Number) -> Number {
    match number.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "it is a whole number within the range")]
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
            Number::from(float as i64)
        }
        _ => number.clone(),
    }
}

/// The values of a schema that lists them: by `enum`, by `const`, or by alternatives that are such.
fn choice(schema: &Map<String, Value>) -> Option<Vec<Value>> {
    if let Some(Value::Array(values)) = schema.get("enum") {
        return Some(values.clone());
    }
    if let Some(value) = schema.get("const") {
        return Some(vec![value.clone()]);
    }
    let branches = schema.get("oneOf").or_else(|| schema.get("anyOf"))?.as_array()?;
    let values: Option<Vec<Vec<Value>>> =
        branches.iter().map(|branch| branch.as_object().and_then(choice)).collect();
    values.map(|values| values.into_iter().flatten().collect())
}

/// Whether an array has texts that can stand on lines.
fn texts(schema: &Map<String, Value>) -> bool {
    let items = schema.get("items").and_then(Value::as_object);
    items.is_some_and(|items| {
        items.get("type").and_then(Value::as_str) == Some("string") && !items.contains_key("enum")
    }) && !schema.contains_key("prefixItems")
}

#[cfg(test)]
mod tests {
    use schemars::{JsonSchema, schema_for};
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    fn of<T: JsonSchema>() -> Form {
        form(&schema_for!(T).to_value())
    }

    fn lines(form: &Form) -> Vec<String> {
        let line = |field: &FormField| {
            let control = serde_json::to_value(&field.control).unwrap();
            let mut line = format!("{} {}", field.pointer, control["control"].as_str().unwrap());
            if field.required {
                line.push_str(" required");
            }
            if let Some(within) = &field.required_within {
                line.push_str(&format!(" within {within}"));
            }
            if let Some(default) = &field.default {
                line.push_str(&format!(" = {default}"));
            }
            line
        };
        form.fields.iter().map(line).collect()
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Letter {
        /// Where it goes.
        to: Address,
        copy: Option<Address>,
        #[serde(default = "three")]
        copies: u8,
        urgent: Option<bool>,
        paper: Paper,
        envelope: Option<Paper>,
        words: Vec<String>,
        pages: Vec<Page>,
        weight: f64,
        #[schemars(extend("x-secret" = true))]
        code: String,
        anything: serde_json::Value,
        marks: std::collections::BTreeMap<String, String>,
        kind: Kind,
    }

    fn three() -> u8 {
        3
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Address {
        /// A street and a number.
        #[schemars(length(min = 1, max = 80))]
        street: String,
        #[serde(rename = "a/b")]
        town: Option<String>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Paper {
        White,
        /// As it grows.
        Brown,
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Page {
        next: Option<Box<Page>>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    #[serde(tag = "kind")]
    enum Kind {
        A { x: u8 },
        B { y: u8 },
    }

    #[test]
    fn the_fields_are_those_of_the_type() {
        assert_eq!(
            lines(&of::<Letter>()),
            [
                "/anything json required",
                "/code text required",
                "/kind json required",
                "/marks json required",
                "/pages json required",
                "/paper choice required",
                "/to/street text required",
                "/weight number required",
                "/words texts required",
                "/copies integer = 3",
                "/copy/a~1b text",
                "/copy/street text within /copy",
                "/envelope choice",
                "/to/a~1b text",
                "/urgent boolean",
            ]
        );
    }

    #[test]
    fn what_the_schema_knows_of_a_field_the_form_says() {
        let form = of::<Letter>();
        let field = |pointer: &str| form.fields.iter().find(|field| field.pointer == pointer).unwrap();
        let street = field("/to/street");
        assert_eq!(
            (street.label.as_str(), street.help.as_deref()),
            ("street", Some("A street and a number."))
        );
        assert_eq!(
            street.control,
            FormControl::Text { format: None, min_length: Some(1), max_length: Some(80), pattern: None }
        );
        assert!(field("/code").secret && !street.secret);
        let values = vec![json!("white"), json!("brown")];
        assert_eq!(field("/paper").control, FormControl::Choice { values: values.clone() });
        assert_eq!(field("/envelope").control, FormControl::Choice { values });
        let bounds = FormControl::Integer { minimum: Some(0.into()), maximum: Some(255.into()) };
        assert_eq!(field("/copies").control, bounds);
    }

    #[test]
    fn what_has_no_fields_to_ask_for_is_asked_for_as_a_whole() {
        #[derive(Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}
        assert_eq!(lines(&of::<Nothing>()), [""; 0]);
        assert_eq!(lines(&of::<Kind>()), [" json"]);
        assert_eq!(lines(&of::<std::collections::BTreeMap<String, u8>>()), [" json"]);
        assert_eq!(lines(&form(&json!(true))), [" json"]);
    }

    #[test]
    fn types_that_hold_themselves_have_an_end() {
        let form = of::<Page>();
        assert!((1..=MAX_FORM_FIELDS).contains(&form.fields.len()), "{form:?}");
        let many: Map<String, Value> =
            (0..=MAX_FORM_FIELDS).map(|n| (format!("f{n}"), json!({"type": "string"}))).collect();
        assert_eq!(lines(&super::form(&json!({"type": "object", "properties": many}))), [" json"]);
        let circle = json!({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}});
        assert_eq!(lines(&super::form(&circle)), [" json"]);
    }
}
