//! A queue on this node: its producer, its running jobs, and what outlives a crash of either.

pub(crate) mod attempt;
pub(crate) mod board;
mod drain_rate;
mod ending;
pub(crate) mod job_actor;
mod prefetch;
pub(crate) mod producer;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use callboard_supervisors::{
    ActorRef, ChildSpec, DynamicSupervisorSpec, MailboxSpec, OnExhausted, OnStartFailure, Placement,
    SupervisorSpec,
};
use parking_lot::Mutex;

pub(crate) use ending::{Ending, MAX_BACKTRACE_BYTES, cut};

use self::{
    board::Board,
    drain_rate::DrainRate,
    producer::{Producer, ProducerArgs, Wake},
};
use super::node::Node;
use crate::edges::store::record::QueueSettings;

/// A queue on this node.
pub(crate) struct Queue {
    pub(crate) settings: QueueSettings,
    pub(crate) board: Board,
    rate: Mutex<DrainRate>,
    started: Instant,
    producer: OnceLock<ActorRef<Producer>>,
    /// A wake is on its way to the producer.
    pub(crate) waking: AtomicBool,
}

impl Queue {
    pub(crate) fn new(settings: QueueSettings) -> Self {
        Queue {
            settings,
            board: Board::default(),
            rate: Mutex::default(),
            started: Instant::now(),
            producer: OnceLock::new(),
            waking: AtomicBool::new(false),
        }
    }

    /// Tells the producer that there may be jobs to claim or to start. Many calls make one message.
    pub(crate) fn wake(&self) {
        if let Some(producer) = self.producer.get()
            && !self.waking.swap(true, SeqCst)
            && producer.tell(Wake).is_err()
        {
            // Its mailbox is full, so it is awake; or it is gone.
            self.waking.store(false, SeqCst);
        }
    }

    /// So many attempts have left the queue, and that is written.
    pub(crate) fn left(&self, count: u64) {
        self.rate.lock().record(self.started.elapsed().as_secs(), count);
    }

    /// When it is worth trying again for one whose job found `waiting` jobs in the queue.
    pub(crate) fn retry_after(&self, waiting: u64) -> Duration {
        self.rate.lock().retry_after(self.started.elapsed().as_secs(), waiting, self.settings.max_backlog)
    }
}

/// The queue's subtree: its running jobs, and the producer that starts them.
pub(crate) fn queue(node: &Arc<Node>, queue: &Arc<Queue>) -> SupervisorSpec {
    let concurrency = queue.settings.concurrency as usize;
    let jobs = DynamicSupervisorSpec::new("jobs")
        // The producer keeps the concurrency; children that are on their way out, or do not go, come on top.
        .max_children(concurrency.saturating_mul(2).saturating_add(16))
        .placement(Placement::Workers);
    let args = ProducerArgs { node: node.clone(), queue: queue.clone(), jobs: jobs.handle() };
    let producer = ChildSpec::<Producer>::new("producer", args)
        .placement(Placement::Control)
        // Each running job can end at any time, and none of these words may be lost.
        .mailbox(MailboxSpec::bounded(concurrency.saturating_mul(4).saturating_add(1024)));
    let address = producer.actor_ref();
    let exits = address.recipient();
    // A queue's subtree is made once a node.
    let _ = queue.producer.set(address);
    SupervisorSpec::new(format!("queue-{}", queue.settings.name))
        .on_start_failure(OnStartFailure::Retry)
        .on_exhausted(OnExhausted::RetryAtMaxBackoff)
        .dynamic(jobs.on_exit(exits))
        .child(producer)
}
