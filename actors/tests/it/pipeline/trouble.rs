//! A store that makes trouble.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use callboard_actors::edges::store::{
    Leadership, Operation, OperationResult, Outcome, Renewal, Store, StoreError, Wake,
    cron::{CronDue, CronOperation, CronRecord},
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
use callboard_contracts::{
    EventEnvelope, Timestamp,
    api::{JobLogPage, JobLogQuery, LogCursor, Totals},
};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

/// What trouble a [`Troubled`] store makes.
pub(super) struct Trouble {
    /// Nothing can be written.
    pub(super) outage: AtomicBool,
    /// So many more times whoever writes from the control executor panics, which crashes a role.
    pub(super) panics: AtomicU32,
    /// So many more claims are carried out whose answers are lost.
    pub(super) lost_claims: AtomicU32,
    /// Another node leads, and the store refuses what this one does as the leader.
    pub(super) led_by_another: AtomicBool,
    /// Writes wait until this is over.
    pub(super) slow: watch::Sender<bool>,
    /// What another node says.
    pub(super) wakes: broadcast::Sender<Wake>,
}

impl Default for Trouble {
    fn default() -> Self {
        Trouble {
            outage: AtomicBool::default(),
            panics: AtomicU32::default(),
            lost_claims: AtomicU32::default(),
            led_by_another: AtomicBool::default(),
            slow: watch::Sender::new(false),
            wakes: broadcast::Sender::new(16),
        }
    }
}

fn needs_leader(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Promote { .. }
            | Operation::Prune { .. }
            | Operation::Rescue { leader: Some(_), .. }
            | Operation::Cron(CronOperation::Sync { .. } | CronOperation::Fire(_))
    )
}

/// Another store, with trouble.
pub(super) struct Troubled {
    pub(super) store: Arc<dyn Store>,
    pub(super) trouble: Arc<Trouble>,
}

impl Troubled {
    fn panic_if_asked(&self) {
        let on_control = std::thread::current().name().is_some_and(|name| name.contains("control"));
        let take = |left: u32| left.checked_sub(1);
        assert!(!on_control || self.trouble.panics.fetch_update(SeqCst, SeqCst, take).is_err(), "trouble");
    }
}

impl Store for Troubled {
    fn now(&self) -> Timestamp {
        self.panic_if_asked();
        self.store.now()
    }

