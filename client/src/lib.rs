//! A typed HTTP client for Callboard.
//!
//! ```no_run
//! # async fn example() -> Result<(), callboard_client::ClientError> {
//! let client = callboard_client::Client::new("http://127.0.0.1:8080", None)?;
//! let tree = client.tree().await?;
//! println!("{} is {}", tree.name, tree.state);
//! # Ok(())
//! # }
//! ```

mod error;

use std::time::Duration;

use callboard_contracts::api::{
    Cancelled, JobDetail, JobList, JobTypeView, Problem, QueueView, Readiness, Retried, SubmitAnswer,
    SubmitMany, Totals, TreeNode,
};
pub use error::ClientError;
use reqwest::{Method, Response, StatusCode, Url, header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use uuid::Uuid;

/// How long a connection may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// Bytes of an answer at most.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// A server, as seen from here. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<SecretString>,
}

impl Client {
    /// A client of the server at `url`, such as `http://127.0.0.1:8080`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::Url`] for what is no plain `http` address.
    pub fn new(url: &str, token: Option<SecretString>) -> Result<Self, ClientError> {
        let wrong = |problem: &str| ClientError::Url { url: url.to_owned(), problem: problem.to_owned() };
        let base = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
        if base.scheme() != "http" {
            return Err(wrong("only http is spoken; put a TLS proxy before a server on another machine"));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .timeout(REQUEST_LIMIT)
            .no_proxy()
            .build()
            .map_err(|error| wrong(&error.to_string()))?;
        Ok(Client { http, base, token })
    }

    /// The server's address.
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    async fn call<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<A, ClientError> {
        let mut url = self
            .base
            .join(path)
            .map_err(|error| ClientError::Url { url: path.to_owned(), problem: error.to_string() })?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| ClientError::reach(self.url(), &error))?;
        self.read(response).await
    }

    async fn read<A: DeserializeOwned>(&self, mut response: Response) -> Result<A, ClientError> {
        let status = response.status();
        let after = response.headers().get(header::RETRY_AFTER).and_then(|after| after.to_str().ok());
        let retry_after = after.and_then(|after| after.parse().ok()).map(Duration::from_secs);
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| ClientError::reach(self.url(), &error))?
        {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(ClientError::Answer(format!("it has more than {ANSWER_LIMIT} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        // A server that is not ready says so with the answer itself.
        if status.is_success() || status == StatusCode::SERVICE_UNAVAILABLE {
            match serde_json::from_slice(&body) {
                Ok(answer) => return Ok(answer),
                Err(error) if status.is_success() => return Err(ClientError::Answer(error.to_string())),
                Err(_) => {}
            }
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(ClientError::Refused { problem: Box::new(problem), retry_after }),
            Err(_) => {
                Err(ClientError::Answer(format!("it has the status {status} and is no problem of ours")))
            }
        }
    }

    async fn get<A: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<A, ClientError> {
        self.call(Method::GET, path, query, None::<&()>).await
    }

    async fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<A, ClientError> {
        self.call(Method::POST, path, &[], Some(body)).await
    }

    /// Submits many jobs; each is accepted or refused by itself. Sending jobs that have ids again is harmless.
    ///
    /// # Errors
    /// See [`ClientError`]; so for all calls.
    pub async fn submit_many(&self, jobs: SubmitMany) -> Result<SubmitAnswer, ClientError> {
        self.post("/api/v1/jobs/batch", &jobs).await
    }

    /// A page of jobs, newest first. `query` are the list's own parameters: state, queue, type, limit, cursor.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn jobs(&self, query: &[(&str, String)]) -> Result<JobList, ClientError> {
        self.get("/api/v1/jobs", query).await
    }

    /// The states of these jobs, at most 1000; unknown ones are missing.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn lookup(&self, ids: &[Uuid]) -> Result<JobList, ClientError> {
        self.post("/api/v1/jobs/lookup", &json!({ "ids": ids })).await
    }

    /// One job with its attempts.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn job(&self, id: Uuid) -> Result<JobDetail, ClientError> {
        self.get(&format!("/api/v1/jobs/{id}"), &[]).await
    }

    /// Calls a job off.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn cancel(&self, id: Uuid) -> Result<Cancelled, ClientError> {
        self.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).await
    }

    /// Runs a waiting job now, or a finished one again as a new job.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn retry(&self, id: Uuid) -> Result<Retried, ClientError> {
        self.post(&format!("/api/v1/jobs/{id}/retry"), &json!({})).await
    }

    /// The queues and what they hold.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn queues(&self) -> Result<Vec<QueueView>, ClientError> {
        self.get("/api/v1/queues", &[]).await
    }

    /// The job types that the server handles.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn job_types(&self) -> Result<Vec<JobTypeView>, ClientError> {
        self.get("/api/v1/job-types", &[]).await
    }

    /// The supervision tree.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn tree(&self) -> Result<TreeNode, ClientError> {
        self.get("/api/v1/tree", &[]).await
    }

    /// Totals of finished jobs.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn stats(&self) -> Result<Totals, ClientError> {
        self.get("/api/v1/stats", &[]).await
    }

    /// Whether the server does its work, also while it does not.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn ready(&self) -> Result<Readiness, ClientError> {
        self.get("/api/v1/ready", &[]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_addresses_pass() {
        for wrong in ["", "127.0.0.1:8080", "https://127.0.0.1", "ftp://x"] {
            assert!(matches!(Client::new(wrong, None), Err(ClientError::Url { .. })), "{wrong:?}");
        }
        assert_eq!(Client::new("http://127.0.0.1:1/", None).unwrap().url(), "http://127.0.0.1:1");
    }

    #[tokio::test]
    async fn an_absent_server_is_named_with_what_to_do() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = Client::new(&format!("http://{closed}"), None).unwrap();
        let error = client.tree().await.unwrap_err().to_string();
        assert!(error.contains(&closed.to_string()) && error.contains("callboard serve"), "{error}");
    }
}
