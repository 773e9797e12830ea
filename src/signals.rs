//! Signals to the jobs of an [`App`], and the states that they show.

use callboard_actors::roles::request::{GetJobState, ListSignals, Refusal, SignalJob};
use callboard_contracts::api::{FieldError, JobStateView, SendSignal, SignalList, SignalSent};
use serde::Serialize;
use uuid::Uuid;

use crate::app::{ASK_LIMIT, App, AppError};

impl App {
    /// Sends a signal to a job that has not ended, wherever it runs or waits; what it says is any JSON of at most 16 KiB. It is stored
    /// durably when this returns, and the job gets it by [`JobContext::next_signal`](crate::jobs::JobContext::next_signal). Whoever
    /// may have to send it again gives it an id: [`send_signal`](Self::send_signal).
    ///
    /// ```
    /// use callboard::{App, contracts::JobState, jobs::{Job, JobContext, JobError}};
    ///
    /// #[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
    /// struct Order {}
    ///
    /// impl Job for Order {
    ///     const TYPE: &'static str = "order";
    ///     type Output = String;
    ///
    ///     async fn run(self, cx: &JobContext) -> Result<String, JobError> {
    ///         cx.publish_state("waits for approval")?;
    ///         Ok(cx.signal("approve").await?.decode()?)
    ///     }
    /// }
    ///
    /// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
    /// # let folder = tempfile::tempdir().unwrap();
    /// let app = App::builder().data_dir(folder.path()).job::<Order>().start().await?;
    /// let id = app.submit(&Order {}).await?.id;
    /// app.signal(id, "approve", "it looks good").await?;
    /// let job = app.wait(id).await?;
    /// assert_eq!(job.result, Some("it looks good".into()));
    /// # app.stop().await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`AppError::Refused`]: there is no such job, it has ended, it has too many signals already, the name is none, or the value is
    /// too large.
    pub async fn signal<T: Serialize + ?Sized>(
        &self,
        id: Uuid,
        name: impl Into<String>,
        value: &T,
    ) -> Result<SignalSent, AppError> {
        let value = serde_json::to_value(value).map_err(|error| {
            let message = format!("cannot be written as JSON: {error}");
            Refusal::Invalid(vec![FieldError { pointer: "/value".to_owned(), message }])
        })?;
        self.send_signal(id, SendSignal { id: None, name: name.into(), value }).await
    }

    /// As [`signal`](Self::signal), under an id: sent again with the same id, name and value it changes nothing.
    ///
    /// # Errors
    /// As [`signal`](Self::signal), and if another signal of the job has this id.
    pub async fn send_signal(&self, id: Uuid, signal: SendSignal) -> Result<SignalSent, AppError> {
        Ok(self.handles.gateway.ask_within(ASK_LIMIT, SignalJob { id, signal }).await??)
    }

    /// The signals of a job, in their order.
    ///
    /// # Errors
    /// [`AppError::Refused`] if there is no such job.
    pub async fn signals(&self, id: Uuid) -> Result<SignalList, AppError> {
        let found = self.handles.read_model.ask_within(ASK_LIMIT, ListSignals { id }).await?;
        found.map_err(|error| self.store_error(error))?.ok_or(AppError::Refused(Refusal::NotFound(id)))
    }

    /// The state that a job shows, wherever it runs, about a second after it was published.
    ///
    /// # Errors
    /// [`AppError::Refused`] if there is no such job.
    pub async fn job_state(&self, id: Uuid) -> Result<JobStateView, AppError> {
        let found = self.handles.read_model.ask_within(ASK_LIMIT, GetJobState { id }).await?;
        found.map_err(|error| self.store_error(error))?.ok_or(AppError::Refused(Refusal::NotFound(id)))
    }
}