    fn apply(&self, batch: Vec<Operation>) -> BoxFuture<'static, Result<Vec<OperationResult>, StoreError>> {
        if self.trouble.outage.load(SeqCst) {
            return async { Err(StoreError::Locked("a test has it".to_owned())) }.boxed();
        }
        if self.trouble.led_by_another.load(SeqCst) && batch.iter().any(needs_leader) {
            return async move { Ok(batch.iter().map(|_| Ok(Outcome::NotLeader)).collect()) }.boxed();
        }
        let (store, trouble) = (self.store.clone(), self.trouble.clone());
        async move {
            // The sender is in `trouble`, which is here.
            let _ = trouble.slow.subscribe().wait_for(|slow| !slow).await;
            let results = store.apply(batch).await?;
            let claimed =
                |result: &OperationResult| matches!(result, Ok(Outcome::Claimed(jobs)) if !jobs.is_empty());
            let lose = |left: u32| left.checked_sub(1);
            if results.iter().any(claimed) && trouble.lost_claims.fetch_update(SeqCst, SeqCst, lose).is_ok() {
                return Err(StoreError::TimedOut(Duration::ZERO));
            }
            Ok(results)
        }
        .boxed()
    }

    fn lanes(&self) -> usize {
        self.store.lanes()
    }

    fn renew(&self, session: Uuid) -> BoxFuture<'static, Result<Renewal, StoreError>> {
        if self.trouble.outage.load(SeqCst) {
            return async { Err(StoreError::Locked("a test has it".to_owned())) }.boxed();
        }
        self.store.renew(session)
    }

    fn lead(&self, session: Uuid, ttl: Duration) -> BoxFuture<'static, Result<Leadership, StoreError>> {
        if self.trouble.led_by_another.load(SeqCst) {
            let until = self.store.now();
            return async move { Ok(Leadership::Follower { until }) }.boxed();
        }
        self.store.lead(session, ttl)
    }

    fn wakes(&self) -> broadcast::Receiver<Wake> {
        self.trouble.wakes.subscribe()
    }

    fn committed(&self) -> watch::Receiver<LogCursor> {
        self.store.committed()
    }

    fn job_log(
        &self,
        id: Uuid,
        query: JobLogQuery,
    ) -> BoxFuture<'static, Result<Option<JobLogPage>, StoreError>> {
        self.store.job_log(id, query)
    }

    fn job(&self, id: Uuid) -> BoxFuture<'static, Result<Option<JobWithAttempts>, StoreError>> {
        self.store.job(id)
    }

    fn jobs_by_id(&self, ids: Vec<Uuid>) -> BoxFuture<'static, Result<Vec<JobRecord>, StoreError>> {
        self.store.jobs_by_id(ids)
    }

    fn jobs(&self, filter: JobFilter, limit: u32) -> BoxFuture<'static, Result<Vec<JobRecord>, StoreError>> {
        self.store.jobs(filter, limit)
    }

    fn events_after(
        &self,
        after: LogCursor,
        job: Option<Uuid>,
        limit: u32,
    ) -> BoxFuture<'static, Result<LogPage, StoreError>> {
        self.store.events_after(after, job, limit)
    }

    fn count_events_after(
        &self,
        after: LogCursor,
        limit: u32,
    ) -> BoxFuture<'static, Result<CountedLog, StoreError>> {
        self.store.count_events_after(after, limit)
    }

    fn recent_events(
        &self,
        job: Option<Uuid>,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<EventEnvelope>, StoreError>> {
        self.store.recent_events(job, limit)
    }

    fn totals(&self) -> BoxFuture<'static, Result<Totals, StoreError>> {
        self.store.totals()
    }

    fn totals_at(&self) -> BoxFuture<'static, Result<(Totals, LogCursor), StoreError>> {
        self.store.totals_at()
    }

    fn queues(&self) -> BoxFuture<'static, Result<Vec<(QueueSettings, QueueTotals)>, StoreError>> {
        self.store.queues()
    }

    fn standing(
        &self,
        queue: String,
        key: Option<String>,
    ) -> BoxFuture<'static, Result<Standing, StoreError>> {
        self.store.standing(queue, key)
    }

    fn job_types(&self) -> BoxFuture<'static, Result<Vec<JobTypeRecord>, StoreError>> {
        self.store.job_types()
    }

    fn edges(&self) -> BoxFuture<'static, Result<Vec<EdgeRecord>, StoreError>> {
        self.store.edges()
    }

    fn open_sessions(&self) -> BoxFuture<'static, Result<Vec<OpenSession>, StoreError>> {
        self.store.open_sessions()
    }

    fn setting(&self, key: String) -> BoxFuture<'static, Result<Option<String>, StoreError>> {
        self.store.setting(key)
    }

    fn nodes(&self) -> BoxFuture<'static, Result<Vec<NodeRecord>, StoreError>> {
        self.store.nodes()
    }

    fn commands(
        &self,
        filter: CommandFilter,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<CommandRecord>, StoreError>> {
        self.store.commands(filter, limit)
    }

    fn audit(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<AuditRecord>, StoreError>> {
        self.store.audit(before, limit)
    }

    fn workflow(&self, id: Uuid) -> BoxFuture<'static, Result<Option<WorkflowRecord>, StoreError>> {
        self.store.workflow(id)
    }

    fn workflows(
        &self,
        filter: WorkflowFilter,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<WorkflowRecord>, StoreError>> {
        self.store.workflows(filter, limit)
    }

    fn workflow_steps(
        &self,
        id: Uuid,
        query: StepQuery,
    ) -> BoxFuture<'static, Result<Vec<StepRecord>, StoreError>> {
        self.store.workflow_steps(id, query)
    }

    fn workflow_edges(
        &self,
        id: Uuid,
        below: u32,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<(u32, u32)>, StoreError>> {
        self.store.workflow_edges(id, below, limit)
    }

    fn step_inputs(
        &self,
        job: Uuid,
        after: Option<u32>,
        limit: u32,
    ) -> BoxFuture<'static, Result<Option<InputsRecord>, StoreError>> {
        self.store.step_inputs(job, after, limit)
    }

    fn has_open_workflows(&self) -> BoxFuture<'static, Result<bool, StoreError>> {
        self.store.has_open_workflows()
    }

    fn ended_steps(&self, after: Uuid, limit: u32) -> BoxFuture<'static, Result<EndedSteps, StoreError>> {
        self.store.ended_steps(after, limit)
    }

    fn cron(&self) -> BoxFuture<'static, Result<Vec<CronRecord>, StoreError>> {
        self.store.cron()
    }

    fn cron_entry(&self, name: String) -> BoxFuture<'static, Result<Option<CronRecord>, StoreError>> {
        self.store.cron_entry(name)
    }

    fn cron_due(&self, limit: u32) -> BoxFuture<'static, Result<CronDue, StoreError>> {
        self.store.cron_due(limit)
    }

    fn dead_causes(&self, query: CauseQuery) -> BoxFuture<'static, Result<CausePage, StoreError>> {
        self.store.dead_causes(query)
    }

    fn last_success(&self, id: Uuid) -> BoxFuture<'static, Result<Option<Uuid>, StoreError>> {
        self.store.last_success(id)
    }

    fn job_edits(&self, id: Uuid) -> BoxFuture<'static, Result<Vec<EditRecord>, StoreError>> {
        self.store.job_edits(id)
    }

    fn bulks(
        &self,
        which: BulkSelection,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<BulkRecord>, StoreError>> {
        self.store.bulks(which, limit)
    }

    fn signals(&self, job: Uuid) -> BoxFuture<'static, Result<Option<Vec<SignalRecord>>, StoreError>> {
        self.store.signals(job)
    }

    fn signals_after(
        &self,
        jobs: Vec<(Uuid, u32)>,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<(Uuid, SignalRecord)>, StoreError>> {
        if self.trouble.outage.load(SeqCst) {
            return async { Err(StoreError::Locked("a test has it".to_owned())) }.boxed();
        }
        self.store.signals_after(jobs, limit)
    }

    fn job_state(&self, job: Uuid) -> BoxFuture<'static, Result<Option<JobStateRecord>, StoreError>> {
        self.store.job_state(job)
    }

    fn sealed(&self, after: u64, limit: u32) -> BoxFuture<'static, Result<SealedPage, StoreError>> {
        self.store.sealed(after, limit)
    }
}
