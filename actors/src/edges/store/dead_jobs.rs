//! Dead jobs and bulk operations: what is written of them, and read.

use std::collections::BTreeMap;

use callboard_contracts::{
    JobState, Timestamp,
    api::{BulkAction, BulkFilter, BulkOutcome, BulkProblem, BulkState, ErrorKind},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::record::{JobFilter, Lease};

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum DeadJobsOperation {
    /// Run a finished job again as a new job with another payload, and keep with both what was changed. A job that is not
    /// finished stays as it is.
    Replay(Box<EditedReplay>),
    /// Find out what dead jobs died of that ended before that was kept, at most `limit`.
    FillCauses {
        /// How many at most.
        limit: u32,
        /// The token of the [`Leadership`](super::Leadership) under which it is done.
        leader: u64,
    },
    /// Begin a bulk operation. The very same one again changes nothing.
    StartBulk(Box<NewBulk>),
    /// Let a bulk operation end where it is. One that has ended stays as it is.
    StopBulk {
        /// The operation.
        id: Uuid,
    },
    /// Do a part of a bulk operation, and say so in the same transaction. It changes nothing if the operation is not where the step
    /// begins, or has ended: so it can be sent again.
    StepBulk(Box<BulkStep>),
}

/// What a [`DeadJobsOperation`] did. Others of its answers are those of [`Outcome`](super::Outcome) that fit.
#[derive(Clone, Debug, PartialEq)]
pub enum DeadJobsOutcome {
    /// [`DeadJobsOperation::FillCauses`].
    CausesFilled {
        /// How many jobs have a cause now.
        count: u32,
    },
    /// [`DeadJobsOperation::StartBulk`], [`DeadJobsOperation::StopBulk`]: how it is now.
    Bulk(Box<BulkRecord>),
    /// [`DeadJobsOperation::StartBulk`]: another operation has this id; nothing changed.
    OtherBulk,
    /// [`DeadJobsOperation::StartBulk`]: as many are under way as may be; nothing changed.
    TooManyBulks {
        /// How many there may be.
        limit: u32,
    },
    /// [`DeadJobsOperation::StepBulk`].
    Stepped(Box<BulkStepped>),
}

/// A finished job that is to run again with another payload.
#[derive(Clone, Debug, PartialEq)]
pub struct EditedReplay {
    /// The job.
    pub id: Uuid,
    /// The new job's id.
    pub replay_id: Uuid,
    /// The new job's `job.created` event.
    pub event_id: Uuid,
    /// Waiting jobs of the queue at which it is refused.
    pub max_backlog: u64,
    /// Waiting jobs of all queues together at which it is refused.
    pub max_total: u64,
    /// The new payload.
    pub payload: NewPayload,
    /// What is kept of the change.
    pub note: EditNote,
}

/// The payload of a replay, where it is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPayload {
    /// A JSON object.
    pub text: String,
    /// SHA-256: nobody's submission is taken for the new job's.
    pub fingerprint: [u8; 32],
}

/// What is kept of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditNote {
    /// A JSON merge patch, if one can say it.
    pub patch: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Who.
    pub by: String,
}

/// A change that was made when a finished job was run again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditRecord {
    /// The job as it was.
    pub original: Uuid,
    /// The job that was made of it.
    pub replay: Uuid,
    /// What is kept of it.
    pub note: EditNote,
    /// When.
    pub at: Timestamp,
}

impl EditRecord {
    /// Changes that are shown of one job.
    pub const MOST: u32 = 20;
}

/// A bulk operation that is to begin.
#[derive(Clone, Debug, PartialEq)]
pub struct NewBulk {
    /// Its id.
    pub id: Uuid,
    /// What is done with each job.
    pub action: BulkAction,
    /// Which jobs.
    pub filter: BulkFilter,
    /// What changes in the payloads of replays, a JSON merge patch.
    pub patch: Option<String>,
    /// What two patches are compared by, where the texts of the same one differ: what is encrypted is another text each time.
    pub fingerprint: Option<String>,
    /// The patch without what is secret in it, as it is kept with each replay.
    pub shown_patch: Option<String>,
    /// Whether jobs are left alone whose secrets the patch would leave as they are: who begins it may not see them.
    pub spares_secrets: bool,
    /// Why.
    pub reason: Option<String>,
    /// Who.
    pub by: String,
    /// How many jobs fit.
    pub matched: u64,
    /// Whether there may be more.
    pub at_least: bool,
}

/// A bulk operation as it stands in the store, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BulkRecord {
    /// Its id.
    pub id: Uuid,
    /// What is done with each job.
    pub action: BulkAction,
    /// Which jobs.
    pub filter: BulkFilter,
    /// What changes in the payloads of replays, a JSON merge patch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// What two patches are compared by. An operation of an earlier version has none, and is compared by its patch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The patch without what is secret in it, as it is kept with each replay. An operation of an earlier version has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_patch: Option<String>,
    /// Whether jobs are left alone whose secrets the patch would leave as they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spares_secrets: bool,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who has begun it.
    pub by: String,
    /// When.
    pub started_at: Timestamp,
    /// The newest job when it was begun ([`JobRecord::sequence`](super::record::JobRecord::sequence)): later ones do not
    /// concern it.
    pub newest: u64,
    /// Jobs from this one on are dealt with; it goes on before it.
    pub cursor: u64,
    /// Where it is on its way.
    pub state: BulkState,
    /// Why it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// How many jobs fitted when it was begun.
    pub matched: u64,
    /// Whether there may have been more.
    pub at_least: bool,
    /// What became of the jobs that it has dealt with.
    pub outcomes: BTreeMap<BulkOutcome, u64>,
    /// The first ones with which it could not do what it was to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<BulkProblem>,
    /// When it last went on.
    pub updated_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

