//! A root span for each message, which follows from the span of whoever sent it.
//!
//! A span within the sender's would nest without end where actors answer each other, and would stay open as long as the
//! conversation lasts.

use tracing::{Id, Level, Span};

use crate::label::Label;

/// Spans of messages have this target, and the level `TRACE`.
const TARGET: &str = "callboard::message";

/// The span in which a message was sent.
#[derive(Default)]
pub(crate) struct Sender(Option<Id>);

impl Sender {
    /// Whoever sends on this thread now.
    #[inline]
    pub(crate) fn here() -> Self {
        if spans_are_on() { Sender(Span::current().id()) } else { Sender(None) }
    }
}

/// Whether anybody wants to see spans of messages. About a nanosecond when nobody does.
#[inline]
pub(crate) fn spans_are_on() -> bool {
    tracing::enabled!(target: TARGET, Level::TRACE)
}

/// The span in which a message is handled, if anybody wants to see it.
#[inline]
pub(crate) fn span_of(label: &Label, path: impl FnOnce() -> String, sender: Sender) -> Option<Box<Span>> {
    if !spans_are_on() {
        return None;
    }
    let span =
        tracing::trace_span!(target: TARGET, parent: None, "message", actor = path(), kind = label.name());
    span.follows_from(sender.0);
    Some(Box::new(span))
}
