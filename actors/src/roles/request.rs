//! What the outside may ask of the roles. The web and an embedding program use nothing else.

use std::{collections::BTreeMap, time::Duration};

use callboard_contracts::{
    EventEnvelope, JobState, Labels, TraceContext,
    api::{
        AuditPage, BulkPreview, BulkView, Cancelled, CommandView, CronDefinition, CronPreview, CronRun,
        CronView, DeadCauseList, EdgeView, FieldError, JobComparison, JobDetail, JobList, JobLogPage,
        JobLogQuery, JobStateView, JobTypeView, LogCursor, MOST_SIGNAL_BYTES, MOST_SIGNALS, NodeView,
        OrderNode, PutEdge, QueueLimits, QueueView, Retried, RetryEdit, SendSignal, SettingsChanged,
        SettingsView, SignalList, SignalSent, StartBulk, Submitted, Totals, WorkflowState,
    },
};
use callboard_supervisors::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::bounds::PayloadLimit;
pub use super::encryption::{GetEncryption, RevealJob, RotateKeys};
pub use super::workflows::request::{
    CancelWorkflow, GetGraph, GetInputs, GetWorkflow, ListSteps, ListWorkflows, ResumeWorkflow,
    SubmitWorkflow,
};
use crate::{
    edges::store::{
        Outcome, StoreError,
        dead_jobs::CauseQuery,
        record::{JobFilter, LogPage, NewJob, RequestKey},
    },
    jobs::JobContext,
};

/// In which form a job was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// As [`SubmitJob`](callboard_contracts::api::SubmitJob), under `/api/v1` or by an embedding program. The job's
    /// type must have a handler.
    Api,
    /// The same, for a job that belongs to something, a step of a workflow or an entry of the cron table that is run by hand: it is not
    /// held to being the only one of its kind.
    Step,
    /// As [`ContractJob`](callboard_contracts::ContractJob). A type without a handler may be held.
    Contract,
    /// As [`Api`](Self::Api), of an entry of the cron table whose time has come. A type without a handler is held: the leader need
    /// not have all of the fleet's.
    Cron,
}

/// To the gateway: store these jobs. The answer comes when every accepted one is durable, in the same order.
#[derive(Clone, Debug, Message)]
#[message(reply = Vec<Result<Submitted, Refusal>>)]
pub struct Submit {
    /// In which form they are.
    pub form: Form,
    /// The jobs. Each is checked by itself.
    pub jobs: Vec<Value>,
    /// What caused it.
    pub origin: Origin,
}

/// What caused a request. All that follows from it carries this on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Ties together what one request causes.
    pub correlation_id: Uuid,
    /// The span in which it was made.
    pub trace: Option<TraceContext>,
}

impl Origin {
    /// That of the job whose run is polled here; else a new one.
    pub fn here() -> Self {
        let new = || Origin { correlation_id: Uuid::now_v7(), trace: None };
        JobContext::current()
            .map_or_else(new, |(correlation_id, trace)| Origin { correlation_id, trace: Some(trace) })
    }
}

/// To the gateway: make of this what [`Submit`] would store, and do not store it. Whoever asks does that himself, in a
/// transaction of his own.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<Box<NewJob>, Refusal>)]
pub struct PrepareJob {
    /// The job, as [`SubmitJob`](callboard_contracts::api::SubmitJob).
    pub job: Value,
    /// What caused it.
    pub origin: Origin,
}

/// To the gateway: store these jobs, once for this key however often this is sent. What was answered is kept in the same
/// transaction as the jobs, for as long as [`Retention::keys`](crate::edges::store::record::Retention::keys) says; if no
/// job was stored, nothing is kept.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<SubmittedOnce, Refusal>)]
pub struct SubmitOnce {
    /// The jobs.
    pub submit: Submit,
    /// The key.
    pub key: RequestKey,
}

/// The answer to [`SubmitOnce`].
#[derive(Clone, Debug, PartialEq)]
pub struct SubmittedOnce {
    /// What became of each job, in order.
    pub answers: Vec<Result<Submitted, Refusal>>,
    /// Whether this is the answer of before; nothing was done now.
    pub replayed: bool,
}

