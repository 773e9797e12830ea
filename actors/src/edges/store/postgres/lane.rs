//! Lanes: connections that write, one batch at a time each.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use sqlx::{Executor, PgConnection};
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
};
use crate::{
    edges::store::{Operation, OperationResult, Outcome, StoreError, Wake},
    failpoint,
    jobs::retry::random,
};

type Answer = Result<Vec<OperationResult>, StoreError>;

/// How often a transaction that lost against others is tried.
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
    connection: Option<PgConnection>,
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
        let _free = self.free.acquire().await.map_err(|_| closed())?;
        let Some(mut lane) = self.idle.lock().pop() else { return Err(closed()) };
        let limit = shared.options.write_timeout;
        let applied = timeout(limit, lane.apply(shared, operations)).await;
        let applied = applied.unwrap_or_else(|_| {
            // What the server still does with it is unknown, and its answer would be taken for another's.
            lane.connection = None;
            Err(StoreError::TimedOut(limit))
        });
        self.idle.lock().push(lane);
        applied
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
            let connection = match &mut self.connection {
                Some(connection) => connection,
                none => none.insert(connect(&shared.options, Purpose::Write).await?),
            };
            let error = match transact(connection, shared, self.number, operations).await {
                Ok(results) => return Ok(Ok(results)),
                Err(error) => error,
            };
            if is_disconnect(&error) || connection.execute("ROLLBACK").await.is_err() {
                self.connection = None;
            }
            if is_transient(&error) && left > 0 {
                sleep(pause.mul_f64(0.5 + random())).await;
                pause *= 2;
            } else if is_members_own(&error) {
                return Ok(Err(error));
            } else {
                return Err(translate(error));
            }
        }
        Err(StoreError::Locked("it lost against others too often".to_owned()))
    }
}

async fn transact(
    connection: &mut PgConnection,
    shared: &Arc<Shared>,
    lane: usize,
    operations: &[Operation],
) -> sqlx::Result<Vec<OperationResult>> {
    let ends = operations.iter().any(|operation| matches!(operation, Operation::Finish { .. }));
    connection.execute("BEGIN").await?;
    let mut transaction = Transaction::new(connection, shared, lane);
    let results = batch::run(&mut transaction, operations).await?;
    let mut wakes = transaction.changes.queues_grown().map(Wake::Available).collect::<Vec<_>>();
    wakes.extend(results.iter().filter_map(cancel));
    let events = transaction.finish().await?;
    if ends {
        failpoint!("store.commit.before");
    }
    connection.execute("COMMIT").await?;
    if ends {
        failpoint!("store.commit.after");
    }
    if events {
        shared.unplaced.notify_one();
    }
    shared.outbox.put(wakes);
    Ok(results)
}

fn cancel(result: &OperationResult) -> Option<Wake> {
    match result {
        Ok(Outcome::CancelRequested { lease, queue, session }) => {
            Some(Wake::Cancel { lease: *lease, queue: queue.clone(), session: *session })
        }
        _ => None,
    }
}
