//! How the endpoints are set up, and what they need of the roles.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use callboard_actors::{
    edges::{
        remote::RemoteError,
        store::{StoreError, record::NewAudit},
        telemetry::Telemetry,
        windows::CountWindows,
    },
    roles::{
        Backtraces, Conditions, RoleSet, TerminalEvent, TimeSeries,
        request::{
            BulkJobs, CancelJob, CancelWorkflow, ChangeSettings, CompareJob, DeleteCron, GetAudit, GetCron,
            GetDeadCauses, GetEdges, GetEncryption, GetGraph, GetInputs, GetJob, GetJobLog, GetJobState,
            GetJobTypes, GetJobs, GetNodes, GetQueues, GetSettings, GetTotals, GetWorkflow, LabelQueue,
            LimitQueue, ListBulks, ListCommands, ListCron, ListJobs, ListSignals, ListSteps, ListWorkflows,
            Order, PauseCron, PauseQueue, PreviewCron, PutCron, ReadLog, RecentEvents, ResumeWorkflow,
            RetryEdited, RetryJob, RevealJob, RotateKeys, RunCron, SetEdge, SignalJob, Signed, StopBulk,
            Submit, SubmitOnce, SubmitWorkflow,
        },
    },
};
use callboard_contracts::api::{InterfaceView, LogCursor, ReadinessReason, TreeNode};
use callboard_supervisors::Recipient;
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use tokio::sync::watch;

use crate::{observatory::OldPort, proxy::ProxySettings, terminal::TerminalSettings};

/// What a token allows; each role may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Submits, cancels, retries.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// In lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

/// A bearer token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Whose it is; shown in logs.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The secret itself.
    pub secret: SecretString,
}

/// How the endpoints are set up.
#[derive(Clone, Debug)]
pub struct WebSettings {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Host names, without port, that requests may name besides the loopback names and the address itself.
    pub hosts: Vec<String>,
    /// With any of these, every request but the probes needs one.
    pub tokens: Vec<Token>,
    /// Bytes of a body at most.
    pub max_body: usize,
    /// Levels of arrays and objects in a JSON body at most.
    pub max_json_depth: usize,
    /// Jobs in one request at most.
    pub max_batch: usize,
    /// How long a request may take from its head to its answer.
    pub request_timeout: Duration,
    /// Threads that serve.
    pub workers: usize,
    /// Open connections at most.
    pub max_connections: usize,
    /// Clients that follow the event stream at most.
    pub sse_max_clients: usize,
    /// Requests that a client may make in `rate_limit_window`; 0: as many as it likes.
    pub rate_limit: u32,
    /// The time of `rate_limit`.
    pub rate_limit_window: Duration,
    /// Clients of one address that follow event streams at most.
    pub sse_max_clients_per_address: usize,
    /// Open connections of one address at most.
    pub max_connections_per_address: usize,
    /// Whether browsers reach the server by https, through a proxy that ends it.
    pub https: bool,
    /// How long a sign-in holds at most.
    pub session_lifetime: Duration,
    /// How long a sign-in holds that nothing is asked with.
    pub session_idle: Duration,
    /// Sign-ins that hold at a time at most.
    pub max_sessions: usize,
    /// Sign-ins that an address may try in a minute.
    pub sign_in_limit: u32,
    /// Web interfaces that belong to the system, besides those that the server has itself.
    pub interfaces: Vec<InterfaceView>,
    /// The folder whose pages are served in the place of those in the program.
    pub pages_dir: Option<PathBuf>,
    /// Ports of the old system that are open beside it, and where; port 0 lets the system choose.
    pub old_ports: Vec<(OldPort, SocketAddr)>,
    /// Whether the old ports ask for no token, whoever can reach them.
    pub allow_unauthenticated: bool,
    /// How the answers of the Alertmanager and of Prometheus are passed on.
    pub proxy: ProxySettings,
    /// The web terminal, if there is one.
    pub terminal: Option<TerminalSettings>,
}

/// Asks a node for its supervision tree, within a time.
pub type NodeTree =
    Arc<dyn Fn(String, Duration) -> BoxFuture<'static, Result<TreeNode, RemoteError>> + Send + Sync>;

/// Writes an entry to the audit trail, with what came of it.
pub type NoteAudit =
    Arc<dyn Fn(NewAudit, String) -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync>;

