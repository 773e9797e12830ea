//! What goes into the store and comes out of it.

use std::{collections::BTreeSet, time::Duration};

use callboard_contracts::{
    EventEnvelope, EventType, JobState, Labels, Rate, Timestamp, TraceContext,
    api::{AttemptError, AttemptView, JobProgress, LogCursor, NodeAction, QueueLimits, QueuePause},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::signals::PublishedRecord;

/// A job to be stored. JSON values travel as compact text, parsed and checked by whoever made this.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// The job's id.
    pub id: Uuid,
    /// The job's type.
    pub job_type: String,
    /// The queue it goes to.
    pub queue: String,
    /// The payload, a JSON object.
    pub payload: String,
    /// Metadata, a JSON object.
    pub metadata: Option<String>,
    /// The contract document it came as, without its payload and metadata: `createdAt` and unknown fields are kept.
    pub document: Option<String>,
    /// SHA-256 of the canonical submission: the same id with another one is a conflict.
    pub fingerprint: [u8; 32],
    /// Attempts it may take, at least 1.
    pub max_attempts: u32,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// Why it must wait in `pending`, for example because nobody handles its type; `None`: it is available.
    pub held: Option<String>,
    /// Ties together what one request has caused.
    pub correlation_id: Uuid,
    /// The id of its `job.created` event.
    pub event_id: Uuid,
    /// Waiting jobs of the queue (pending, scheduled, available, retryable) at which this one is refused.
    pub max_backlog: u64,
    /// Waiting jobs of all queues together at which this one is refused.
    pub max_total: u64,
    /// When it may run at the earliest. `None`, or a time that has passed: now.
    pub scheduled_at: Option<Timestamp>,
    /// Available jobs of a queue are claimed by priority, highest first, then by `scheduled_at`, then in the order of
    /// storing.
    pub priority: i16,
    /// Words by which lists find it, each once.
    pub tags: Vec<String>,
    /// The span that it was submitted in.
    pub trace: Option<TraceContext>,
    /// The edges that it needs: while one of them is tripped it is not claimed.
    pub needs: Vec<String>,
    /// By what it takes turns with the other jobs of its queue, and is limited; never empty.
    pub partition_key: Option<String>,
    /// That it is to be the only one of its kind.
    pub unique: Option<Uniqueness>,
}

/// The place of its kind that a job is to have for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uniqueness {
    /// SHA-256 of what makes the kind.
    pub key: [u8; 32],
    /// The states in which the job has the place. One that leaves them, and comes back, has it again unless another job has
    /// taken it meanwhile.
    pub states: BTreeSet<JobState>,
    /// How long it has the place at most, from when it is stored.
    pub period: Option<Duration>,
    /// What becomes of the job if another one has the place.
    pub if_taken: IfTaken,
}

/// What becomes of a job whose place another one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfTaken {
    /// It is refused.
    Refuse,
    /// The other one stands for it.
    Keep,
    /// The other one is cancelled, unless a node has it; then it is refused.
    Replace,
}

/// The key under which a request is carried out once, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// Whose it is, and for what: the same key in another scope is another key.
    pub scope: String,
    /// The key.
    pub key: String,
    /// SHA-256 of the request: another one under the same key is refused.
    pub fingerprint: [u8; 32],
}

/// The jobs of a request that has a key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyedJobs {
    /// The key.
    pub key: RequestKey,
    /// The jobs, none of them twice.
    pub jobs: Vec<NewJob>,
    /// Kept with the answers, and given back with them: what else whoever asks has to say. Any text.
    pub note: String,
}

