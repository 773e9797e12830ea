//! How values become settings, and settings text.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::byte_size::{self, ByteSize};
use crate::choice::Choice;
use crate::document::{self, Node, Value};
use crate::duration;
use crate::key::{quoted, shortened};
use crate::schema::nearest;

/// What a value is not, where, and what helps.
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) span: Range<usize>,
}

/// A type of setting.
pub(crate) trait Setting: Clone + Send + Sync + Sized + 'static {
    /// Whether its values are, or hold, secrets.
    const SECRET: bool = false;

    /// Reads it; the error has everything that is wrong.
    fn read(node: &Node) -> Result<Self, Vec<Fault>>;

    /// Writes it as TOML, with secrets masked.
    fn render(&self) -> String;
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>, node: &Node) -> Self {
        Self { message: message.into(), help: None, span: node.span.clone() }
    }

    fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A value of another type than the expected one.
    fn mismatch(expected: &str, node: &Node) -> Self {
        let found = match &node.value {
            // Meant for another key, and it may hold a password.
            Value::Untyped(text) | Value::String(text) if text.contains("://") && text.contains('@') => {
                "a URL".to_owned()
            }
            Value::Untyped(text) | Value::String(text) => quoted(&shortened(text)),
            Value::Integer(number) => format!("the integer {number}"),
            Value::Float(number) => format!("the number {number:?}"),
            other => other.type_name().to_owned(),
        };
        Self::new(format!("expected {expected}, found {found}"), node)
    }
}

impl From<Fault> for Vec<Fault> {
    fn from(fault: Fault) -> Self {
        vec![fault]
    }
}

/// The text of a string. Text without a type is taken as it stands, unless it is a TOML string in its quotes.
pub(crate) fn text(node: &Node) -> Option<Cow<'_, str>> {
    match &node.value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Untyped(text) => match document::parse_value(text) {
            Some(Value::String(text)) => Some(Cow::Owned(text)),
            _ => Some(Cow::Borrowed(text)),
        },
        _ => None,
    }
}

/// A value that is no string. Text without a type is read as TOML, if it is.
pub(crate) fn typed(node: &Node) -> Cow<'_, Node> {
    match &node.value {
        Value::Untyped(text) => match document::parse_value(text) {
            Some(value) => Cow::Owned(Node { value, span: node.span.clone() }),
            None => Cow::Borrowed(node),
        },
        _ => Cow::Borrowed(node),
    }
}

impl Setting for String {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        match text(node) {
            Some(text) => Ok(text.into_owned()),
            None => Err(Fault::mismatch("a string", node).into()),
        }
    }

    fn render(&self) -> String {
        quoted(self)
    }
}

impl Setting for PathBuf {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let Some(text) = text(node) else {
            return Err(Fault::mismatch("a path of at least one character", node).into());
        };
        if text.is_empty() || text.contains('\0') {
            return Err(Fault::mismatch("a path of at least one character", node).into());
        }
        Ok(Self::from(text.as_ref()))
    }

    fn render(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}

/// A secret never says what was found in its place.
impl Setting for SecretString {
    const SECRET: bool = true;

    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let Some(text) = text(node) else {
            return Err(
                Fault::new(format!("expected a string, found {}", node.value.type_name()), node).into()
            );
        };
        const LONGEST: usize = 1024;
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message =
                "expected 1 to 1024 visible ASCII characters without spaces (it travels in an HTTP header)";
            return Err(Fault::new(message, node).into());
        }
        Ok(Self::from(text.into_owned()))
    }

    fn render(&self) -> String {
        "\"***\"".to_owned()
    }
}

/// None is an empty string.
impl<T: Setting> Setting for Option<T> {
    const SECRET: bool = T::SECRET;

    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        if text(node).is_some_and(|text| text.is_empty()) { Ok(None) } else { T::read(node).map(Some) }
    }

    fn render(&self) -> String {
        self.as_ref().map_or_else(|| "\"\"".to_owned(), T::render)
    }
}

/// Text without a type is a TOML array, or else a list with commas.
impl<T: Setting> Setting for Vec<T> {
    const SECRET: bool = T::SECRET;

    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let node = typed(node);
        let items = match &node.value {
            Value::Array(items) => Cow::Borrowed(items),
            Value::Untyped(text)
                if ["[\"", "['", "[{", "{"].iter().any(|start| text.trim_start().starts_with(start)) =>
            {
                return Err(Fault::new("it looks like TOML, but is no TOML value", &node).into());
            }
            Value::Untyped(text) => Cow::Owned(listed(text)),
            // A variable or flag may hold one item as a TOML string; only a string in a file has a place.
            Value::String(text) if node.span.is_empty() => Cow::Owned(listed(text)),
            _ => {
                return Err(Fault::new(
                    format!("expected an array, found {}", node.value.type_name()),
                    &node,
                )
                .into());
            }
        };
        let mut read = Vec::with_capacity(items.len());
        let mut faults = Vec::new();
        for item in items.iter() {
            match T::read(item) {
                Ok(value) => read.push(value),
                Err(more) => faults.extend(more),
            }
        }
        if faults.is_empty() { Ok(read) } else { Err(faults) }
    }

    fn render(&self) -> String {
        format!("[{}]", self.iter().map(T::render).collect::<Vec<_>>().join(", "))
    }
}

