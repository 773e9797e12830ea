//! What `/api/v1` takes and answers.

pub mod audit;
pub mod bulk;
pub mod cron;
pub mod dead_job;
pub mod edge;
pub mod encryption;
pub mod event;
pub mod feed;
pub mod form;
pub mod health;
pub mod interface;
pub mod job;
pub mod job_log;
pub mod node;
pub mod overview;
pub mod problem;
pub mod queue;
pub mod queue_pause;
pub mod series;
pub mod session;
pub mod setting;
pub mod signal;
pub mod submit;
pub mod terminal;
pub mod tree;
pub mod unique;
pub mod workflow;

pub use audit::{AuditPage, AuditView};
pub use bulk::{
    BulkAction, BulkFilter, BulkOutcome, BulkPreview, BulkProblem, BulkState, BulkView, StartBulk,
};
pub use cron::{
    CronBackfill, CronDefinition, CronFiring, CronJob, CronOverlap, CronPreview, CronResult, CronRun,
    CronSource, CronTime, CronView,
};
pub use dead_job::{
    Change, ComparedJob, DeadCause, DeadCauseList, Difference, JobComparison, JobEdit, MAX_REASON,
    MOST_COUNTED, RetryEdit,
};
pub use edge::{EdgeCondition, EdgeView, PutEdge};
pub use encryption::{EncryptionRotated, EncryptionStatus, KeyUse, RotateEncryption, SecretType};
pub use event::{EventRecord, LogCursor};
pub use feed::{EdgeChanges, FeedTopic, JobChanges, NodeChanges, QueueChanges, TreeChanges, TreeEntry};
pub use form::{Form, FormControl, FormField, MAX_FORM_FIELDS};
pub use health::{Readiness, ReadinessReason, Totals};
pub use interface::InterfaceView;
pub use job::{
    AttemptError, AttemptOutcome, AttemptView, Cancelled, ErrorKind, JobDetail, JobList, JobSummary,
    JobTypeView, Retried, RetryView,
};
pub use job_log::{JobLogEnd, JobLogLine, JobLogPage, JobLogPosition, JobLogQuery, JobProgress, LogLevel};
pub use node::{CommandState, CommandView, NodeAction, NodeQueue, NodeState, NodeView, OrderNode};
pub use overview::{Alert, AlertSeverity, Latency, Overview, Rates, StateTotals};
pub use problem::{FieldError, Problem};
pub use queue::{QueueLabels, QueueLimits, QueueView};
pub use queue_pause::{PauseCause, PauseRequest, QueueCrash, QueueCrashes, QueuePause};
pub use series::Series;
pub use session::{Authentication, SessionView, SignIn, TokenRole};
pub use setting::{SettingChange, SettingView, SettingsChanged, SettingsView};
pub use signal::{
    InvalidSignalName, JobStateView, MAX_SIGNAL_BYTES, MAX_SIGNAL_NAME, MAX_STATE_BYTES, MOST_ACKNOWLEDGED,
    MOST_SIGNAL_BYTES, MOST_SIGNALS, PublishedState, SendSignal, SignalList, SignalSent, SignalTaken,
    SignalView, check_signal_name,
};
pub use submit::{ItemOutcome, PRIORITIES, SubmitAnswer, SubmitJob, SubmitMany, Submitted, SubmittedItem};
pub use terminal::{NewTerminalTicket, TerminalScope, TerminalSessionView, TerminalTicket};
pub use tree::{ActorKind, CrashView, TreeNode};
pub use unique::{MAX_UNIQUE_FIELDS, MAX_UNIQUE_PERIOD_MS, Unique, UniquePolicy};
pub use workflow::{
    JobInputs, OnFailure, StepList, StepResult, StepState, StepView, SubmitWorkflow, WorkflowCancelled,
    WorkflowGraph, WorkflowList, WorkflowResumed, WorkflowState, WorkflowStep, WorkflowSubmitted,
    WorkflowView,
};
