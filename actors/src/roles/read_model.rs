//! The read model: answers what the outside asks.

use std::{cell::Cell, collections::BTreeMap, rc::Rc, sync::Arc};

use callboard_contracts::{
    EventEnvelope, JobState, TraceContext,
    api::{
        AuditPage, BulkView, CommandView, CronPreview, CronView, DeadCauseList, EdgeView, EncryptionStatus,
        JobComparison, JobDetail, JobEdit, JobInputs, JobList, JobLogPage, JobStateView, JobSummary,
        JobTypeView, NodeView, QueueView, SignalList, StepList, Totals, WorkflowGraph, WorkflowList,
        WorkflowView,
    },
};
use callboard_supervisors::{Actor, Context, Later, PlainHandler, StartError};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::{
    audit,
    bounds::{needs, type_payload},
    bulk, cron, dead_jobs, edges,
    encryption::{self, GetEncryption, RevealJob},
    fleet,
    node::Node,
    request::{
        CompareJob, GetAudit, GetCron, GetDeadCauses, GetEdges, GetGraph, GetInputs, GetJob, GetJobLog,
        GetJobState, GetJobTypes, GetJobs, GetNodes, GetQueues, GetTotals, GetWorkflow, ListBulks,
        ListCommands, ListCron, ListJobs, ListSignals, ListSteps, ListWorkflows, PreviewCron, ReadLog,
        RecentEvents, Refusal, Signed,
    },
    signals,
    tuning::Retune,
    waiting, workflows,
};
use crate::edges::store::{
    StoreError, StoreHandle,
    record::{CommandFilter, JobRecord, JobWithAttempts, LogPage, QueueSettings, QueueTotals},
    workflow::StepQuery,
};
use crate::encryption::envelope::Part;

/// Reads that may be under way at a time; further ones are told that the store is busy.
const MOST_UNDER_WAY: usize = 1024;
/// Jobs that one answer holds at most.
const MOST_JOBS: u32 = 1000;
/// Commands, or entries of the audit trail, that one answer holds at most.
const MOST_ENTRIES: u32 = 1000;
/// Steps that one graph has at most.
const MOST_STEPS: u32 = 10_000;
/// Groups of dead jobs that one answer holds at most: the jobs of each are counted.
const MOST_CAUSES: u32 = 200;
/// Events that one answer holds at most.
const MOST_EVENTS: u32 = 5000;

/// Answers what the outside asks, from the store's readers. Many questions are under way at a time.
pub struct ReadModel {
    node: Arc<Node>,
    job_types: Vec<JobTypeView>,
    under_way: Rc<Cell<usize>>,
}

/// What a [`ReadModel`] is made from.
#[derive(Clone)]
pub struct ReadModelArgs(pub(super) Arc<Node>);

impl Actor for ReadModel {
    type Args = ReadModelArgs;

    async fn start(args: ReadModelArgs, _: &mut Context<Self>) -> Result<Self, StartError> {
        let node = args.0;
        let job_types = job_types(&node);
        Ok(ReadModel { node, job_types, under_way: Rc::default() })
    }
}

fn job_types(node: &Node) -> Vec<JobTypeView> {
    let mut job_types = node.registry.views(&node.tuned().defaults);
    for view in &mut job_types {
        let options = node.registry.get(&view.job_type).map(|job_type| job_type.options());
        let configured = node.config.job_types.get(&view.job_type).and_then(|bounds| bounds.queue.clone());
        view.queue = configured.unwrap_or_else(|| std::mem::take(&mut view.queue));
        view.needs = needs(&node.config, &view.job_type, options);
        view.max_payload = type_payload(&node.config, &view.job_type, options)
            .map(|most| u64::try_from(most).unwrap_or(u64::MAX));
        // The form knows what the schema marks, and not what options and configuration name.
        for field in &mut view.form.fields {
            field.secret |= node.secrets.concerns(&view.job_type, &field.pointer);
        }
    }
    job_types
}

