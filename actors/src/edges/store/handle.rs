//! [`StoreHandle`]: the store as everybody but its edge sees it.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use callboard_contracts::{
    EventEnvelope, Timestamp,
    api::{JobLogPage, JobLogQuery, LogCursor, Totals},
};
use callboard_supervisors::{AskError, Message, Recipient};
use tokio::{
    sync::{broadcast, watch},
    time::timeout,
};
use uuid::Uuid;

use super::{
    Leadership, Operation, OperationResult, Outcome, Renewal, Store, StoreError, Wake,
    cron::{CronDue, CronRecord},
    dead_jobs::{BulkRecord, BulkSelection, CausePage, CauseQuery, EditRecord},
    encryption::SealedPage,
    numbers::StoreNumbers,
    port::OpenSession,
    record::{
        AuditRecord, CommandFilter, CommandRecord, CountedLog, EdgeRecord, JobFilter, JobRecord,
        JobTypeRecord, JobWithAttempts, LogPage, LoggedEvent, NodeRecord, QueueSettings, QueueTotals,
        Standing,
    },
    signals::{JobStateRecord, SignalRecord},
    workflow::{EndedSteps, InputsRecord, StepQuery, StepRecord, WorkflowFilter, WorkflowRecord},
};
use crate::encryption::vault::Secrets;

/// To the edge: carry these out, together if they fit into one transaction.
#[derive(Debug, Message)]
#[message(reply = Result<Vec<OperationResult>, StoreError>)]
pub(super) struct Write(pub(super) Vec<Operation>);

/// What the edge and the handles share.
pub(super) struct Link {
    /// The open backend, or why there is none.
    pub(super) backend: watch::Sender<Result<Arc<dyn Store>, StoreError>>,
    pub(super) committed: watch::Sender<LogCursor>,
    pub(super) wakes: broadcast::Sender<Wake>,
    /// `None` only if they could not be made, which nobody then sees.
    pub(super) numbers: Option<StoreNumbers>,
    /// What nobody is to read in events. None before there are roles.
    pub(super) secrets: OnceLock<Arc<Secrets>>,
}

impl Link {
    pub(super) fn set(&self, backend: Result<Arc<dyn Store>, StoreError>) {
        // What was there before is dropped by whoever used it last.
        drop(self.backend.send_replace(backend));
    }
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct StoreHandle {
    pub(super) edge: Recipient<Write>,
    pub(super) link: Arc<Link>,
    /// How long a call may take.
    pub(super) limit: Duration,
}

impl StoreHandle {
    /// What is counted of the writes.
    pub(crate) fn numbers(&self) -> Option<&StoreNumbers> {
        self.link.numbers.as_ref()
    }

    /// From now on the events that are read through this handle and its clones have none of these, nor anything encrypted: they go
    /// to followers, brokers and archives. The first word counts.
    pub(crate) fn hide_secrets(&self, secrets: Arc<Secrets>) {
        let _ = self.link.secrets.set(secrets);
    }

    /// The event without its secrets.
    fn redacted(&self, mut event: EventEnvelope) -> EventEnvelope {
        match self.link.secrets.get() {
            Some(secrets) => secrets.redact_event(&mut event.payload),
            None => Secrets::default().redact_event(&mut event.payload),
        }
        event
    }

    /// Waits until the store is open.
    ///
    /// # Errors
    /// As soon as it is certain that it cannot be opened as it is: in use by another process, damaged, of a newer
    /// program, or not to be written. The edge goes on trying all the same.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let mut backend = self.link.backend.subscribe();
        loop {
            match &*backend.borrow_and_update() {
                Ok(_) => return Ok(()),
                Err(StoreError::NotReady(_)) => {}
                Err(error) => return Err(error.clone()),
            }
            if backend.changed().await.is_err() {
                return Err(StoreError::NotReady("it is gone".to_owned()));
            }
        }
    }

    /// How long a call may take.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// The store's clock; the system's while there is no store.
    pub fn now(&self) -> Timestamp {
        self.link.backend.borrow().as_ref().map_or_else(|_| Timestamp::now(), |store| store.now())
    }

    /// The newest place in the log, told after each commit. Good over reconnects.
    pub fn committed(&self) -> watch::Receiver<LogCursor> {
        self.link.committed.subscribe()
    }

    /// Carries out one write.
    ///
    /// # Errors
    /// See [`StoreError`]; after [`StoreError::TimedOut`] it may be sent again.
    pub async fn write(&self, operation: Operation) -> Result<Outcome, StoreError> {
        match self.write_all(vec![operation]).await?.pop() {
            Some(result) => result,
            None => Err(StoreError::Failed("the store gave no answer".to_owned())),
        }
    }

