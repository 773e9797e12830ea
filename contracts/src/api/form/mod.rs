//! Forms: what a person is asked for to make a job of a type.

mod entries;
mod of_schema;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// Fields of a form at most; a schema that has more is asked for as one JSON text.
pub const MAX_FORM_FIELDS: usize = 200;

/// What a person is asked for to make the payload of a job: the fields of its type's schema, those first that must be
/// there.
///
/// [`Form::of`] makes it from a schema, and [`Form::payload`] makes a payload of what was entered. What a form cannot ask
/// for field by field it asks for as JSON, so there is a form for each type.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use callboard_contracts::api::Form;
/// use serde_json::json;
///
/// let form = Form::of(&json!({
///     "type": "object",
///     "properties": { "ms": { "type": "integer", "minimum": 0, "description": "How long." } },
///     "required": ["ms"],
/// }));
/// assert_eq!(form.fields[0].pointer, "/ms");
/// let payload = form.payload(&BTreeMap::from([("/ms".to_owned(), "250".to_owned())]));
/// assert_eq!(payload, Ok(json!({ "ms": 250 })));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Form {
    /// Its fields. Of one with an empty pointer the value is the whole payload.
    pub fields: Vec<FormField>,
    /// The objects that are always there, as JSON Pointers, those that hold others first: also when nothing of them is entered. One
    /// within a part that may be left out is there when that part is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
}

/// A field of a form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FormField {
    /// Where its value is in the payload, as a JSON Pointer.
    pub pointer: String,
    /// What it is called.
    pub label: String,
    /// What it means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Whether there is no payload without it.
    pub required: bool,
    /// The part of the payload that may be left out, but not without this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_within: Option<String>,
    /// Whether it is not to be shown while it is entered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// What holds when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// What is entered.
    #[serde(flatten)]
    pub control: FormControl,
}

/// What is entered into a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "control", rename_all = "snake_case")]
pub enum FormControl {
    /// A text.
    Text {
        /// What kind of text, in the words of JSON Schema, such as `date-time`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
        /// Characters at least.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_length: Option<u64>,
        /// Characters at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_length: Option<u64>,
        /// The regular expression that it fits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pattern: Option<String>,
    },
    /// A whole number.
    Integer {
        /// The least one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<i64>))]
        minimum: Option<Number>,
        /// The greatest one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
        maximum: Option<Number>,
    },
    /// A number.
    Number {
        /// The least one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<f64>))]
        minimum: Option<Number>,
        /// The greatest one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<f64>))]
        maximum: Option<Number>,
    },
    /// Yes or no: `true` or `false`.
    Boolean,
    /// One of these.
    Choice {
        /// The values there are.
        values: Vec<Value>,
    },
    /// Texts, one a line.
    Texts,
    /// Anything, as JSON.
    Json,
}

impl Form {
    /// The form for a JSON Schema of a payload, as `schemars` makes it.
    pub fn of(payload_schema: &Value) -> Self {
        of_schema::form(payload_schema)
    }
}
