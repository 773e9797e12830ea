//! The threads that read.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::BoxFuture};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{SqliteOptions, error::translate, open};
use crate::edges::store::StoreError;

/// Reads that may wait for one thread.
const WAITING: usize = 1024;
/// Instructions of SQLite's machine between two looks at the clock.
const LOOK: i32 = 10_000;

type Read = Box<dyn FnOnce(&Connection) + Send>;

struct Reader {
    /// `None` only while it is dropped.
    queue: Option<SyncSender<Read>>,
    thread: Option<JoinHandle<()>>,
}

/// The threads that read, each with its connection.
pub(super) struct Pool {
    readers: Vec<Reader>,
    next: AtomicUsize,
    limit: Duration,
}

impl Pool {
    pub(super) fn start(options: &SqliteOptions) -> Result<Self, StoreError> {
        let start = |number: usize| {
            let connection = open::reader(options)?;
            let (queue, reads) = sync_channel::<Read>(WAITING);
            let thread = thread::Builder::new()
                .name(format!("store-reader-{number}"))
                .spawn(move || {
                    for read in reads {
                        // What panicked tells its caller by dropping the way back.
                        let _ = catch_unwind(AssertUnwindSafe(|| read(&connection)));
                    }
                })
                .map_err(|error| StoreError::Failed(error.to_string()))?;
            Ok(Reader { queue: Some(queue), thread: Some(thread) })
        };
        let readers = (0..options.readers.max(1)).map(start).collect::<Result<_, StoreError>>()?;
        Ok(Pool { readers, next: AtomicUsize::new(0), limit: options.write_timeout })
    }

    /// Runs `read` on the next thread.
    pub(super) fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let (answer, answered) = oneshot::channel();
        let limit = self.limit;
        let task: Read = Box::new(move |connection| {
            // Nobody waits for it any more.
            if answer.is_closed() {
                return;
            }
            let result = bounded(connection, limit, read);
            // Or not since it began.
            let _ = answer.send(result);
        });
        let number = self.next.fetch_add(1, Relaxed) % self.readers.len();
        let queue = self.readers.get(number).and_then(|reader| reader.queue.as_ref());
        match queue.map(|queue| queue.try_send(task)) {
            Some(Ok(())) => {}
            Some(Err(TrySendError::Full(_))) => {
                return async { Err(StoreError::Busy { waiting: WAITING }) }.boxed();
            }
            Some(Err(TrySendError::Disconnected(_))) | None => {
                return async { Err(StoreError::NotReady("it is closed".to_owned())) }.boxed();
            }
        }
        let lost = || StoreError::Failed("a read ended without an answer".to_owned());
        async move { answered.await.unwrap_or_else(|_| Err(lost())) }.boxed()
    }
}

/// Runs `read` within one snapshot, and interrupts it after `limit`.
fn bounded<T>(
    connection: &Connection,
    limit: Duration,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    let deadline = Instant::now() + limit;
    connection.progress_handler(LOOK, Some(move || Instant::now() > deadline)).map_err(translate)?;
    let snapshot = connection.unchecked_transaction().map_err(translate)?;
    let result = read(&snapshot);
    drop(snapshot);
    result.map_err(|error| match translate(error) {
        StoreError::TimedOut(_) => StoreError::TimedOut(limit),
        other => other,
    })
}

impl Drop for Pool {
    fn drop(&mut self) {
        for reader in &mut self.readers {
            reader.queue = None;
        }
        for reader in &mut self.readers {
            if let Some(thread) = reader.thread.take() {
                // Its panics were caught.
                let _ = thread.join();
            }
        }
    }
}