    /// Carries out many writes, in one transaction if they fit.
    ///
    /// # Errors
    /// As [`write`](Self::write), for all of them.
    pub async fn write_all(&self, operations: Vec<Operation>) -> Result<Vec<OperationResult>, StoreError> {
        if operations.is_empty() {
            return Ok(Vec::new());
        }
        match self.edge.ask_within(self.limit, Write(operations)).await {
            Ok(results) => results,
            Err(AskError::TimedOut(limit)) => Err(StoreError::TimedOut(limit)),
            Err(error) => Err(StoreError::NotReady(error.to_string())),
        }
    }

    /// What other nodes do. Good over reconnects.
    pub fn wakes(&self) -> broadcast::Receiver<Wake> {
        self.link.wakes.subscribe()
    }

    /// See [`Store::renew`]. It does not wait behind the writes of others.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn renew(&self, session: Uuid) -> Result<Renewal, StoreError> {
        self.read(|store| store.renew(session)).await
    }

    /// See [`Store::lead`]. It does not wait behind the writes of others.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn lead(&self, session: Uuid, ttl: Duration) -> Result<Leadership, StoreError> {
        self.read(|store| store.lead(session, ttl)).await
    }

    async fn read<T, F>(&self, read: impl FnOnce(Arc<dyn Store>) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let backend = self.link.backend.borrow().clone()?;
        timeout(self.limit, read(backend)).await.unwrap_or(Err(StoreError::TimedOut(self.limit)))
    }

    /// See [`Store::job`].
    ///
    /// # Errors
    /// See [`StoreError`]; so for all reads.
    pub async fn job(&self, id: Uuid) -> Result<Option<JobWithAttempts>, StoreError> {
        self.read(|store| store.job(id)).await
    }

    /// See [`Store::job_log`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn job_log(&self, id: Uuid, query: JobLogQuery) -> Result<Option<JobLogPage>, StoreError> {
        self.read(|store| store.job_log(id, query)).await
    }

    /// See [`Store::jobs_by_id`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn jobs_by_id(&self, ids: Vec<Uuid>) -> Result<Vec<JobRecord>, StoreError> {
        self.read(|store| store.jobs_by_id(ids)).await
    }

    /// See [`Store::jobs`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn jobs(&self, filter: JobFilter, limit: u32) -> Result<Vec<JobRecord>, StoreError> {
        self.read(|store| store.jobs(filter, limit)).await
    }

    /// See [`Store::events_after`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn events_after(
        &self,
        after: LogCursor,
        job: Option<Uuid>,
        limit: u32,
    ) -> Result<LogPage, StoreError> {
        let mut page = self.read(|store| store.events_after(after, job, limit)).await?;
        page.events = page
            .events
            .into_iter()
            .map(|event| LoggedEvent { event: self.redacted(event.event), ..event })
            .collect();
        Ok(page)
    }

    /// See [`Store::count_events_after`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn count_events_after(&self, after: LogCursor, limit: u32) -> Result<CountedLog, StoreError> {
        self.read(|store| store.count_events_after(after, limit)).await
    }

    /// See [`Store::recent_events`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn recent_events(
        &self,
        job: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<EventEnvelope>, StoreError> {
        let events = self.read(|store| store.recent_events(job, limit)).await?;
        Ok(events.into_iter().map(|event| self.redacted(event)).collect())
    }

    /// See [`Store::totals`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        self.read(|store| store.totals()).await
    }

    /// See [`Store::totals_at`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn totals_at(&self) -> Result<(Totals, LogCursor), StoreError> {
        self.read(|store| store.totals_at()).await
    }

    /// See [`Store::queues`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn queues(&self) -> Result<Vec<(QueueSettings, QueueTotals)>, StoreError> {
        self.read(|store| store.queues()).await
    }

    /// See [`Store::standing`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn standing(&self, queue: String, key: Option<String>) -> Result<Standing, StoreError> {
        self.read(|store| store.standing(queue, key)).await
    }

    /// See [`Store::job_types`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn job_types(&self) -> Result<Vec<JobTypeRecord>, StoreError> {
        self.read(|store| store.job_types()).await
    }

    /// See [`Store::edges`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn edges(&self) -> Result<Vec<EdgeRecord>, StoreError> {
        self.read(|store| store.edges()).await
    }

    /// See [`Store::open_sessions`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open_sessions(&self) -> Result<Vec<OpenSession>, StoreError> {
        self.read(|store| store.open_sessions()).await
    }

    /// See [`Store::setting`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn setting(&self, key: String) -> Result<Option<String>, StoreError> {
        self.read(|store| store.setting(key)).await
    }

    /// See [`Store::nodes`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        self.read(|store| store.nodes()).await
    }

    /// See [`Store::commands`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn commands(
        &self,
        filter: CommandFilter,
        limit: u32,
    ) -> Result<Vec<CommandRecord>, StoreError> {
        self.read(|store| store.commands(filter, limit)).await
    }

    /// See [`Store::audit`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        self.read(|store| store.audit(before, limit)).await
    }

    /// See [`Store::workflow`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn workflow(&self, id: Uuid) -> Result<Option<WorkflowRecord>, StoreError> {
        self.read(|store| store.workflow(id)).await
    }

    /// See [`Store::workflows`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn workflows(
        &self,
        filter: WorkflowFilter,
        limit: u32,
    ) -> Result<Vec<WorkflowRecord>, StoreError> {
        self.read(|store| store.workflows(filter, limit)).await
    }

    /// See [`Store::workflow_steps`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn workflow_steps(&self, id: Uuid, query: StepQuery) -> Result<Vec<StepRecord>, StoreError> {
        self.read(|store| store.workflow_steps(id, query)).await
    }

    /// See [`Store::workflow_edges`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn workflow_edges(
        &self,
        id: Uuid,
        below: u32,
        limit: u32,
    ) -> Result<Vec<(u32, u32)>, StoreError> {
        self.read(|store| store.workflow_edges(id, below, limit)).await
    }

    /// See [`Store::step_inputs`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn step_inputs(
        &self,
        job: Uuid,
        after: Option<u32>,
        limit: u32,
    ) -> Result<Option<InputsRecord>, StoreError> {
        self.read(|store| store.step_inputs(job, after, limit)).await
    }

    /// See [`Store::has_open_workflows`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn has_open_workflows(&self) -> Result<bool, StoreError> {
        self.read(|store| store.has_open_workflows()).await
    }

    /// See [`Store::ended_steps`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn ended_steps(&self, after: Uuid, limit: u32) -> Result<EndedSteps, StoreError> {
        self.read(|store| store.ended_steps(after, limit)).await
    }

    /// See [`Store::cron`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn cron(&self) -> Result<Vec<CronRecord>, StoreError> {
        self.read(|store| store.cron()).await
    }

    /// See [`Store::cron_entry`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn cron_entry(&self, name: String) -> Result<Option<CronRecord>, StoreError> {
        self.read(|store| store.cron_entry(name)).await
    }

    /// See [`Store::cron_due`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn cron_due(&self, limit: u32) -> Result<CronDue, StoreError> {
        self.read(|store| store.cron_due(limit)).await
    }

    /// See [`Store::dead_causes`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn dead_causes(&self, query: CauseQuery) -> Result<CausePage, StoreError> {
        self.read(|store| store.dead_causes(query)).await
    }

    /// See [`Store::last_success`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn last_success(&self, id: Uuid) -> Result<Option<Uuid>, StoreError> {
        self.read(|store| store.last_success(id)).await
    }

    /// See [`Store::job_edits`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn job_edits(&self, id: Uuid) -> Result<Vec<EditRecord>, StoreError> {
        self.read(|store| store.job_edits(id)).await
    }

    /// See [`Store::bulks`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn bulks(&self, which: BulkSelection, limit: u32) -> Result<Vec<BulkRecord>, StoreError> {
        self.read(|store| store.bulks(which, limit)).await
    }

    /// See [`Store::signals`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn signals(&self, job: Uuid) -> Result<Option<Vec<SignalRecord>>, StoreError> {
        self.read(|store| store.signals(job)).await
    }

    /// See [`Store::signals_after`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn signals_after(
        &self,
        jobs: Vec<(Uuid, u32)>,
        limit: u32,
    ) -> Result<Vec<(Uuid, SignalRecord)>, StoreError> {
        self.read(|store| store.signals_after(jobs, limit)).await
    }

    /// See [`Store::job_state`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn job_state(&self, job: Uuid) -> Result<Option<JobStateRecord>, StoreError> {
        self.read(|store| store.job_state(job)).await
    }

    /// See [`Store::sealed`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn sealed(&self, after: u64, limit: u32) -> Result<SealedPage, StoreError> {
        self.read(|store| store.sealed(after, limit)).await
    }
}
