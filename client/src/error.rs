//! [`ClientError`].

use std::time::Duration;

use callboard_contracts::api::Problem;

/// Why a call gave no answer. Each text says what is wrong and what would help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address cannot be used. Nothing was sent.
    #[error("{url:?} cannot be used as the server's address: {problem}")]
    Url {
        /// The address.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Nobody answers there. Nothing was carried out.
    #[error(
        "no server answers at {url} ({problem}): start one with `callboard serve`, or give another address"
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
    /// The server asks for a token, or does not know the one that was given (401).
    #[error(
        "{url} {}: its token is the server's setting web.token; give it in the variable CALLBOARD_TOKEN or with \
         --token-file, in a program with ClientBuilder::token",
        if *.given { "does not know this token" } else { "asks for a token" }
    )]
    Unauthorized {
        /// The address.
        url: String,
        /// Whether a token was sent.
        given: bool,
    },
    /// The server says no. With the status 502, 503 or 504 it, or a proxy before it, may have begun to carry the request out.
    #[error("{}: {}", .problem.title, .problem.detail)]
    Refused {
        /// Why. An answer that is no problem of Callboard's, such as a proxy's, has the type `about:blank`.
        problem: Box<Problem>,
        /// When it is worth trying again, if the server says so.
        retry_after: Option<Duration>,
    },
    /// The answer is none of a Callboard server of this version, or larger than allowed.
    #[error("the server's answer cannot be used: {0}")]
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

    /// Whether the server may simply be away for a moment, so that it is worth waiting.
    ///
    /// ```
    /// use callboard_client::ClientError;
    /// let url = "http://127.0.0.1:8080".to_owned();
    /// assert!(ClientError::Unreachable { url: url.clone(), problem: "refused".to_owned() }.is_passing());
    /// assert!(!ClientError::Unauthorized { url, given: false }.is_passing());
    /// ```
    pub fn is_passing(&self) -> bool {
        match self {
            ClientError::Unreachable { .. } | ClientError::Lost { .. } => true,
            ClientError::Refused { problem, .. } => matches!(problem.status, 429 | 502 | 503 | 504),
            ClientError::Url { .. } | ClientError::Unauthorized { .. } | ClientError::Answer(_) => false,
        }
    }

    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            ClientError::Unauthorized { .. } => Some(401),
            ClientError::Refused { problem, .. } => Some(problem.status),
            _ => None,
        }
    }
}