impl PlainHandler<Retune> for ReadModel {
    type Reply = ();

    fn handle(&mut self, _: Retune, _: &mut Context<Self>) {
        self.job_types = job_types(&self.node);
    }
}

/// One read that is under way.
struct UnderWay(Rc<Cell<usize>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl ReadModel {
    /// Answers by `read`, unless too many reads are under way.
    fn read<T: 'static, F>(
        &self,
        read: impl FnOnce(StoreHandle) -> F + 'static,
    ) -> Later<Result<T, StoreError>>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let waiting = self.under_way.get();
        if waiting >= MOST_UNDER_WAY {
            return Later::new(async move { Err(StoreError::Busy { waiting }) });
        }
        self.under_way.set(waiting + 1);
        let (store, under_way) = (self.node.store.clone(), UnderWay(self.under_way.clone()));
        Later::new(async move {
            let _under_way = under_way;
            read(store).await
        })
    }
}

impl PlainHandler<GetJob> for ReadModel {
    type Reply = Later<Result<Option<JobDetail>, StoreError>>;

    fn handle(&mut self, request: GetJob, _: &mut Context<Self>) -> Self::Reply {
        let node = self.node.clone();
        self.read(move |store| async move {
            let Some(found) = store.job(request.id).await? else { return Ok(None) };
            detail_of(&node, found, false).await.map(Some)
        })
    }
}

impl PlainHandler<GetJobLog> for ReadModel {
    type Reply = Later<Result<Option<JobLogPage>, StoreError>>;

    fn handle(&mut self, GetJobLog { id, query }: GetJobLog, _: &mut Context<Self>) -> Self::Reply {
        self.read(move |store| async move { store.job_log(id, query).await })
    }
}

impl PlainHandler<ListSignals> for ReadModel {
    type Reply = Later<Result<Option<SignalList>, StoreError>>;

    fn handle(&mut self, ListSignals { id }: ListSignals, _: &mut Context<Self>) -> Self::Reply {
        let node = self.node.clone();
        self.read(move |_| async move { signals::list(&node, id).await })
    }
}

impl PlainHandler<GetJobState> for ReadModel {
    type Reply = Later<Result<Option<JobStateView>, StoreError>>;

    fn handle(&mut self, GetJobState { id }: GetJobState, _: &mut Context<Self>) -> Self::Reply {
        let node = self.node.clone();
        self.read(move |_| async move { signals::job_state(&node, id).await })
    }
}

impl PlainHandler<ListJobs> for ReadModel {
    type Reply = Later<Result<JobList, StoreError>>;

    fn handle(&mut self, request: ListJobs, _: &mut Context<Self>) -> Self::Reply {
        let limit = request.limit.clamp(1, MOST_JOBS);
        let node = self.node.clone();
        self.read(move |store| async move {
            // One more than asked for tells whether there is a next page.
            let mut jobs = store.jobs(request.filter, limit + 1).await?;
            let more = jobs.len() > limit as usize;
            jobs.truncate(limit as usize);
            edges::explain(&node, &mut jobs).await?;
            let last = jobs.last().map(|job| job.sequence.to_string());
            Ok(JobList { next_cursor: last.filter(|_| more), jobs: jobs.into_iter().map(summary).collect() })
        })
    }
}

impl PlainHandler<GetJobs> for ReadModel {
    type Reply = Later<Result<JobList, StoreError>>;

    fn handle(&mut self, request: GetJobs, _: &mut Context<Self>) -> Self::Reply {
        let node = self.node.clone();
        self.read(move |store| async move {
            let mut ids = request.ids;
            ids.truncate(MOST_JOBS as usize);
            let mut jobs = store.jobs_by_id(ids).await?;
            edges::explain(&node, &mut jobs).await?;
            Ok(JobList { jobs: jobs.into_iter().map(summary).collect(), next_cursor: None })
        })
    }
}

