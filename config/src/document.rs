//! TOML as a tree of owned values, each with its place in the text.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and the bytes of the text it was read from; they mean something for files only.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Range<usize>,
}

/// A value. It has no `Debug`, since any of it may be a secret.
#[derive(Clone)]
pub(crate) enum Value {
    /// Text from an environment variable or a flag, whose type is that of the setting it is read as.
    Untyped(String),
    String(String),
    /// Clamped to the range of `i128`, which is beyond that of every setting.
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    Table(Vec<Member>),
    /// A setting that a program has made itself.
    Made(Arc<dyn Any + Send + Sync>),
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            // Text without a type may be meant as a string.
            (Self::Untyped(one) | Self::String(one), Self::Untyped(other) | Self::String(other)) => {
                one == other
            }
            (Self::Integer(one), Self::Integer(other)) => one == other,
            (Self::Float(one), Self::Float(other)) => one == other,
            (Self::Boolean(one), Self::Boolean(other)) => one == other,
            (Self::Datetime, Self::Datetime) => true,
            (Self::Array(one), Self::Array(other)) => one == other,
            (Self::Table(one), Self::Table(other)) => one == other,
            (Self::Made(one), Self::Made(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.node == other.node
    }
}

/// A key with its value, in a table.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) node: Node,
}

/// Something that is no TOML.
pub(crate) struct SyntaxError {
    pub(crate) message: String,
    pub(crate) span: Range<usize>,
}

impl Node {
    /// Text whose type is yet to be found.
    pub(crate) fn untyped(text: String) -> Self {
        Self { value: Value::Untyped(text), span: 0..0 }
    }
}

impl Value {
    /// The name of its type with an article, for messages.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Untyped(_) => "text",
            Self::String(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::Datetime => "a date or time",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
            Self::Made(_) => "a setting of the program",
        }
    }
}

/// Reads a whole file; on errors, all of them.
pub(crate) fn parse(text: &str) -> Result<Vec<Member>, Vec<SyntaxError>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        Ok(members(table.into_inner()))
    } else {
        Err(errors
            .into_iter()
            .map(|error| SyntaxError {
                message: error.message().to_owned(),
                span: error.span().unwrap_or(text.len()..text.len()),
            })
            .collect())
    }
}

/// Reads a single value, as of an environment variable; none when it is no TOML.
pub(crate) fn parse_value(text: &str) -> Option<Value> {
    DeValue::parse(text.trim()).ok().map(|value| node(value).value)
}

fn members(table: DeTable<'_>) -> Vec<Member> {
    table
        .into_iter()
        .map(|(key, value)| Member {
            key_span: key.span(),
            key: key.into_inner().into_owned(),
            node: node(value),
        })
        .collect()
}

fn node(value: Spanned<DeValue<'_>>) -> Node {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Integer(number) => {
            let clamped = if number.as_str().starts_with('-') { i128::MIN } else { i128::MAX };
            Value::Integer(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(clamped))
        }
        // Too many digits for a float are infinite, which no setting is.
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Value::Boolean(value),
        DeValue::Datetime(_) => Value::Datetime,
        DeValue::Array(items) => Value::Array(items.into_iter().map(node).collect()),
        DeValue::Table(table) => Value::Table(members(table)),
    };
    Node { value, span }
}
