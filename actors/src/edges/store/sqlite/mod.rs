//! The store on one SQLite file, for one process.
//!
//! One thread writes, some read; each has its own connection and a bounded queue, so nothing here blocks an executor.
//! The writer is alone, so it keeps the counters of the log, the tokens and the totals in memory beside the tables.

mod attempts;
mod batch;
mod bulk;
mod check;
mod claim;
mod control;
mod cron;
mod dead_jobs;
mod edges;
mod encryption;
mod ended_attempt;
mod enqueue;
mod error;
mod fleet;
mod inbox;
mod jobs;
mod keyed;
mod log;
mod open;
mod outside;
#[cfg(test)]
mod plans;
mod queue_pause;
mod read;
mod reports;
mod retention;
mod session;
mod signals;
mod threads;
mod transaction;
mod transfer;
mod turns;
mod unique;
mod upkeep;
mod workflows;
mod writer;

use std::{path::PathBuf, sync::Arc, time::Duration};

use callboard_contracts::{
    EventEnvelope, Timestamp,
    api::{JobLogPage, JobLogQuery, LogCursor, Totals},
};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

pub use self::upkeep::SqliteUpkeep;
use self::{open::FileLock, threads::Pool, writer::Writer};
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

/// How the store is opened.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The database file. Its folder is made when it is missing.
    pub path: PathBuf,
    /// Default: full.
    pub durability: Durability,
    /// Threads that read. Default: 2.
    pub readers: usize,
    /// How long a statement waits for another connection's lock. Default: 5 s.
    pub busy_timeout: Duration,
    /// How long a read may take. Default: 10 s.
    pub write_timeout: Duration,
    /// Bytes of free space on the disk below which new jobs are refused. Default: 64 MiB.
    pub min_free_space: u64,
    /// Pages the file may have at most. Default: no limit but the disk's.
    pub max_pages: Option<u32>,
    /// Default: the system's.
    pub clock: Clock,
    /// This node's name, in events and attempts.
    pub node: String,
    /// The program's version, in events.
    pub version: String,
}

impl SqliteOptions {
    /// The defaults, for this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        SqliteOptions {
            path: path.into(),
            durability: Durability::Full,
            readers: 2,
            busy_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            min_free_space: 64 * 1024 * 1024,
            max_pages: None,
            clock: Clock::System,
            node: "node".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// The store on one SQLite file. Dropping it ends its threads and frees the file; that blocks.
pub struct SqliteStore {
    clock: Clock,
    committed: watch::Receiver<LogCursor>,
    /// There is no other node that could say anything.
    wakes: broadcast::Sender<Wake>,
    writer: Writer,
    readers: Pool,
    /// Last: the file is free only when nobody uses it any more.
    _lock: FileLock,
}

impl SqliteStore {
    /// Opens the file, or makes it. Blocks.
    ///
    /// # Errors
    /// `InUse` while another process has it, `TooNew`, `Corrupt` for what is no database of ours, and what the system
    /// says. The file is left as it was then.
    pub fn open(mut options: SqliteOptions) -> Result<Arc<Self>, StoreError> {
        options.path = open::real_path(&options.path)?;
        let lock = FileLock::take(&options)?;
        let connection = open::writer(&options)?;
        let (committed, receiver) = watch::channel(LogCursor::default());
        let clock = options.clock.clone();
        let readers = Pool::start(&options)?;
        let writer = Writer::start(connection, options, committed)?;
        let wakes = broadcast::Sender::new(1);
        Ok(Arc::new(SqliteStore { clock, committed: receiver, wakes, writer, readers, _lock: lock }))
    }
}

impl Store for SqliteStore {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn apply(&self, batch: Vec<Operation>) -> BoxFuture<'static, Result<Vec<OperationResult>, StoreError>> {
        self.writer.apply(batch)
    }

    /// There is one thread that writes.
    fn lanes(&self) -> usize {
        1
    }

