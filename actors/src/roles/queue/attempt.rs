//! One attempt of a job on this node, from its claim to its end.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering::SeqCst},
    },
    time::Duration,
};

use callboard_contracts::Timestamp;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    edges::{
        store::{
            record::{ClaimedJob, Lease},
            report::Report,
        },
        telemetry::OpenSpan,
    },
    jobs::{journal::Journal, signals::SignalInbox},
};

/// Why an attempt is to end before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum EndReason {
    /// Its node stops: it is handed back.
    NodeStops = 1,
    /// Somebody cancelled the job.
    Cancelled = 2,
    /// Its node was taken for dead; somebody else has the job now, and no word about it counts any more.
    SessionLost = 3,
}

/// One attempt. Shared by its actor, its producer and whoever calls it off.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// The job, as it was claimed.
    pub(crate) job: ClaimedJob,
    /// The session that claimed it.
    pub(crate) session: Uuid,
    /// Fires when the attempt is to end.
    pub(crate) cancelled: CancellationToken,
    end_reason: AtomicU8,
    /// Microseconds; `NOT_STARTED` before.
    started_at: AtomicI64,
    reported: AtomicBool,
    /// What the run says; none before it has begun.
    journal: OnceLock<Arc<Journal>>,
    /// What waits for the run; none before it has begun.
    signals: OnceLock<Arc<SignalInbox>>,
    /// The run's span, once it has begun.
    span: OnceLock<OpenSpan>,
}

const NOT_STARTED: i64 = i64::MIN;

impl Attempt {
    pub(crate) fn new(job: ClaimedJob, session: Uuid) -> Self {
        Attempt {
            job,
            session,
            cancelled: CancellationToken::new(),
            end_reason: AtomicU8::new(0),
            started_at: AtomicI64::new(NOT_STARTED),
            reported: AtomicBool::new(false),
            journal: OnceLock::new(),
            signals: OnceLock::new(),
            span: OnceLock::new(),
        }
    }

    pub(crate) fn lease(&self) -> Lease {
        Lease { id: self.job.id, token: self.job.token }
    }

    /// Asks the attempt to end. A weightier reason takes the place of a lighter one.
    pub(crate) fn end(&self, reason: EndReason) {
        self.end_reason.fetch_max(reason as u8, SeqCst);
        self.cancelled.cancel();
    }

    /// Why the attempt is to end, if it is.
    pub(crate) fn end_reason(&self) -> Option<EndReason> {
        match self.end_reason.load(SeqCst) {
            0 => None,
            1 => Some(EndReason::NodeStops),
            2 => Some(EndReason::Cancelled),
            _ => Some(EndReason::SessionLost),
        }
    }

    /// The run begins.
    pub(crate) fn begin(&self, now: Timestamp) {
        self.started_at.store(now.as_micros(), SeqCst);
    }

    /// The run is one in this span, and stays in the first that it is said to be in.
    pub(crate) fn begin_span(&self, span: OpenSpan) {
        let _ = self.span.set(span);
    }

    /// The run's span, if it has begun.
    pub(crate) fn span(&self) -> Option<&OpenSpan> {
        self.span.get()
    }

    /// When the run began, if it did.
    pub(crate) fn started_at(&self) -> Option<Timestamp> {
        let micros = self.started_at.load(SeqCst);
        (micros != NOT_STARTED).then(|| Timestamp::from_micros(micros))
    }

    /// How long the run has taken, up to `now`.
    pub(crate) fn ran_for(&self, now: Timestamp) -> Option<Duration> {
        self.started_at().map(|started| now.saturating_since(started))
    }

    /// What the run says, from now on.
    pub(crate) fn keep_journal(&self, journal: &Arc<Journal>) {
        // A run begins once.
        let _ = self.journal.set(journal.clone());
    }

    /// What waits for the run, from now on.
    pub(crate) fn keep_signals(&self, inbox: &Arc<SignalInbox>) {
        // A run begins once.
        let _ = self.signals.set(inbox.clone());
    }

    /// The run has ended; what it has said that is not known to be written.
    pub(crate) fn close_journal(&self) -> Option<Box<Report>> {
        if let Some(signals) = self.signals.get() {
            signals.close();
        }
        self.journal.get()?.close().map(Box::new)
    }

    /// Claims the right to tell how the attempt ended; there is one word about each.
    pub(crate) fn take_word(&self) -> bool {
        !self.reported.swap(true, SeqCst)
    }

    /// Whether somebody has told how the attempt ended.
    pub(crate) fn is_reported(&self) -> bool {
        self.reported.load(SeqCst)
    }
}
