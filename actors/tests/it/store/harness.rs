//! A store of one's own, and short words for its operations.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use callboard_actors::edges::store::{
    Clock, Operation, Outcome, SqliteOptions, SqliteStore, Store, StoreError,
    record::{
        AttemptEnd, ClaimedJob, JobFilter, JobRecord, Lease, LoggedEvent, NewJob, NewSession, Retention,
    },
};
use callboard_contracts::{
    JobState, Timestamp,
    api::{AttemptError, ErrorKind, LogCursor},
};
use tempfile::TempDir;
use uuid::Uuid;

/// Long enough for every retention here.
pub(super) const DAY: Duration = Duration::from_secs(86_400);
/// Where the clock of a test begins, in microseconds.
const BEGIN: i64 = 1_800_000_000_000_000;

/// A store in a folder of its own, with a clock that stands still until it is told to go.
pub(super) struct Stage {
    pub(super) folder: TempDir,
    pub(super) store: Arc<dyn Store>,
    clock: Arc<AtomicI64>,
}

/// The options of a store in this folder.
pub(super) fn options(folder: &TempDir) -> SqliteOptions {
    SqliteOptions { min_free_space: 0, ..SqliteOptions::new(folder.path().join("callboard.db")) }
}

impl Stage {
    pub(super) fn new() -> Stage {
        Stage::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut SqliteOptions)) -> Stage {
        let folder = TempDir::new().unwrap();
        let clock = Arc::new(AtomicI64::new(BEGIN));
        let mut options = SqliteOptions { clock: Clock::Manual(clock.clone()), ..options(&folder) };
        change(&mut options);
        Stage { store: SqliteStore::open(options).unwrap(), folder, clock }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("callboard.db")
    }

    pub(super) fn pass(&self, time: Duration) {
        self.clock.fetch_add(i64::try_from(time.as_micros()).unwrap(), SeqCst);
    }

    /// A batch of which every member must be carried out.
    pub(super) async fn apply(&self, batch: Vec<Operation>) -> Vec<Outcome> {
        let results = self.store.apply(batch).await.unwrap();
        results.into_iter().map(|result| result.unwrap()).collect()
    }

    pub(super) async fn one(&self, operation: Operation) -> Outcome {
        self.apply(vec![operation]).await.remove(0)
    }

    pub(super) async fn session(&self) -> Uuid {
        let id = Uuid::now_v7();
        let session = NewSession { id, node: "node".into(), version: "0".into(), process: 1 };
        assert_eq!(self.one(Operation::OpenSession(session)).await, Outcome::Done);
        id
    }

    pub(super) async fn claim(&self, queue: &str, limit: u32, session: Uuid) -> Vec<ClaimedJob> {
        match self.one(Operation::Claim { queue: queue.into(), limit, session }).await {
            Outcome::Claimed(jobs) => jobs,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn record(&self, id: Uuid) -> JobRecord {
        self.store.job(id).await.unwrap().unwrap().job
    }

    pub(super) async fn state(&self, id: Uuid) -> JobState {
        self.record(id).await.state
    }

    pub(super) async fn log(&self) -> Vec<LoggedEvent> {
        self.store.events_after(LogCursor { epoch: 1, position: 0 }, None, 100_000).await.unwrap().events
    }

    pub(super) async fn list(&self, filter: JobFilter) -> Vec<JobRecord> {
        self.store.jobs(filter, 1000).await.unwrap()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.store.now()
    }
}

/// A job of the queue `default`.
pub(super) fn job() -> NewJob {
    NewJob {
        id: Uuid::now_v7(),
        job_type: "noop".into(),
        queue: "default".into(),
        payload: "{}".into(),
        metadata: None,
        document: None,
        fingerprint: [7; 32],
        max_attempts: 3,
        timeout: Duration::from_secs(60),
        held: None,
        correlation_id: Uuid::now_v7(),
        event_id: Uuid::now_v7(),
        max_backlog: 1_000_000,
    }
}

pub(super) fn enqueue(job: &NewJob) -> Operation {
    Operation::Enqueue(Box::new(job.clone()))
}

pub(super) fn lease(job: &ClaimedJob) -> Lease {
    Lease { id: job.id, token: job.token }
}

pub(super) fn finish(lease: Lease, end: AttemptEnd) -> Operation {
    Operation::Finish { lease, started_at: None, end }
}

pub(super) fn completed() -> AttemptEnd {
    AttemptEnd::Completed { result: Some("17".into()) }
}

pub(super) fn error() -> AttemptError {
    AttemptError { kind: ErrorKind::Failed, message: "no luck".into(), backtrace: None, is_final: false }
}

pub(super) fn failed(retry_at: Option<Timestamp>) -> AttemptEnd {
    AttemptEnd::Failed { error: error(), retry_at }
}

pub(super) fn retry(id: Uuid) -> Operation {
    Operation::Retry { id, replay_id: Uuid::now_v7(), event_id: Uuid::now_v7(), max_backlog: 1_000_000 }
}

pub(super) fn keep(batch: u32) -> Retention {
    Retention { completed: DAY, cancelled: DAY, discarded: DAY, events: DAY, events_max: u64::MAX, batch }
}

pub(super) fn prune(retention: Retention) -> Operation {
    Operation::Prune { retention, leader: 0 }
}

pub(super) fn promote(limit: u32) -> Operation {
    Operation::Promote { limit, leader: 0 }
}

pub(super) fn rescue(session: Uuid, limit: u32) -> Operation {
    Operation::Rescue { session, error: error(), limit, idle_for: None, leader: None }
}

/// What kind of error it is, without its text.
pub(super) fn kind(error: &StoreError) -> &'static str {
    match error {
        StoreError::NotReady(_) => "not ready",
        StoreError::Busy { .. } => "busy",
        StoreError::DiskFull(_) => "disk full",
        StoreError::ReadOnly(_) => "read-only",
        StoreError::InUse { .. } => "in use",
        StoreError::Locked(_) => "locked",
        StoreError::Corrupt(_) => "corrupt",
        StoreError::TooNew { .. } => "too new",
        StoreError::TimedOut(_) => "timed out",
        StoreError::Failed(_) => "failed",
    }
}
