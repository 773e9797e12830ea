//! What became of a transaction whose commit was never answered.

use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    PostgresOptions,
    columns::as_long,
    connect::{Purpose, connect},
};
use crate::edges::store::{OperationResult, Outcome, StoreError, record::Lease, transition::Changes};

/// The first and the longest pause between two questions.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// All of it is there.
    Committed,
    /// Nothing of it is there, or it does the same when it is done again.
    Undone,
}

/// By what a transaction is known afterwards.
pub(super) struct Witness {
    /// The transaction's number. A server that crashed may have given it to another one since, so it proves no commit.
    transaction: String,
    trace: Trace,
}

/// Something that is there only when the transaction is.
enum Trace {
    Event {
        job: Uuid,
        id: Uuid,
    },
    Lease(Lease),
    /// It changed no job.
    None,
}

impl Witness {
    /// For a transaction that has this number, these changes and these results.
    pub(super) fn of(transaction: String, changes: &Changes, results: &[OperationResult]) -> Self {
        let claimed = results.iter().find_map(|result| match result {
            Ok(Outcome::Claimed(jobs) | Outcome::ClaimedInPart { jobs, .. }) => jobs.first(),
            _ => None,
        });
        let trace = match (changes.events.first(), claimed) {
            (Some(event), _) => Trace::Event { job: event.job, id: event.id },
            (None, Some(job)) => Trace::Lease(Lease { id: job.id, token: job.token }),
            (None, None) => Trace::None,
        };
        Witness { transaction, trace }
    }

    /// Asks for it on a new connection, which is given back, until there is an answer. Whoever calls bounds the time.
    pub(super) async fn fate(&self, options: &PostgresOptions) -> Result<(Fate, PgConnection), StoreError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match connect(options, Purpose::Write).await {
                Ok(mut connection) => match self.look(&mut connection).await {
                    Ok(Some(fate)) => return Ok((fate, connection)),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::debug!(%error, "what became of a transaction cannot be asked for now")
                    }
                },
                Err(StoreError::NotReady(_)) => {}
                Err(error) => return Err(error),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// `None`: it is not over yet.
    async fn look(&self, connection: &mut PgConnection) -> sqlx::Result<Option<Fate>> {
        let status: Option<String> = sqlx::query_scalar("SELECT pg_xact_status($1::text::xid8)")
            .bind(&self.transaction)
            .fetch_one(&mut *connection)
            .await?;
        match status.as_deref() {
            Some("in progress") => Ok(None),
            Some("committed") if self.is_there(connection).await? => Ok(Some(Fate::Committed)),
            _ => Ok(Some(Fate::Undone)),
        }
    }

    async fn is_there(&self, connection: &mut PgConnection) -> sqlx::Result<bool> {
        let found = match &self.trace {
            Trace::Event { job, id } => {
                sqlx::query_scalar("SELECT EXISTS (SELECT FROM events WHERE job = $1 AND id = $2)")
                    .bind(job)
                    .bind(id)
            }
            Trace::Lease(Lease { id, token }) => {
                sqlx::query_scalar("SELECT EXISTS (SELECT FROM jobs WHERE id = $1 AND token >= $2)")
                    .bind(id)
                    .bind(as_long(*token))
            }
            Trace::None => return Ok(false),
        };
        found.fetch_one(connection).await
    }
}