impl PlainHandler<RecentEvents> for ReadModel {
    type Reply = Later<Result<Vec<EventEnvelope>, StoreError>>;

    fn handle(&mut self, request: RecentEvents, _: &mut Context<Self>) -> Self::Reply {
        let (archive, secrets) = (self.node.config.outside.archive.clone(), self.node.secrets.clone());
        self.read(move |store| async move {
            let RecentEvents { job, limit } = request;
            let limit = limit.min(MOST_EVENTS);
            let newest = *store.committed().borrow();
            // What was archived before its values were secret is hidden here.
            let hidden = |mut events: Vec<EventEnvelope>| {
                events.iter_mut().for_each(|event| secrets.redact_event(&mut event.payload));
                events
            };
            let archived = match archive {
                Some(archive) => archive.recent(store.clone(), newest, job, limit).await,
                None => None,
            };
            match archived {
                None => store.recent_events(job, limit).await,
                Some(archived) if archived.complete => Ok(hidden(archived.events)),
                // What was not archived yet is in the log.
                Some(archived) => {
                    Ok(hidden(archived.with(store.recent_events(job, limit).await?, limit as usize)))
                }
            }
        })
    }
}

impl PlainHandler<ReadLog> for ReadModel {
    type Reply = Later<Result<LogPage, StoreError>>;

    fn handle(&mut self, request: ReadLog, _: &mut Context<Self>) -> Self::Reply {
        self.read(move |store| async move {
            store.events_after(request.after, request.job, request.limit.min(MOST_EVENTS)).await
        })
    }
}

impl PlainHandler<GetTotals> for ReadModel {
    type Reply = Later<Result<Totals, StoreError>>;

    fn handle(&mut self, _: GetTotals, _: &mut Context<Self>) -> Self::Reply {
        let counters = self.node.config.outside.counters.clone();
        self.read(|store| async move {
            let newest = *store.committed().borrow();
            let counted = match counters {
                Some(counters) => counters.totals(store.clone(), newest).await,
                None => None,
            };
            match counted {
                Some(totals) => Ok(totals),
                None => store.totals().await,
            }
        })
    }
}

impl PlainHandler<GetQueues> for ReadModel {
    type Reply = Later<Result<Vec<QueueView>, StoreError>>;

    fn handle(&mut self, _: GetQueues, _: &mut Context<Self>) -> Self::Reply {
        let node = self.node.clone();
        self.read(|store| async move {
            let mut views = BTreeMap::new();
            for (known, totals) in store.queues().await? {
                let served = node.queues.get(&known.name).map(|queue| queue.settings());
                let runs = node.config.serves(&known.name);
                views.insert(known.name.clone(), queue(&known, served.as_ref(), &totals, runs));
            }
            for served in node.queues.values().map(|queue| queue.settings()) {
                let runs = node.config.serves(&served.name);
                let empty = || queue(&served, Some(&served), &QueueTotals::default(), runs);
                views.entry(served.name.clone()).or_insert_with(empty);
            }
            Ok(views.into_values().collect())
        })
    }
}

impl PlainHandler<GetEdges> for ReadModel {
    type Reply = Later<Result<Vec<EdgeView>, StoreError>>;

    fn handle(&mut self, _: GetEdges, _: &mut Context<Self>) -> Self::Reply {
        let node = self.node.clone();
        self.read(|_| async move { edges::views(&node).await })
    }
}

impl PlainHandler<GetNodes> for ReadModel {
    type Reply = Later<Result<Vec<NodeView>, StoreError>>;

    fn handle(&mut self, _: GetNodes, _: &mut Context<Self>) -> Self::Reply {
        let node = self.node.clone();
        self.read(|_| async move { fleet::views(&node).await })
    }
}

impl PlainHandler<ListCommands> for ReadModel {
    type Reply = Later<Result<Vec<CommandView>, StoreError>>;

