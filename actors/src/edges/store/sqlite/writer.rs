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

use super::{
    SqliteOptions, batch,
    error::{is_members_own, translate},
    transaction::{Memory, Transaction},
};
use crate::{
    edges::store::{Operation, OperationResult, StoreError},
    failpoint,
};

/// Batches that may wait; the edge sends the next when the last is answered, so there is hardly ever one.
const WAITING: usize = 64;
/// Pages given back to the disk after each round of deleting.
const VACUUM: &str = "PRAGMA incremental_vacuum(1024)";

type Answer = Result<Vec<OperationResult>, StoreError>;

struct Batch {
    operations: Vec<Operation>,
    answer: oneshot::Sender<Answer>,
}

/// The thread that writes, with its queue.
pub(super) struct Writer {
    /// `None` only while it is dropped.
    queue: Option<SyncSender<Batch>>,
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
        let (queue, batches) = sync_channel::<Batch>(WAITING);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                let mut work = Work { connection, options, memory, committed };
                for Batch { operations, answer } in batches {
                    // Whoever asked may have gone away; what is committed is committed.
                    let _ = answer.send(work.apply_caught(&operations));
                }
            })
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        Ok(Writer { queue: Some(queue), thread: Some(thread) })
    }

    pub(super) fn apply(&self, operations: Vec<Operation>) -> BoxFuture<'static, Answer> {
        let (answer, answered) = oneshot::channel();
        match self.queue.as_ref().map(|queue| queue.try_send(Batch { operations, answer })) {
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
    fn apply_caught(&mut self, operations: &[Operation]) -> Answer {
        let applied = catch_unwind(AssertUnwindSafe(|| self.apply(operations)));
        applied.unwrap_or_else(|_| {
            self.roll_back();
            Err(StoreError::Failed("the writer panicked on this batch".to_owned()))
        })
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
        let ends = operations.iter().any(|operation| matches!(operation, Operation::Finish { .. }));
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
        if ends {
            failpoint!("store.commit.before");
        }
        if let Err(error) = self.connection.execute_batch("COMMIT") {
            self.roll_back();
            return Err(error);
        }
        if ends {
            failpoint!("store.commit.after");
        }
        let newest = memory.newest();
        let moved = newest != self.memory.newest();
        self.memory = memory;
        if moved {
            self.committed.send_replace(newest);
        }
        if operations.iter().any(|operation| matches!(operation, Operation::Prune(_)))
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
