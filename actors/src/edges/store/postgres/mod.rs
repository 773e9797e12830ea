//! The store on PostgreSQL, for many processes.
//!
//! It runs on threads of its own. Batches are written on several connections at once, one transaction each; renewals have a
//! connection of their own, so that a node is never taken for dead because it has much to write.

mod attempts;
mod backlog;
mod batch;
mod bulk;
mod check;
mod claim;
mod clock;
mod columns;
mod completed;
mod connect;
mod control;
mod cron;
mod dead_jobs;
mod edges;
mod encryption;
mod enqueue;
mod enqueue_in;
mod error;
mod fleet;
mod inbox;
mod jobs;
mod keyed;
mod lane;
mod migrate;
mod order;
mod outside;
#[cfg(test)]
mod plans;
mod queue_pause;
mod read;
mod reports;
mod retention;
mod sequencer;
mod session;
mod signals;
mod told;
mod transaction;
mod transfer;
mod turns;
mod unique;
mod upkeep;
mod wake;
mod witness;
mod workflows;

use std::{future::Future, sync::Arc, time::Duration};

use callboard_contracts::{
    EventEnvelope, Timestamp,
    api::{JobLogPage, JobLogQuery, LogCursor, Totals},
};
use futures_util::{FutureExt, future::BoxFuture};
use secrecy::SecretString;
use sqlx::{PgConnection, PgPool};
use tokio::{
    runtime::Runtime,
    sync::{Mutex, Notify, broadcast, watch},
    task::JoinHandle,
    time::timeout,
};
use uuid::Uuid;

use self::{
    clock::DatabaseClock,
    connect::{Purpose, connect},
    lane::Lanes,
    wake::Outbox,
};
pub use self::{enqueue_in::enqueue_in, upkeep::PostgresUpkeep};
use super::{
    Clock, Durability, Leadership, Operation, OperationResult, Renewal, Store, StoreError, Wake,
    cron::{CronDue, CronRecord},
    dead_jobs::{BulkRecord, BulkSelection, CausePage, CauseQuery, EditRecord},
    encryption::SealedPage,
    port::OpenSession,
    record::{
        AuditRecord, CommandFilter, CommandRecord, CountedLog, EdgeRecord, JobFilter, JobRecord,
        JobTypeRecord, JobWithAttempts, LogPage, NodeRecord, QueueSettings, QueueTotals, Standing,
    },
    signals::{JobStateRecord, SignalRecord},
    workflow::{EndedSteps, InputsRecord, StepQuery, StepRecord, WorkflowFilter, WorkflowRecord},
};

/// Threads that speak with the database.
const THREADS: usize = 2;
/// Words from other nodes that a slow listener may have before it.
const WAKES: usize = 1024;
/// The longest name of a schema.
const MAX_SCHEMA: usize = 40;

/// How the store is opened.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database`, or with `?host=/folder` for a socket.
    pub url: SecretString,
    /// The schema in which everything is; made when it is missing. Small letters, digits and `_`. Default: `callboard`.
    pub schema: String,
    /// Connections that write, so many batches at once. Default: 4.
    pub connections: usize,
    /// Connections that only read. Default: 4.
    pub readers: u32,
    /// Default: full. Relaxed: `synchronous_commit` is off.
    pub durability: Durability,
    /// How long a connection may take to be there. Default: 5 s.
    pub connect_timeout: Duration,
    /// How long a statement may take. Default: 10 s.
    pub statement_timeout: Duration,
    /// How long a statement waits for a lock. Default: 5 s.
    pub lock_timeout: Duration,
    /// How long a batch may take. Default: 10 s.
    pub write_timeout: Duration,
    /// Default: the database's.
    pub clock: Clock,
    /// This node's name, in events and attempts.
    pub node: String,
    /// The program's version, in events.
    pub version: String,
}

impl PostgresOptions {
    /// The defaults, for this database.
    pub fn new(url: impl Into<SecretString>) -> Self {
        PostgresOptions {
            url: url.into(),
            schema: "callboard".to_owned(),
            connections: 4,
            readers: 4,
            durability: Durability::Full,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            clock: Clock::System,
            node: "node".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn check(&self) -> Result<(), StoreError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let good = self.schema.bytes().all(plain)
            && self.schema.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
            && !self.schema.starts_with("pg_")
            && self.schema.len() <= MAX_SCHEMA;
        if good {
            return Ok(());
        }
        Err(StoreError::Failed(format!(
            "{:?} cannot be the schema: a name is 1 to {MAX_SCHEMA} small letters, digits and `_`, begins with no digit, \
             and not with `pg_`",
            self.schema
        )))
    }
}

/// What the parts of the store share.
struct Shared {
    options: PostgresOptions,
    /// This store among those on the same database, in notifications.
    node: Uuid,
    clock: DatabaseClock,
    committed: watch::Sender<LogCursor>,
    wakes: broadcast::Sender<Wake>,
    /// Told when there are events without a place.
    unplaced: Notify,
    outbox: Outbox,
    /// Jobs that wait, of all queues together.
    counted: backlog::Counted,
}

impl Shared {
    /// The log has grown to here, at least.
    fn advance(&self, newest: LogCursor) {
        self.committed.send_if_modified(|known| {
            let grown = (newest.epoch, newest.position) > (known.epoch, known.position);
            if grown {
                *known = newest;
            }
            grown
        });
    }

