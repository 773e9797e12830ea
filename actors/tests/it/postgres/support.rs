//! A database of one's own, and short words for what is done to it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use callboard_actors::edges::store::{
    Clock, Operation, OperationResult, Outcome, PostgresOptions, PostgresStore, Store, StoreError,
    record::{AttemptEnd, ClaimedJob, JobRecord, Lease, LoggedEvent, NewJob, NewSession},
};
use callboard_contracts::{
    JobState, Timestamp,
    api::{AttemptError, ErrorKind, LogCursor},
};
use callboard_testsupport::Database;
use sqlx::{Connection, PgConnection};
use tokio::{task::spawn_blocking, time::timeout};
use uuid::Uuid;

/// Long enough for whatever is waited for, on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Where the clock of a test begins, in microseconds.
const BEGIN: i64 = 1_800_000_000_000_000;

/// A database on which stores are opened, and gone with it.
pub(super) struct Stage {
    pub(super) database: Database,
    /// What the stores take for now, if it is told.
    clock: Option<Arc<AtomicI64>>,
}

impl Stage {
    /// Its stores go by the database's clock.
    pub(super) async fn new() -> Stage {
        let database = spawn_blocking(Database::create).await.unwrap();
        Stage { database, clock: None }
    }

    /// Its stores go by a clock that stands still until it is told to go.
    pub(super) async fn with_clock() -> Stage {
        Stage { clock: Some(Arc::new(AtomicI64::new(BEGIN))), ..Stage::new().await }
    }

    pub(super) fn pass(&self, time: Duration) {
        let clock = self.clock.as_ref().expect("a clock that is told");
        clock.fetch_add(i64::try_from(time.as_micros()).unwrap(), SeqCst);
    }

    pub(super) fn options(&self, node: &str) -> PostgresOptions {
        let clock = self.clock.clone().map_or(Clock::System, Clock::Manual);
        PostgresOptions { node: node.to_owned(), clock, ..PostgresOptions::new(self.database.url()) }
    }

    pub(super) async fn open(&self, node: &str) -> Arc<PostgresStore> {
        open(self.options(node)).await.unwrap()
    }

    /// A connection that finds our tables by their names.
    pub(super) async fn connect(&self) -> PgConnection {
        let mut connection = PgConnection::connect(self.database.url()).await.unwrap();
        sqlx::query("SET search_path TO callboard").execute(&mut connection).await.unwrap();
        connection
    }

    /// Waits until a connection of this node waits for a lock.
    pub(super) async fn until_blocked(&self, node: &str) {
        let mut connection = self.connect().await;
        let blocked = async {
            loop {
                let waits: bool = sqlx::query_scalar(
                    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                                    AND application_name = 'callboard ' || $1 AND wait_event_type = 'Lock')",
                )
                .bind(node)
                .fetch_one(&mut connection)
                .await
                .unwrap();
                if waits {
                    return;
                }
            }
        };
        timeout(PATIENCE, blocked).await.expect("it waits for a lock");
    }

    /// A number that a query gives.
    pub(super) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut self.connect().await).await.unwrap()
    }
}

pub(super) async fn open(options: PostgresOptions) -> Result<Arc<PostgresStore>, StoreError> {
    spawn_blocking(move || PostgresStore::open(options)).await.unwrap()
}

/// A batch of which every member must be carried out.
pub(super) async fn apply(store: &PostgresStore, batch: Vec<Operation>) -> Vec<Outcome> {
    store.apply(batch).await.unwrap().into_iter().map(OperationResult::unwrap).collect()
}

pub(super) async fn one(store: &PostgresStore, operation: Operation) -> Outcome {
    apply(store, vec![operation]).await.remove(0)
}

pub(super) async fn session(store: &PostgresStore) -> Uuid {
    let id = Uuid::now_v7();
    let session = NewSession { id, node: "node".into(), version: "0".into(), process: 1 };
    assert_eq!(one(store, Operation::OpenSession(session)).await, Outcome::Done);
    id
}

pub(super) fn claim(limit: u32, session: Uuid) -> Operation {
    Operation::Claim { queue: "default".into(), limit, session }
}

pub(super) async fn claimed(store: &PostgresStore, limit: u32, session: Uuid) -> Vec<ClaimedJob> {
    match one(store, claim(limit, session)).await {
        Outcome::Claimed(jobs) => jobs,
        other => panic!("{other:?}"),
    }
}

pub(super) async fn record(store: &PostgresStore, id: Uuid) -> JobRecord {
    store.job(id).await.unwrap().unwrap().job
}

pub(super) async fn state(store: &PostgresStore, id: Uuid) -> JobState {
    record(store, id).await.state
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
        max_total: u64::MAX,
        needs: Vec::new(),
        scheduled_at: None,
        priority: 0,
        tags: Vec::new(),
        partition_key: None,
        unique: None,
        trace: None,
    }
}

pub(super) fn enqueue(job: &NewJob) -> Operation {
    Operation::Enqueue(Box::new(job.clone()))
}

pub(super) fn lease(job: &ClaimedJob) -> Lease {
    Lease { id: job.id, token: job.token }
}

pub(super) fn complete(job: &ClaimedJob) -> Operation {
    let end = AttemptEnd::Completed { result: Some("17".into()) };
    Operation::Finish { lease: lease(job), started_at: Some(Timestamp::now()), end }
}

pub(super) fn lost() -> AttemptError {
    AttemptError { kind: ErrorKind::Lost, message: "its node died".into(), backtrace: None, is_final: false }
}

pub(super) fn rescue(session: Uuid) -> Operation {
    Operation::Rescue {
        session,
        error: lost(),
        limit: 1000,
        idle_for: None,
        leader: None,
        quarantine_after: 0,
    }
}

/// The log as it stands once it holds `count` events.
pub(super) async fn log_of(store: &PostgresStore, count: u64) -> Vec<LoggedEvent> {
    until_position(store, count).await;
    let begin = LogCursor { epoch: 1, position: 0 };
    store.events_after(begin, None, 100_000).await.unwrap().events
}

/// Waits until the log has grown to here, as the store tells it.
pub(super) async fn until_position(store: &PostgresStore, position: u64) {
    let mut committed = store.committed();
    let grown = committed.wait_for(|newest| newest.position >= position);
    timeout(PATIENCE, grown).await.expect("the log grows").unwrap();
}