/// Why a job, or a change of one, was not accepted. Nothing of it was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It does not have the right form.
    #[error("{}", list(.0))]
    Invalid(Vec<FieldError>),
    /// Nobody handles its type.
    #[error("no handler for job type {job_type:?}; there are {known}", known = .known.join(", "))]
    UnknownType {
        /// The type.
        job_type: String,
        /// The types that have one.
        known: Vec<String>,
    },
    /// The server does not allow it.
    #[error("{0}")]
    Forbidden(String),
    /// Another job has this id.
    #[error("another job has the id {0}: choose a new one, or submit the very same job")]
    Conflict(Uuid),
    /// It is to be the only one of its kind, and another one has the place.
    #[error(
        "job {id} has the place of its kind, and is {state}: wait for it, or let the policy keep or replace it"
    )]
    NotUnique {
        /// The job that has it.
        id: Uuid,
        /// Its state.
        state: JobState,
    },
    /// It is larger than a job may be.
    #[error("the payload has {size} bytes; {limit} {of}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The size allowed, in bytes.
        limit: usize,
        /// Whose limit it is.
        #[serde(default)]
        of: PayloadLimit,
    },
    /// Its queue has too many waiting jobs.
    #[error("queue {queue:?} has {waiting} waiting jobs and takes no more than {limit}; try again later")]
    BacklogFull {
        /// The queue.
        queue: String,
        /// Jobs that wait.
        waiting: u64,
        /// Jobs that may wait.
        limit: u64,
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// All queues together have too many waiting jobs.
    #[error("{waiting} jobs wait in all queues together, which take no more than {limit}; try again later")]
    StoreFull {
        /// Jobs that wait.
        waiting: u64,
        /// Jobs that may wait.
        limit: u64,
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// There is no such job.
    #[error("there is no job {0}")]
    NotFound(Uuid),
    /// There is no such queue.
    #[error("there is no queue {0:?}")]
    NoSuchQueue(String),
    /// There is no such node.
    #[error("there is no node {0:?} with an open session")]
    NoSuchNode(String),
    /// There is no such entry in the cron table.
    #[error("there is no entry {0:?} in the cron table")]
    NoSuchCron(String),
    /// The entry of the cron table is not to be changed so.
    #[error("{0}")]
    CronHeld(String),
    /// There is no room for the job.
    #[error("{0}; try again later")]
    NoRoom(String),
    /// Another signal of the job has this id.
    #[error("another signal of the job has the id {0}: choose a new one, or send the very same signal")]
    OtherSignal(Uuid),
    /// The job has as many signals that it has not acknowledged as it may.
    #[error(
        "{signals} signals with {bytes} bytes wait for the job unacknowledged; it may have {} with {} bytes",
        MOST_SIGNALS,
        MOST_SIGNAL_BYTES
    )]
    TooManySignals {
        /// How many there are.
        signals: u32,
        /// Bytes of their values.
        bytes: u64,
    },
    /// The signal is larger than one may be.
    #[error("the signal's value has {size} bytes of JSON; {limit} are allowed")]
    SignalTooLarge {
        /// Its size in bytes.
        size: usize,
        /// The size allowed, in bytes.
        limit: usize,
    },
    /// The job is with a worker outside, which no signal reaches.
    #[error("the job is with a worker outside, which no signal reaches")]
    SignalOutside,
    /// There is no such bulk operation.
    #[error("there is no bulk operation {0}")]
    NoSuchBulk(Uuid),
    /// Another bulk operation has this id.
    #[error("another bulk operation has the id {0}: choose a new one, or send the very same request")]
    OtherBulk(Uuid),
    /// As many bulk operations are under way as may be.
    #[error("{limit} bulk operations are under way, and no more may be; try again when one has ended")]
    TooManyBulks {
        /// How many may be.
        limit: u32,
    },
    /// The job's state does not allow it.
    #[error("the job is {state}: {detail}")]
    WrongState {
        /// The job's state.
        state: JobState,
        /// What would be possible.
        detail: String,
    },
    /// There is no such workflow.
    #[error("there is no workflow {0}")]
    NoSuchWorkflow(Uuid),
    /// Another workflow has this id.
    #[error("another workflow has the id {0}: choose a new one, or submit the very same workflow")]
    WorkflowConflict(Uuid),
    /// The workflow's state does not allow it.
    #[error("the workflow is {state}: {detail}")]
    WorkflowState {
        /// The workflow's state.
        state: WorkflowState,
        /// What would be possible.
        detail: String,
    },
    /// Another request was made under its key.
    #[error("another request was made under this key: choose a new key, or send the very same request")]
    KeyTaken,
    /// The first request under its key is not answered yet.
    #[error("the first request under this key is not answered yet; send it again for the answer")]
    KeyUnderWay,
    /// The store cannot do it now.
    #[error(transparent)]
    #[serde(skip)]
    Unavailable(#[from] StoreError),
    /// The server stops.
    #[error("the server is shutting down")]
    Stopping,
}

fn list(errors: &[FieldError]) -> String {
    let lines: Vec<String> =
        errors.iter().map(|error| format!("{}: {}", error.pointer, error.message)).collect();
    lines.join("; ")
}

/// To the gateway: call a job off.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Cancelled, Refusal>)]
pub struct CancelJob {
    /// The job.
    pub id: Uuid,
}

/// To the gateway: run a waiting job now, or a finished one again.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Retried, Refusal>)]
pub struct RetryJob {
    /// The job.
    pub id: Uuid,
}

