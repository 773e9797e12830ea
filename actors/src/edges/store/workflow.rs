//! Workflows in the store: steps, each a job, that wait for each other.
//!
//! A step whose job has ended is *advanced*: what waits for it waits for one step less, and what waits for nothing more may
//! run. That is not done where the job ends but by one leader that follows the log, so the end of an attempt costs no more than
//! that of any other job. Each step is advanced once, however often it is told of: its own state says whether it was.

use std::time::Duration;

use callboard_contracts::{
    JobState, Timestamp,
    api::{OnFailure, StepState, WorkflowState},
};
use uuid::Uuid;

use super::record::{Lease, NewJob};

/// A write that concerns workflows.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkflowOperation {
    /// Store a workflow with all its steps and their jobs, or nothing of it. The same workflow under the same id again changes
    /// nothing.
    Submit(Box<NewWorkflow>),
    /// Steps of these jobs may have ended: those that have are advanced, and so is what follows from it for their workflows. Jobs
    /// of no workflow, and steps that were advanced before, change nothing.
    Advance {
        /// The jobs.
        jobs: Vec<Uuid>,
        /// Steps that may be advanced by what waits for them, at most, unless it is a single one.
        limit: u32,
        /// The token of the [`Leadership`](super::Leadership) under which it is done.
        leader: u64,
    },
    /// Add steps to the workflow of a step that runs.
    AddSteps(Box<AddedSteps>),
    /// Cancel all that has not ended.
    Cancel {
        /// The workflow.
        id: Uuid,
    },
    /// Run the jobs of steps again that have failed, or were cancelled, and that keep others from running; at most `limit`.
    Resume {
        /// The workflow.
        id: Uuid,
        /// How many at most.
        limit: u32,
    },
    /// Forget workflows that have ended, a bounded number of rows in each write. Their jobs are kept as long as any others from
    /// then on.
    Prune {
        /// How long those are kept that were completed.
        completed: Duration,
        /// How long those are kept that were cancelled.
        cancelled: Duration,
        /// How long those are kept that have failed, and were not resumed: what still waits in them is cancelled then.
        failed: Duration,
        /// Rows of one write at most.
        limit: u32,
        /// The token of the [`Leadership`](super::Leadership) under which it is done.
        leader: u64,
    },
}

/// A workflow to be stored. Its rules were checked by whoever made it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewWorkflow {
    /// Its id.
    pub id: Uuid,
    /// What it is called.
    pub name: Option<String>,
    /// SHA-256 of the canonical submission: the same id with another one is a conflict.
    pub fingerprint: [u8; 32],
    /// Its steps.
    pub steps: Vec<NewStep>,
    /// Which step waits for which, by their places: the earlier one first; sorted, none twice, without a cycle.
    pub edges: Vec<(u32, u32)>,
    /// The job that runs when it has ended.
    pub on_end: Option<NewJob>,
}

/// A step to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewStep {
    /// Its name.
    pub name: String,
    /// What becomes of those that wait for it if it fails.
    pub on_failure: OnFailure,
    /// Its job. Whether it waits is decided by the workflow's edges.
    pub job: NewJob,
}

/// Steps that a running one adds.
#[derive(Clone, Debug, PartialEq)]
pub struct AddedSteps {
    /// The lease of the running step's job.
    pub lease: Lease,
    /// The new steps. One whose name is there already is passed over, so that all of it can be sent again.
    pub steps: Vec<NewStep>,
    /// Which of the new steps waits for which of them, by their places: the earlier one first.
    pub edges: Vec<(u32, u32)>,
    /// New steps that wait for steps of the workflow that have begun, or ended: the new one's place, and the other's name.
    pub after: Vec<(u32, String)>,
    /// New steps for which steps of the workflow are to wait that wait still: the new one's place, and the other's name.
    pub before: Vec<(u32, String)>,
    /// Steps that the workflow may have in all.
    pub max_steps: u32,
}

