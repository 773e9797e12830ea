//! [`StopReason`].

use std::fmt;

/// Why an actor or a supervisor ended.
///
/// ```
/// use callboard_supervisors::StopReason;
///
/// let panicked = StopReason::Panicked { message: Some("shop::Sell"), payload: "no soap".to_owned() };
/// assert_eq!(panicked.to_string(), "panicked in shop::Sell: no soap");
/// let escalated = StopReason::Escalated { child: "clerk".to_owned(), reason: Box::new(panicked) };
/// assert_eq!(escalated.to_string(), "gave up on `clerk` (panicked in shop::Sell: no soap)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// It called [`Context::stop`](crate::Context::stop).
    Normal,
    /// It was asked to stop, by somebody or by its supervisor.
    Shutdown,
    /// It did not stop in time, or was killed, or its executor went away.
    Killed,
    /// It panicked.
    Panicked {
        /// The type of the message in hand; none in a timer, a spawned future or a hook.
        message: Option<&'static str>,
        /// The panic's text.
        payload: String,
    },
    /// [`Actor::start`](crate::Actor::start) returned this error, or a child of the supervisor did not start.
    StartFailed(String),
    /// A supervisor gave up: a child ended more often than its intensity allows.
    Escalated {
        /// The child's name.
        child: String,
        /// Why the child ended the last time.
        reason: Box<StopReason>,
    },
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopReason::Normal => f.write_str("stopped by itself"),
            StopReason::Shutdown => f.write_str("stopped in order"),
            StopReason::Killed => f.write_str("killed"),
            StopReason::Panicked { message: Some(message), payload } => {
                write!(f, "panicked in {message}: {payload}")
            }
            StopReason::Panicked { message: None, payload } => write!(f, "panicked: {payload}"),
            StopReason::StartFailed(error) => write!(f, "did not start: {error}"),
            StopReason::Escalated { child, reason } => write!(f, "gave up on `{child}` ({reason})"),
        }
    }
}
