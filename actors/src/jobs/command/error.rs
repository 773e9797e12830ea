//! Why a command gave no output, or not all of it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::allow_list::Refusal;
use super::output::CommandOutput;
use super::request::InvalidRequest;

/// Why [`CommandRunner::run`](super::CommandRunner::run) did not see a program to its own end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The program may not run here.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The request is out of bounds.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// The folder of the attempt could not be made.
    #[error("the folder {} could not be made: {source}", path.display())]
    Workspace {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The job's name cannot be a folder's: it must be 1 to 64 letters, digits and `-`.
    #[error("the job name {0} cannot be a folder's; it must be 1 to 64 letters, digits and `-`")]
    BadJobName(String),
    /// The program could not be executed.
    #[error("program {program} could not be executed ({step}): {message}")]
    NotStarted {
        /// The path of the program.
        program: String,
        /// What failed.
        step: String,
        /// What the system said.
        message: String,
        /// The system's error number, if it was the system that refused.
        errno: Option<i32>,
    },
    /// The program ran longer than it may and was ended.
    #[error("the program was ended after {} ms", after.as_millis())]
    TimedOut {
        /// How long it was given.
        after: Duration,
        /// How it ended and what it wrote until then.
        output: Box<CommandOutput>,
    },
    /// The attempt was cancelled and the program ended.
    #[error("the program was ended because the attempt was cancelled")]
    Cancelled {
        /// How it ended and what it wrote until then; none if it had not been started.
        output: Option<Box<CommandOutput>>,
    },
    /// The shim could not be started, or died, or did not answer. Nothing of the program is left.
    #[error("the shim failed: {0}")]
    Shim(String),
    /// Programs can be run on Linux only.
    #[error("programs can be run on Linux only")]
    Unsupported,
}

impl CommandError {
    /// Whether the same request will fail in the same way again, so that a retry is pointless.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Invalid(_) | Self::BadJobName(_) | Self::Unsupported)
    }
}
