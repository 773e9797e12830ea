//! Calls about dead jobs and many jobs.

use callboard_contracts::api::{
    BulkPreview, BulkView, DeadCauseList, JobComparison, Retried, RetryEdit, StartBulk,
};
use serde_json::json;
use uuid::Uuid;

use crate::{Client, ClientError, request::Call};

/// Which causes are listed. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadCauseQuery {
    /// Only of jobs of this queue. Default: of any.
    pub queue: Option<String>,
    /// Only of jobs of this type. Default: of any.
    pub job_type: Option<String>,
    /// Causes of one page, 1 to 200. Default: the server's, 50.
    pub limit: Option<u32>,
    /// Where a page before this one ended (`next_cursor`). Default: from the beginning.
    pub cursor: Option<String>,
}

impl DeadCauseQuery {
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let DeadCauseQuery { queue, job_type, limit, cursor } = self;
        let mut all: Vec<_> = queue.iter().map(|queue| ("queue", queue.clone())).collect();
        all.extend(job_type.iter().map(|job_type| ("type", job_type.clone())));
        all.extend(limit.map(|limit| ("limit", limit.to_string())));
        all.extend(cursor.iter().map(|cursor| ("cursor", cursor.clone())));
        all
    }
}

impl Client {
    /// What dead jobs died of, by type, queue and cause.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn dead_causes(&self, query: &DeadCauseQuery) -> Result<DeadCauseList, ClientError> {
        self.call(Call::get("/api/v1/dead-jobs/causes").query(query.parameters())).await
    }

    /// A job beside the last success of its type and queue.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such job.
    pub async fn compare(&self, id: Uuid) -> Result<JobComparison, ClientError> {
        self.call(Call::get(format!("/api/v1/jobs/{id}/compare"))).await
    }

    /// Runs a finished job again as a new job with another payload. It is not repeated after a lost connection, so that the job
    /// never gets two replays from one call.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such job, 409 if it is not finished, and 422 if the payload does not fit
    /// its type.
    pub async fn retry_edited(&self, id: Uuid, edit: &RetryEdit) -> Result<Retried, ClientError> {
        self.call(Call::post(format!("/api/v1/jobs/{id}/retry"), edit)?).await
    }

    /// What a bulk operation would do; whatever `start` says of it, nothing is done.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 422 for what cannot be done.
    pub async fn preview_bulk(&self, start: &StartBulk) -> Result<BulkPreview, ClientError> {
        let start = StartBulk { dry_run: true, ..start.clone() };
        self.call(Call::post("/api/v1/bulk", &start)?.repeatable()).await
    }

    /// Begins a bulk operation; [`bulk`](Self::bulk) says how far it is. It is given an id if it has none, so that it is begun once
    /// however often it must be sent.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 409 if another operation has its id, 422 for what cannot be done, and 429 if too many are
    /// under way.
    pub async fn start_bulk(&self, start: &StartBulk) -> Result<BulkView, ClientError> {
        let id = Some(start.id.unwrap_or_else(Uuid::now_v7));
        let start = StartBulk { id, dry_run: false, ..start.clone() };
        self.call(Call::post("/api/v1/bulk", &start)?.repeatable()).await
    }

    /// Bulk operations, newest first, at most `limit`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn bulks(&self, limit: u32) -> Result<Vec<BulkView>, ClientError> {
        self.call(Call::get("/api/v1/bulk").query(vec![("limit", limit.to_string())])).await
    }

    /// A bulk operation and how far it is.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such operation.
    pub async fn bulk(&self, id: Uuid) -> Result<BulkView, ClientError> {
        self.call(Call::get(format!("/api/v1/bulk/{id}"))).await
    }

    /// Lets a bulk operation end where it is; one that has ended stays as it is.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such operation.
    pub async fn stop_bulk(&self, id: Uuid) -> Result<BulkView, ClientError> {
        self.call(Call::post(format!("/api/v1/bulk/{id}/stop"), &json!({}))?.repeatable()).await
    }
}