    fn handle(&mut self, ListCommands { id, limit }: ListCommands, _: &mut Context<Self>) -> Self::Reply {
        let node = self.node.clone();
        let filter = id.map_or(CommandFilter::Newest, CommandFilter::Id);
        self.read(move |_| async move { fleet::commands(&node, filter, limit.clamp(1, MOST_ENTRIES)).await })
    }
}

impl PlainHandler<GetAudit> for ReadModel {
    type Reply = Later<Result<AuditPage, StoreError>>;

    fn handle(&mut self, GetAudit { before, limit }: GetAudit, _: &mut Context<Self>) -> Self::Reply {
        let node = self.node.clone();
        self.read(move |_| async move { audit::page(&node, before, limit.clamp(1, MOST_ENTRIES)).await })
    }
}

impl PlainHandler<ListCron> for ReadModel {
    type Reply = Later<Result<Vec<CronView>, StoreError>>;

    fn handle(&mut self, _: ListCron, _: &mut Context<Self>) -> Self::Reply {
        let node = self.node.clone();
        self.read(|_| async move { cron::list(&node).await })
    }
}

impl PlainHandler<GetCron> for ReadModel {
    type Reply = Later<Result<Option<CronView>, StoreError>>;

    fn handle(&mut self, GetCron { name }: GetCron, _: &mut Context<Self>) -> Self::Reply {
        let node = self.node.clone();
        self.read(|_| async move { cron::find(&node, name).await })
    }
}

impl PlainHandler<PreviewCron> for ReadModel {
    type Reply = Result<CronPreview, Refusal>;

    fn handle(&mut self, request: PreviewCron, _: &mut Context<Self>) -> Self::Reply {
        cron::preview(&self.node, &request)
    }
}

impl PlainHandler<GetEncryption> for ReadModel {
    type Reply = Later<Result<EncryptionStatus, StoreError>>;

    fn handle(&mut self, GetEncryption { after }: GetEncryption, _: &mut Context<Self>) -> Self::Reply {
        let node = self.node.clone();
        self.read(move |_| async move { encryption::status(&node, after).await })
    }
}

impl PlainHandler<Signed<RevealJob>> for ReadModel {
    type Reply = Later<Result<Option<JobDetail>, Refusal>>;

    fn handle(&mut self, signed: Signed<RevealJob>, _: &mut Context<Self>) -> Self::Reply {
        let node = self.node.clone();
        let waiting = self.under_way.get();
        if waiting >= MOST_UNDER_WAY {
            return Later::new(async move { Err(StoreError::Busy { waiting }.into()) });
        }
        self.under_way.set(waiting + 1);
        let under_way = UnderWay(self.under_way.clone());
        Later::new(async move {
            let _under_way = under_way;
            let Signed { who, request } = signed;
            encryption::reveal(&node, &who, request).await
        })
    }
}

impl PlainHandler<GetDeadCauses> for ReadModel {
    type Reply = Later<Result<DeadCauseList, StoreError>>;

    fn handle(&mut self, GetDeadCauses { mut query }: GetDeadCauses, _: &mut Context<Self>) -> Self::Reply {
        let node = self.node.clone();
        query.limit = query.limit.clamp(1, MOST_CAUSES);
        self.read(move |_| async move { dead_jobs::causes(&node, query).await })
    }
}

impl PlainHandler<CompareJob> for ReadModel {
    type Reply = Later<Result<Option<JobComparison>, StoreError>>;

    fn handle(&mut self, CompareJob { id }: CompareJob, _: &mut Context<Self>) -> Self::Reply {
        let node = self.node.clone();
        self.read(move |_| async move { dead_jobs::compare(&node, id).await })
    }
}

impl PlainHandler<ListBulks> for ReadModel {
    type Reply = Later<Result<Vec<BulkView>, StoreError>>;

