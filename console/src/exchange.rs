//! What goes between the model and the world: what is asked of the server, what it answers, and what else happens.

use std::{collections::BTreeMap, fmt};

use callboard_client::{FeedItem, JobQuery};
use callboard_contracts::{
    JobState, Timestamp,
    api::{
        BulkAction, BulkPreview, CommandView, CronView, DeadCause, EdgeView, EventRecord, JobComparison,
        JobDetail, JobList, JobLogLine, JobSummary, JobTypeView, NodeAction, NodeView, Overview, PutEdge,
        QueueLimits, QueueView, Readiness, RetryEdit, Series, SettingsView, StartBulk, SubmitJob, TreeNode,
        WorkflowGraph, WorkflowView,
    },
};
use uuid::Uuid;

use crate::{doctor::Check, keys::Chord};

/// What is asked of the server for its answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Whether it works.
    Ready,
    /// What there is at one look.
    Overview,
    /// Numbers over time.
    Series,
    /// The queues.
    Queues,
    /// The tree of this node; of the one that is asked, if none is named.
    Tree(Option<String>),
    /// The nodes.
    Nodes,
    /// The edges.
    Edges,
    /// The alerts of the Alertmanager.
    Alerts,
    /// A page of jobs, for the list that is loaded since this number.
    Jobs(u64, JobQuery),
    /// The newest jobs.
    Newest(u64, JobQuery),
    /// What has become of these jobs.
    Lookup(Vec<Uuid>),
    /// A job.
    Job(Uuid),
    /// A job, for its payload alone.
    Payload(Uuid),
    /// A job beside a success.
    Compare(Uuid),
    /// What dead jobs died of.
    Causes,
    /// The cron table.
    Cron,
    /// The workflows.
    Workflows,
    /// A workflow as a graph.
    Workflow(Uuid),
    /// The settings.
    Settings,
    /// The job types.
    JobTypes,
    /// The web interfaces.
    Interfaces,
    /// What a bulk operation would do.
    Preview(Intent),
    /// What became of a command.
    Command(Uuid),
    /// Something is to be changed.
    Change(Change),
    /// The same, as one of many changes that are made one after the other.
    OfBatch(Change),
}

/// A bulk operation that somebody thinks of.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// The operation.
    pub start: StartBulk,
    /// The queue that is emptied by it, if that is what it is for: its name is to be typed then.
    pub purges: Option<String>,
}

