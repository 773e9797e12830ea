//! Calls about signals, and the states that jobs show.

use callboard_contracts::api::{JobStateView, SendSignal, SignalList, SignalSent};
use uuid::Uuid;

use crate::{Client, ClientError, request::Call};

impl Client {
    /// Sends a signal to a job that has not ended. It is given an id if it has none, so that it is stored once however often it must be
    /// sent.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such job, 409 if it has ended or another signal has the id, 413 and
    /// 422 for what no signal can be, and 429 if the job has as many unacknowledged ones as it may.
    pub async fn signal(&self, id: Uuid, mut signal: SendSignal) -> Result<SignalSent, ClientError> {
        signal.id.get_or_insert_with(Uuid::now_v7);
        self.call(Call::post(format!("/api/v1/jobs/{id}/signals"), &signal)?.repeatable()).await
    }

    /// The signals of a job, in their order.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such job.
    pub async fn signals(&self, id: Uuid) -> Result<SignalList, ClientError> {
        self.call(Call::get(format!("/api/v1/jobs/{id}/signals"))).await
    }

    /// The state that a job shows, about a second after it was published.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such job.
    pub async fn job_state(&self, id: Uuid) -> Result<JobStateView, ClientError> {
        self.call(Call::get(format!("/api/v1/jobs/{id}/state"))).await
    }
}
