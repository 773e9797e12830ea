//! Calls about jobs that are there.

use callboard_contracts::api::{Cancelled, JobDetail, JobList, JobLogPage, JobLogQuery, Retried};
use serde_json::json;
use uuid::Uuid;

use crate::{Client, ClientError, JobPages, JobQuery, request::Call};

impl Client {
    /// A page of jobs, newest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn jobs(&self, query: &JobQuery) -> Result<JobList, ClientError> {
        self.call(Call::get("/api/v1/jobs").query(query.parameters())).await
    }

    /// All jobs that the query names, page by page.
    pub fn job_pages(&self, query: JobQuery) -> JobPages {
        JobPages::new(self.clone(), query)
    }

    /// The states of these jobs, at most 1000; unknown ones are missing.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn lookup(&self, ids: &[Uuid]) -> Result<JobList, ClientError> {
        self.call(Call::post("/api/v1/jobs/lookup", &json!({ "ids": ids }))?.repeatable()).await
    }

    /// One job with its attempts.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such job.
    pub async fn job(&self, id: Uuid) -> Result<JobDetail, ClientError> {
        self.call(Call::get(format!("/api/v1/jobs/{id}"))).await
    }

    /// A part of what the runs of a job have said, also while they run. Give its `next` as `after` for what follows.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such job.
    pub async fn job_logs(&self, id: Uuid, query: &JobLogQuery) -> Result<JobLogPage, ClientError> {
        let JobLogQuery { attempt, after, limit } = query;
        let mut parameters: Vec<_> = attempt.iter().map(|attempt| ("attempt", attempt.to_string())).collect();
        parameters.extend(after.map(|after| ("after", after.to_string())));
        parameters.extend(limit.map(|limit| ("limit", limit.to_string())));
        self.call(Call::get(format!("/api/v1/jobs/{id}/logs")).query(parameters)).await
    }

    /// Calls a job off. A waiting job is cancelled at once; a running one is told to end, and the answer's state is
    /// still `executing`.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such job, and 409 if it is finished. It is not repeated
    /// after a lost connection: the answer would be 409 where the first try has cancelled it.
    pub async fn cancel(&self, id: Uuid) -> Result<Cancelled, ClientError> {
        self.call(Call::post(format!("/api/v1/jobs/{id}/cancel"), &json!({}))?).await
    }

    /// Runs a waiting job now, or a finished one again as a new job. It is not repeated after a lost connection, so
    /// that a finished job never gets two replays from one call.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such job, and 409 if it runs or waits for its turn.
    pub async fn retry(&self, id: Uuid) -> Result<Retried, ClientError> {
        self.call(Call::post(format!("/api/v1/jobs/{id}/retry"), &json!({}))?).await
    }
}