/// A job that a node has claimed, with the lease on it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimedJob {
    /// The job's id.
    pub id: Uuid,
    /// The job's type.
    pub job_type: String,
    /// Its queue.
    pub queue: String,
    /// Its payload, a JSON object.
    pub payload: String,
    /// Metadata, a JSON object.
    pub metadata: Option<String>,
    /// The contract document it came as, without payload and metadata.
    pub document: Option<String>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Attempts it may take.
    pub max_attempts: u32,
    /// How long the attempt may take.
    pub timeout: Duration,
    /// The lease's token: every later write for this attempt carries it.
    pub token: u64,
    /// Ties together what one request has caused.
    pub correlation_id: Uuid,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it was claimed.
    pub claimed_at: Timestamp,
    /// The span that it was submitted in.
    pub trace: Option<TraceContext>,
    /// By what it takes turns with the other jobs of its queue, and is limited.
    pub partition_key: Option<String>,
}

/// The lease under which a write for an attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The job.
    pub id: Uuid,
    /// The token of its claim.
    pub token: u64,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum AttemptEnd {
    /// With a result (JSON text), if it has one.
    Completed {
        /// The result, any JSON value.
        result: Option<String>,
    },
    /// With an error.
    Failed {
        /// What went wrong.
        error: AttemptError,
        /// When the next attempt may begin; `None` makes the job a dead one.
        retry_at: Option<Timestamp>,
    },
    /// By a request to cancel the job.
    Cancelled {
        /// What the attempt says about it.
        error: AttemptError,
    },
    /// Handed back: the job is available again and the attempt does not count.
    Released,
    /// By a run that wants to be continued later: the job is scheduled, and the attempt does not count. It is told in
    /// the log but not kept as an attempt, so a job may do so for ever.
    Snoozed {
        /// When the job becomes available.
        until: Timestamp,
    },
}

/// A job as it stands in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRecord {
    /// Its place in the order of storing; what lists page by.
    pub sequence: u64,
    /// The job's id.
    pub id: Uuid,
    /// The job's type.
    pub job_type: String,
    /// Its queue.
    pub queue: String,
    /// Where it is on its way.
    pub state: JobState,
    /// Its payload, a JSON object; empty text in lists.
    pub payload: String,
    /// Metadata, a JSON object; absent in lists.
    pub metadata: Option<String>,
    /// The contract document it came as, without payload and metadata.
    pub document: Option<String>,
    /// Its result, any JSON value; absent in lists.
    pub result: Option<String>,
    /// Attempts begun so far.
    pub attempt: u32,
    /// Attempts it may take.
    pub max_attempts: u32,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// Why it waits.
    pub wait_reason: Option<String>,
    /// The message of the last failed attempt.
    pub last_error: Option<String>,
    /// Of a dead job, what it died of: 16 hexadecimal digits; absent until it is found out, for one that died under an older
    /// program.
    pub cause: Option<String>,
    /// Its priority.
    pub priority: i16,
    /// Its tags.
    pub tags: Vec<String>,
    /// The edges that it needs, sorted.
    pub needs: Vec<String>,
    /// By what it takes turns with the other jobs of its queue, and is limited.
    pub partition_key: Option<String>,
    /// Ties together what one request has caused.
    pub correlation_id: Uuid,
    /// The span that it was submitted in; absent in lists.
    pub trace: Option<TraceContext>,
    /// The id of its `job.created` event.
    pub created_event_id: Uuid,
    /// The finished job of which this one is a replay.
    pub replay_of: Option<Uuid>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it becomes available, or since when it is or was: its due time, if it had one.
    pub scheduled_at: Timestamp,
    /// When the current or last attempt was claimed.
    pub claimed_at: Option<Timestamp>,
    /// When the run of the current or last attempt began.
    pub started_at: Option<Timestamp>,
    /// When it reached its final state.
    pub finished_at: Option<Timestamp>,
    /// When somebody asked to cancel it while it ran.
    pub cancel_requested_at: Option<Timestamp>,
}

/// A job and the attempts that have ended, oldest first, at most the last 100.
#[derive(Clone, Debug, PartialEq)]
pub struct JobWithAttempts {
    /// The job.
    pub job: JobRecord,
    /// How far its newest run has said that it is.
    pub progress: Option<JobProgress>,
    /// What that run shows of itself.
    pub published: Option<PublishedRecord>,
    /// Its ended attempts.
    pub attempts: Vec<AttemptView>,
}