    fn handle(&mut self, ListBulks { id, limit }: ListBulks, _: &mut Context<Self>) -> Self::Reply {
        let node = self.node.clone();
        self.read(move |_| async move { bulk::views(&node, id, limit.clamp(1, MOST_ENTRIES)).await })
    }
}

impl PlainHandler<GetJobTypes> for ReadModel {
    type Reply = Vec<JobTypeView>;

    fn handle(&mut self, _: GetJobTypes, _: &mut Context<Self>) -> Vec<JobTypeView> {
        self.job_types.clone()
    }
}

impl PlainHandler<GetWorkflow> for ReadModel {
    type Reply = Later<Result<Option<WorkflowView>, StoreError>>;

    fn handle(&mut self, GetWorkflow { id }: GetWorkflow, _: &mut Context<Self>) -> Self::Reply {
        self.read(move |store| async move { Ok(store.workflow(id).await?.map(workflows::view)) })
    }
}

impl PlainHandler<ListWorkflows> for ReadModel {
    type Reply = Later<Result<WorkflowList, StoreError>>;

    fn handle(
        &mut self,
        ListWorkflows { filter, limit }: ListWorkflows,
        _: &mut Context<Self>,
    ) -> Self::Reply {
        let limit = limit.clamp(1, MOST_ENTRIES);
        self.read(move |store| async move { workflows::list(&store, filter, limit).await })
    }
}

impl PlainHandler<ListSteps> for ReadModel {
    type Reply = Later<Result<Option<StepList>, StoreError>>;

    fn handle(&mut self, ListSteps { id, query }: ListSteps, _: &mut Context<Self>) -> Self::Reply {
        let query = StepQuery { limit: query.limit.clamp(1, MOST_ENTRIES), ..query };
        self.read(move |store| async move { workflows::steps(&store, id, query).await })
    }
}

impl PlainHandler<GetGraph> for ReadModel {
    type Reply = Later<Result<Option<WorkflowGraph>, StoreError>>;

    fn handle(&mut self, GetGraph { id, limit }: GetGraph, _: &mut Context<Self>) -> Self::Reply {
        let limit = limit.clamp(1, MOST_STEPS);
        self.read(move |store| async move { workflows::graph(&store, id, limit).await })
    }
}

impl PlainHandler<GetInputs> for ReadModel {
    type Reply = Later<Result<Option<JobInputs>, StoreError>>;

    fn handle(&mut self, GetInputs { job, after, limit }: GetInputs, _: &mut Context<Self>) -> Self::Reply {
        let limit = limit.clamp(1, MOST_ENTRIES);
        let node = self.node.clone();
        self.read(move |_| async move {
            workflows::inputs(&node, workflows::Shown::ToPeople, job, after, limit).await
        })
    }
}

pub(super) fn summary(job: JobRecord) -> JobSummary {
    JobSummary {
        id: job.id,
        status: job.state.status(job.started_at.is_some()),
        state: job.state,
        job_type: job.job_type,
        queue: job.queue,
        attempt: job.attempt,
        max_attempts: job.max_attempts,
        priority: job.priority,
        tags: job.tags,
        partition_key: job.partition_key,
        created_at: job.created_at,
        scheduled_at: job.scheduled_at,
        started_at: job.started_at,
        finished_at: job.finished_at,
        wait_reason: job.wait_reason,
        last_error: job.last_error,
        cause: job.cause,
    }
}

/// The key that the job waits for, as this node sees it.
fn missing_key(node: &Node, job: &JobRecord) -> Option<String> {
    let waits = !job.state.is_final() && job.state != JobState::Executing;
    let opened = node.vault().open_text(&job.job_type, Part::Payload, &job.payload);
    let missing = opened.err().filter(|error| waits && error.is_about_keys())?;
    Some(format!(
        "key-missing: a node with the key of its payload; as seen by node {:?}: {missing}",
        node.name
    ))
}