    fn wake(&self, wake: Wake) {
        // Nobody may listen.
        let _ = self.wakes.send(wake);
    }
}

/// The store on a PostgreSQL database. Dropping it ends its threads and its connections.
pub struct PostgresStore {
    shared: Arc<Shared>,
    lanes: Arc<Lanes>,
    readers: PgPool,
    /// The connection for renewals, while it is good.
    control: Arc<Mutex<Option<PgConnection>>>,
    /// Taken when this is dropped.
    runtime: Option<Runtime>,
}

impl PostgresStore {
    /// Connects, and brings the schema to the newest version. Blocks.
    ///
    /// # Errors
    /// `NotReady` while the server cannot be reached, `TooNew`, and what the server says. Nothing has changed then.
    pub fn open(options: PostgresOptions) -> Result<Arc<Self>, StoreError> {
        options.check()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("store-postgres")
            .enable_all()
            .build()
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        let shared = Arc::new(Shared {
            node: Uuid::new_v4(),
            clock: DatabaseClock::new(options.clock.clone()),
            committed: watch::Sender::new(LogCursor::default()),
            wakes: broadcast::Sender::new(WAKES),
            unplaced: Notify::new(),
            outbox: Outbox::default(),
            counted: backlog::Counted::default(),
            options,
        });
        let opened = runtime.block_on(async {
            let mut connection = connect(&shared.options, Purpose::Control).await?;
            migrate::migrate(&mut connection, &shared.options).await?;
            shared.clock.adjust(&mut connection).await.map_err(error::translate)?;
            let (epoch, position): (i64, i64) = sqlx::query_as("SELECT epoch, position FROM log")
                .fetch_one(&mut connection)
                .await
                .map_err(error::translate)?;
            let known = |number: i64| u64::try_from(number).unwrap_or(0);
            shared.advance(LogCursor { epoch: known(epoch), position: known(position) });
            Ok((connection, connect::readers(&shared.options)?))
        });
        let (connection, readers) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                runtime.shutdown_background();
                return Err(error);
            }
        };
        runtime.spawn(sequencer::run(shared.clone()));
        runtime.spawn(wake::tell(shared.clone()));
        runtime.spawn(wake::hear(shared.clone()));
        Ok(Arc::new(PostgresStore {
            lanes: Arc::new(Lanes::new(shared.options.connections.max(1))),
            shared,
            readers,
            control: Arc::new(Mutex::new(Some(connection))),
            runtime: Some(runtime),
        }))
    }

    /// Drops the schema with all that is in it. Blocks.
    ///
    /// # Errors
    /// What the server says. Nothing has changed then.
    pub fn drop_schema(options: &PostgresOptions) -> Result<(), StoreError> {
        options.check()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::Failed(error.to_string()))?;
        runtime.block_on(async {
            let mut connection = connect(options, Purpose::Control).await?;
            connect::drop_schema(&mut connection, &options.schema).await.map_err(error::translate)
        })
    }

    /// Carries on with it on the store's threads, whatever becomes of the asker.
    fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let task: Option<JoinHandle<_>> = self.runtime.as_ref().map(|runtime| runtime.spawn(work));
        async move {
            let Some(task) = task else { return Err(StoreError::NotReady("it is closed".to_owned())) };
            task.await.unwrap_or_else(|error| Err(StoreError::Failed(error.to_string())))
        }
        .boxed()
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        self.spawn(read::snapshot(self.readers.clone(), read))
    }
}

/// Does something on the connection for renewals, which is opened again when it was lost.
async fn on_control<T>(
    shared: &Shared,
    control: &Mutex<Option<PgConnection>>,
    work: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
) -> Result<T, StoreError> {
    let limit = shared.options.statement_timeout;
    let done = async {
        let mut held = control.lock().await;
        // Whatever happens to it meanwhile, a connection in an unknown state is not used again.
        let mut connection = match held.take() {
            Some(connection) => connection,
            None => connect(&shared.options, Purpose::Control).await?,
        };
        let done = work(&mut connection).await;
        if !done.as_ref().is_err_and(error::is_disconnect) {
            *held = Some(connection);
        }
        done.map_err(error::translate)
    };
    timeout(limit, done).await.unwrap_or(Err(StoreError::TimedOut(limit)))
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // What is under way is lost to this process, as in a crash: the server ends it, or it is committed.
            runtime.shutdown_background();
        }
    }
}

