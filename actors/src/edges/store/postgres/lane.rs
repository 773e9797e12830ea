//! Lanes: connections that write, one batch at a time each.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use sqlx::{Executor, PgConnection, Row};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{
    Shared, batch,
    connect::{Purpose, connect},
    error::{is_disconnect, is_members_own, is_transient, translate},
    transaction::Transaction,
    witness::{Fate, Witness},
};
#[cfg(feature = "failpoints")]
use crate::edges::store::commit_points;
use crate::{
    edges::store::{
        Operation, OperationResult, Outcome, StoreError, Wake,
        cron::{CalledOff, CronOutcome},
        dead_jobs::DeadJobsOutcome,
        record::Lease,
        signals::SignalOutcome,
        workflow::WorkflowOutcome,
    },
    jobs::retry::random,
};

type Answer = Result<Vec<OperationResult>, StoreError>;

/// How often a transaction that lost against others, or its connection, is tried.
const TRIES: u32 = 8;
/// The first pause between tries; each further one is twice as long, and all are jittered.
const PAUSE: Duration = Duration::from_millis(2);

/// The lanes of a store.
pub(super) struct Lanes {
    free: Semaphore,
    idle: Mutex<Vec<Lane>>,
}

/// A connection that writes; without one it is opened when it is needed.
struct Lane {
    number: usize,
    /// Gone while a transaction is under way: only one that ended well leaves it behind.
    connection: Option<PgConnection>,
}

/// A lane that goes back to the others, whatever happens on it.
struct Taken<'a> {
    lanes: &'a Lanes,
    lane: Lane,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let Lane { number, connection } = &mut self.lane;
        self.lanes.idle.lock().push(Lane { number: *number, connection: connection.take() });
    }
}

impl Lanes {
    pub(super) fn new(count: usize) -> Self {
        // Nodes begin at different shards, so that two of them seldom count in the same rows.
        let first = usize::from(Uuid::new_v4().as_bytes()[0]);
        let lanes = (0..count).map(|number| Lane { number: first + number, connection: None });
        Lanes { free: Semaphore::new(count), idle: Mutex::new(lanes.collect()) }
    }

    /// Carries out a batch in one transaction, as soon as a lane is free.
    pub(super) async fn apply(&self, shared: &Arc<Shared>, operations: &[Operation]) -> Answer {
        let closed = || StoreError::NotReady("it is closed".to_owned());
        // Given up after the lane is back.
        let _free = self.free.acquire().await.map_err(|_| closed())?;
        let Some(lane) = self.idle.lock().pop() else { return Err(closed()) };
        let mut taken = Taken { lanes: self, lane };
        let limit = shared.options.write_timeout;
        // What the server still does after that is unknown; its connection is closed.
        timeout(limit, taken.lane.apply(shared, operations)).await.unwrap_or(Err(StoreError::TimedOut(limit)))
    }
}

/// What a transaction has done once it is committed.
struct Done {
    results: Vec<OperationResult>,
    wakes: Vec<Wake>,
    /// Whether there are events that wait for their places.
    events: bool,
}

/// Why a transaction did not end well.
enum Broken {
    /// Nothing of it is done.
    Undone(sqlx::Error),
    /// The connection was lost before the answer to its commit came.
    Unanswered(Box<Done>, Witness),
}

impl From<sqlx::Error> for Broken {
    fn from(error: sqlx::Error) -> Self {
        Broken::Undone(error)
    }
}