/// A job as it is shown; `revealed`: with its secrets, which are decrypted already.
pub(super) async fn detail_of(
    node: &Node,
    mut found: JobWithAttempts,
    revealed: bool,
) -> Result<JobDetail, StoreError> {
    edges::explain(node, std::slice::from_mut(&mut found.job)).await?;
    let waits_for = waiting::reason(node, &found.job).await?;
    let waits_for = missing_key(node, &found.job).or(waits_for);
    let edits = dead_jobs::edits(node, found.job.id, &found.job.job_type).await?;
    detail(node, found, (waits_for, edits), revealed)
}

fn detail(
    node: &Node,
    found: JobWithAttempts,
    (waits_for, edits): (Option<String>, Vec<JobEdit>),
    revealed: bool,
) -> Result<JobDetail, StoreError> {
    let JobWithAttempts { mut job, progress, published, attempts } = found;
    let payload = std::mem::take(&mut job.payload);
    let (metadata, result) = (job.metadata.take(), job.result.take());
    let needs = std::mem::take(&mut job.needs);
    let mut payload: Value = json("payload", &payload)?;
    if !revealed {
        node.secrets.redact(&job.job_type, Part::Payload, &mut payload);
    }
    let payload = payload.as_object().cloned().unwrap_or_default();
    let mut result: Option<Value> = result.map(|result| json("result", &result)).transpose()?;
    if let Some(result) = result.as_mut().filter(|_| !revealed) {
        node.secrets.redact(&job.job_type, Part::Result, result);
    }
    Ok(JobDetail {
        payload,
        metadata: metadata.map(|metadata| json("metadata", &metadata)).transpose()?,
        result,
        timeout_ms: u64::try_from(job.timeout.as_millis()).unwrap_or(u64::MAX),
        correlation_id: job.correlation_id,
        trace_id: trace_id(job.trace, job.correlation_id),
        replay_of: job.replay_of,
        waits_for,
        needs,
        cancel_requested_at: job.cancel_requested_at,
        progress,
        published: published.map(signals::published).transpose()?,
        edits,
        attempts,
        summary: summary(job),
    })
}

/// The trace that the job's attempts are in. Without one that was submitted they begin one of the correlation id's number.
fn trace_id(submitted: Option<TraceContext>, correlation_id: Uuid) -> Option<String> {
    match submitted {
        Some(trace) => Some(trace.trace_id()),
        // Each attempt begins a random one.
        None if correlation_id.is_nil() => None,
        None => Some(TraceContext::begin(correlation_id).trace_id()),
    }
}

fn json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Corrupt(format!("the {what} of a job is no JSON: {error}")))
}

/// `known`: as the store has it. `served`: as this node has it, if it knows the queue. `runs`: whether it runs its jobs.
fn queue(
    known: &QueueSettings,
    served: Option<&QueueSettings>,
    totals: &QueueTotals,
    runs: bool,
) -> QueueView {
    use JobState::{Available, Cancelled, Completed, Discarded, Executing, Pending, Retryable, Scheduled};
    QueueView {
        name: known.name.clone(),
        concurrency: if runs { served.map_or(0, |served| served.concurrency) } else { 0 },
        max_backlog: served.unwrap_or(known).max_backlog,
        pending: totals.count(Pending),
        scheduled: totals.count(Scheduled),
        available: totals.count(Available),
        executing: totals.count(Executing),
        retryable: totals.count(Retryable),
        completed: totals.count(Completed),
        cancelled: totals.count(Cancelled),
        discarded: totals.count(Discarded),
        oldest_available_at: totals.oldest_available_at,
        paused_at: totals.paused_at,
        pause: totals.pause.clone().filter(|_| totals.paused_at.is_some()),
        max_running: totals.limits.max_running,
        max_running_per_key: totals.limits.max_running_per_key,
        rate: totals.limits.rate,
        rate_per_key: totals.limits.rate_per_key,
        labels: totals.labels.clone(),
    }
}
