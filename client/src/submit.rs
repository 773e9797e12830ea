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

    /// Submits one job, once for this key (the header `Idempotency-Key`: 1 to 255 printable ASCII characters) however often
    /// the same job is submitted under it, also by other processes; the first answer is given again. The job gets no id
    /// here, so that it is the same each time.
    ///
    /// # Errors
    /// As [`submit`](Self::submit); the status is 422 if another job was submitted under this key.
    pub async fn submit_once(&self, key: &str, job: &SubmitJob) -> Result<Submitted, ClientError> {
        self.call(Call::post("/api/v1/jobs", job)?.key(key).repeatable()).await
    }

    /// Submits many jobs, once for this key, as [`submit_once`](Self::submit_once) does one.
    ///
    /// # Errors
    /// As [`submit_many`](Self::submit_many); the status is 422 if others were submitted under this key.
    pub async fn submit_many_once(&self, key: &str, jobs: &SubmitMany) -> Result<SubmitAnswer, ClientError> {
        self.call(Call::post("/api/v1/jobs/batch", jobs)?.key(key).repeatable()).await
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
