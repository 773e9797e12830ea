//! The port: what every backend of the store does, in the same way.
//!
//! Writes are [`Operation`]s. A batch of them is one transaction: all that succeed are durable when
//! [`Store::apply`] answers, each operation's own failure leaves the others alone, and each change of a job writes its
//! event in the same transaction. Operations are idempotent by job id, event id or token, so a batch whose outcome is
//! unknown can be sent again. Reads see what was committed before they began.

use std::{collections::BTreeMap, time::Duration};

use callboard_contracts::{
    EventEnvelope, JobState, Labels, Timestamp,
    api::{AttemptError, JobLogPage, JobLogQuery, LogCursor, QueueLimits, Totals},
};
use futures_util::future::BoxFuture;
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

use super::{
    cron::{CronDue, CronOperation, CronOutcome, CronRecord},
    dead_jobs::{
        BulkRecord, BulkSelection, CausePage, CauseQuery, DeadJobsOperation, DeadJobsOutcome, EditRecord,
    },
    encryption::{Resealed, SealedPage},
    outside::{OutsideWord, ReceivedJob, RetryPlan},
    queue_pause::{QueueOperation, QueueOutcome},
    record::{
        AttemptEnd, AuditRecord, ClaimedJob, CommandEnd, CommandFilter, CommandRecord, CountedLog,
        EdgeRecord, EdgeState, JobFilter, JobRecord, JobTypeRecord, JobWithAttempts, KeyedJobs, Lease,
        LogPage, NewAudit, NewCommand, NewJob, NewSession, NodeDescription, NodeRecord, QueueSettings,
        QueueTotals, Retention, Standing,
    },
    report::Report,
    signals::{JobStateRecord, SignalOperation, SignalOutcome, SignalRecord},
    workflow::{
        EndedSteps, InputsRecord, StepQuery, StepRecord, WorkflowFilter, WorkflowOperation, WorkflowOutcome,
        WorkflowRecord,
    },
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
    TimedOut(Duration),
    /// Anything else, in the backend's words.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Store a job.
    Enqueue(Box<NewJob>),
    /// Store the jobs of a request, and its key with what was answered, all in one transaction. The same request under
    /// the same key again changes nothing and is answered as it was then. A request of which no job is stored leaves no
    /// key behind.
    EnqueueOnce(Box<KeyedJobs>),
    /// Lease the jobs of a queue that are available, first come first served, at most `limit`, for `session`, which
    /// must be open. Of a paused queue that is none, and of one with limits over all nodes no more than they leave room
    /// for. Where available jobs have keys, the keys take turns, and it is first come first served within each;
    /// jobs with keys are given of queues that were made known, and of no others.
    Claim {
        /// The queue.
        queue: String,
        /// How many at most.
        limit: u32,
        /// Whose they are to be.
        session: Uuid,
    },
    /// As [`Operation::Claim`], of a queue that is served by workers outside: no more than `most` of its jobs are with anybody
    /// then, on all nodes and outside together.
    ClaimOut {
        /// The queue; it must have been made known.
        queue: String,
        /// How many at most.
        limit: u32,
        /// Whose they are to be, until they are [handed over](Operation::HandOver).
        session: Uuid,
        /// Jobs of the queue that may be with nodes and workers.
        most: u32,
    },
    /// A leased attempt was sent to a worker outside: its lease belongs to no node any more, and ends when nothing was heard
    /// of it for so long. Of a job that is to be cancelled, the attempt ends instead.
    HandOver {
        /// The lease.
        lease: Lease,
        /// For how long nothing may be heard of it.
        visible_for: Duration,
    },
    /// Store a job that another program tells of, once for its event, whose id is kept in the same transaction. An event of
    /// which nothing could be stored leaves no id behind.
    ReceiveJob(Box<ReceivedJob>),
    /// A word about an attempt that is with a worker outside. One that ends the attempt, or comes too late, is dealt with once
    /// for its event.
    Hear(Box<OutsideWord>),
    /// End the attempts, at most `limit`, of which nothing was heard from outside for as long as they have.
    Lapse {
        /// What the attempts' error says.
        error: AttemptError,
        /// Whether further attempts follow, and when.
        retry: RetryPlan,
        /// How many at most.
        limit: u32,
        /// The token of the [`Leadership`] under which it is done.
        leader: u64,
    },
    /// Give the leases again, at most `limit`, that the session has of a queue and does not know of, since the answer to
    /// their claim was lost. Nothing changes.
    Reclaim {
        /// The queue.
        queue: String,
        /// How many at most.
        limit: u32,
        /// Whose they are.
        session: Uuid,
        /// The tokens of those that it knows.
        known: Vec<u64>,
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
    /// A leased attempt says how far it is, and what happens in it.
    Report(Box<Report>),
    /// Call a job off.
    Cancel {
        /// The job.
        id: Uuid,
    },
    /// Run a waiting job now, also one in quarantine, or a finished one again as a new job.
    Retry {
        /// The job.
        id: Uuid,
        /// The new job's id, should one be made.
        replay_id: Uuid,
        /// The new job's `job.created` event.
        event_id: Uuid,
        /// Waiting jobs of the queue at which a new one is refused.
        max_backlog: u64,
        /// Waiting jobs of all queues together at which a new one is refused.
        max_total: u64,
    },
    /// Make scheduled and retryable jobs available whose time has come, at most `limit`.
    Promote {
        /// How many at most.
        limit: u32,
        /// The token of the [`Leadership`] under which it is done.
        leader: u64,
    },
    /// Make jobs available that wait for a handler of one of these types, or are of one of these queues, but not those in
    /// quarantine (they have deaths). Each node does so for the types it has.
    ReleaseHeld {
        /// The types that have a handler now.
        job_types: Vec<String>,
        /// The queues that are served by workers outside, whatever the types of their jobs.
        queues: Vec<String>,
        /// How many at most.
        limit: u32,
    },
    /// Begin a node's session.
    OpenSession(NewSession),
    /// End the attempts of a session, at most `limit`: each becomes the next attempt, available at once, or a dead job
    /// when it was the last one. When none is left the session is closed in the same transaction, and gives up its
    /// leadership, so that nothing is claimed under it between.
    Rescue {
        /// The session.
        session: Uuid,
        /// What the attempts' error says.
        error: AttemptError,
        /// How many at most.
        limit: u32,
        /// Only if the session has not said for so long, on the store's clock, that it lives, which is judged in the
        /// same transaction. `None`: whatever it has said; for a node's own session.
        idle_for: Option<Duration>,
        /// The token of the [`Leadership`] under which another node's session is ended; `None` for the node's own.
        leader: Option<u64>,
        /// After how many runs that died with their node a job waits in quarantine, `pending`, until somebody runs it
        /// again; 0: never. A node that ends its own attempts in good order gives 0, since nothing died.
        quarantine_after: u32,
    },
    /// Make the queues known.
    PutQueues(Vec<QueueSettings>),
    /// Change what holds for a queue on all nodes together. What is claimed already goes on.
    LimitQueue {
        /// The queue; it must have been made known.
        queue: String,
        /// What is to change.
        limits: QueueLimits,
    },
    /// Trip an edge, or make it ready. Jobs that need a tripped edge are not claimed; what is claimed goes on. One that is
    /// tripped already stays so since when it was.
    PutEdge {
        /// Its name.
        edge: String,
        /// How it is to be.
        state: EdgeState,
        /// Who says so.
        by: String,
    },
    /// Put available jobs aside whose edges are tripped, so that claims need not pass them by, and back that are put aside
    /// without need, at most `limit`. What claims give does not depend on it.
    Park {
        /// How many at most.
        limit: u32,
        /// The token of the [`Leadership`] under which it is done.
        leader: u64,
    },
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
    Prune {
        /// What is kept.
        retention: Retention,
        /// The token of the [`Leadership`] under which it is done.
        leader: u64,
    },
    /// Say what the node of a session is and has. Claims under it give jobs of those queues alone whose labels it has.
    DescribeNode {
        /// The session, which must be open.
        session: Uuid,
        /// What the node has.
        labels: Labels,
        /// What it is.
        description: NodeDescription,
    },
    /// Say what a node must have to run the jobs of a queue. What is claimed goes on.
    LabelQueue {
        /// The queue; it must have been made known.
        queue: String,
        /// What its nodes must have; none: any may run them.
        labels: Labels,
    },
    /// Tell a node to do something.
    PutCommand(NewCommand),
    /// Say what became of a command. The first word counts.
    EndCommand {
        /// The command.
        id: Uuid,
        /// How it ended.
        end: CommandEnd,
    },
    /// Carry an operation out, and keep in the same transaction who has asked for it, and what came of it.
    Audited {
        /// Who, and what.
        entry: NewAudit,
        /// The operation: one of those that change jobs, queues, edges, settings, commands or the cron table, not one that stores
        /// new jobs otherwise, leases them, or is itself audited.
        operation: Box<Operation>,
    },
    /// Keep that something was done that changes nothing in the store.
    Audit {
        /// Who, and what.
        entry: NewAudit,
        /// What came of it.
        outcome: String,
    },
    /// End the commands whose time is over, and delete entries of the audit trail, and commands that have ended, that are
    /// older than this or too many.
    PruneAudit {
        /// How long they are kept.
        kept: Duration,
        /// Rows that are deleted at most.
        limit: u32,
        /// The token of the [`Leadership`] under which it is done.
        leader: u64,
    },
    /// What concerns workflows.
    Workflow(WorkflowOperation),
    /// Change the cron table, or deal with a time of one of its entries.
    Cron(CronOperation),
    /// What is done about dead jobs and in bulk.
    DeadJobs(DeadJobsOperation),
    /// Pause a queue, or let it go on.
    Queue(QueueOperation),
    /// What concerns signals.
    Signals(SignalOperation),
    /// Exchange texts that are encrypted for others, each if it is still the one that was found. Nothing else changes, and no event
    /// tells of it.
    Reseal(Vec<Resealed>),
}

impl Operation {
    /// Entries of the audit trail that are kept at most, whatever their age.
    pub const MOST_AUDITED: u64 = 1_000_000;
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
    /// [`Operation::Enqueue`]: stored, and the job that had the place of its kind is cancelled.
    EnqueuedInstead {
        /// Its state.
        state: JobState,
        /// The job that was cancelled.
        replaced: Uuid,
    },
    /// [`Operation::Enqueue`]: another job has the place of its kind, and stands for it; nothing changed.
    Kept {
        /// The job that has the place.
        id: Uuid,
        /// Its `job.created` event.
        event_id: Uuid,
        /// Its state now.
        state: JobState,
    },
    /// [`Operation::Enqueue`]: another job has the place of its kind; nothing changed.
    NotUnique {
        /// The job that has the place.
        id: Uuid,
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
    /// [`Operation::Enqueue`] or [`Operation::Retry`]: all queues together hold as many jobs as they may; nothing changed.
    StoreFull {
        /// Jobs that wait.
        waiting: u64,
        /// Jobs that may wait.
        limit: u64,
    },
    /// [`Operation::EnqueueOnce`].
    EnqueuedOnce {
        /// What became of each job, in order.
        answers: Vec<KeyedAnswer>,
        /// What was kept with them.
        note: String,
        /// Whether this is what was answered before.
        replayed: bool,
    },
    /// [`Operation::EnqueueOnce`]: another request was made under this key; nothing changed.
    KeyTaken,
    /// [`Operation::Claim`], [`Operation::ClaimOut`], [`Operation::Reclaim`].
    Claimed(Vec<ClaimedJob>),
    /// [`Operation::Claim`]: these and no more for now, because of a rate, or because there was much to look through.
    ClaimedInPart {
        /// The jobs, perhaps none.
        jobs: Vec<ClaimedJob>,
        /// When it is worth asking again, whatever happens until then.
        again_at: Timestamp,
    },
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
    /// [`Operation::Report`].
    Reported,
    /// [`Operation::Start`], [`Operation::Finish`], [`Operation::Report`], [`Operation::HandOver`] or [`Operation::Hear`]: the
    /// lease is not the job's current one; nothing changed.
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
    /// There is no such job, no such queue, no such session, or no such command that has not ended; for [`Operation::Claim`] and [`Operation::Reclaim`], the session is not
    /// open; for [`Operation::Rescue`], there is no such session, or it has said too lately that it lives. Nothing changed.
    NotFound,
    /// The operation was to be done under a leadership that has ended; nothing changed.
    NotLeader,
    /// [`Operation::PutEdge`]: as many edges are tripped as may be; nothing changed.
    TooManyEdges {
        /// How many there may be.
        limit: u32,
    },
    /// [`Operation::Promote`], [`Operation::ReleaseHeld`], [`Operation::Rescue`], [`Operation::Park`].
    Moved {
        /// The queues that have more jobs to be claimed now.
        queues: Vec<String>,
        /// How many jobs moved.
        count: u32,
        /// For `Promote`: when the next job's time comes. For `Park`: when the next edge counts as ready by itself.
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
    /// [`Operation::HandOver`]: it is with the workers outside.
    HandedOver,
    /// [`Operation::ReceiveJob`] or [`Operation::Hear`]: the event was dealt with before; nothing changed.
    Seen,
    /// [`Operation::Hear`].
    Heard {
        /// The job's queue.
        queue: String,
        /// Its type.
        job_type: String,
        /// Its state now.
        state: JobState,
        /// When its next attempt may begin, if its attempt has failed and another one follows.
        retry_at: Option<Timestamp>,
    },
    /// [`Operation::Hear`]: the job is of a queue that workers outside do not serve; nothing changed.
    NotServed {
        /// The queue.
        queue: String,
    },
    /// [`Operation::Lapse`].
    Lapsed {
        /// How many attempts were ended, by queue.
        ended: BTreeMap<String, u32>,
        /// When the first of their next attempts may begin.
        retry_at: Option<Timestamp>,
        /// When the next attempt lapses; a time that has passed: there are more now.
        next_at: Option<Timestamp>,
    },
    /// [`Operation::PutCommand`]: it waits for its node.
    Ordered {
        /// The node.
        node: String,
    },
    /// [`Operation::Workflow`].
    Workflow(WorkflowOutcome),
    /// [`Operation::DeadJobs`].
    DeadJobs(DeadJobsOutcome),
    /// The operation has no other answer.
    Done,
    /// [`Operation::Cron`].
    Cron(CronOutcome),
    /// [`QueueOperation::Trip`].
    Queue(QueueOutcome),
    /// [`Operation::Signals`].
    Signals(SignalOutcome),
    /// [`Operation::Reseal`].
    Resealed {
        /// How many texts were exchanged; the others were others by then, or gone.
        changed: u32,
    },
}

impl Outcome {
    /// It answers another question than was asked.
    pub(crate) fn unexpected(&self) -> StoreError {
        StoreError::Failed(format!("it gave an answer to another question: {self:?}"))
    }
}

/// What became of one job of a request that has a key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyedAnswer {
    /// The job's id.
    pub id: Uuid,
    /// The id of its `job.created` event.
    pub event_id: Uuid,
    /// Its queue.
    pub queue: String,
    /// As [`Operation::Enqueue`] is answered.
    pub outcome: Outcome,
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

/// What the store says to a node that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The session is open.
    Alive {
        /// The leases of its attempts that somebody has asked to cancel, each with its queue.
        cancels: Vec<(Lease, String)>,
    },
    /// There is no such session, or it was closed: the node was taken for dead.
    Lost,
}

/// Who does what is done once for all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// This session does.
    Leader {
        /// What its operations carry. It grows whenever another session takes over.
        token: u64,
    },
    /// Another one does.
    Follower {
        /// It may be followed then, unless it renews its lease before.
        until: Timestamp,
    },
}

/// What another node has done that concerns this one. Words can get lost; polling makes up for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The queue may have more available jobs.
    Available(String),
    /// Somebody has asked to cancel a running attempt.
    Cancel {
        /// Its lease.
        lease: Lease,
        /// Its queue.
        queue: String,
        /// Whose it is.
        session: Uuid,
    },
    /// A node was told to do something.
    Command {
        /// The node's name.
        node: String,
    },
    /// A signal was sent to a job that runs.
    Signal {
        /// The job.
        job: Uuid,
        /// Whose its attempt is.
        session: Uuid,
    },
    /// The log may have grown.
    Log,
    /// Words may have been lost: anything may have happened.
    Everything,
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

    /// How many batches may be under way at once, at least 1.
    fn lanes(&self) -> usize;

    /// Says that the node of this session lives. Does not wait for batches that are under way longer than it must.
    fn renew(&self, session: Uuid) -> BoxFuture<'static, Result<Renewal, StoreError>>;

    /// Takes the leadership for `ttl` if nobody has it, or prolongs this session's own.
    fn lead(&self, session: Uuid, ttl: Duration) -> BoxFuture<'static, Result<Leadership, StoreError>>;

    /// What other nodes do. A backend for one node never says anything.
    fn wakes(&self) -> broadcast::Receiver<Wake>;

    /// The newest place in the log, told after each commit.
    fn committed(&self) -> watch::Receiver<LogCursor>;

    /// One job.
    fn job(&self, id: Uuid) -> BoxFuture<'static, Result<Option<JobWithAttempts>, StoreError>>;

    /// A part of what the runs of a job have said; `None` if there is no such job. At most 1000 lines.
    fn job_log(
        &self,
        id: Uuid,
        query: JobLogQuery,
    ) -> BoxFuture<'static, Result<Option<JobLogPage>, StoreError>>;

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

    /// What the log after `after` comes to, at most `limit` places of it. Costs far less than to read it.
    fn count_events_after(
        &self,
        after: LogCursor,
        limit: u32,
    ) -> BoxFuture<'static, Result<CountedLog, StoreError>>;

    /// The newest events of contract 1.0.0, newest first, of all jobs or of one.
    fn recent_events(
        &self,
        job: Option<Uuid>,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<EventEnvelope>, StoreError>>;

    /// Finished jobs, ever.
    fn totals(&self) -> BoxFuture<'static, Result<Totals, StoreError>>;

    /// Finished jobs up to a place in the log, and that place, in one view of the store: whoever adds to them what the log says
    /// after it counts each job once. What is finished, and whose event has no place yet, is not among them.
    fn totals_at(&self) -> BoxFuture<'static, Result<(Totals, LogCursor), StoreError>>;

    /// What the queues hold: those that were made known and those that have jobs.
    fn queues(&self) -> BoxFuture<'static, Result<Vec<(QueueSettings, QueueTotals)>, StoreError>>;

    /// How far the limits of a queue hold back the jobs of this key, or those without one.
    fn standing(
        &self,
        queue: String,
        key: Option<String>,
    ) -> BoxFuture<'static, Result<Standing, StoreError>>;

    /// The job types that were made known.
    fn job_types(&self) -> BoxFuture<'static, Result<Vec<JobTypeRecord>, StoreError>>;

    /// The edges that somebody has tripped, now or before, by name.
    fn edges(&self) -> BoxFuture<'static, Result<Vec<EdgeRecord>, StoreError>>;

    /// The sessions that have not been closed.
    fn open_sessions(&self) -> BoxFuture<'static, Result<Vec<OpenSession>, StoreError>>;

    /// A setting, JSON text.
    fn setting(&self, key: String) -> BoxFuture<'static, Result<Option<String>, StoreError>>;

    /// The nodes whose sessions have not been closed, by name.
    fn nodes(&self) -> BoxFuture<'static, Result<Vec<NodeRecord>, StoreError>>;

    /// What nodes were told to do, at most `limit`.
    fn commands(
        &self,
        filter: CommandFilter,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<CommandRecord>, StoreError>>;

    /// The audit trail before this entry ([`AuditRecord::sequence`]), newest first, at most `limit`.
    fn audit(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<AuditRecord>, StoreError>>;

    /// One workflow.
    fn workflow(&self, id: Uuid) -> BoxFuture<'static, Result<Option<WorkflowRecord>, StoreError>>;

    /// Workflows, newest first, at most `limit`.
    fn workflows(
        &self,
        filter: WorkflowFilter,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<WorkflowRecord>, StoreError>>;

    /// Steps of a workflow, in their order.
    fn workflow_steps(
        &self,
        id: Uuid,
        query: StepQuery,
    ) -> BoxFuture<'static, Result<Vec<StepRecord>, StoreError>>;

    /// Which of the first `below` steps of a workflow wait for which of them, by their numbers, in their order; at most `limit`.
    fn workflow_edges(
        &self,
        id: Uuid,
        below: u32,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<(u32, u32)>, StoreError>>;

    /// What the steps have come to that the job of a step waits for, behind the step of this number, at most `limit`; of the job
    /// that runs at the end of a workflow, the workflow alone. `None` if the job is of no workflow.
    fn step_inputs(
        &self,
        job: Uuid,
        after: Option<u32>,
        limit: u32,
    ) -> BoxFuture<'static, Result<Option<InputsRecord>, StoreError>>;

    /// Whether a workflow has not ended.
    fn has_open_workflows(&self) -> BoxFuture<'static, Result<bool, StoreError>>;

    /// Looks at the jobs of `limit` steps that were not advanced, with larger ids than `after`.
    fn ended_steps(&self, after: Uuid, limit: u32) -> BoxFuture<'static, Result<EndedSteps, StoreError>>;

    /// The cron table, by name.
    fn cron(&self) -> BoxFuture<'static, Result<Vec<CronRecord>, StoreError>>;

    /// An entry of the cron table.
    fn cron_entry(&self, name: String) -> BoxFuture<'static, Result<Option<CronRecord>, StoreError>>;

    /// The entries of the cron table whose jobs are to be stored by now, those that wait for the longest first, at most `limit`, and
    /// when the first of the others is.
    fn cron_due(&self, limit: u32) -> BoxFuture<'static, Result<CronDue, StoreError>>;

    /// Dead jobs by what they died of.
    fn dead_causes(&self, query: CauseQuery) -> BoxFuture<'static, Result<CausePage, StoreError>>;

    /// The newest completed job of the same type and queue as this one, of a bounded number that are looked at: the newest of the
    /// type, and those before the first one that died of the same cause.
    fn last_success(&self, id: Uuid) -> BoxFuture<'static, Result<Option<Uuid>, StoreError>>;

    /// What was changed when this job was made of another one, and when others were made of it, newest first, at most
    /// [`EditRecord::MOST`].
    fn job_edits(&self, id: Uuid) -> BoxFuture<'static, Result<Vec<EditRecord>, StoreError>>;

    /// Bulk operations, at most `limit`.
    fn bulks(
        &self,
        which: BulkSelection,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<BulkRecord>, StoreError>>;

    /// The signals of a job, in the order of their numbers: those that are unacknowledged, and the newest acknowledged ones; `None`
    /// if there is no such job.
    fn signals(&self, job: Uuid) -> BoxFuture<'static, Result<Option<Vec<SignalRecord>>, StoreError>>;

    /// Unacknowledged signals of these jobs, of each behind this number, in the order of jobs and numbers; at most `limit`.
    fn signals_after(
        &self,
        jobs: Vec<(Uuid, u32)>,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<(Uuid, SignalRecord)>, StoreError>>;

    /// The state that a job shows; `None` if there is no such job.
    fn job_state(&self, job: Uuid) -> BoxFuture<'static, Result<Option<JobStateRecord>, StoreError>>;

    /// The payloads and results with encrypted values of the jobs behind this one ([`JobRecord::sequence`]), oldest first. At most
    /// `limit` jobs are looked at, and fewer if there is much of it.
    fn sealed(&self, after: u64, limit: u32) -> BoxFuture<'static, Result<SealedPage, StoreError>>;
}