    fn renew(&self, session: Uuid) -> BoxFuture<'static, Result<Renewal, StoreError>> {
        self.writer.renew(session)
    }

    /// The one process that holds the file leads.
    fn lead(&self, _: Uuid, _: Duration) -> BoxFuture<'static, Result<Leadership, StoreError>> {
        async { Ok(Leadership::Leader { token: 0 }) }.boxed()
    }

    fn wakes(&self) -> broadcast::Receiver<Wake> {
        self.wakes.subscribe()
    }

    fn committed(&self) -> watch::Receiver<LogCursor> {
        self.committed.clone()
    }

    fn job(&self, id: Uuid) -> BoxFuture<'static, Result<Option<JobWithAttempts>, StoreError>> {
        self.readers.run(move |connection| read::job(connection, id))
    }

    fn job_log(
        &self,
        id: Uuid,
        query: JobLogQuery,
    ) -> BoxFuture<'static, Result<Option<JobLogPage>, StoreError>> {
        self.readers.run(move |connection| reports::job_log(connection, id, &query))
    }

    fn jobs_by_id(&self, ids: Vec<Uuid>) -> BoxFuture<'static, Result<Vec<JobRecord>, StoreError>> {
        self.readers.run(move |connection| read::jobs_by_id(connection, &ids))
    }

    fn jobs(&self, filter: JobFilter, limit: u32) -> BoxFuture<'static, Result<Vec<JobRecord>, StoreError>> {
        self.readers.run(move |connection| read::jobs(connection, &filter, limit))
    }

    fn events_after(
        &self,
        after: LogCursor,
        job: Option<Uuid>,
        limit: u32,
    ) -> BoxFuture<'static, Result<LogPage, StoreError>> {
        self.readers.run(move |connection| read::events_after(connection, after, job, limit))
    }

    fn count_events_after(
        &self,
        after: LogCursor,
        limit: u32,
    ) -> BoxFuture<'static, Result<CountedLog, StoreError>> {
        self.readers.run(move |connection| read::count_events_after(connection, after, limit))
    }

    fn recent_events(
        &self,
        job: Option<Uuid>,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<EventEnvelope>, StoreError>> {
        self.readers.run(move |connection| read::recent_events(connection, job, limit))
    }

    fn totals(&self) -> BoxFuture<'static, Result<Totals, StoreError>> {
        self.readers.run(read::totals)
    }

    fn totals_at(&self) -> BoxFuture<'static, Result<(Totals, LogCursor), StoreError>> {
        self.readers.run(read::totals_at)
    }

    fn queues(&self) -> BoxFuture<'static, Result<Vec<(QueueSettings, QueueTotals)>, StoreError>> {
        self.readers.run(read::queues)
    }

    fn standing(
        &self,
        queue: String,
        key: Option<String>,
    ) -> BoxFuture<'static, Result<Standing, StoreError>> {
        let now = self.now();
        self.readers.run(move |connection| read::standing(connection, &queue, key.as_deref(), now))
    }

    fn job_types(&self) -> BoxFuture<'static, Result<Vec<JobTypeRecord>, StoreError>> {
        self.readers.run(read::job_types)
    }

    fn edges(&self) -> BoxFuture<'static, Result<Vec<EdgeRecord>, StoreError>> {
        self.readers.run(edges::read)
    }

    fn open_sessions(&self) -> BoxFuture<'static, Result<Vec<OpenSession>, StoreError>> {
        self.readers.run(read::open_sessions)
    }

    fn setting(&self, key: String) -> BoxFuture<'static, Result<Option<String>, StoreError>> {
        self.readers.run(move |connection| read::setting(connection, &key))
    }

    fn nodes(&self) -> BoxFuture<'static, Result<Vec<NodeRecord>, StoreError>> {
        self.readers.run(fleet::nodes)
    }

    fn commands(
        &self,
        filter: CommandFilter,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<CommandRecord>, StoreError>> {
        let now = self.now();
        self.readers.run(move |connection| fleet::commands(connection, &filter, limit, now))
    }

    fn audit(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<AuditRecord>, StoreError>> {
        self.readers.run(move |connection| fleet::audit_page(connection, before, limit))
    }

    fn workflow(&self, id: Uuid) -> BoxFuture<'static, Result<Option<WorkflowRecord>, StoreError>> {
        self.readers.run(move |connection| workflows::one(connection, id))
    }

    fn workflows(
        &self,
        filter: WorkflowFilter,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<WorkflowRecord>, StoreError>> {
        self.readers.run(move |connection| workflows::list(connection, &filter, limit))
    }

    fn workflow_steps(
        &self,
        id: Uuid,
        query: StepQuery,
    ) -> BoxFuture<'static, Result<Vec<StepRecord>, StoreError>> {
        self.readers.run(move |connection| workflows::steps(connection, id, query))
    }

    fn workflow_edges(
        &self,
        id: Uuid,
        below: u32,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<(u32, u32)>, StoreError>> {
        self.readers.run(move |connection| workflows::edges(connection, id, below, limit))
    }

    fn step_inputs(
        &self,
        job: Uuid,
        after: Option<u32>,
        limit: u32,
    ) -> BoxFuture<'static, Result<Option<InputsRecord>, StoreError>> {
        self.readers.run(move |connection| workflows::inputs(connection, job, after, limit))
    }

    fn has_open_workflows(&self) -> BoxFuture<'static, Result<bool, StoreError>> {
        self.readers.run(workflows::has_open)
    }

    fn ended_steps(&self, after: Uuid, limit: u32) -> BoxFuture<'static, Result<EndedSteps, StoreError>> {
        self.readers.run(move |connection| workflows::ended_steps(connection, after, limit))
    }

    fn cron(&self) -> BoxFuture<'static, Result<Vec<CronRecord>, StoreError>> {
        self.readers.run(cron::all)
    }

    fn cron_entry(&self, name: String) -> BoxFuture<'static, Result<Option<CronRecord>, StoreError>> {
        self.readers.run(move |connection| cron::find(connection, &name))
    }

    fn cron_due(&self, limit: u32) -> BoxFuture<'static, Result<CronDue, StoreError>> {
        let now = self.now();
        self.readers.run(move |connection| cron::due(connection, now, limit))
    }

    fn dead_causes(&self, query: CauseQuery) -> BoxFuture<'static, Result<CausePage, StoreError>> {
        self.readers.run(move |connection| dead_jobs::causes(connection, &query))
    }

    fn last_success(&self, id: Uuid) -> BoxFuture<'static, Result<Option<Uuid>, StoreError>> {
        self.readers.run(move |connection| dead_jobs::last_success(connection, id))
    }

    fn job_edits(&self, id: Uuid) -> BoxFuture<'static, Result<Vec<EditRecord>, StoreError>> {
        self.readers.run(move |connection| dead_jobs::edits(connection, id))
    }

    fn bulks(
        &self,
        which: BulkSelection,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<BulkRecord>, StoreError>> {
        self.readers.run(move |connection| bulk::read(connection, which, limit))
    }

    fn signals(&self, job: Uuid) -> BoxFuture<'static, Result<Option<Vec<SignalRecord>>, StoreError>> {
        self.readers.run(move |connection| signals::all(connection, job))
    }

    fn signals_after(
        &self,
        jobs: Vec<(Uuid, u32)>,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<(Uuid, SignalRecord)>, StoreError>> {
        self.readers.run(move |connection| signals::after(connection, &jobs, limit))
    }

    fn job_state(&self, job: Uuid) -> BoxFuture<'static, Result<Option<JobStateRecord>, StoreError>> {
        self.readers.run(move |connection| signals::job_state(connection, job))
    }

    fn sealed(&self, after: u64, limit: u32) -> BoxFuture<'static, Result<SealedPage, StoreError>> {
        self.readers.run(move |connection| encryption::sealed(connection, after, limit))
    }
}
