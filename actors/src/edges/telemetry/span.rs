//! What a span is.

use callboard_contracts::{Timestamp, TraceContext};

/// Bytes of a text that a span keeps: what a span holds in memory has a bound.
const MAX_TEXT: usize = 512;

/// What a span's work is to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Of nobody's interest outside.
    Internal,
    /// Answers a request.
    Server,
    /// Sets off what happens later.
    Producer,
    /// What was set off before.
    Consumer,
}

/// What a span says of itself under a name.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Attribute::Text(text)
    }
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Attribute::Text(text.to_owned())
    }
}

impl From<i64> for Attribute {
    fn from(number: i64) -> Self {
        Attribute::Number(number)
    }
}

/// What is known of a span at its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Description {
    /// What was done: one of few names, without ids.
    pub name: String,
    /// More about it, under names.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// What went wrong, if it did.
    pub error: Option<String>,
}

impl Description {
    /// Of something that went well.
    pub fn new(name: impl Into<String>) -> Self {
        Description { name: name.into(), ..Description::default() }
    }

    /// With more about it.
    #[must_use]
    pub fn with(mut self, name: &'static str, attribute: impl Into<Attribute>) -> Self {
        self.attributes.push((name, attribute.into()));
        self
    }

    /// Of something that went wrong.
    #[must_use]
    pub fn failed(mut self, error: Option<String>) -> Self {
        self.error = error;
        self
    }

    /// The same with no text longer than a span keeps.
    fn bounded(mut self) -> Self {
        cut(&mut self.name);
        self.error.iter_mut().for_each(cut);
        for (_, attribute) in &mut self.attributes {
            if let Attribute::Text(text) = attribute {
                cut(text);
            }
        }
        self
    }
}

fn cut(text: &mut String) {
    if text.len() > MAX_TEXT {
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        text.shrink_to_fit();
    }
}

/// A span that has ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) context: TraceContext,
    pub(crate) parent: Option<TraceContext>,
    pub(crate) kind: SpanKind,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) description: Description,
}

impl Span {
    pub(super) fn new(
        context: TraceContext,
        parent: Option<TraceContext>,
        kind: SpanKind,
        (start, end): (Timestamp, Timestamp),
        description: Description,
    ) -> Self {
        // The clock may have been set back meanwhile.
        Span { context, parent, kind, start, end: end.max(start), description: description.bounded() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_a_bound() {
        let long = "ä".repeat(MAX_TEXT);
        let span = Description::new(long.clone())
            .with("a", long.clone())
            .with("b", 1_i64)
            .failed(Some(long))
            .bounded();
        assert!(span.name.len() <= MAX_TEXT && span.name.starts_with("ää"));
        assert!(span.error.is_some_and(|error| error.len() <= MAX_TEXT));
        assert!(matches!(&span.attributes[0].1, Attribute::Text(text) if text.len() <= MAX_TEXT));
    }
}
