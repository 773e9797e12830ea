//! Why a request gave no result.

use std::{io, net::IpAddr, time::Duration};

use hyper::StatusCode;
use thiserror::Error;

use super::{InvalidRequest, address::Special};

/// Why [`HttpClient::send`](super::HttpClient::send) gave no result. No text holds a secret or a URL's query.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The request is out of bounds.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// The server does not allow it. The text says what would allow it.
    #[error("{0}")]
    Refused(String),
    /// A header names a secret that is not there or not for this origin.
    #[error("{pointer} {problem}")]
    Secret {
        /// The header, as a JSON pointer into the payload.
        pointer: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The name was not found.
    #[error("{host} could not be resolved: {source}")]
    Unresolved {
        /// The name.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// No connection was made.
    #[error("no connection to {origin}: {source}")]
    Connect {
        /// Where to.
        origin: String,
        /// What the system said.
        source: io::Error,
    },
    /// The connection is not secure, so it was not used.
    #[error("no secure connection to {origin}: {problem}")]
    Tls {
        /// Where to.
        origin: String,
        /// What is wrong.
        problem: String,
    },
    /// The connection broke, or what came is no HTTP.
    #[error("{origin} gave no whole answer: {source}")]
    Broken {
        /// Where to.
        origin: String,
        /// What happened.
        source: hyper::Error,
    },
    /// It took longer than it may.
    #[error("no whole answer from {url} within {limit:?}")]
    TimedOut {
        /// What was asked last.
        url: String,
        /// How long it was given.
        limit: Duration,
    },
    /// The body of the answer is longer than it may be.
    #[error(
        "the answer of {url} has more than {limit} bytes: raise `max_response_bytes`, up to `http.max_response`"
    )]
    TooLarge {
        /// What was asked.
        url: String,
        /// How long it may be.
        limit: usize,
    },
    /// A redirect leads nowhere, or too far.
    #[error("{url} redirects {problem}")]
    Redirect {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The status is none that was expected.
    #[error("{url} answered {status}{}", said(.quote))]
    Status {
        /// What was asked.
        url: String,
        /// The status.
        status: StatusCode,
        /// The beginning of what the answer says.
        quote: String,
        /// When to come again, if the answer says it.
        retry_after: Option<Duration>,
    },
}

fn said(quote: &str) -> String {
    if quote.is_empty() { String::new() } else { format!(": {quote}") }
}

impl HttpError {
    pub(super) fn address(host: &str, address: IpAddr, special: Special) -> Self {
        HttpError::Refused(format!(
            "{host} is at {address}, {special}, where this server sends no requests; the operator can allow it with \
             `http.allow_addresses`"
        ))
    }

    /// Whether the same request would fail again.
    pub fn is_final(&self) -> bool {
        match self {
            HttpError::Invalid(_)
            | HttpError::Refused(_)
            | HttpError::Secret { .. }
            | HttpError::TooLarge { .. }
            | HttpError::Redirect { .. } => true,
            HttpError::Unresolved { .. }
            | HttpError::Connect { .. }
            | HttpError::Tls { .. }
            | HttpError::Broken { .. }
            | HttpError::TimedOut { .. } => false,
            HttpError::Status { status, .. } => !is_passing(*status),
        }
    }

    /// When to come again, if the answer said it.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            HttpError::Status { status, retry_after, .. } if is_passing(*status) => *retry_after,
            _ => None,
        }
    }
}

/// Whether another try may have another answer: the server's own trouble, and what it says to be a matter of time.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_the_clients_making_is_final() {
        let is_final = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            HttpError::Status { url: "x".into(), status, quote: String::new(), retry_after: None }.is_final()
        };
        for status in [204, 302, 400, 401, 404, 409, 410, 422, 451] {
            assert!(is_final(status), "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert!(!is_final(status), "{status}");
        }
    }
}
