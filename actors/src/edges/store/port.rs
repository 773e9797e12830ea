//! The port: what every backend of the store does, in the same way.
//!
//! Writes are [`Operation`]s. A batch of them is one transaction: all that succeed are durable when
//! [`Store::apply`] answers, each operation's own failure leaves the others alone, and each change of a job writes its
//! event in the same transaction. Operations are idempotent by job id, event id or token, so a batch whose outcome is
//! unknown can be sent again. Reads see what was committed before they began.

use callboard_contracts::{
    EventEnvelope, JobState, Timestamp,
    api::{AttemptError, LogCursor, Totals},
};
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

use super::record::{
    AttemptEnd, ClaimedJob, JobFilter, JobRecord, JobTypeRecord, JobWithAttempts, Lease, LogPage, NewJob,
    NewSession, QueueSettings, QueueTotals, Retention,
};

/// Why the store did not do what was asked. Nothing of it was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store is not connected yet, or not any more.
    #[error("the store is not ready: {0}")]
    NotReady(String),
    /// More writes wait than may.
    #[error("the store is busy: {waiting} writes wait already")]
    Busy {
        /// Writes that wait.
        waiting: usize,
    },
    /// There is no room on the disk.
    #[error("the disk is full: {0}")]
    DiskFull(String),
    /// The store cannot be written to.
    #[error("the store is read-only: {0}")]
    ReadOnly(String),
    /// Another process holds the file.
    #[error("the store is in use by {holder}")]
    InUse {
        /// The process, as its lock describes it.
        holder: String,
    },
    /// Another connection holds the file's write lock for longer than we wait.
    #[error("the store is locked by another connection: {0}")]
    Locked(String),
    /// What the file holds is damaged, or is no database.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// A newer program has written it.
    #[error(
        "the store's schema is version {found}, and this program knows {known}: start a newer program on it"
    )]
    TooNew {
        /// The version found.
        found: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// It took too long. The outcome of a write is unknown; sending it again is safe.
    #[error("the store did not answer within {0:?}")]
    TimedOut(std::time::Duration),
    /// Anything else, in the backend's words.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Store a job.
    Enqueue(Box<NewJob>),
    /// Lease the jobs of a queue that are available, first come first served, at most `limit`, for `session`.
    Claim {
        /// The queue.
        queue: String,
        /// How many at most.
        limit: u32,
        /// Whose they are to be.
        session: Uuid,
    },
    /// The run of a leased attempt has begun.
    Start {
        /// The lease.
        lease: Lease,
        /// When it began.
        started_at: Timestamp,
    },
    /// A leased attempt has ended.
    Finish {
        /// The lease.
        lease: Lease,
        /// When its run began, if it did; stands in for a [`Operation::Start`] that was not sent.
        started_at: Option<Timestamp>,
        /// How it ended.
        end: AttemptEnd,
    },
    /// Call a job off.
    Cancel {
        /// The job.
        id: Uuid,
    },
    /// Run a waiting job now, or a finished one again as a new job.
    Retry {
        /// The job.
        id: Uuid,
        /// The new job's id, should one be made.
        replay_id: Uuid,
        /// The new job's `job.created` event.
        event_id: Uuid,
        /// Waiting jobs of the queue at which a new one is refused.
        max_backlog: u64,
    },
    /// Make scheduled and retryable jobs available whose time has come, at most `limit`.
    Promote {
        /// How many at most.
        limit: u32,
    },
    /// Make jobs available that wait for a handler of one of these types.
    ReleaseHeld {
        /// The types that have a handler now.
        job_types: Vec<String>,
        /// How many at most.
        limit: u32,
    },
    /// Begin a node's session.
    OpenSession(NewSession),
    /// The node lives.
    RenewSession {
        /// The session.
        id: Uuid,
    },
    /// The node has left in good order.
    CloseSession {
        /// The session.
        id: Uuid,
    },
    /// End the attempts of a session that is dead: each becomes the next attempt, available at once, or a dead job when
    /// it was the last one. At most `limit`.
    Rescue {
        /// The dead session.
        session: Uuid,
        /// What the attempts' error says.
        error: AttemptError,
        /// How many at most.
        limit: u32,
    },
    /// Make the queues known.
    PutQueues(Vec<QueueSettings>),
    /// Make the job types known.
    PutJobTypes(Vec<JobTypeRecord>),
    /// Keep a setting, a JSON value.
    PutSetting {
        /// Its name.
        key: String,
        /// Its value, JSON text.
        value: String,
    },
    /// Delete finished jobs and old events.
    Prune(Retention),
}

