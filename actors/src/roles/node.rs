//! What the roles of one node share.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    },
};

use callboard_contracts::{Timestamp, api::LogCursor};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::{
    condition::Conditions,
    crashes,
    leadership::{Leads, Sight},
    metrics::Metrics,
    outcomes::Outcomes,
    outlet::Outside,
    parking::Parking,
    queue::{
        Ending, Queue,
        attempt::{Attempt, EndReason},
        board::Found,
        key_waits::KeyWaits,
    },
    series::TimeSeries,
    settings::RolesConfig,
    spans,
    standing::Standing,
    tuning::Tuning,
};
use crate::{
    edges::store::{StoreHandle, record::Lease},
    encryption::vault::{Secrets, Vault},
    jobs::{JobRegistry, journal::Inbox, registry::bounded, retry, signals::SignalDesk},
};

/// Where the node is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It takes and runs jobs.
    Serving,
    /// It ends what it has begun.
    Draining,
}

/// What the roles of one node share. None of it is lost when one of them crashes.
pub(crate) struct Node {
    /// As it was set at the start. What can change since then is to be asked of [`tuned`](Self::tuned).
    pub(crate) config: RolesConfig,
    pub(crate) tuning: Tuning,
    pub(crate) name: Arc<str>,
    pub(crate) registry: JobRegistry,
    /// Which values of jobs are secret.
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) store: StoreHandle,
    pub(crate) conditions: Conditions,
    pub(crate) metrics: Metrics,
    pub(crate) series: TimeSeries,
    pub(crate) queues: BTreeMap<String, Arc<Queue>>,
    pub(crate) outcomes: Outcomes,
    /// What running attempts have said and is not written.
    pub(crate) inbox: Arc<Inbox>,
    /// Running attempts that listen for signals.
    pub(crate) signals: Arc<SignalDesk>,
    /// The keys that jobs wait for.
    pub(crate) key_waits: KeyWaits,
    pub(crate) due: DueTime,
    pub(crate) parking: Parking,
    /// Told when the cron table was changed here.
    pub(crate) cron_changed: Notify,
    /// Told when a queue has crashed too often here.
    pub(crate) crashed: Notify,
    /// Told when a bulk operation was begun here.
    pub(crate) bulk_begun: Notify,
    /// The session under which this node claims; `None` while it has none.
    pub(crate) session: watch::Sender<Option<Uuid>>,
    /// Whether this node does what is done once for all.
    pub(crate) leads: Leads,
    pub(crate) sight: Sight,
    pub(crate) stage: watch::Sender<Stage>,
    /// What it was told as one of the fleet.
    pub(crate) standing: Standing,
    pub(crate) drained: Drained,
    /// What is known of workers outside.
    pub(crate) outside: Outside,
    /// How far the log has been counted; `None` before the node's first session.
    pub(crate) counted: Mutex<Option<LogCursor>>,
}

/// Attempts that have ended while the node was draining.
#[derive(Debug, Default)]
pub(crate) struct Drained {
    pub(crate) finished: AtomicU64,
    pub(crate) handed_back: AtomicU64,
}

impl Node {
    /// The settings as they are now.
    pub(crate) fn tuned(&self) -> Arc<RolesConfig> {
        self.tuning.now()
    }

    /// What is secret, with the keys as they are now.
    pub(crate) fn vault(&self) -> Vault {
        Vault { secrets: self.secrets.clone(), keys: self.tuned().keys.clone() }
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.stage.borrow() == Stage::Draining
    }

    /// Whether jobs may be claimed and started.
    pub(crate) fn may_claim(&self) -> bool {
        !self.is_draining() && self.standing.claims()
    }

    /// The queues whose jobs run here.
    pub(crate) fn served(&self) -> impl Iterator<Item = &Arc<Queue>> {
        self.queues.values().filter(|queue| self.config.serves(&queue.name))
    }

