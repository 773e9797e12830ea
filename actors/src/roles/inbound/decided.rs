//! What is decided about a message.

/// What is decided about a message, each with a reason in one word, for the metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decided {
    /// It is done with.
    Done(&'static str),
    /// Nothing can be done now, for this reason in words.
    Later(&'static str, String),
    /// It is invalid, for this reason in words.
    Invalid(&'static str, String),
}

impl Decided {
    /// What is decided, in one word.
    pub(super) fn verdict(&self) -> &'static str {
        match self {
            Decided::Done(_) => "done",
            Decided::Later(..) => "later",
            Decided::Invalid(..) => "invalid",
        }
    }

    pub(super) fn reason(&self) -> &'static str {
        match self {
            Decided::Done(reason) | Decided::Later(reason, _) | Decided::Invalid(reason, _) => reason,
        }
    }
}