/// Which jobs a list shows. Empty fields let everything pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobFilter {
    /// Only jobs in one of these states.
    pub states: Vec<JobState>,
    /// Only jobs of this queue.
    pub queue: Option<String>,
    /// Only jobs of this type.
    pub job_type: Option<String>,
    /// Only jobs with this tag.
    pub tag: Option<String>,
    /// Only dead jobs that died of this cause ([`JobRecord::cause`]).
    pub cause: Option<String>,
    /// Only jobs stored before this one ([`JobRecord::sequence`]).
    pub before: Option<u64>,
}

impl JobFilter {
    /// What may be so rare, with a state, that its jobs are gone through: columns, and what they are to be.
    pub fn narrowing(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let asked = !self.states.is_empty() && self.tag.is_none() && self.cause.is_none();
        let columns = [("type", self.job_type.as_deref()), ("queue", self.queue.as_deref())];
        columns.into_iter().filter(move |_| asked).filter_map(|(column, value)| Some((column, value?)))
    }
}

/// An event and its place in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedEvent {
    /// Its place.
    pub cursor: LogCursor,
    /// The job's queue.
    pub queue: String,
    /// The job's type.
    pub job_type: String,
    /// For the end of an attempt: how long it ran. For its start: how long the job had waited.
    pub duration: Option<Duration>,
    /// The event.
    pub event: EventEnvelope,
}

/// What a read of the log gives.
#[derive(Clone, Debug, PartialEq)]
pub struct LogPage {
    /// The events, in the log's order, without gaps.
    pub events: Vec<LoggedEvent>,
    /// The oldest place that is still there; a reader whose cursor is before it, or of another epoch, has missed some.
    pub oldest: LogCursor,
    /// The newest place.
    pub newest: LogCursor,
    /// Whether the reader's cursor was older than the log, or of another epoch, so that `events` begin at `oldest`.
    pub reset: bool,
}

/// The events of a part of the log that are alike, counted.
#[derive(Clone, Debug, PartialEq)]
pub struct EventCount {
    /// What happened.
    pub event_type: EventType,
    /// The jobs' queue.
    pub queue: String,
    /// The jobs' type.
    pub job_type: String,
    /// How often.
    pub events: u64,
    /// [`LoggedEvent::duration`] of those that have one, in no order.
    pub durations: Vec<Duration>,
}

/// What a part of the log comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct CountedLog {
    /// Events that are alike, in no order.
    pub counts: Vec<EventCount>,
    /// The last place that is counted: where the next part begins.
    pub last: LogCursor,
    /// The newest place.
    pub newest: LogCursor,
    /// As [`LogPage::reset`].
    pub reset: bool,
}

/// What a queue holds, from totals that are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueTotals {
    /// The queue.
    pub queue: String,
    /// Jobs in each state, in the order of [`JobState::ALL`]; the final ones ever since, whatever was pruned.
    pub counts: [u64; 8],
    /// Since when the job that has waited longest is available.
    pub oldest_available_at: Option<Timestamp>,
    /// Since when nothing is claimed from it, because it is paused.
    pub paused_at: Option<Timestamp>,
    /// Why it is paused, if that is known.
    pub pause: Option<QueuePause>,
    /// How often somebody has let it go on.
    pub resumes: u64,
    /// What holds for it on all nodes together.
    pub limits: Limits,
    /// What a node must have to run its jobs.
    pub labels: Labels,
}

/// What holds for a queue on all nodes together, as far as somebody has set it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Its jobs that may be with a node at most.
    pub max_running: Option<u32>,
    /// Of those with the same key, so many at most.
    pub max_running_per_key: Option<u32>,
    /// Claims of its jobs in a time at most.
    pub rate: Option<Rate>,
    /// Of those with the same key, so many at most.
    pub rate_per_key: Option<Rate>,
}

