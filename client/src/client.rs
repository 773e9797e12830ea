//! [`Client`].

use std::{fmt, sync::Arc, time::Duration};

use callboard_contracts::TraceContext;
use reqwest::Url;
use secrecy::SecretString;

use crate::{ClientBuilder, ClientError, RetryNotice, RetryPolicy};

/// A server, as seen from here. Cheap to clone; clones share connections.
///
/// Every call may be dropped at any point, and none of them panics.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) base: Url,
    pub(crate) token: Option<SecretString>,
    pub(crate) trace: Option<TraceContext>,
    pub(crate) retry: RetryPolicy,
    pub(crate) request_timeout: Duration,
    pub(crate) answer_limit: usize,
    pub(crate) event_silence: Duration,
    pub(crate) on_retry: Option<OnRetry>,
}

/// Whom to tell that a call is tried again.
#[derive(Clone)]
pub(crate) struct OnRetry(pub(crate) Arc<dyn Fn(&RetryNotice<'_>) + Send + Sync>);

impl fmt::Debug for OnRetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnRetry")
    }
}

impl Client {
    /// A client of the server at `url`, such as `http://127.0.0.1:8080`, with the defaults of [`Client::builder`].
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::Url`] for what is no plain `http` address.
    pub fn new(url: &str, token: Option<SecretString>) -> Result<Self, ClientError> {
        let builder = Client::builder(url);
        match token {
            Some(token) => builder.token(token).build(),
            None => builder.build(),
        }
    }

    /// A client of the server at `url`, to be set up.
    pub fn builder(url: &str) -> ClientBuilder {
        ClientBuilder::new(url)
    }

    /// The same client with another retry policy; it shares this one's connections.
    pub fn with_retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// The server's address, without a slash at its end.
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Tells that the call is about to be tried again, and waits.
    pub(crate) async fn pause(&self, notice: &RetryNotice<'_>) {
        if let Some(on_retry) = &self.on_retry {
            (on_retry.0)(notice);
        }
        tokio::time::sleep(notice.pause).await;
    }
}
