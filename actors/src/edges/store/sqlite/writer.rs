//! The thread that writes.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{SyncSender, TrySendError, sync_channel},
    thread::{self, JoinHandle},
};

use callboard_contracts::api::LogCursor;
use futures_util::{FutureExt, future::BoxFuture};
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::{
    SqliteOptions, batch,
    error::{is_members_own, translate},
    session,
    transaction::{Memory, Transaction},
};
#[cfg(feature = "failpoints")]
use crate::edges::store::commit_points;
use crate::edges::store::{Operation, OperationResult, Renewal, StoreError};

/// Batches that may wait; the edge sends the next when the last is answered, so there is hardly ever one.
const WAITING: usize = 64;
/// Pages given back to the disk after each round of deleting.
const VACUUM: &str = "PRAGMA incremental_vacuum(1024)";

type Answer = Result<Vec<OperationResult>, StoreError>;

/// What the thread is asked to do.
enum Task {
    Batch { operations: Vec<Operation>, answer: oneshot::Sender<Answer> },
    Renew { session: Uuid, answer: oneshot::Sender<Result<Renewal, StoreError>> },
}

/// The thread that writes, with its queue.
pub(super) struct Writer {
    /// `None` only while it is dropped.
    queue: Option<SyncSender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        options: SqliteOptions,
        committed: watch::Sender<LogCursor>,
    ) -> Result<Self, StoreError> {
        let memory = Memory::load(&connection).map_err(translate)?;
        committed.send_replace(memory.newest());
        let (queue, tasks) = sync_channel::<Task>(WAITING);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                let mut work = Work { connection, options, memory, committed };
                for task in tasks {
                    // Whoever asked may have gone away; what is committed is committed.
                    match task {
                        Task::Batch { operations, answer } => {
                            let _ = answer.send(work.caught(|work| work.apply(&operations)));
                        }
                        Task::Renew { session, answer } => {
                            let _ = answer.send(work.caught(|work| work.renew(session)));
                        }
                    }
                }
            })
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        Ok(Writer { queue: Some(queue), thread: Some(thread) })
    }

    pub(super) fn apply(&self, operations: Vec<Operation>) -> BoxFuture<'static, Answer> {
        self.ask(|answer| Task::Batch { operations, answer })
    }

    pub(super) fn renew(&self, session: Uuid) -> BoxFuture<'static, Result<Renewal, StoreError>> {
        self.ask(|answer| Task::Renew { session, answer })
    }

    fn ask<T: Send + 'static>(
        &self,
        task: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Task,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let (answer, answered) = oneshot::channel();
        match self.queue.as_ref().map(|queue| queue.try_send(task(answer))) {
            Some(Ok(())) => {}
            Some(Err(TrySendError::Full(_))) => {
                return async { Err(StoreError::Busy { waiting: WAITING }) }.boxed();
            }
            Some(Err(TrySendError::Disconnected(_))) | None => {
                return async { Err(StoreError::NotReady("it is closed".to_owned())) }.boxed();
            }
        }
        let lost = || StoreError::Failed("the writer ended without an answer".to_owned());
        async move { answered.await.unwrap_or_else(|_| Err(lost())) }.boxed()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // Its panics were caught.
            let _ = thread.join();
        }
    }
}

/// What the thread works with.
pub(super) struct Work {
    pub(super) connection: Connection,
    pub(super) options: SqliteOptions,
    pub(super) memory: Memory,
    pub(super) committed: watch::Sender<LogCursor>,
}

impl Work {
    fn caught<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let done = catch_unwind(AssertUnwindSafe(|| work(self)));
        done.unwrap_or_else(|_| {
            self.roll_back();
            Err(StoreError::Failed("the writer panicked over this".to_owned()))
        })
    }

    pub(super) fn renew(&mut self, session: Uuid) -> Result<Renewal, StoreError> {
        let renewed = session::renew(&self.connection, session, self.options.clock.now());
        renewed.map_err(translate)
    }

    /// One transaction; if a member's own error breaks it, two with half of the members each, and so on until the
    /// members that cannot be written stand alone.
    pub(super) fn apply(&mut self, operations: &[Operation]) -> Answer {
        match self.transact(operations) {
            Ok(results) => Ok(results),
            Err(error) if is_members_own(&error) => match operations {
                [] => Ok(Vec::new()),
                [_] => Ok(vec![Err(translate(error))]),
                _ => {
                    let (first, second) = operations.split_at(operations.len() / 2);
                    let mut results = self.apply(first)?;
                    // The first half is committed: its members must hear of that, whatever becomes of the second.
                    match self.apply(second) {
                        Ok(more) => results.extend(more),
                        Err(error) => results.extend(second.iter().map(|_| Err(error.clone()))),
                    }
                    Ok(results)
                }
            },
            Err(error) => Err(translate(error)),
        }
    }

    fn transact(&mut self, operations: &[Operation]) -> rusqlite::Result<Vec<OperationResult>> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut transaction = Transaction::new(&self.connection, &self.options, &self.memory);
        let done =
            batch::run(&mut transaction, operations).and_then(|results| Ok((results, transaction.finish()?)));
        let (results, memory) = match done {
            Ok(done) => done,
            Err(error) => {
                self.roll_back();
                return Err(error);
            }
        };
        #[cfg(feature = "failpoints")]
        commit_points::before(operations, &results);
        if let Err(error) = self.connection.execute_batch("COMMIT") {
            self.roll_back();
            return Err(error);
        }
        #[cfg(feature = "failpoints")]
        commit_points::after(operations, &results);
        let newest = memory.newest();
        let moved = newest != self.memory.newest();
        self.memory = memory;
        if moved {
            self.committed.send_replace(newest);
        }
        if operations.iter().any(|operation| matches!(operation, Operation::Prune { .. }))
            && let Err(error) = self.vacuum()
        {
            tracing::debug!(%error, "free pages were not given back");
        }
        Ok(results)
    }

    fn vacuum(&self) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(VACUUM)?;
        let mut rows = statement.query(())?;
        while rows.next()?.is_some() {}
        Ok(())
    }

    fn roll_back(&self) {
        // Some errors have rolled back already.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }
}