impl Limits {
    /// With what is to change changed.
    pub fn changed(self, change: &QueueLimits) -> Self {
        Limits {
            max_running: change.max_running.unwrap_or(self.max_running),
            max_running_per_key: change.max_running_per_key.unwrap_or(self.max_running_per_key),
            rate: change.rate.unwrap_or(self.rate),
            rate_per_key: change.rate_per_key.unwrap_or(self.rate_per_key),
        }
    }

    /// Whether places that get free anywhere may make room for jobs.
    pub(crate) fn has_places(&self) -> bool {
        self.max_running.is_some() || self.max_running_per_key.is_some()
    }
}

/// How far the limits of a queue hold back the jobs of one key, or those without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Jobs with the key that are with a node; 0 without a key.
    pub executing: u64,
    /// When the queue's rate allows the next claim, if it allows none now.
    pub rate_free_at: Option<Timestamp>,
    /// When the rate of the key allows the next claim, if it allows none now.
    pub key_free_at: Option<Timestamp>,
}

impl QueueTotals {
    /// Jobs in `state`.
    pub fn count(&self, state: JobState) -> u64 {
        self.counts[state as usize]
    }

    /// Jobs that wait: pending, scheduled, available and retryable.
    pub fn backlog(&self) -> u64 {
        use JobState::{Available, Pending, Retryable, Scheduled};
        [Pending, Scheduled, Available, Retryable].into_iter().map(|state| self.count(state)).sum()
    }
}

/// How an edge, a service outside that jobs need, is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EdgeState {
    /// Its jobs run.
    Ready,
    /// Its jobs wait.
    Tripped {
        /// Why, for people.
        reason: Option<String>,
        /// After this time it counts as ready by itself.
        lasting: Option<Duration>,
    },
}

/// An edge that somebody has tripped, now or before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeRecord {
    /// Its name.
    pub name: String,
    /// How it was tripped last, unless it was made ready since.
    pub trip: Option<Trip>,
    /// Who has said so.
    pub set_by: String,
    /// When.
    pub set_at: Timestamp,
    /// Available jobs that are put aside because of it; those that are not counted up to here wait all the same. At most
    /// [`EdgeRecord::COUNTED`].
    pub parked: u64,
}

impl EdgeRecord {
    /// Jobs that are counted at most.
    pub const COUNTED: u32 = 1000;
    /// Edges that a store keeps at most: with one more, the one that is ready for the longest time is forgotten.
    pub const MOST: u32 = 1000;

    /// How it is tripped at this time.
    pub fn tripped_at(&self, now: Timestamp) -> Option<&Trip> {
        self.trip.as_ref().filter(|trip| trip.holds(now))
    }
}

/// How an edge was tripped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trip {
    /// Since when.
    pub since: Timestamp,
    /// When it counts as ready by itself.
    pub until: Option<Timestamp>,
    /// Why, for people.
    pub reason: Option<String>,
}

impl Trip {
    /// Whether it is not over yet.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// A node's life on the store.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSession {
    /// The session's id.
    pub id: Uuid,
    /// The node's name.
    pub node: String,
    /// The program's version.
    pub version: String,
    /// The process id.
    pub process: u32,
}

/// A queue as a node is configured to serve it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// Its name.
    pub name: String,
    /// Jobs that run at once.
    pub concurrency: u32,
    /// Waiting jobs after which new ones are refused.
    pub max_backlog: u64,
}

/// A job type as a node knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct JobTypeRecord {
    /// Its name.
    pub job_type: String,
    /// What it does.
    pub description: String,
    /// The queue its jobs go to.
    pub queue: String,
    /// JSON Schema of its payload.
    pub payload_schema: String,
    /// JSON Schema of its result.
    pub result_schema: String,
    /// Attempts its jobs may take.
    pub max_attempts: u32,
    /// How long an attempt may take.
    pub timeout: Duration,
}