/// To the gateway: send a signal to a job that has not ended. It is stored durably when this is answered.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<SignalSent, Refusal>)]
pub struct SignalJob {
    /// The job.
    pub id: Uuid,
    /// What.
    pub signal: SendSignal,
}

/// To the read model: the signals of a job; `None` if there is no such job.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Option<SignalList>, StoreError>)]
pub struct ListSignals {
    /// The job.
    pub id: Uuid,
}

/// To the read model: the state that a job shows; `None` if there is no such job.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Option<JobStateView>, StoreError>)]
pub struct GetJobState {
    /// The job.
    pub id: Uuid,
}

/// To the gateway: let no job of a queue be started any more, on any node, or let it go on. What runs goes on.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<(), Refusal>)]
pub struct PauseQueue {
    /// The queue.
    pub queue: String,
    /// Whether it is to be paused.
    pub paused: bool,
    /// Why it is to be paused, for people: at most 500 characters. A queue that is paused already keeps the reason that it has.
    pub reason: Option<String>,
}

/// To the gateway: change what holds for a queue on all nodes together.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<(), Refusal>)]
pub struct LimitQueue {
    /// The queue.
    pub queue: String,
    /// What is to change.
    pub limits: QueueLimits,
}

/// To the gateway: trip an edge, so that jobs that need it wait, on all nodes, or make it ready. What runs goes on. The answer
/// says how it is then.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<EdgeView, Refusal>)]
pub struct SetEdge {
    /// Its name.
    pub edge: String,
    /// How it is to be.
    pub set: PutEdge,
    /// Who says so; `None`: this node.
    pub by: Option<String>,
}

/// To the read model: one job.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Option<JobDetail>, StoreError>)]
pub struct GetJob {
    /// The job.
    pub id: Uuid,
}

/// To the read model: a part of what the runs of a job have said.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Option<JobLogPage>, StoreError>)]
pub struct GetJobLog {
    /// The job.
    pub id: Uuid,
    /// Which part.
    pub query: JobLogQuery,
}

/// To the read model: a page of jobs, newest first.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<JobList, StoreError>)]
pub struct ListJobs {
    /// Which ones.
    pub filter: JobFilter,
    /// How many at most, 1 to 1000.
    pub limit: u32,
}

/// To the read model: the states of these jobs, at most 1000; unknown ones are missing.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<JobList, StoreError>)]
pub struct GetJobs {
    /// The jobs.
    pub ids: Vec<Uuid>,
}

/// To the read model: the newest events of contract 1.0.0, newest first.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Vec<EventEnvelope>, StoreError>)]
pub struct RecentEvents {
    /// Only those of this job.
    pub job: Option<Uuid>,
    /// How many at most.
    pub limit: u32,
}

/// To the read model: the log after a place.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<LogPage, StoreError>)]
pub struct ReadLog {
    /// The place.
    pub after: LogCursor,
    /// Only events of this job.
    pub job: Option<Uuid>,
    /// How many at most.
    pub limit: u32,
}

/// To the read model: finished jobs, ever.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Totals, StoreError>)]
pub struct GetTotals;

/// To the read model: the queues.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Vec<QueueView>, StoreError>)]
pub struct GetQueues;

/// To the read model: the edges that were ever tripped, and those that job types need which have a handler here.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Vec<EdgeView>, StoreError>)]
pub struct GetEdges;

/// To the read model: the job types that have a handler here.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Vec<JobTypeView>)]
pub struct GetJobTypes;

/// Who makes a request, for the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The name of a token, of a program or of a node.
    pub name: String,
    /// The role of the token.
    pub role: Option<String>,
}

/// To whoever keeps the settings of the node: set these, above all sources, until the process ends; `None` takes back what was
/// set so. All of it is done, or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[message(reply = Result<SettingsChanged, Refusal>)]
pub struct ChangeSettings {
    /// The values by their keys.
    pub settings: BTreeMap<String, Option<String>>,
}

/// To whoever keeps the settings of the node: what are they?
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = SettingsView)]
pub struct GetSettings;

/// A request that changes something, and who makes it. Without this, it counts as made by the node that takes it.
#[derive(Clone, Debug, Message)]
#[message(reply = M::Result)]
pub struct Signed<M: Message> {
    /// Who.
    pub who: Who,
    /// What.
    pub request: M,
}

/// To the gateway: let the jobs of a queue be run only by nodes that have these labels. What runs goes on.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<(), Refusal>)]
pub struct LabelQueue {
    /// The queue.
    pub queue: String,
    /// The labels; none: any node may.
    pub labels: Labels,
}

/// To the gateway: tell a node to do something.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<CommandView, Refusal>)]
pub struct Order {
    /// The node's name.
    pub node: String,
    /// What.
    pub order: OrderNode,
}

