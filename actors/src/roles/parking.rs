//! Putting jobs aside whose edges are tripped, and back: what the leader does so that claims need not look at them.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::Instant,
};

use callboard_contracts::Timestamp;

use super::node::{DueTime, Node};
use crate::edges::store::{Operation, Outcome, StoreError};

/// Jobs that are moved in one write.
const BATCH: u32 = 2000;

/// Whether somebody here has changed an edge.
#[derive(Debug, Default)]
pub(crate) struct Parking {
    changed: AtomicBool,
}

impl Parking {
    /// An edge was changed: the scheduler, which sleeps until `due` says otherwise, is to look at once.
    pub(crate) fn look(&self, now: Timestamp, due: &DueTime) {
        self.changed.store(true, SeqCst);
        due.note(now);
    }
}

/// When the leader looked last, and whether there was more to do.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    at: Option<Instant>,
    /// When the next edge counts as ready by itself; or at once, with more to be moved.
    next_at: Option<Timestamp>,
}

impl Looked {
    /// Moves one batch of jobs, if it is time to look. When it is next, other than after the usual time; `None` also if this
    /// node does not lead any more.
    pub(crate) async fn look(&mut self, node: &Node, leader: u64) -> Result<Option<Timestamp>, StoreError> {
        let due = self.next_at.is_some_and(|at| at <= node.store.now());
        let long_ago = self.at.is_none_or(|at| at.elapsed() >= node.tuned().schedule_poll);
        if !node.parking.changed.swap(false, SeqCst) && !due && !long_ago {
            return Ok(self.next_at);
        }
        let outcome = node.store.write(Operation::Park { limit: BATCH, leader }).await;
        let outcome = outcome.inspect_err(|_| node.parking.changed.store(true, SeqCst))?;
        match outcome {
            Outcome::Moved { queues, count, next_at } => {
                node.wake(&queues);
                self.at = Some(Instant::now());
                self.next_at = if count == BATCH { Some(node.store.now()) } else { next_at };
            }
            Outcome::NotLeader => {
                node.leads.ended(leader);
                *self = Looked::default();
            }
            other => return Err(other.unexpected()),
        }
        Ok(self.next_at)
    }
}
