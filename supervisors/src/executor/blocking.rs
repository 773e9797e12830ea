//! [`BlockingPool`]: how much work that blocks may be under way in a system.

use std::{panic::resume_unwind, sync::Arc, thread::available_parallelism};

use futures_util::future::pending;
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::task::caught;

/// A share of tokio's threads for blocking work, for all actors of a system together.
pub(crate) struct BlockingPool {
    free: Arc<Semaphore>,
    limit: usize,
}

/// As many at a time as the machine has cores.
impl Default for BlockingPool {
    fn default() -> Self {
        BlockingPool::new(available_parallelism().map_or(1, usize::from))
    }
}

impl BlockingPool {
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.clamp(1, Semaphore::MAX_PERMITS);
        BlockingPool { free: Arc::new(Semaphore::new(limit)), limit }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn running(&self) -> usize {
        self.limit.saturating_sub(self.free.available_permits())
    }

    /// Waits for its turn, in order, then runs `work`. A panic in it goes on in whoever waits for it.
    pub(crate) async fn run<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let turn = self.free.clone().acquire_owned().await;
        let done = spawn_blocking(move || {
            let done = caught(work);
            drop(turn);
            done
        });
        match done.await {
            Ok(Ok(output)) => output,
            Ok(Err(panic)) => resume_unwind(Box::new(panic)),
            // It was never run, because its runtime ends; and so does whoever waits.
            Err(_) => pending().await,
        }
    }
}