/// How long finished things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Completed jobs, after their end.
    pub completed: Duration,
    /// Cancelled jobs, after their end.
    pub cancelled: Duration,
    /// Dead jobs, after their end.
    pub discarded: Duration,
    /// Events.
    pub events: Duration,
    /// Events at most, whatever their age.
    pub events_max: u64,
    /// Keys of requests, with the answers that are given again.
    pub keys: Duration,
    /// Ids of events of other programs that were dealt with: one that comes again after that is taken for a new one.
    pub inbox: Duration,
    /// Such ids at most, whatever their age.
    pub inbox_max: u64,
    /// Rows that one transaction deletes at most.
    pub batch: u32,
}

/// The newest form of what is stored that this program reads. A store says in the setting [`MIN_READER`] from which number on
/// a program may claim its jobs; one that has a smaller number claims nothing and says so, while newer ones beside it go on.
pub const READER: u32 = 1;

/// The setting that holds the smallest [`READER`] of a program that may claim jobs, a number.
pub const MIN_READER: &str = "min_reader";

/// What a node says of itself beside [`NewSession`], at its beginning and whenever it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDescription {
    /// What it does.
    pub roles: Vec<String>,
    /// The queues whose jobs it runs, each with how many at once.
    pub queues: Vec<(String, u32)>,
    /// Its [`READER`].
    pub reads: u32,
    /// Whether somebody has told it to claim nothing.
    #[serde(default)]
    pub paused: bool,
    /// Whether it is on its way out.
    #[serde(default)]
    pub draining: bool,
}

/// A node, as its open session says.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeRecord {
    /// Its session.
    pub session: NewSession,
    /// When the session was opened.
    pub opened_at: Timestamp,
    /// When the node last said that it lives, on the store's clock.
    pub seen_at: Timestamp,
    /// Attempts that it holds.
    pub executing: u64,
    /// Whether it leads.
    pub leads: bool,
    /// What it has, for queues that ask for it.
    pub labels: Labels,
    /// What else it has said of itself; nothing if its program is too old for that.
    pub description: NodeDescription,
}

/// Something that a node is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCommand {
    /// Its id.
    pub id: Uuid,
    /// The node's name.
    pub node: String,
    /// What.
    pub action: NodeAction,
    /// Who says so.
    pub by: String,
    /// How long the node may take to begin with it.
    pub valid_for: Duration,
}

/// A command, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRecord {
    /// Its id.
    pub id: Uuid,
    /// The node's name.
    pub node: String,
    /// What.
    pub action: NodeAction,
    /// Who has said so.
    pub by: String,
    /// When.
    pub ordered_at: Timestamp,
    /// Until when the node may begin with it.
    pub valid_until: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub end: Option<CommandEnd>,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandEnd {
    /// Whether it was done.
    pub done: bool,
    /// In words.
    pub outcome: String,
}

/// What [`CommandEnd::outcome`] says of a command that no node has carried out in time.
pub const EXPIRED: &str = "expired";

/// Which commands are read, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandFilter {
    /// This one.
    Id(Uuid),
    /// Those that this node may still begin with, the oldest first.
    WaitingFor(String),
    /// The newest of all nodes.
    Newest,
}

/// Something that somebody does, for the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAudit {
    /// Its id: sent again, it is kept once.
    pub id: Uuid,
    /// Who.
    pub by: String,
    /// The role of whoever does it, if there are roles.
    pub role: Option<String>,
    /// What, such as `queue.pause`.
    pub action: String,
    /// To what.
    pub target: String,
    /// With which values, JSON text.
    pub detail: Option<String>,
}

/// An entry of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its place, by which lists page.
    pub sequence: u64,
    /// What was done, and by whom.
    pub entry: NewAudit,
    /// When.
    pub at: Timestamp,
    /// The node through which it was done.
    pub node: String,
    /// What came of it, in words.
    pub outcome: String,
}
