//! How a job says that something went wrong.

use std::{error::Error, fmt, fmt::Write as _, time::Duration};

use callboard_contracts::api::FieldError;

/// Why an attempt failed, or how else it came to its end before the job was done.
///
/// `?` turns every [`std::error::Error`] into one, with its sources in the text; such an attempt is tried again as the
/// retry policy says.
#[derive(Clone, PartialEq, Eq)]
pub struct JobError {
    message: String,
    then: Then,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Another attempt, if any is left, when the retry policy says.
    Retry,
    /// Another attempt, if any is left, after this time.
    RetryAfter(Duration),
    /// No other attempt.
    Nothing,
    /// This attempt again, after this time.
    Continue(Duration),
}

/// The shortest time that a job can be put off for.
const SHORTEST_SNOOZE: Duration = Duration::from_millis(100);

impl JobError {
    /// The attempt failed; another one may succeed.
    pub fn retry(message: impl Into<String>) -> Self {
        JobError { message: message.into(), then: Then::Retry }
    }

    /// The attempt failed; another one may succeed after `delay`, whatever the retry policy says of the time between
    /// attempts. For services that say when they can be asked again.
    pub fn retry_after(message: impl Into<String>, delay: Duration) -> Self {
        JobError { message: message.into(), then: Then::RetryAfter(delay) }
    }

    /// The attempt failed, and another one would too: the job is dead at once, whatever attempts it has left.
    pub fn fatal(message: impl Into<String>) -> Self {
        JobError { message: message.into(), then: Then::Nothing }
    }

    /// Nothing failed, but the job cannot be done now: it is `scheduled` and runs again after `delay`, at least 100 ms.
    /// The attempt does not count, so a job can do this for ever.
    ///
    /// ```
    /// use std::time::Duration;
    /// use callboard_actors::jobs::JobError;
    /// # fn is_ready() -> bool { false }
    /// # fn run() -> Result<(), JobError> {
    /// if !is_ready() {
    ///     return Err(JobError::snooze(Duration::from_secs(60)));
    /// }
    /// # Ok(())
    /// # }
    /// # assert!(!run().unwrap_err().is_final());
    /// ```
    pub fn snooze(delay: Duration) -> Self {
        let delay = delay.max(SHORTEST_SNOOZE);
        JobError { message: format!("to be continued in {delay:?}"), then: Then::Continue(delay) }
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether another attempt is of no use.
    pub fn is_final(&self) -> bool {
        self.then == Then::Nothing
    }

    pub(crate) fn into_parts(self) -> (String, Then) {
        (self.message, self.then)
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.then {
            Then::Retry | Then::RetryAfter(_) => "Retry",
            Then::Nothing => "Fatal",
            Then::Continue(_) => "Snooze",
        };
        f.debug_struct(name).field("message", &self.message).finish()
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
        JobError::retry(message)
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