impl Lane {
    /// One transaction; if a member's own error breaks it, two with half of the members each, and so on until the members
    /// that cannot be written stand alone.
    fn apply<'a>(
        &'a mut self,
        shared: &'a Arc<Shared>,
        operations: &'a [Operation],
    ) -> BoxFuture<'a, Answer> {
        async move {
            match self.try_often(shared, operations).await? {
                Ok(results) => Ok(results),
                Err(error) => match operations {
                    [] => Ok(Vec::new()),
                    [_] => Ok(vec![Err(translate(error))]),
                    _ => {
                        let (first, second) = operations.split_at(operations.len() / 2);
                        let mut results = self.apply(shared, first).await?;
                        // The first half is committed: its members must hear of that, whatever becomes of the second.
                        match self.apply(shared, second).await {
                            Ok(more) => results.extend(more),
                            Err(error) => results.extend(second.iter().map(|_| Err(error.clone()))),
                        }
                        Ok(results)
                    }
                },
            }
        }
        .boxed()
    }

    /// Tries a transaction until it is won or cannot be. The inner error is a member's own.
    async fn try_often(
        &mut self,
        shared: &Arc<Shared>,
        operations: &[Operation],
    ) -> Result<sqlx::Result<Vec<OperationResult>>, StoreError> {
        let mut pause = PAUSE;
        for left in (0..TRIES).rev() {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => connect(&shared.options, Purpose::Write).await?,
            };
            let error = match transact(&mut connection, shared, self.number, operations).await {
                Ok(done) => {
                    self.connection = Some(connection);
                    return Ok(Ok(done.tell(shared)));
                }
                Err(Broken::Unanswered(done, witness)) => {
                    match witness.fate(&shared.options).await? {
                        (Fate::Committed, connection) => {
                            self.connection = Some(connection);
                            return Ok(Ok(done.tell(shared)));
                        }
                        (Fate::Undone, connection) => self.connection = Some(connection),
                    }
                    continue;
                }
                Err(Broken::Undone(error)) => error,
            };
            let lost = is_disconnect(&error);
            if !lost && connection.execute("ROLLBACK").await.is_ok() {
                self.connection = Some(connection);
            }
            if (lost || is_transient(&error)) && left > 0 {
                sleep(pause.mul_f64(0.5 + random())).await;
                pause *= 2;
            } else if is_members_own(&error) {
                return Ok(Err(error));
            } else {
                return Err(translate(error));
            }
        }
        Err(StoreError::NotReady("connections to it are lost again and again".to_owned()))
    }
}

async fn transact(
    connection: &mut PgConnection,
    shared: &Arc<Shared>,
    lane: usize,
    operations: &[Operation],
) -> Result<Done, Broken> {
    let begun = connection.fetch_one(sqlx::raw_sql("BEGIN; SELECT pg_current_xact_id()::text AS id")).await?;
    let mut transaction = Transaction::new(connection, shared, lane);
    let results = batch::run(&mut transaction, operations).await?;
    let mut wakes = transaction.changes.queues_grown().map(Wake::Available).collect::<Vec<_>>();
    wakes.extend(results.iter().flat_map(told));
    let witness = Witness::of(begun.try_get("id")?, &transaction.changes, &results);
    let events = transaction.finish().await?;
    #[cfg(feature = "failpoints")]
    commit_points::before(operations, &results);
    let done = Done { results, wakes, events };
    match connection.execute("COMMIT").await {
        Ok(_) => {}
        Err(error) if is_disconnect(&error) => return Err(Broken::Unanswered(Box::new(done), witness)),
        Err(error) => return Err(error.into()),
    }
    #[cfg(feature = "failpoints")]
    commit_points::after(operations, &done.results);
    Ok(done)
}

impl Done {
    /// Tells this node and the others; gives the answers.
    fn tell(self, shared: &Shared) -> Vec<OperationResult> {
        if self.events {
            shared.unplaced.notify_one();
        }
        shared.outbox.put(self.wakes);
        self.results
    }
}

/// What other nodes are to hear of.
fn told(result: &OperationResult) -> Vec<Wake> {
    let cancel = |lease: &Lease, queue: &str, session: &Uuid| Wake::Cancel {
        lease: *lease,
        queue: queue.to_owned(),
        session: *session,
    };
    match result {
        Ok(Outcome::CancelRequested { lease, queue, session }) => vec![cancel(lease, queue, session)],
        Ok(Outcome::Workflow(WorkflowOutcome::Cancelled { told, .. })) => {
            told.iter().map(|(lease, queue, session)| cancel(lease, queue, session)).collect()
        }
        Ok(Outcome::DeadJobs(DeadJobsOutcome::Stepped(stepped))) => {
            stepped.cancels.iter().map(|(lease, queue, session)| cancel(lease, queue, session)).collect()
        }
        Ok(Outcome::Cron(CronOutcome::Fired {
            called_off: Some(CalledOff { lease, queue, session }),
            ..
        })) => vec![cancel(lease, queue, session)],
        Ok(Outcome::Signals(SignalOutcome::Stored { job, session: Some(session), .. })) => {
            vec![Wake::Signal { job: *job, session: *session }]
        }
        Ok(Outcome::Ordered { node }) => vec![Wake::Command { node: node.clone() }],
        _ => Vec::new(),
    }
}
