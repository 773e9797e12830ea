//! How a job says that something went wrong.

use std::{error::Error, fmt, fmt::Write as _};

use callboard_contracts::api::FieldError;

/// Why an attempt failed.
///
/// `?` turns every [`std::error::Error`] into one, with its sources in the text; such an attempt is tried again as the
/// retry policy says.
#[derive(Clone, PartialEq, Eq)]
pub struct JobError {
    message: String,
    is_final: bool,
}

impl JobError {
    /// The attempt failed; another one may succeed.
    pub fn retry(message: impl Into<String>) -> Self {
        JobError { message: message.into(), is_final: false }
    }

    /// The attempt failed, and another one would too: the job is dead at once, whatever attempts it has left.
    pub fn fatal(message: impl Into<String>) -> Self {
        JobError { message: message.into(), is_final: true }
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether another attempt is of no use.
    pub fn is_final(&self) -> bool {
        self.is_final
    }

    pub(crate) fn into_message(self) -> String {
        self.message
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(if self.is_final { "Fatal" } else { "Retry" }).field("message", &self.message).finish()
    }
}

// `JobError` is no `Error` itself, else this would overlap with `From<T> for T`.
impl<E: Error> From<E> for JobError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            // Writing to a `String` does not fail.
            let _ = write!(message, ": {error}");
            source = error.source();
        }
        JobError { message, is_final: false }
    }
}

/// Why a job is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// Its payload does not fit. The pointers begin at the payload.
    #[error("{}", list(.0))]
    Invalid(Vec<FieldError>),
    /// The payload is well formed, but the server does not allow it. The text says what would allow it.
    #[error("{0}")]
    Forbidden(String),
}

impl CheckError {
    /// One field is wrong: where, as a JSON pointer into the payload, and what would be right.
    pub fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        CheckError::Invalid(vec![FieldError { pointer: pointer.into(), message: message.into() }])
    }

    /// The server does not allow it, and what would allow it.
    pub fn forbidden(message: impl Into<String>) -> Self {
        CheckError::Forbidden(message.into())
    }
}

fn list(errors: &[FieldError]) -> String {
    let lines: Vec<String> =
        errors.iter().map(|error| format!("{}: {}", error.pointer, error.message)).collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the letter was not sent")]
    struct Outer(#[source] std::num::ParseIntError);

    #[test]
    fn errors_become_messages_with_their_sources() {
        let fails = || -> Result<(), JobError> { Err(Outer("x".parse::<u8>().unwrap_err()))? };
        let error = fails().unwrap_err();
        assert_eq!(error.message(), "the letter was not sent: invalid digit found in string");
        assert!(!error.is_final());
        assert!(JobError::fatal("no").is_final());
    }
}
