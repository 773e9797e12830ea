//! Sending a request, and sending it again.

use reqwest::{Method, Response, StatusCode, header};
use secrecy::ExposeSecret;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Client, ClientError, answer, retry::Tries};

/// A request that can be sent more than once.
pub(crate) struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<(&'static str, Vec<u8>)>,
    /// Under which it is carried out once.
    key: Option<String>,
    /// Whether carrying it out twice is the same as once.
    repeatable: bool,
    /// A status that carries an answer besides the successful ones.
    pub(crate) also: Option<StatusCode>,
}

impl Call {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Call {
            method: Method::GET,
            path: path.into(),
            query: Vec::new(),
            body: None,
            key: None,
            repeatable: true,
            also: None,
        }
    }

    /// A request that changes something, and may only be carried out once.
    pub(crate) fn post(path: impl Into<String>, body: &impl Serialize) -> Result<Self, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Answer(error.to_string()))?;
        Ok(Call::post_bytes(path, "application/json", body))
    }

    pub(crate) fn post_bytes(path: impl Into<String>, kind: &'static str, body: Vec<u8>) -> Self {
        Call { method: Method::POST, body: Some((kind, body)), repeatable: false, ..Call::get(path) }
    }

    /// A request that says how something is to be, which can be said again.
    pub(crate) fn put(path: impl Into<String>, body: &impl Serialize) -> Result<Self, ClientError> {
        Ok(Call { method: Method::PUT, repeatable: true, ..Call::post(path, body)? })
    }

    /// A request that takes something away, which can be asked for again.
    pub(crate) fn delete(path: impl Into<String>) -> Self {
        let call = Call::post_bytes(path, "application/json", b"{}".to_vec());
        Call { method: Method::DELETE, repeatable: true, ..call }
    }

    /// A request that says how a part of something is to be, which can be said again.
    pub(crate) fn patch(path: impl Into<String>, body: &impl Serialize) -> Result<Self, ClientError> {
        Ok(Call { method: Method::PATCH, ..Call::put(path, body)? })
    }

    pub(crate) fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    pub(crate) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Whoever called decides whether to try again.
    pub(crate) fn only_once(mut self) -> Self {
        self.repeatable = false;
        self
    }

    pub(crate) fn query(mut self, query: Vec<(&'static str, String)>) -> Self {
        self.query = query;
        self
    }
}

impl Client {
    /// Carries out the call, with as many tries as the policy allows.
    pub(crate) async fn call<A: DeserializeOwned>(&self, call: Call) -> Result<A, ClientError> {
        let mut tries = Tries::new(self.retry);
        loop {
            let error = match self.once(&call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(notice) = tries.failed(&error, call.repeatable) else { return Err(error) };
            self.pause(&notice).await;
        }
    }

    async fn once<A: DeserializeOwned>(&self, call: &Call) -> Result<A, ClientError> {
        let mut request = self.request(call.method.clone(), &call.path, &call.query);
        request = request.timeout(self.request_timeout);
        if let Some((kind, body)) = &call.body {
            request = request.header(header::CONTENT_TYPE, *kind).body(body.clone());
        }
        if let Some(key) = &call.key {
            request = request.header("idempotency-key", key);
        }
        let response = self.send(request).await?;
        if response.status().is_success() || call.also == Some(response.status()) {
            answer::json(self, response).await
        } else {
            Err(answer::refusal(self, response).await)
        }
    }

    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&'static str, String)],
    ) -> reqwest::RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method, url);
        if let Some(span) = self.trace {
            request = request.header("traceparent", span.to_string());
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        request
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, ClientError> {
        request.send().await.map_err(|error| ClientError::reach(self.url(), &error))
    }
}