/// What the endpoints need of the roles.
#[derive(Clone)]
#[expect(missing_docs, reason = "each is the recipient of the message it is named after")]
pub struct WebDependencies {
    pub submit: Recipient<Submit>,
    pub submit_once: Recipient<SubmitOnce>,
    pub cancel: Recipient<Signed<CancelJob>>,
    pub retry: Recipient<Signed<RetryJob>>,
    pub retry_edited: Recipient<Signed<RetryEdited>>,
    pub bulk_jobs: Recipient<Signed<BulkJobs>>,
    pub stop_bulk: Recipient<Signed<StopBulk>>,
    pub pause_queue: Recipient<Signed<PauseQueue>>,
    pub limit_queue: Recipient<Signed<LimitQueue>>,
    pub label_queue: Recipient<Signed<LabelQueue>>,
    pub set_edge: Recipient<Signed<SetEdge>>,
    pub order: Recipient<Signed<Order>>,
    pub put_cron: Recipient<Signed<PutCron>>,
    pub delete_cron: Recipient<Signed<DeleteCron>>,
    pub pause_cron: Recipient<Signed<PauseCron>>,
    pub run_cron: Recipient<Signed<RunCron>>,
    pub list_cron: Recipient<ListCron>,
    pub get_cron: Recipient<GetCron>,
    pub preview_cron: Recipient<PreviewCron>,
    pub get_job: Recipient<GetJob>,
    pub get_job_log: Recipient<GetJobLog>,
    pub signal_job: Recipient<Signed<SignalJob>>,
    pub list_signals: Recipient<ListSignals>,
    pub get_job_state: Recipient<GetJobState>,
    pub list_jobs: Recipient<ListJobs>,
    pub get_jobs: Recipient<GetJobs>,
    pub recent_events: Recipient<RecentEvents>,
    pub read_log: Recipient<ReadLog>,
    pub get_totals: Recipient<GetTotals>,
    pub get_queues: Recipient<GetQueues>,
    pub get_edges: Recipient<GetEdges>,
    pub get_job_types: Recipient<GetJobTypes>,
    pub get_nodes: Recipient<GetNodes>,
    pub list_commands: Recipient<ListCommands>,
    pub get_audit: Recipient<GetAudit>,
    pub submit_workflow: Recipient<SubmitWorkflow>,
    pub cancel_workflow: Recipient<Signed<CancelWorkflow>>,
    pub resume_workflow: Recipient<Signed<ResumeWorkflow>>,
    pub get_workflow: Recipient<GetWorkflow>,
    pub list_workflows: Recipient<ListWorkflows>,
    pub list_steps: Recipient<ListSteps>,
    pub get_graph: Recipient<GetGraph>,
    pub get_inputs: Recipient<GetInputs>,
    pub get_dead_causes: Recipient<GetDeadCauses>,
    pub compare_job: Recipient<CompareJob>,
    pub get_encryption: Recipient<GetEncryption>,
    pub rotate_keys: Recipient<Signed<RotateKeys>>,
    pub reveal_job: Recipient<Signed<RevealJob>>,
    pub list_bulks: Recipient<ListBulks>,
    pub get_settings: Recipient<GetSettings>,
    pub change_settings: Recipient<Signed<ChangeSettings>>,
    /// Writes down who signs in and out.
    pub note_audit: NoteAudit,
    /// The newest place in the log, told after each commit.
    pub committed: watch::Receiver<LogCursor>,
    /// What the actors say about themselves.
    pub conditions: Conditions,
    /// The numbers as Prometheus reads them.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// The supervision tree as it is now.
    pub tree: Arc<dyn Fn(Backtraces) -> TreeNode + Send + Sync>,
    /// The supervision tree of the node of this name, within this time.
    pub node_tree: NodeTree,
    /// What the supervision tree knows to be out of order now.
    pub troubles: Arc<dyn Fn() -> Vec<ReadinessReason> + Send + Sync>,
    /// Where requests are counted over all nodes, if not by each node for itself.
    pub windows: Option<Arc<dyn CountWindows>>,
    /// Told of each request that was refused because its client made too many.
    pub request_refused: Arc<dyn Fn() + Send + Sync>,
    /// Told of what happens at the web terminal.
    pub terminal_event: Arc<dyn Fn(TerminalEvent) + Send + Sync>,
    /// Where spans of requests are recorded.
    pub telemetry: Telemetry,
    /// The numbers of the fleet over time.
    pub series: TimeSeries,
    /// The node's name.
    pub node: Arc<str>,
    /// The program's version.
    pub version: &'static str,
    /// What the node does; what it does not do, other nodes are to be asked for.
    pub node_roles: RoleSet,
}

/// Why the endpoints cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// Everybody could use them.
    #[error(
        "web.listen is {0}, which other machines can reach, and no token is configured: set web.token (or \
         web.tokens), or listen on a loopback address such as 127.0.0.1:8080"
    )]
    NeedsToken(SocketAddr),
    /// Everybody could have a terminal.
    #[error(
        "the port of the old {port} is {listen}, which other machines can reach, and no token is configured: set web.token (or \
         web.tokens), or listen on a loopback address; observatory.allow_unauthenticated opens no terminal"
    )]
    TerminalNeedsToken {
        /// Which it is.
        port: OldPort,
        /// Where it was to be.
        listen: SocketAddr,
    },
    /// Everybody could use a port of the old system.
    #[error(
        "the port of the old {port} is {listen}, which other machines can reach, and no token is configured: set web.token (or \
         web.tokens), listen on a loopback address, or let everybody in who reaches the old ports \
         (observatory.allow_unauthenticated = true)"
    )]
    OldPortNeedsToken {
        /// Which it is.
        port: OldPort,
        /// Where it was to be.
        listen: SocketAddr,
    },
    /// A server whose answers are to be passed on cannot be asked.
    #[error("{0} is no URL such as http://127.0.0.1:9093")]
    Upstream(&'static str),
}