/// What a [`WorkflowOperation`] did.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkflowOutcome {
    /// [`WorkflowOperation::Submit`]: stored.
    Stored {
        /// The queues that have more jobs to be claimed now.
        queues: Vec<String>,
    },
    /// [`WorkflowOperation::Submit`]: the very same workflow is there already; nothing changed.
    Duplicate {
        /// Steps that it has now.
        steps: u32,
    },
    /// [`WorkflowOperation::Submit`]: another workflow has this id, or a job that of one of its jobs; nothing changed.
    Conflict,
    /// [`WorkflowOperation::Submit`], [`WorkflowOperation::AddSteps`]: a queue has no room for all of it; nothing changed.
    BacklogFull {
        /// The queue.
        queue: String,
        /// Jobs that wait in it.
        waiting: u64,
        /// Jobs that may wait in it.
        limit: u64,
    },
    /// [`WorkflowOperation::Submit`], [`WorkflowOperation::AddSteps`]: all queues together have no room for all of it; nothing
    /// changed.
    StoreFull {
        /// A queue that it concerns.
        queue: String,
        /// Jobs that wait.
        waiting: u64,
        /// Jobs that may wait.
        limit: u64,
    },
    /// [`WorkflowOperation::Advance`].
    Advanced {
        /// Jobs, of those that were told, that are to be told again: there was too much to do for one write.
        left: Vec<Uuid>,
        /// The queues that have more jobs to be claimed now.
        queues: Vec<String>,
        /// Steps that were advanced.
        steps: u32,
        /// Workflows that have ended by it.
        ended: u32,
    },
    /// [`WorkflowOperation::AddSteps`].
    Added {
        /// Steps that were stored; the others were there already.
        steps: u32,
        /// The queues that have more jobs to be claimed now.
        queues: Vec<String>,
    },
    /// [`WorkflowOperation::AddSteps`]: the lease is not the job's current one; nothing changed.
    Stale,
    /// [`WorkflowOperation::AddSteps`]: it cannot be added; nothing changed.
    Refused(AddRefusal),
    /// [`WorkflowOperation::Cancel`].
    Cancelled {
        /// Its state now.
        state: WorkflowState,
        /// Running attempts that are to be told, each with its queue and its session.
        told: Vec<(Lease, String, Uuid)>,
    },
    /// [`WorkflowOperation::Resume`].
    Resumed {
        /// Steps whose jobs run again.
        steps: u32,
        /// Whether there are more.
        more: bool,
        /// The queues that have more jobs to be claimed now.
        queues: Vec<String>,
    },
    /// [`WorkflowOperation::Prune`].
    Pruned {
        /// Whether there is more to forget.
        more: bool,
    },
    /// [`WorkflowOperation::Cancel`], [`WorkflowOperation::Resume`]: its state does not allow it; nothing changed.
    NotPossible {
        /// The workflow's state.
        state: WorkflowState,
    },
    /// There is no such workflow; for [`WorkflowOperation::AddSteps`], the job is a step of none. Nothing changed.
    NotFound,
}

/// Why steps cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddRefusal {
    /// The workflow is being cancelled.
    #[error("the workflow is {0}, and takes no more steps")]
    State(WorkflowState),
    /// There is no step of this name.
    #[error("there is no step {0:?} in the workflow")]
    NoSuchStep(String),
    /// The step that is to be waited for has not begun, so that a circle could come about.
    #[error("step {0:?} waits itself: a new step can wait for those that have begun, and for other new ones")]
    NotBegun(String),
    /// The step that is to wait has begun.
    #[error("step {0:?} has begun, and cannot wait for a new one any more")]
    Begun(String),
    /// There would be too many.
    #[error("the workflow would have {steps} steps; {limit} are allowed")]
    TooMany {
        /// Steps that there would be.
        steps: u64,
        /// Steps that there may be.
        limit: u32,
    },
}

/// A workflow as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowRecord {
    /// Its place in the order of storing; what lists page by.
    pub sequence: u64,
    /// Its id.
    pub id: Uuid,
    /// What it is called.
    pub name: Option<String>,
    /// Where it is on its way.
    pub state: WorkflowState,
    /// Its steps in each state, in the order of [`StepState::ALL`].
    pub counts: [u32; 5],
    /// The job that runs when it has ended; after it ran, and the workflow was resumed and ended again, the newest one.
    pub on_end: Option<Uuid>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// Which workflows a list shows, newest first. Empty fields let everything pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkflowFilter {
    /// Only those in this state.
    pub state: Option<WorkflowState>,
    /// Only those that are called so.
    pub name: Option<String>,
    /// Only those stored before this one ([`WorkflowRecord::sequence`]).
    pub before: Option<u64>,
}

/// A step as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRecord {
    /// Its place among the steps, from 0.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Its job.
    pub job: Uuid,
    /// The job's type.
    pub job_type: String,
    /// The job's state.
    pub job_state: JobState,
    /// Where it is on its way.
    pub state: StepState,
    /// What becomes of those that wait for it if it fails.
    pub on_failure: OnFailure,
    /// Steps that it waits for still.
    pub open: u32,
}

/// Which steps of a workflow are read, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepQuery {
    /// Only those in this state.
    pub state: Option<StepState>,
    /// Only those behind this place.
    pub after: Option<u32>,
    /// How many at most.
    pub limit: u32,
}

/// What a step has come to that another one waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRecord {
    /// Its place among the steps.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Where it is on its way.
    pub state: StepState,
    /// Its job.
    pub job: Uuid,
    /// Its job's result, JSON text.
    pub result: Option<String>,
    /// The message of its job's last failed attempt.
    pub error: Option<String>,
}

/// What the job of a step waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputsRecord {
    /// The workflow.
    pub workflow: WorkflowRecord,
    /// The step's name; `None` for the job that runs at the end.
    pub step: Option<String>,
    /// What the steps that it waits for have come to, in their order.
    pub inputs: Vec<InputRecord>,
}

/// Steps that were not advanced, and whose jobs have ended: a page of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndedSteps {
    /// The jobs that have ended, of those that were looked at.
    pub jobs: Vec<Uuid>,
    /// The last job that was looked at, if there may be more after it.
    pub next: Option<Uuid>,
}
