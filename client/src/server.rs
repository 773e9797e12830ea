//! Calls about the server itself: queues, job types, tree, totals, readiness.

use callboard_contracts::api::{JobTypeView, QueueView, Readiness, Totals, TreeNode};
use reqwest::StatusCode;

use crate::{Client, ClientError, request::Call};

impl Client {
    /// The queues and what they hold.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn queues(&self) -> Result<Vec<QueueView>, ClientError> {
        self.call(Call::get("/api/v1/queues")).await
    }

    /// The job types that the server handles.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn job_types(&self) -> Result<Vec<JobTypeView>, ClientError> {
        self.call(Call::get("/api/v1/job-types")).await
    }

    /// The supervision tree.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn tree(&self) -> Result<TreeNode, ClientError> {
        self.call(Call::get("/api/v1/tree")).await
    }

    /// Totals of finished jobs.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn stats(&self) -> Result<Totals, ClientError> {
        self.call(Call::get("/api/v1/stats")).await
    }

    /// Whether the server does its work. A server that is there and not ready gives an answer, no error. Needs no
    /// token.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn ready(&self) -> Result<Readiness, ClientError> {
        let mut call = Call::get("/api/v1/ready");
        call.also = Some(StatusCode::SERVICE_UNAVAILABLE);
        self.call(call).await
    }
}