    /// Decides what follows from the end of an attempt, and hands that to the completer. The first word about an
    /// attempt counts, and none if its session was lost.
    pub(crate) fn report(&self, attempt: &Arc<Attempt>, ending: Ending) {
        let now = self.store.now();
        if !attempt.take_word() {
            return;
        }
        // Nothing more is taken from now on, whatever of the run goes on.
        let report = attempt.close_journal();
        let lost = attempt.end_reason() == Some(EndReason::SessionLost);
        if let Some(span) = attempt.span() {
            span.end(|| spans::run(attempt, &self.name, (!lost).then_some(&ending)));
        }
        if lost {
            return;
        }
        if self.is_draining() {
            let count = match ending {
                Ending::Released => &self.drained.handed_back,
                _ => &self.drained.finished,
            };
            count.fetch_add(1, SeqCst);
        }
        tell(attempt, &ending);
        crashes::attempt_ended(self, attempt, &ending);
        let job = &attempt.job;
        if let Some(took) = attempt.ran_for(now) {
            self.metrics.ran(&job.queue, &job.job_type, took);
        }
        let policy = self.registry.get(&job.job_type).and_then(|job_type| job_type.options().retry);
        let policy = policy.unwrap_or_else(|| self.tuned().defaults.retry);
        let random = if matches!(ending, Ending::Failed { .. }) { retry::random() } else { 0.0 };
        let end = ending.decide(job.attempt, job.max_attempts, policy, now, random);
        self.outcomes.finished(attempt, end, report);
    }

    /// Somebody has cancelled the job of an attempt that may be here. If it is nowhere here, its claim is still on its
    /// way to the board; then the answer to the word that its run has begun says that it is cancelled.
    pub(crate) fn call_off(&self, lease: Lease, queue: &str) {
        if let Some(queue) = self.queues.get(queue)
            && let Found::Withdrawn(attempt) = queue.board.end(lease, EndReason::Cancelled)
        {
            self.report(&attempt, Ending::cancelled("cancelled before its run began"));
            queue.board.free_place();
        }
    }

    /// Tells the producers of these queues that there may be jobs.
    pub(crate) fn wake<'a>(&self, queues: impl IntoIterator<Item = &'a String>) {
        for queue in queues.into_iter().filter_map(|name| self.queues.get(name)) {
            queue.wake();
        }
    }

    pub(crate) fn wake_all(&self) {
        self.queues.values().for_each(|queue| queue.wake());
    }

    /// Waits until the node has a session.
    pub(crate) async fn session(&self) -> Uuid {
        let mut session = self.session.subscribe();
        loop {
            if let Some(id) = *session.borrow_and_update() {
                return id;
            }
            if session.changed().await.is_err() {
                // The sender is in `self`.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Writes to the log how an attempt ended.
fn tell(attempt: &Attempt, ending: &Ending) {
    let job = &attempt.job;
    let trace_id = attempt.span().map(|span| span.context().trace_id());
    macro_rules! tell {
        ($level:ident, $($what:tt)+) => {
            tracing::$level!(
                traceId = trace_id, jobId = %job.id, attempt = job.attempt, correlationId = %job.correlation_id, queue = job.queue,
                "type" = job.job_type, $($what)+
            )
        };
    }
    match ending {
        Ending::Completed(_) => tell!(debug, "the job is completed"),
        Ending::Failed { error, .. } => {
            tell!(info, kind = ?error.kind, error = bounded(error.message.clone()), "the attempt failed");
        }
        Ending::Cancelled(_) => tell!(info, "the job is cancelled"),
        Ending::Released => tell!(info, "the attempt is handed back"),
        Ending::Snoozed(delay) => tell!(debug, ?delay, "the job is to be continued later"),
    }
}

/// When the next job falls due, as far as anybody here knows.
#[derive(Debug)]
pub(crate) struct DueTime {
    earliest: AtomicI64,
    earlier: Notify,
}

impl Default for DueTime {
    fn default() -> Self {
        DueTime { earliest: AtomicI64::new(i64::MAX), earlier: Notify::new() }
    }
}

impl DueTime {
    /// A job falls due at this time.
    pub(crate) fn note(&self, at: Timestamp) {
        if at.as_micros() < self.earliest.fetch_min(at.as_micros(), SeqCst) {
            self.earlier.notify_one();
        }
    }

    /// Takes what was noted.
    pub(crate) fn take(&self) -> Option<Timestamp> {
        let earliest = self.earliest.swap(i64::MAX, SeqCst);
        (earliest != i64::MAX).then(|| Timestamp::from_micros(earliest))
    }

    /// Waits until an earlier time is noted than all since the last [`take`](Self::take).
    pub(crate) async fn earlier(&self) {
        self.earlier.notified().await;
    }
}
