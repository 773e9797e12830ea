//! [`ClientBuilder`].

use std::{sync::Arc, time::Duration};

use callboard_contracts::TraceContext;
use reqwest::Url;
use secrecy::SecretString;

use crate::{Client, ClientError, RetryNotice, RetryPolicy, client::OnRetry};

/// How long a connection may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// Bytes of an answer at most.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;
/// How long an event stream may be silent; the server speaks every 15 s.
const EVENT_SILENCE: Duration = Duration::from_secs(45);

/// How a [`Client`] is set up.
///
/// ```
/// use std::time::Duration;
/// use callboard_client::{Client, RetryPolicy};
///
/// let client = Client::builder("http://127.0.0.1:8080")
///     .token("a secret".into())
///     .retry(RetryPolicy::never())
///     .request_timeout(Duration::from_secs(5))
///     .build()?;
/// assert_eq!(client.url(), "http://127.0.0.1:8080");
/// # Ok::<(), callboard_client::ClientError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientBuilder {
    url: String,
    token: Option<SecretString>,
    trace: Option<TraceContext>,
    user_agent: Option<String>,
    retry: RetryPolicy,
    request_timeout: Duration,
    answer_limit: usize,
    event_silence: Duration,
    on_retry: Option<OnRetry>,
}

impl ClientBuilder {
    pub(crate) fn new(url: &str) -> Self {
        ClientBuilder {
            url: url.to_owned(),
            token: None,
            trace: None,
            user_agent: None,
            retry: RetryPolicy::default(),
            request_timeout: REQUEST_LIMIT,
            answer_limit: ANSWER_LIMIT,
            event_silence: EVENT_SILENCE,
            on_retry: None,
        }
    }

    /// The server's address, in the place of the one that the builder was made with.
    pub fn url(mut self, url: &str) -> Self {
        url.clone_into(&mut self.url);
        self
    }

    /// The token that every request carries. Default: none.
    pub fn token(mut self, token: SecretString) -> Self {
        self.token = Some(token);
        self
    }

    /// The span in which the client's requests are made, sent as `traceparent`: jobs that are submitted have it as their
    /// parent. Default: none.
    pub fn trace(mut self, span: TraceContext) -> Self {
        self.trace = Some(span);
        self
    }

    /// What the client calls itself to the server, sent as `User-Agent`. Default: nothing.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = Some(name.into());
        self
    }

    /// When calls are tried again. Default: [`RetryPolicy::default`].
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// How long one try may take, from its head to the end of its answer; the event stream is not bound by it.
    /// Default: 60 s.
    pub fn request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = limit;
        self
    }

    /// Bytes that an answer may have; a larger one is an error, and is not read on. Of the event stream this bounds
    /// each event. Default: 64 MiB.
    pub fn answer_limit(mut self, bytes: usize) -> Self {
        self.answer_limit = bytes;
        self
    }

    /// How long the event stream may be silent before its connection counts as lost; the server says something at
    /// least every 15 s. Default: 45 s.
    pub fn event_silence(mut self, limit: Duration) -> Self {
        self.event_silence = limit;
        self
    }

    /// Called before each pause after which a call is tried again. It must not block.
    pub fn on_retry(mut self, tell: impl Fn(&RetryNotice<'_>) + Send + Sync + 'static) -> Self {
        self.on_retry = Some(OnRetry(Arc::new(tell)));
        self
    }

    /// The client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::Url`] for what is no plain `http` address without credentials, query and fragment.
    pub fn build(self) -> Result<Client, ClientError> {
        let url = self.url;
        let wrong = |problem: &str| ClientError::Url { url: url.clone(), problem: problem.to_owned() };
        let mut base =
            Url::parse(&url).map_err(|error| wrong(&format!("{error}; http://HOST:PORT is needed")))?;
        match base.scheme() {
            "http" => {}
            "https" => {
                return Err(wrong(
                    "https is not spoken; give the http address, or that of a local TLS tunnel",
                ));
            }
            _ => return Err(wrong("http://HOST:PORT is needed")),
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(wrong("it has a user or a password in it; servers are asked with a token"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(wrong("it has a query or a fragment; http://HOST:PORT is needed"));
        }
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        let http = reqwest::Client::builder().connect_timeout(CONNECT_LIMIT).no_proxy();
        // A redirect would carry a submission, and the token, to where nobody meant to send it.
        let http = http.redirect(reqwest::redirect::Policy::none());
        let http = match self.user_agent {
            Some(name) => http.user_agent(name),
            None => http,
        };
        Ok(Client {
            http: http.build().map_err(|error| wrong(&error.to_string()))?,
            base,
            token: self.token,
            trace: self.trace,
            retry: self.retry,
            request_timeout: self.request_timeout,
            answer_limit: self.answer_limit,
            event_silence: self.event_silence,
            on_retry: self.on_retry,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_addresses_pass() {
        let cases = [
            ("", "HOST"),
            ("127.0.0.1:8080", "HOST"),
            ("localhost:8080", "HOST"),
            ("https://127.0.0.1", "TLS"),
            ("ftp://x", "HOST"),
            ("http://me:secret@127.0.0.1", "token"),
            ("http://127.0.0.1/?a=b", "query"),
        ];
        for (url, says) in cases {
            let error = Client::new(url, None).unwrap_err();
            assert!(matches!(error, ClientError::Url { .. }), "{url:?}: {error}");
            assert!(error.to_string().contains(says), "{url:?}: {error}");
        }
        assert_eq!(Client::new("http://127.0.0.1:1/", None).unwrap().url(), "http://127.0.0.1:1");
        assert_eq!(Client::new("http://a/behind/", None).unwrap().url(), "http://a/behind");
    }
}