/// The items of a list with commas; empty ones are none.
fn listed(text: &str) -> Vec<Node> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| Node::untyped(item.to_owned())).collect()
}

impl Setting for SocketAddr {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        const EXPECTED: &str = "an address with a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"";
        let fault = || Fault::mismatch(EXPECTED, node);
        let text = text(node).ok_or_else(fault)?;
        text.trim().parse().map_err(|_| {
            let port = text.trim().strip_prefix("localhost:").or_else(|| text.trim().strip_prefix(':'));
            let fault = fault();
            match port {
                Some(port) if port.parse::<u16>().is_ok() => fault
                    .with_help(format!("names are not looked up; did you mean \"127.0.0.1:{port}\"?"))
                    .into(),
                _ => fault.into(),
            }
        })
    }

    fn render(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Setting for bool {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        match typed(node).value {
            Value::Boolean(value) => Ok(value),
            _ => Err(Fault::mismatch("true or false", node).into()),
        }
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

macro_rules! whole_number {
    ($($type:ty),+) => {
        $(impl Setting for $type {
            fn read(node: &Node) -> Result<Self, Vec<Fault>> {
                match typed(node).value {
                    Value::Integer(number) => Self::try_from(number).map_err(|_| {
                        let most = Self::MAX;
                        Fault::new(format!("expected a whole number from 0 to {most}"), node).into()
                    }),
                    _ => Err(Fault::mismatch("a whole number", node).into()),
                }
            }

            fn render(&self) -> String {
                self.to_string()
            }
        })+
    };
}

whole_number!(u32, u64, usize);

impl Setting for i16 {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        match typed(node).value {
            Value::Integer(number) => Self::try_from(number).map_err(|_| {
                let (least, most) = (Self::MIN, Self::MAX);
                Fault::new(format!("expected a whole number from {least} to {most}"), node).into()
            }),
            _ => Err(Fault::mismatch("a whole number", node).into()),
        }
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

impl Setting for f64 {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        match typed(node).value {
            Value::Float(number) if number.is_finite() => Ok(number),
            Value::Integer(number) => Ok(number as f64),
            _ => Err(Fault::mismatch("a number", node).into()),
        }
    }

    fn render(&self) -> String {
        format!("{self:?}")
    }
}

impl Setting for Duration {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let fault = || Fault::mismatch(duration::EXPECTED, node);
        if let Value::Integer(number) = typed(node).value {
            let help = format!("a number alone has no unit; for seconds write \"{number}s\"");
            return Err(fault().with_help(help).into());
        }
        let text = text(node).ok_or_else(fault)?;
        duration::parse(&text).map_err(|reason| fault().with_help(reason).into())
    }

    fn render(&self) -> String {
        quoted(&duration::render(*self))
    }
}

/// A whole number is a number of bytes.
impl Setting for ByteSize {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let fault = || Fault::mismatch(byte_size::EXPECTED, node);
        if let Value::Integer(number) = typed(node).value {
            return u64::try_from(number).map(Self::from_bytes).map_err(|_| fault().into());
        }
        let text = text(node).ok_or_else(fault)?;
        text.parse().map_err(|reason: byte_size::ParseSizeError| fault().with_help(reason.to_string()).into())
    }

    fn render(&self) -> String {
        quoted(&self.to_string())
    }
}

impl<T: Choice + std::fmt::Display + Send + Sync> Setting for T {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let words = || T::ALL.iter().map(|(word, _)| *word);
        let text = text(node);
        if let Some((_, value)) = T::ALL.iter().find(|(word, _)| text.as_deref() == Some(word)) {
            return Ok(*value);
        }
        let expected = format!("one of {}", words().map(quoted).collect::<Vec<_>>().join(", "));
        let fault = Fault::mismatch(&expected, node);
        Err(match text.as_deref().and_then(|text| nearest(text, words())) {
            Some(near) => fault.with_help(format!("did you mean {}?", quoted(near))).into(),
            None => fault.into(),
        })
    }

    fn render(&self) -> String {
        quoted(&self.to_string())
    }
}
