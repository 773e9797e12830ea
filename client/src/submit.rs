//! Submitting jobs.

use callboard_contracts::api::{SubmitAnswer, SubmitJob, SubmitMany, Submitted};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Client, ClientError, request::Call};

impl Client {
    /// Submits one job; once this answers, it is stored durably. A job without an id gets one here, so that sending
    /// it again after a lost connection never makes a second job.
    ///
    /// # Errors
    /// See [`ClientError`]; the refusal of a job that is wrong has the status 400, 403, 409, 413 or 422.
    ///
    /// ```no_run
    /// # async fn example(client: callboard_client::Client) -> Result<(), callboard_client::ClientError> {
    /// use callboard_contracts::api::SubmitJob;
    /// let mut job = SubmitJob { job_type: "sleep".to_owned(), ..SubmitJob::default() };
    /// job.payload.insert("ms".to_owned(), 250.into());
    /// let submitted = client.submit(job).await?;
    /// assert!(!submitted.duplicate);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn submit(&self, mut job: SubmitJob) -> Result<Submitted, ClientError> {
        job.id.get_or_insert_with(Uuid::now_v7);
        self.call(Call::post("/api/v1/jobs", &job)?.repeatable()).await
    }

    /// Submits many jobs; each is accepted or refused by itself. Jobs without an id get one here, so that sending
    /// them again after a lost connection never makes a second job.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 413 if they are too many, or too large together, for one request.
    pub async fn submit_many(&self, jobs: SubmitMany) -> Result<SubmitAnswer, ClientError> {
        let mut lines = Vec::new();
        for mut job in jobs.jobs {
            if let Value::Object(fields) = &mut job {
                let id = fields.entry("id").or_insert(Value::Null);
                if id.is_null() {
                    *id = json!(Uuid::now_v7());
                }
            }
            lines.extend_from_slice(job.to_string().as_bytes());
            lines.push(b'\n');
        }
        // As lines, since the server reads each of them by itself: one that it cannot read refuses no other.
        self.call(Call::post_bytes("/api/v1/jobs/batch", "application/x-ndjson", lines).repeatable()).await
    }
}