impl Store for PostgresStore {
    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    fn apply(&self, batch: Vec<Operation>) -> BoxFuture<'static, Result<Vec<OperationResult>, StoreError>> {
        let (lanes, shared) = (self.lanes.clone(), self.shared.clone());
        self.spawn(async move { lanes.apply(&shared, &batch).await })
    }

    fn lanes(&self) -> usize {
        self.shared.options.connections.max(1)
    }

    fn renew(&self, session: Uuid) -> BoxFuture<'static, Result<Renewal, StoreError>> {
        let (shared, control) = (self.shared.clone(), self.control.clone());
        self.spawn(async move {
            on_control(&shared, &control, async |connection| {
                shared.clock.adjust(connection).await?;
                session::renew(connection, session, shared.clock.said()).await
            })
            .await
        })
    }

    fn lead(&self, session: Uuid, ttl: Duration) -> BoxFuture<'static, Result<Leadership, StoreError>> {
        let (shared, control) = (self.shared.clone(), self.control.clone());
        self.spawn(async move {
            let said = shared.clock.said();
            on_control(&shared, &control, async |connection| {
                session::lead(connection, session, ttl, said).await
            })
            .await
        })
    }

    fn wakes(&self) -> broadcast::Receiver<Wake> {
        self.shared.wakes.subscribe()
    }

    fn committed(&self) -> watch::Receiver<LogCursor> {
        self.shared.committed.subscribe()
    }

    fn job(&self, id: Uuid) -> BoxFuture<'static, Result<Option<JobWithAttempts>, StoreError>> {
        self.read(move |connection| read::job(connection, id).boxed())
    }

    fn job_log(
        &self,
        id: Uuid,
        query: JobLogQuery,
    ) -> BoxFuture<'static, Result<Option<JobLogPage>, StoreError>> {
        self.read(move |connection| reports::job_log(connection, id, query).boxed())
    }

    fn jobs_by_id(&self, ids: Vec<Uuid>) -> BoxFuture<'static, Result<Vec<JobRecord>, StoreError>> {
        self.read(move |connection| read::jobs_by_id(connection, ids).boxed())
    }

    fn jobs(&self, filter: JobFilter, limit: u32) -> BoxFuture<'static, Result<Vec<JobRecord>, StoreError>> {
        self.read(move |connection| read::jobs(connection, filter, limit).boxed())
    }

    fn events_after(
        &self,
        after: LogCursor,
        job: Option<Uuid>,
        limit: u32,
    ) -> BoxFuture<'static, Result<LogPage, StoreError>> {
        self.read(move |connection| read::events_after(connection, after, job, limit).boxed())
    }

    fn count_events_after(
        &self,
        after: LogCursor,
        limit: u32,
    ) -> BoxFuture<'static, Result<CountedLog, StoreError>> {
        self.read(move |connection| read::count_events_after(connection, after, limit).boxed())
    }

    fn recent_events(
        &self,
        job: Option<Uuid>,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<EventEnvelope>, StoreError>> {
        self.read(move |connection| read::recent_events(connection, job, limit).boxed())
    }

    fn totals(&self) -> BoxFuture<'static, Result<Totals, StoreError>> {
        self.read(|connection| read::totals(connection).boxed())
    }

    fn totals_at(&self) -> BoxFuture<'static, Result<(Totals, LogCursor), StoreError>> {
        self.read(|connection| read::totals_at(connection).boxed())
    }

    fn queues(&self) -> BoxFuture<'static, Result<Vec<(QueueSettings, QueueTotals)>, StoreError>> {
        self.read(|connection| read::queues(connection).boxed())
    }

    fn standing(
        &self,
        queue: String,
        key: Option<String>,
    ) -> BoxFuture<'static, Result<Standing, StoreError>> {
        let now = self.now();
        self.read(move |connection| read::standing(connection, queue, key, now).boxed())
    }

    fn job_types(&self) -> BoxFuture<'static, Result<Vec<JobTypeRecord>, StoreError>> {
        self.read(|connection| read::job_types(connection).boxed())
    }

    fn edges(&self) -> BoxFuture<'static, Result<Vec<EdgeRecord>, StoreError>> {
        self.read(|connection| edges::read(connection).boxed())
    }

    fn open_sessions(&self) -> BoxFuture<'static, Result<Vec<OpenSession>, StoreError>> {
        self.read(|connection| read::open_sessions(connection).boxed())
    }

    fn setting(&self, key: String) -> BoxFuture<'static, Result<Option<String>, StoreError>> {
        self.read(move |connection| read::setting(connection, key).boxed())
    }

    fn nodes(&self) -> BoxFuture<'static, Result<Vec<NodeRecord>, StoreError>> {
        let said = self.shared.clock.said();
        self.read(move |connection| fleet::nodes(connection, said).boxed())
    }

    fn commands(
        &self,
        filter: CommandFilter,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<CommandRecord>, StoreError>> {
        let now = self.now();
        self.read(move |connection| fleet::commands(connection, filter, limit, now).boxed())
    }

    fn audit(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<AuditRecord>, StoreError>> {
        self.read(move |connection| fleet::audit_page(connection, before, limit).boxed())
    }

    fn workflow(&self, id: Uuid) -> BoxFuture<'static, Result<Option<WorkflowRecord>, StoreError>> {
        self.read(move |connection| workflows::one(connection, id).boxed())
    }

    fn workflows(
        &self,
        filter: WorkflowFilter,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<WorkflowRecord>, StoreError>> {
        self.read(move |connection| workflows::list(connection, filter, limit).boxed())
    }

    fn workflow_steps(
        &self,
        id: Uuid,
        query: StepQuery,
    ) -> BoxFuture<'static, Result<Vec<StepRecord>, StoreError>> {
        self.read(move |connection| workflows::steps(connection, id, query).boxed())
    }

    fn workflow_edges(
        &self,
        id: Uuid,
        below: u32,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<(u32, u32)>, StoreError>> {
        self.read(move |connection| workflows::edges(connection, id, below, limit).boxed())
    }

    fn step_inputs(
        &self,
        job: Uuid,
        after: Option<u32>,
        limit: u32,
    ) -> BoxFuture<'static, Result<Option<InputsRecord>, StoreError>> {
        self.read(move |connection| workflows::inputs(connection, job, after, limit).boxed())
    }

    fn has_open_workflows(&self) -> BoxFuture<'static, Result<bool, StoreError>> {
        self.read(|connection| workflows::has_open(connection).boxed())
    }

    fn ended_steps(&self, after: Uuid, limit: u32) -> BoxFuture<'static, Result<EndedSteps, StoreError>> {
        self.read(move |connection| workflows::ended_steps(connection, after, limit).boxed())
    }

    fn cron(&self) -> BoxFuture<'static, Result<Vec<CronRecord>, StoreError>> {
        self.read(|connection| cron::all(connection).boxed())
    }

    fn cron_entry(&self, name: String) -> BoxFuture<'static, Result<Option<CronRecord>, StoreError>> {
        self.read(move |connection| cron::find(connection, name).boxed())
    }

    fn cron_due(&self, limit: u32) -> BoxFuture<'static, Result<CronDue, StoreError>> {
        let now = self.now();
        self.read(move |connection| cron::due(connection, now, limit).boxed())
    }

    fn dead_causes(&self, query: CauseQuery) -> BoxFuture<'static, Result<CausePage, StoreError>> {
        self.read(move |connection| dead_jobs::causes(connection, query).boxed())
    }

    fn last_success(&self, id: Uuid) -> BoxFuture<'static, Result<Option<Uuid>, StoreError>> {
        self.read(move |connection| dead_jobs::last_success(connection, id).boxed())
    }

    fn job_edits(&self, id: Uuid) -> BoxFuture<'static, Result<Vec<EditRecord>, StoreError>> {
        self.read(move |connection| dead_jobs::edits(connection, id).boxed())
    }

    fn bulks(
        &self,
        which: BulkSelection,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<BulkRecord>, StoreError>> {
        self.read(move |connection| bulk::read(connection, which, limit).boxed())
    }

    fn signals(&self, job: Uuid) -> BoxFuture<'static, Result<Option<Vec<SignalRecord>>, StoreError>> {
        self.read(move |connection| signals::all(connection, job).boxed())
    }

    fn signals_after(
        &self,
        jobs: Vec<(Uuid, u32)>,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<(Uuid, SignalRecord)>, StoreError>> {
        self.read(move |connection| async move { signals::after(connection, &jobs, limit).await }.boxed())
    }

    fn job_state(&self, job: Uuid) -> BoxFuture<'static, Result<Option<JobStateRecord>, StoreError>> {
        self.read(move |connection| signals::job_state(connection, job).boxed())
    }

    fn sealed(&self, after: u64, limit: u32) -> BoxFuture<'static, Result<SealedPage, StoreError>> {
        self.read(move |connection| encryption::sealed(connection, after, limit).boxed())
    }
}