/// What an [`Operation`] did.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// [`Operation::Enqueue`]: stored.
    Enqueued {
        /// Its state.
        state: JobState,
    },
    /// [`Operation::Enqueue`]: the very same job is there already; nothing changed.
    Duplicate {
        /// The first one's `job.created` event.
        event_id: Uuid,
        /// Its state now.
        state: JobState,
    },
    /// [`Operation::Enqueue`]: another job has this id; nothing changed.
    Conflict,
    /// [`Operation::Enqueue`] or [`Operation::Retry`]: the queue's backlog is full; nothing changed.
    BacklogFull {
        /// Jobs that wait.
        waiting: u64,
        /// Jobs that may wait.
        limit: u64,
    },
    /// [`Operation::Claim`].
    Claimed(Vec<ClaimedJob>),
    /// [`Operation::Start`].
    Started {
        /// Whether somebody has asked to cancel the job.
        cancel_requested: bool,
    },
    /// [`Operation::Finish`].
    Finished {
        /// The job's state now.
        state: JobState,
    },
    /// [`Operation::Start`] or [`Operation::Finish`]: the lease is not the job's current one; nothing changed.
    Stale,
    /// [`Operation::Cancel`]: it is cancelled.
    Cancelled,
    /// [`Operation::Cancel`]: it is marked; the running attempt is to be told.
    CancelRequested {
        /// The running attempt.
        lease: Lease,
        /// Its queue.
        queue: String,
        /// Whose it is.
        session: Uuid,
    },
    /// [`Operation::Retry`]: it was waiting, and is available now.
    MadeAvailable {
        /// Its queue.
        queue: String,
    },
    /// [`Operation::Retry`]: it was finished; a new job was stored.
    Replayed {
        /// The new job.
        id: Uuid,
        /// Its queue.
        queue: String,
        /// Its state.
        state: JobState,
    },
    /// [`Operation::Cancel`] or [`Operation::Retry`]: its state does not allow it; nothing changed.
    NotPossible {
        /// The job's state.
        state: JobState,
    },
    /// There is no such job, or session.
    NotFound,
    /// [`Operation::Promote`], [`Operation::ReleaseHeld`], [`Operation::Rescue`].
    Moved {
        /// The queues that have more available jobs now.
        queues: Vec<String>,
        /// How many jobs moved.
        count: u32,
        /// For `Promote`: when the next job's time comes.
        next_at: Option<Timestamp>,
    },
    /// [`Operation::Prune`].
    Pruned {
        /// Jobs deleted.
        jobs: u64,
        /// Events deleted.
        events: u64,
        /// Whether there is more to delete.
        more: bool,
    },
    /// The operation has no other answer.
    Done,
}

/// What became of one operation of a batch.
pub type OperationResult = Result<Outcome, StoreError>;

/// A session that has not been closed.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenSession {
    /// Its id.
    pub id: Uuid,
    /// The node's name.
    pub node: String,
    /// When the node last said that it lives, on the store's clock.
    pub seen_at: Timestamp,
    /// Attempts that it holds.
    pub executing: u64,
}

/// A backend of the store.
///
/// Every call is bounded in time. Dropping a future of [`apply`](Self::apply) does not undo the batch.
pub trait Store: Send + Sync + 'static {
    /// The store's clock. All roles go by it.
    fn now(&self) -> Timestamp;

    /// Carries out a batch in one transaction and says for each operation, in order, what it did.
    ///
    /// # Errors
    /// One for the whole batch if nothing of it was done.
    fn apply(&self, batch: Vec<Operation>) -> BoxFuture<'static, Result<Vec<OperationResult>, StoreError>>;

    /// The newest place in the log, told after each commit.
    fn committed(&self) -> watch::Receiver<LogCursor>;

    /// One job.
    fn job(&self, id: Uuid) -> BoxFuture<'static, Result<Option<JobWithAttempts>, StoreError>>;

    /// The states and last errors of these jobs, in no order; those that are not there are missing. At most 1000.
    fn jobs_by_id(&self, ids: Vec<Uuid>) -> BoxFuture<'static, Result<Vec<JobRecord>, StoreError>>;

    /// Jobs, newest first, at most `limit`.
    fn jobs(&self, filter: JobFilter, limit: u32) -> BoxFuture<'static, Result<Vec<JobRecord>, StoreError>>;

    /// The log after `after`, at most `limit` events, of all jobs or of one.
    fn events_after(
        &self,
        after: LogCursor,
        job: Option<Uuid>,
        limit: u32,
    ) -> BoxFuture<'static, Result<LogPage, StoreError>>;

    /// The newest events of contract 1.0.0, newest first, of all jobs or of one.
    fn recent_events(
        &self,
        job: Option<Uuid>,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<EventEnvelope>, StoreError>>;

    /// Finished jobs, ever.
    fn totals(&self) -> BoxFuture<'static, Result<Totals, StoreError>>;

    /// What the queues hold: those that were made known and those that have jobs.
    fn queues(&self) -> BoxFuture<'static, Result<Vec<(QueueSettings, QueueTotals)>, StoreError>>;

    /// The job types that were made known.
    fn job_types(&self) -> BoxFuture<'static, Result<Vec<JobTypeRecord>, StoreError>>;

    /// The sessions that have not been closed.
    fn open_sessions(&self) -> BoxFuture<'static, Result<Vec<OpenSession>, StoreError>>;

    /// A setting, JSON text.
    fn setting(&self, key: String) -> BoxFuture<'static, Result<Option<String>, StoreError>>;
}
