//! What a queue is on this node, and outlives a crash of its producer.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use callboard_supervisors::{Message, Recipient, Supervisor};
use parking_lot::Mutex;

use super::{QueueSupervision, board::Board, crashes::Crashes, drain_rate::DrainRate};
use crate::edges::store::record::QueueSettings;

/// To a producer: there may be jobs to claim or to start.
#[derive(Clone, Copy, Debug, Message)]
pub(crate) struct Wake;

/// A queue on this node.
pub(crate) struct Queue {
    pub(crate) name: String,
    concurrency: AtomicU32,
    max_backlog: AtomicU64,
    pub(crate) board: Board,
    rate: Mutex<DrainRate>,
    started: Instant,
    producer: OnceLock<Recipient<Wake>>,
    /// The supervisor of its actors.
    supervisor: OnceLock<Supervisor>,
    pub(crate) crashes: Crashes,
    /// A wake is on its way to the producer.
    pub(crate) waking: AtomicBool,
    /// It is paused in the store.
    paused: AtomicBool,
    /// Somebody has limited how many of its jobs may be with all nodes together.
    limited: AtomicBool,
}

impl Queue {
    pub(crate) fn new(settings: QueueSettings) -> Self {
        Queue {
            name: settings.name,
            concurrency: AtomicU32::new(settings.concurrency),
            max_backlog: AtomicU64::new(settings.max_backlog),
            board: Board::default(),
            rate: Mutex::default(),
            started: Instant::now(),
            producer: OnceLock::new(),
            supervisor: OnceLock::new(),
            crashes: Crashes::default(),
            waking: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            limited: AtomicBool::new(false),
        }
    }

    /// Its jobs that run at a time at most.
    pub(crate) fn concurrency(&self) -> u32 {
        self.concurrency.load(SeqCst)
    }

    /// Waiting jobs after which new ones are refused.
    pub(crate) fn max_backlog(&self) -> u64 {
        self.max_backlog.load(SeqCst)
    }

    pub(crate) fn settings(&self) -> QueueSettings {
        let (concurrency, max_backlog) = (self.concurrency(), self.max_backlog());
        QueueSettings { name: self.name.clone(), concurrency, max_backlog }
    }

    /// It has other numbers from now on.
    pub(crate) fn set_numbers(&self, concurrency: u32, max_backlog: u64) {
        self.concurrency.store(concurrency, SeqCst);
        self.max_backlog.store(max_backlog, SeqCst);
    }

    /// Who is woken when there may be jobs.
    pub(crate) fn served_by(&self, producer: Recipient<Wake>) {
        // A queue is wired once a node.
        let _ = self.producer.set(producer);
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

    /// Under whom its actors are.
    pub(crate) fn supervised_by(&self, supervisor: Supervisor) {
        // A queue is wired once a node.
        let _ = self.supervisor.set(supervisor);
    }

    /// Its actors may be restarted so often from now on.
    pub(crate) fn set_supervision(&self, rules: &QueueSupervision) {
        if let Some(supervisor) = self.supervisor.get() {
            supervisor.set_intensity(rules.max_restarts, rules.restart_period);
        }
    }

    /// What made its actors crash is believed to be mended.
    pub(crate) fn forgive_restarts(&self) {
        if let Some(supervisor) = self.supervisor.get() {
            supervisor.forgive();
        }
    }

    /// Whether nothing is to be claimed and started.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(SeqCst) || self.crashes.holds()
    }

    /// It was paused, or is not any more.
    pub(crate) fn set_paused(&self, paused: bool) {
        if self.paused.swap(paused, SeqCst) != paused {
            let queue = &self.name;
            tracing::info!(queue, "{}", if paused { "the queue is paused" } else { "the queue goes on" });
            self.wake();
        }
    }

    /// It has a limit over all nodes, or has none any more.
    pub(crate) fn set_limited(&self, limited: bool) {
        if self.limited.swap(limited, SeqCst) && !limited {
            self.wake();
        }
    }

    /// So many attempts have left the queue, and that is written. Under a limit over all nodes that makes room for others,
    /// which no claim before could have.
    pub(crate) fn left(&self, count: u64) {
        if self.limited.load(SeqCst) {
            self.wake();
        }
        self.rate.lock().record(self.started.elapsed().as_secs(), count);
    }

    /// When it is worth trying again for one whose job found `waiting` jobs in the queue.
    pub(crate) fn retry_after(&self, waiting: u64) -> Duration {
        self.retry_after_of(waiting, self.max_backlog())
    }

    /// Likewise for one whose job found `waiting` of `limit` jobs, of whatever queues.
    pub(crate) fn retry_after_of(&self, waiting: u64, limit: u64) -> Duration {
        self.rate.lock().retry_after(self.started.elapsed().as_secs(), waiting, limit)
    }
}
