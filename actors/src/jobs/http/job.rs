//! The job type `http`.

use super::{HttpClient, HttpError, HttpOutput, HttpRequest, client::Sender};
use crate::jobs::{CheckError, Job, JobContext, JobError, States};

/// Needs an [`HttpClient`] as a state of the registry.
impl Job for HttpRequest {
    const TYPE: &'static str = "http";
    type Output = HttpOutput;

    fn check(&self, states: &States) -> Result<(), CheckError> {
        let client: &HttpClient =
            states.get().map_err(|_| CheckError::forbidden("this server is not set up to send requests"))?;
        client.check(self).map_err(|error| match error {
            HttpError::Invalid(invalid) => CheckError::invalid(invalid.pointer, invalid.problem),
            HttpError::Secret { pointer, problem } => CheckError::invalid(pointer, problem),
            error => CheckError::forbidden(error.to_string()),
        })
    }

    async fn run(self, cx: &JobContext) -> Result<HttpOutput, JobError> {
        let client: &HttpClient = cx.state()?;
        let key = cx.id().to_string();
        let trace = cx.trace().to_string();
        let sender = Sender { idempotency_key: &key, traceparent: &trace };
        tokio::select! {
            answer = Box::pin(client.send(&self, sender)) => answer.map_err(job_error),
            // The request is dropped, which closes its connection.
            () = cx.cancelled() => Err(JobError::retry("the request was given up because the attempt was to end")),
        }
    }
}

fn job_error(error: HttpError) -> JobError {
    match error.retry_after() {
        _ if error.is_final() => JobError::fatal(error.to_string()),
        Some(wait) => JobError::retry_after(error.to_string(), wait),
        None => error.into(),
    }
}
