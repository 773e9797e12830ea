//! The end of a node in good order.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use super::{
    condition::Condition,
    node::{Node, Stage},
    queue::{Ending, Queue, attempt::EndReason, producer::hand_back},
    session,
};
use crate::{edges::store::StoreError, failpoint};

/// How long attempts that were killed have to be gone.
const KILLED_GRACE: Duration = Duration::from_secs(1);
/// How long what has happened to the attempts may take to be written.
const WRITE_GRACE: Duration = Duration::from_secs(10);

/// Ends a node's work in good order. Clones are the same.
#[derive(Clone)]
pub struct Drain {
    pub(super) node: Arc<Node>,
}

/// What became of the attempts that ran when a drain began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// They came to their end.
    pub finished: u64,
    /// They were handed back: the jobs are available again, and the attempts do not count.
    pub handed_back: u64,
    /// Their end could not be written: the jobs run again as their next attempt once the node's session is found dead.
    pub lost: u64,
}

impl Drain {
    /// New jobs are refused, nothing is claimed any more, and what was claimed and not started is handed back. Running
    /// jobs may finish within `patience`; the rest are asked to end, killed when the cancel grace is over, and handed
    /// back. Then all of it is written and the session is closed.
    ///
    /// It takes at most `patience`, the cancel grace and some seconds. Dropping the future leaves the node in its
    /// draining state; calling again goes on.
    pub async fn run(&self, patience: Duration) -> DrainReport {
        let node = &self.node;
        self.begin();
        failpoint!("drain.begin");
        // The producers do this too, but may be down.
        self.queues().for_each(|queue| hand_back(node, queue));
        if !self.empty_within(patience).await {
            self.queues().for_each(|queue| queue.board.end_all(EndReason::NodeStops));
        }
        // A little more, so that whoever is dropped at the end of its grace can say so.
        if !self.empty_within(node.config.cancel_grace + KILLED_GRACE / 2).await {
            self.queues().for_each(|queue| queue.board.kill(|_| true));
        }
        if !self.empty_within(KILLED_GRACE).await {
            self.give_up();
        }
        let written = self.write().await;
        let lost = node.outcomes.unwritten_ends();
        if let Err(error) = written {
            tracing::error!(%error, lost, "the drain could not be written in full");
        }
        let [finished, handed_back] =
            [&node.drained.finished, &node.drained.handed_back].map(|count| count.load(SeqCst));
        let report = DrainReport { finished, handed_back, lost };
        tracing::info!(finished, handed_back, lost, "the node is drained");
        report
    }

    /// Asks all that run to end now, without waiting any longer: for the second Ctrl-C.
    pub fn hurry(&self) {
        self.begin();
        self.queues().for_each(|queue| queue.board.end_all(EndReason::NodeStops));
    }

    fn begin(&self) {
        self.node.stage.send_replace(Stage::Draining);
        self.node.conditions.set("queues", Condition::Stopping);
    }

    fn queues(&self) -> impl Iterator<Item = &Arc<Queue>> {
        self.node.queues.values()
    }

    /// Hands back what cannot be killed, because it holds its thread. It goes on until the process ends, but nothing it
    /// says counts any more.
    fn give_up(&self) {
        for queue in self.queues() {
            for attempt in queue.board.take_all() {
                let job = &attempt.job;
                tracing::warn!(
                    jobId = %job.id, attempt = job.attempt, correlationId = %job.correlation_id,
                    queue = job.queue, "type" = job.job_type, "the attempt holds its thread and cannot be killed"
                );
                self.node.report(&attempt, Ending::Released);
            }
        }
    }

    /// Waits until no attempt is on any board.
    async fn empty_within(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        for queue in self.queues() {
            loop {
                let left = queue.board.left.notified();
                tokio::pin!(left);
                // Whoever leaves from now on is heard of.
                left.as_mut().enable();
                if queue.board.is_empty() {
                    break;
                }
                if timeout_at(deadline, left).await.is_err() {
                    return false;
                }
            }
        }
        true
    }

    async fn write(&self) -> Result<(), StoreError> {
        let deadline = Instant::now() + WRITE_GRACE;
        let late = |_| StoreError::TimedOut(WRITE_GRACE);
        loop {
            let emptied = self.node.outcomes.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.node.outcomes.is_empty() {
                break;
            }
            timeout_at(deadline, emptied).await.map_err(late)?;
        }
        timeout_at(deadline, session::close(&self.node)).await.map_err(late)?
    }
}
