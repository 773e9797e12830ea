//! [`ClientError`].

use std::time::Duration;

use callboard_contracts::api::Problem;

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address cannot be used.
    #[error("{url:?} cannot be used as the server's address: {problem}")]
    Url {
        /// The address.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Nobody answers there.
    #[error(
        "no server answers at {url} ({problem}): start one with `callboard serve`, or name another with --url"
    )]
    Unreachable {
        /// The address.
        url: String,
        /// What the system says.
        problem: String,
    },
    /// The connection was lost, or the answer took too long. Whether the request was carried out is unknown.
    #[error("the connection to {url} was lost: {problem}")]
    Lost {
        /// The address.
        url: String,
        /// What the system says.
        problem: String,
    },
    /// The server says no.
    #[error("{}: {}", .problem.title, .problem.detail)]
    Refused {
        /// Why.
        problem: Box<Problem>,
        /// When it is worth trying again.
        retry_after: Option<Duration>,
    },
    /// The answer is none of a Callboard server of this version.
    #[error("the server's answer cannot be read: {0}")]
    Answer(String),
}

impl ClientError {
    pub(crate) fn reach(url: &str, error: &reqwest::Error) -> Self {
        let mut problem = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(deeper) = cause {
            problem = deeper.to_string();
            cause = deeper.source();
        }
        let url = url.to_owned();
        if error.is_connect() {
            ClientError::Unreachable { url, problem }
        } else {
            ClientError::Lost { url, problem }
        }
    }

    /// Whether the server may simply be away for a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            ClientError::Unreachable { .. } | ClientError::Lost { .. } => true,
            ClientError::Refused { problem, .. } => matches!(problem.status, 408 | 429 | 503),
            ClientError::Url { .. } | ClientError::Answer(_) => false,
        }
    }
}
