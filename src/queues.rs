//! The queues of an [`App`].

use callboard_actors::roles::request::{GetQueues, LimitQueue, PauseQueue};
use callboard_contracts::api::{QueueLimits, QueueView};

use crate::app::{ASK_LIMIT, App, AppError};

impl App {
    /// The queues and what is in them, by name.
    ///
    /// # Errors
    /// [`AppError::Store`] if they cannot be read.
    pub async fn queues(&self) -> Result<Vec<QueueView>, AppError> {
        let queues = self.handles.read_model.ask_within(ASK_LIMIT, GetQueues).await?;
        queues.map_err(|error| self.store_error(error))
    }

    /// Changes what holds for a queue on all nodes together: how many of its jobs run, and in what time. It is stored, and what
    /// `limits` does not say stays as it is.
    ///
    /// ```
    /// use callboard::{App, contracts::api::QueueLimits};
    ///
    /// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
    /// # let folder = tempfile::tempdir().unwrap();
    /// let app = App::builder().data_dir(folder.path()).start().await?;
    /// let limits = QueueLimits { rate_per_key: Some(Some("100/1m".parse()?)), ..QueueLimits::default() };
    /// app.limit_queue("default", limits).await?;
    /// assert_eq!(app.queues().await?[0].rate_per_key, Some("100/1m".parse()?));
    /// # app.stop().await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`AppError::Refused`] for a limit of 0, or if there is no such queue.
    pub async fn limit_queue(&self, name: impl Into<String>, limits: QueueLimits) -> Result<(), AppError> {
        let request = LimitQueue { queue: name.into(), limits };
        Ok(self.handles.gateway.ask_within(ASK_LIMIT, request).await??)
    }

    /// Starts no job of a queue any more, on any node. What runs goes on. The reason (500 characters at most) is shown with the queue; one
    /// that is paused already keeps its own.
    ///
    /// # Errors
    /// [`AppError::Refused`] if there is no such queue, or for a reason that is too long.
    pub async fn pause_queue(&self, name: impl Into<String>, reason: Option<String>) -> Result<(), AppError> {
        let request = PauseQueue { queue: name.into(), paused: true, reason };
        Ok(self.handles.gateway.ask_within(ASK_LIMIT, request).await??)
    }

    /// Lets a paused queue go on.
    ///
    /// # Errors
    /// [`AppError::Refused`] if there is no such queue.
    pub async fn resume_queue(&self, name: impl Into<String>) -> Result<(), AppError> {
        let request = PauseQueue { queue: name.into(), paused: false, reason: None };
        Ok(self.handles.gateway.ask_within(ASK_LIMIT, request).await??)
    }
}