/// What is changed on the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A job runs again.
    Retry(Uuid),
    /// A job runs again with another payload.
    RetryEdited(Uuid, Box<RetryEdit>),
    /// A job is called off.
    Cancel(Uuid),
    /// A job is submitted.
    Submit(Box<SubmitJob>),
    /// The same is done with many jobs.
    Bulk(Box<StartBulk>),
    /// A queue is paused.
    PauseQueue(String),
    /// A queue is paused, until nothing of it runs and longer.
    DrainQueue(String),
    /// A queue goes on.
    ResumeQueue(String),
    /// A queue is limited.
    LimitQueue(String, QueueLimits),
    /// An entry of the cron table is paused.
    PauseCron(String),
    /// An entry of the cron table goes on.
    ResumeCron(String),
    /// A job of an entry is stored.
    RunCron(String),
    /// An entry is deleted.
    DeleteCron(String),
    /// A workflow is called off.
    CancelWorkflow(Uuid),
    /// A workflow is resumed.
    ResumeWorkflow(Uuid),
    /// A node is told to do something.
    Order(String, NodeAction),
    /// An edge is tripped, or made ready.
    Edge(String, PutEdge),
    /// Settings of the node that is asked.
    Settings(BTreeMap<String, Option<String>>),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Retry(id) => write!(f, "retry {id}"),
            Change::RetryEdited(id, _) => write!(f, "replay {id} with another payload"),
            Change::Cancel(id) => write!(f, "cancel {id}"),
            Change::Submit(job) => write!(f, "submit a job of the type {}", job.job_type),
            Change::Bulk(start) => match start.action {
                BulkAction::Retry => f.write_str("retry many jobs"),
                BulkAction::Cancel => f.write_str("cancel many jobs"),
            },
            Change::PauseQueue(name) => write!(f, "pause the queue {name}"),
            Change::DrainQueue(name) => write!(f, "drain the queue {name}"),
            Change::ResumeQueue(name) => write!(f, "resume the queue {name}"),
            Change::LimitQueue(name, _) => write!(f, "limit the queue {name}"),
            Change::PauseCron(name) => write!(f, "pause {name}"),
            Change::ResumeCron(name) => write!(f, "resume {name}"),
            Change::RunCron(name) => write!(f, "run {name}"),
            Change::DeleteCron(name) => write!(f, "delete {name}"),
            Change::CancelWorkflow(id) => write!(f, "cancel the workflow {id}"),
            Change::ResumeWorkflow(id) => write!(f, "resume the workflow {id}"),
            Change::Order(node, action) => {
                write!(f, "tell {node}: {}", action.as_str().replace('_', " "))?;
                action.object().map_or(Ok(()), |object| write!(f, " {object}"))
            }
            Change::Edge(name, set) => write!(f, "make the edge {name} {}", set.state.as_str()),
            Change::Settings(settings) => {
                write!(f, "set {}", settings.keys().cloned().collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// What the server has answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Whether it works.
    Ready(Readiness),
    /// What there is at one look.
    Overview(Box<Overview>),
    /// Numbers over time.
    Series(Box<Series>),
    /// The queues.
    Queues(Vec<QueueView>),
    /// The tree.
    Tree(Box<TreeNode>),
    /// The nodes.
    Nodes(Vec<NodeView>),
    /// The edges.
    Edges(Vec<EdgeView>),
    /// The alerts outside, a line each.
    Alerts(Vec<String>),
    /// A page of jobs.
    Jobs(JobList),
    /// Jobs.
    Lookup(Vec<JobSummary>),
    /// A job.
    Job(Box<JobDetail>),
    /// A comparison.
    Compare(Box<JobComparison>),
    /// The causes, and whether there are more.
    Causes(Vec<DeadCause>, bool),
    /// The cron table.
    Cron(Vec<CronView>),
    /// The workflows, and whether there are more.
    Workflows(Vec<WorkflowView>, bool),
    /// A graph.
    Workflow(Box<WorkflowGraph>),
    /// The settings.
    Settings(Box<SettingsView>),
    /// The job types.
    JobTypes(Vec<JobTypeView>),
    /// The web interfaces: name and address.
    Interfaces(Vec<(String, String)>),
    /// A preview.
    Preview(Box<BulkPreview>),
    /// A command.
    Command(Box<CommandView>),
    /// A change is made; what came of it, in words.
    Changed(String),
    /// A job is stored.
    Submitted(Uuid),
    /// A job runs again, as this one.
    Retried(Uuid),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong, and what would help.
    pub text: String,
    /// Whether nobody answers.
    pub is_lost: bool,
    /// The HTTP status, if the server has answered.
    pub status: Option<u16>,
}

/// What comes by itself.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// An item of the live feed.
    Feed(Box<FeedItem>),
    /// The live feed cannot be followed for now.
    FeedLost(String),
    /// Events of the log.
    Events(Vec<EventRecord>),
    /// Events were missed.
    EventsMissed,
    /// The log of events cannot be followed for now.
    EventsLost(String),
    /// Lines of the job that is followed.
    Lines(Uuid, Vec<JobLogLine>),
    /// The job says nothing more.
    LogEnd(Uuid, Option<JobState>),
    /// The job's log cannot be followed.
    LogLost(Uuid, String),
}

/// A place on the screen that was pointed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointer {
    /// Pressed in this column and row.
    Click(u16, u16),
    /// The wheel, upwards or downwards.
    Wheel(bool),
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A key.
    Key(Chord),
    /// A text that was pasted.
    Paste(String),
    /// The mouse.
    Mouse(Pointer),
    /// The screen has this many columns and rows now.
    Resize(u16, u16),
    /// It is this late.
    Tick(Timestamp),
    /// A server was found at this address.
    Connected(String),
    /// No server was found: each address, and why not.
    NoServer(Vec<(String, String)>),
    /// An answer, or none.
    Answered(Box<Request>, Box<Result<Answer, Failure>>),
    /// What comes by itself.
    News(News),
    /// What the doctor has found.
    Checked(Vec<Check>),
    /// Something done here has worked, or not.
    Done(Result<String, String>),
    /// The process is to end.
    Terminate,
}

/// What is to be done in the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Look for a server.
    Connect,
    /// Start a server here, then look for it.
    StartServer,
    /// Ask.
    Ask(Request),
    /// Follow what a job says, and no other job.
    FollowLog(Uuid),
    /// Follow no job.
    UnfollowLog,
    /// Put a text into the terminal's clipboard.
    Copy(String),
    /// Open an address in a browser.
    Open(String),
    /// Look whether the machine has what is needed.
    Examine,
}