/// To the read model: every node with an open session.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Vec<NodeView>, StoreError>)]
pub struct GetNodes;

/// To the read model: what nodes were told, newest first.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Vec<CommandView>, StoreError>)]
pub struct ListCommands {
    /// Only this one.
    pub id: Option<Uuid>,
    /// How many at most, 1 to 1000.
    pub limit: u32,
}

/// To the read model: a page of the audit trail, newest first.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<AuditPage, StoreError>)]
pub struct GetAudit {
    /// The [`AuditPage::next_cursor`] of the page before.
    pub before: Option<u64>,
    /// How many at most, 1 to 1000.
    pub limit: u32,
}

/// What a new job was answered, if that does not depend on how full the store is.
///
/// # Errors
/// The outcome itself, if it does, or is no answer about a new job.
pub fn submitted(id: Uuid, event_id: Uuid, outcome: Outcome) -> Result<Result<Submitted, Refusal>, Outcome> {
    let stored = |state| Submitted { id, event_id, state, duplicate: false, kept: false, replaced: None };
    Ok(match outcome {
        Outcome::Enqueued { state } => Ok(stored(state)),
        Outcome::EnqueuedInstead { state, replaced } => {
            Ok(Submitted { replaced: Some(replaced), ..stored(state) })
        }
        Outcome::Duplicate { event_id, state } => {
            Ok(Submitted { event_id, duplicate: true, ..stored(state) })
        }
        Outcome::Kept { id, event_id, state } => Ok(Submitted { id, event_id, kept: true, ..stored(state) }),
        Outcome::NotUnique { id, state } => Err(Refusal::NotUnique { id, state }),
        Outcome::Conflict => Err(Refusal::Conflict(id)),
        other => return Err(other),
    })
}

/// To the gateway: make an entry of the cron table, or change it. How it is then.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<CronView, Refusal>)]
pub struct PutCron {
    /// Its name.
    pub name: String,
    /// When, and what.
    pub definition: CronDefinition,
}

/// To the gateway: take an entry out of the cron table. Its jobs stay.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<(), Refusal>)]
pub struct DeleteCron {
    /// Its name.
    pub name: String,
}

/// To the gateway: let an entry of the cron table store no more jobs, or let it go on. How it is then.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<CronView, Refusal>)]
pub struct PauseCron {
    /// Its name.
    pub name: String,
    /// Whether it is to be paused.
    pub paused: bool,
}

/// To the gateway: store a job of an entry of the cron table now.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<CronRun, Refusal>)]
pub struct RunCron {
    /// Its name.
    pub name: String,
}

/// To the read model: the cron table, by name.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Vec<CronView>, StoreError>)]
pub struct ListCron;

/// To the read model: an entry of the cron table.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<Option<CronView>, StoreError>)]
pub struct GetCron {
    /// Its name.
    pub name: String,
}

/// To the read model: what an expression means.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<CronPreview, Refusal>)]
pub struct PreviewCron {
    /// The expression.
    pub expression: String,
    /// The IANA name of its time zone.
    pub time_zone: String,
    /// Next times, 1 to 100.
    pub count: u32,
}

/// To the gateway: run a finished job again as a new job with another payload. The finished one stays as it is, and with both is
/// kept what was changed.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<Retried, Refusal>)]
pub struct RetryEdited {
    /// The job.
    pub id: Uuid,
    /// What changes.
    pub edit: RetryEdit,
}

/// To the gateway: do the same with many jobs, or say what that would be.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<BulkAnswer, Refusal>)]
pub struct BulkJobs {
    /// What.
    pub start: StartBulk,
}

/// The answer to [`BulkJobs`].
#[derive(Clone, Debug, PartialEq)]
pub enum BulkAnswer {
    /// What it would do; nothing is done.
    Preview(BulkPreview),
    /// It is kept in the store, and the leader goes on with it.
    Begun(BulkView),
}

/// To the gateway: let a bulk operation end where it is. What is done stays done.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<BulkView, Refusal>)]
pub struct StopBulk {
    /// The operation.
    pub id: Uuid,
}

/// To the read model: a page of what dead jobs died of.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<DeadCauseList, StoreError>)]
pub struct GetDeadCauses {
    /// Which ones; 1 to 200 at most.
    pub query: CauseQuery,
}

/// To the read model: a job beside the last success of its type and queue; `None` if there is no such job.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Option<JobComparison>, StoreError>)]
pub struct CompareJob {
    /// The job.
    pub id: Uuid,
}

/// To the read model: bulk operations, newest first.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Vec<BulkView>, StoreError>)]
pub struct ListBulks {
    /// Only this one.
    pub id: Option<Uuid>,
    /// How many at most, 1 to 1000.
    pub limit: u32,
}
