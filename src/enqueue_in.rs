//! Jobs within the embedding program's own transactions.

use std::{any::type_name, time::Duration};

use callboard_actors::{
    edges::store::{Outcome, StoreError, enqueue_in},
    jobs::Job,
    roles::request::{Origin, PrepareJob, Refusal, submitted},
    sqlx::PgConnection,
};
use callboard_contracts::api::{SubmitJob, Submitted};
use serde_json::Value;

use crate::{
    app::{ASK_LIMIT, App, AppError},
    assembly::{self, StoreSetupError},
};

/// When it is worth trying again to store a job in a full queue.
const FULL: Duration = Duration::from_secs(1);

impl App {
    /// Submits a job with its type's options within a transaction of the embedding program: the job is there, and may run,
    /// when and only when that one commits. It must be one of sqlx on the same database, which is PostgreSQL.
    ///
    /// ```no_run
    /// # async fn pay(app: &callboard::App, order: i64) -> Result<(), Box<dyn std::error::Error>> {
    /// use callboard::{jobs::Noop, sqlx::{self, Connection, PgConnection}};
    ///
    /// let mut connection = PgConnection::connect("postgres://me@localhost/shop").await?;
    /// let mut transaction = connection.begin().await?;
    /// sqlx::query("UPDATE orders SET paid = true WHERE id = $1").bind(order).execute(&mut *transaction).await?;
    /// app.enqueue_in(&mut transaction, &Noop {}).await?;
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AppError::Refused`] says why the job was not accepted, [`AppError::Store`] what the database says, also that there
    /// is no transaction, and [`AppError::StoreSetup`] that the app's store is not on PostgreSQL. The transaction is as it was
    /// then, and can go on.
    pub async fn enqueue_in<J: Job>(
        &self,
        transaction: &mut PgConnection,
        job: &J,
    ) -> Result<Submitted, AppError> {
        let Ok(Value::Object(payload)) = serde_json::to_value(job) else {
            return Err(AppError::NoObject { job_type: type_name::<J>() });
        };
        let job = SubmitJob { job_type: J::TYPE.to_owned(), payload, ..SubmitJob::default() };
        self.enqueue_job_in(transaction, job).await
    }

    /// Submits a job that says everything itself within a transaction; likewise.
    ///
    /// # Errors
    /// As [`enqueue_in`](Self::enqueue_in).
    pub async fn enqueue_job_in(
        &self,
        transaction: &mut PgConnection,
        job: SubmitJob,
    ) -> Result<Submitted, AppError> {
        if self.has_own_store() {
            return Err(StoreSetupError::Own.into());
        }
        let options = assembly::postgres_options(self.settings())?;
        let job = serde_json::to_value(job).unwrap_or(Value::Null);
        let prepare = PrepareJob { job, origin: Origin::here() };
        let job = self.handles.gateway.ask_within(ASK_LIMIT, prepare).await??;
        let stored =
            enqueue_in(transaction, &options, &job).await.map_err(|error| self.store_error(error))?;
        match submitted(job.id, job.event_id, stored) {
            Ok(answer) => Ok(answer?),
            Err(Outcome::BacklogFull { waiting, limit }) => {
                Err(Refusal::BacklogFull { queue: job.queue, waiting, limit, retry_after: FULL }.into())
            }
            Err(Outcome::StoreFull { waiting, limit }) => {
                Err(Refusal::StoreFull { waiting, limit, retry_after: FULL }.into())
            }
            Err(other) => {
                let problem = format!("it gave an answer to another question: {other:?}");
                Err(self.store_error(StoreError::Failed(problem)))
            }
        }
    }
}