impl BulkRecord {
    /// Bulk operations that may be under way at a time.
    pub const MOST_RUNNING: u32 = 100;

    /// Which jobs it looks at next.
    pub fn rest(&self) -> JobFilter {
        JobFilter { before: Some(self.cursor), ..jobs_of(&self.filter) }
    }
}

/// The jobs that a bulk operation's filter names.
pub fn jobs_of(filter: &BulkFilter) -> JobFilter {
    JobFilter {
        states: filter.state.clone(),
        queue: filter.queue.clone(),
        job_type: filter.job_type.clone(),
        tag: filter.tag.clone(),
        cause: filter.cause.clone(),
        before: None,
    }
}

/// The next part of a bulk operation.
#[derive(Clone, Debug, PartialEq)]
pub struct BulkStep {
    /// The operation.
    pub id: Uuid,
    /// The [`cursor`](BulkRecord::cursor) at which the step begins.
    pub from: u64,
    /// The jobs that come next, newest first.
    pub jobs: Vec<BulkJob>,
    /// Whether there are no others behind these.
    pub last: bool,
    /// Waiting jobs of all queues together at which it waits.
    pub max_total: u64,
    /// The token of the [`Leadership`](super::Leadership) under which it is done.
    pub leader: u64,
}

/// A job of a [`BulkStep`].
#[derive(Clone, Debug, PartialEq)]
pub struct BulkJob {
    /// Its id.
    pub id: Uuid,
    /// Its place in the order of storing.
    pub sequence: u64,
    /// What is to be done with it.
    pub plan: BulkPlan,
}

/// What is to be done with a job of a [`BulkStep`].
#[derive(Clone, Debug, PartialEq)]
pub enum BulkPlan {
    /// Nothing: it is none of those that fitted when the operation was begun.
    PassOver,
    /// Nothing: it is counted as this.
    Count(BulkOutcome, String),
    /// It is called off.
    Cancel,
    /// It runs now, or again.
    Retry {
        /// The new job's id, should one be made: always the same one for this job and this operation.
        replay_id: Uuid,
        /// The new job's `job.created` event.
        event_id: Uuid,
        /// Waiting jobs of its queue at which the operation waits.
        max_backlog: u64,
        /// The new job's payload, if it is another one.
        payload: Option<NewPayload>,
    },
}

/// What a [`BulkStep`] did.
#[derive(Clone, Debug, PartialEq)]
pub struct BulkStepped {
    /// How the operation is now.
    pub record: BulkRecord,
    /// The queues that have more jobs to be claimed.
    pub queues: Vec<String>,
    /// Running attempts that are to be told, each with its queue and whose it is.
    pub cancels: Vec<(Lease, String, Uuid)>,
}

/// Which bulk operations are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkSelection {
    /// This one.
    Id(Uuid),
    /// The newest, newest first.
    Newest,
    /// Those that are under way, oldest first.
    Running,
}

/// What dead jobs are grouped by.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CauseKey {
    /// Their type.
    pub job_type: String,
    /// Their queue.
    pub queue: String,
    /// What they died of.
    pub cause: String,
}

/// Which groups of dead jobs are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CauseQuery {
    /// Only of this type.
    pub job_type: Option<String>,
    /// Only of this queue.
    pub queue: Option<String>,
    /// Only behind this one.
    pub after: Option<CauseKey>,
    /// How many at most.
    pub limit: u32,
}

/// Dead jobs of one type and queue that died of the same cause.
#[derive(Clone, Debug, PartialEq)]
pub struct CauseRecord {
    /// By what they are grouped.
    pub key: CauseKey,
    /// The cause for people.
    pub title: String,
    /// What kind of end the sample came to.
    pub kind: ErrorKind,
    /// How many there are, up to [`MOST_COUNTED`](callboard_contracts::api::MOST_COUNTED).
    pub count: u64,
    /// Whether there may be more.
    pub at_least: bool,
    /// When the first of them died.
    pub first_at: Timestamp,
    /// When the last of them died.
    pub last_at: Timestamp,
    /// The one that died last.
    pub sample: Uuid,
}

/// A page of groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CausePage {
    /// The groups, in the order of their keys.
    pub causes: Vec<CauseRecord>,
    /// Behind which one the next page begins, if there may be more.
    pub next: Option<CauseKey>,
}

impl JobFilter {
    /// The states that jobs can have which it lets pass; `None`: any. Only dead jobs have a cause.
    pub fn states_that_fit(&self) -> Option<Vec<JobState>> {
        let any = self.states.is_empty();
        match &self.cause {
            Some(_) if any || self.states.contains(&JobState::Discarded) => Some(vec![JobState::Discarded]),
            Some(_) => Some(Vec::new()),
            None => (!any).then(|| self.states.clone()),
        }
    }
}
