//! [`App`]: the whole tree, assembled.

use std::{
    any::type_name,
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

#[cfg(feature = "rabbitmq")]
use callboard_actors::roles::Publisher;
use callboard_actors::{
    edges::{
        remote::{Remote, RemoteError, RemoteMessage, RemoteRef},
        store::{StoreEdge, StoreEdgeArgs, StoreError, StoreHandle},
        telemetry::Telemetry,
    },
    jobs::{
        Job, JobRegistry, Noop, RegistryError, Sleep,
        command::{CommandRequest, CommandRunner},
        registry::JobRegistryBuilder,
    },
    roles::{
        ActorOrder, Backtraces, Conditions, DrainReport, GetTree, Handles, Host, INSPECTOR, InvalidRoles,
        Role, RoleSet, Roles, RolesConfig, RolesError, UnfitJobs,
        request::{
            CancelJob, ChangeSettings, Form, GetEdges, GetJob, GetJobLog, Origin, Refusal, RetryJob, SetEdge,
            Signed, Submit, Who,
        },
        tree_node,
    },
};
use callboard_config::{self as config, Configuration, InvalidDatabaseUrl, Settings};
#[cfg(feature = "postgres")]
use callboard_config::{DatabaseUrl, StoreBackend};
#[cfg(feature = "testkit")]
use callboard_contracts::JobState;
use callboard_contracts::api::{
    Cancelled, CronDefinition, EdgeView, JobDetail, JobLogPage, JobLogQuery, PutEdge, Retried, SettingChange,
    SettingsChanged, SettingsView, SubmitJob, Submitted, TreeNode,
};
use callboard_supervisors::{
    Actor, ActorRef, ActorSystem, AskError, ChildSpec, OnExhausted, OnStartFailure, Recipient,
    ShutdownReport, StartChildError, StartSystemError, Supervisor, SupervisorSpec,
};
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    assembly::{self, CommandSetupError, OutsideSetupError, StoreSetupError},
    backends::{Backends, SameNameError},
    folder_lock::{FolderError, FolderLock},
    keyring::{KeyringError, keyring},
    settings::{Keeper, KeeperArgs, Kept, Reread, SetLogLevel, SettingsError, check_keys},
    workflows::Workflows,
};

/// How long the tree has to stop once its work is handed over.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// Why nobody can be asked.
const NO_BUS: &str = "`bus.url` is not set";
/// How long one request to a role may take.
pub(crate) const ASK_LIMIT: Duration = Duration::from_secs(30);

/// Why an [`App`] did not start, or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// The store cannot be used.
    #[error("{place}: {error}")]
    Store {
        /// Where it is: the file, or the database without its secrets.
        place: String,
        /// Why not.
        error: StoreError,
    },
    /// The settings name no store that can be opened.
    #[error(transparent)]
    StoreSetup(#[from] StoreSetupError),
    /// A server outside cannot be worked with as it is configured. That it is away is no reason.
    #[error(transparent)]
    Outside(#[from] OutsideSetupError),
    /// The data folder cannot be used, for example because another server does.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A job type cannot be registered.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// `command` jobs cannot be set up.
    #[error(transparent)]
    Command(#[from] CommandSetupError),
    /// `http` jobs cannot be set up.
    #[cfg(feature = "http")]
    #[error(transparent)]
    Http(#[from] assembly::HttpJobsError),
    /// Spans cannot be sent to the collector.
    #[cfg(feature = "otlp")]
    #[error(transparent)]
    Telemetry(#[from] callboard_actors::edges::telemetry::OtlpError),
    /// A collector of spans is configured, and this program cannot send any.
    #[error("`telemetry.endpoint` is set, but this program was built without the feature `otlp`")]
    NoTelemetry,
    /// The broker cannot be used.
    #[cfg(feature = "rabbitmq")]
    #[error(transparent)]
    Bus(#[from] callboard_actors::edges::bus::rabbitmq::RabbitError),
    /// A broker is configured, and this program cannot talk to any.
    #[error("`bus.url` is set, but this program was built without the feature `rabbitmq`")]
    NoBus,
    /// An actor cannot be offered to other nodes.
    #[error("an actor cannot be offered to other nodes: {0}")]
    Offer(#[source] RemoteError),
    /// Two backends want the same place.
    #[error(transparent)]
    SameName(#[from] SameNameError),
    /// A setting of the roles cannot work.
    #[error(transparent)]
    Roles(#[from] RolesError),
    /// The keys of payloads cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// The node cannot have these roles.
    #[error(transparent)]
    RoleSet(#[from] InvalidRoles),
    /// The web endpoints cannot be set up.
    #[cfg(feature = "web")]
    #[error(transparent)]
    Web(#[from] callboard_web::WebError),
    /// The web terminal cannot be set up.
    #[cfg(feature = "web")]
    #[error(transparent)]
    Terminal(#[from] assembly::TerminalSetupError),
    /// The tree did not start.
    #[error(transparent)]
    System(#[from] StartSystemError),
    /// A part of the tree did not start.
    #[error(transparent)]
    Part(#[from] StartChildError),
    /// Jobs wait that would not run, because this program has another version of their type.
    #[error(
        "jobs wait that do not fit their type any more: {}; write an upcaster for them (Job::upcast), let a program of the version before run \
         them, cancel them, or set jobs.unfit = \"warn\" and they fail when they run",
        .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Unfit(Vec<UnfitJobs>),
    /// The job was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The job is no JSON object, as a payload must be.
    #[error("a {job_type} does not serialise as a JSON object")]
    NoObject {
        /// The Rust type.
        job_type: &'static str,
    },
    /// The settings stay as they are.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A role did not answer.
    #[error("the server did not answer: {0}")]
    Unanswered(#[from] AskError),
    /// There is no such job.
    #[error("there is no job {0}")]
    NotFound(Uuid),
}

/// What became of an [`App`] that was stopped.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StopReport {
    /// The running jobs.
    pub jobs: DrainReport,
    /// The tree.
    pub tree: ShutdownReport,
}

/// Describes an [`App`] before its start.
#[must_use = "an app runs when it is started"]
pub struct AppBuilder {
    settings: Settings,
    /// Where they come from, if they are to be read again.
    configuration: Option<Configuration>,
    registry: JobRegistryBuilder,
    application: SupervisorSpec,
    web: Endpoints,
    roles: RoleSet,
    serves: Option<BTreeSet<String>>,
    log_level: Option<SetLogLevel>,
    offers: Vec<Offer>,
    /// What the embedding program brings.
    pub(crate) backends: Backends,
    console: bool,
    /// What was wrong with a URL that was given in code.
    wrong_url: Option<InvalidDatabaseUrl>,
    /// Entries of the cron table.
    pub(crate) cron: BTreeMap<String, CronDefinition>,
    /// The type of a job of one of them that is no JSON object.
    pub(crate) no_object: Option<&'static str>,
}

/// Which web endpoints there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoints {
    None,
    /// Those of the node's roles, at `web.listen`.
    #[cfg_attr(not(feature = "web"), expect(dead_code, reason = "there are none"))]
    Server,
    /// The same, of a process that only runs jobs, at `worker.probes`.
    #[cfg_attr(not(feature = "web"), expect(dead_code, reason = "there are none"))]
    Worker,
}

/// Offers an actor to other nodes.
type Offer = Box<dyn FnOnce(&Remote) -> Result<(), RemoteError> + Send>;

/// What the node's roles leave to the process.
struct Process {
    /// Not the system itself: the tree must not keep itself alive.
    root: Supervisor,
    conditions: Conditions,
    leaving: watch::Sender<bool>,
    keeper: ActorRef<Keeper>,
}

impl Host for Process {
    fn order_actor(&self, path: &str, order: ActorOrder) -> Result<(), String> {
        let path = path.trim_matches('/');
        let actor = match path {
            "" | "root" => return Err("the root is not told anything: drain the node instead".to_owned()),
            path => self.root.child(path),
        };
        let actor = actor.ok_or_else(|| format!("there is no actor {path:?} in the tree"))?;
        match order {
            ActorOrder::Restart => actor.restart(),
            ActorOrder::Suspend => actor.suspend(),
            ActorOrder::Resume => actor.resume(),
            ActorOrder::Stop => actor.stop(),
        }
        Ok(())
    }

    fn leave(&self) {
        self.leaving.send_replace(true);
    }

    fn check_settings(&self, keys: &[&str]) -> Result<(), String> {
        check_keys(keys)
    }

    fn change_settings(
        &self,
        settings: BTreeMap<String, Option<String>>,
        who: Who,
    ) -> BoxFuture<'static, Result<String, String>> {
        let keeper = self.keeper.clone();
        Box::pin(async move {
            let request = Signed { who, request: ChangeSettings { settings } };
            let changed = keeper.ask_within(ASK_LIMIT, request).await.map_err(|error| error.to_string())?;
            let SettingsChanged { applied, .. } = changed.map_err(|refusal| refusal.to_string())?;
            let none = || "none".to_owned();
            let one = |change: &SettingChange| {
                let (old, new) = (change.old.clone(), change.new.clone());
                format!("{}: {} -> {}", change.key, old.unwrap_or_else(none), new.unwrap_or_else(none))
            };
            Ok(match applied.is_empty() {
                true => "it was so already".to_owned(),
                false => applied.iter().map(one).collect::<Vec<_>>().join(", "),
            })
        })
    }

    fn tree(&self) -> Option<TreeNode> {
        Some(tree_node(&self.root.snapshot(), &self.conditions, Backtraces::Left))
    }
}

/// What it takes to see the trees of all nodes. Not the system itself: the tree must not keep itself alive.
#[derive(Clone)]
struct Fleet {
    root: Supervisor,
    conditions: Conditions,
    remote: Remote,
}

impl Fleet {
    fn of(app: &App) -> Self {
        Fleet { root: app.system.root(), conditions: app.conditions.clone(), remote: app.remote.clone() }
    }

    async fn tree(&self, node: &str, limit: Duration) -> Result<TreeNode, RemoteError> {
        if node == self.remote.node() {
            return Ok(tree_node(&self.root.snapshot(), &self.conditions, Backtraces::Left));
        }
        let asked = self.remote.actor::<GetTree>(node, INSPECTOR).ask_within(limit, GetTree {}).await?;
        asked.ok_or_else(|| RemoteError::Failed("the node is on its way out".to_owned()))
    }
}

/// Supervised actors, jobs, their store and, if wanted, the web endpoints in one tree.
///
/// Clones are handles of the same one. Dropping the last one kills what runs; [`stop`](Self::stop) ends it in order.
#[derive(Clone)]
pub struct App {
    system: ActorSystem,
    pub(crate) handles: Handles,
    pub(crate) store: StoreHandle,
    conditions: Conditions,
    remote: Remote,
    #[cfg_attr(not(feature = "web"), expect(dead_code, reason = "the web endpoints record spans"))]
    telemetry: Telemetry,
    settings: Settings,
    /// Where the store is, for people.
    place: String,
    /// Whether the embedding program has brought it.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "no transaction of a database asks for it")
    )]
    own_store: bool,
    kept: Arc<Kept>,
    keeper: ActorRef<Keeper>,
    address: Option<SocketAddr>,
    old_addresses: Vec<(&'static str, SocketAddr)>,
    /// Whether this program has the command `console`.
    #[cfg_attr(not(feature = "web"), expect(dead_code, reason = "the web terminal runs it"))]
    console: bool,
    roles: RoleSet,
    leaving: watch::Receiver<bool>,
    /// Whether whoever submits a job waits until it has run.
    #[cfg(feature = "testkit")]
    inline: bool,
    /// Programs' folders are below the data folder: no other server may clean up there.
    _folder: Option<Arc<FolderLock>>,
}

impl App {
    /// An app with the default settings, the built-in job types and no web endpoints.
    pub fn builder() -> AppBuilder {
        let registry =
            JobRegistry::builder().register::<Noop>().register::<Sleep>().register::<CommandRequest>();
        #[cfg(feature = "http")]
        let registry = registry.register::<callboard_actors::jobs::http::HttpRequest>();
        AppBuilder {
            settings: Settings::default(),
            configuration: None,
            registry,
            application: SupervisorSpec::new("application")
                .on_start_failure(OnStartFailure::Retry)
                .on_exhausted(OnExhausted::RetryAtMaxBackoff),
            web: Endpoints::None,
            roles: RoleSet::default(),
            serves: None,
            log_level: None,
            offers: Vec::new(),
            backends: Backends::default(),
            console: false,
            wrong_url: None,
            cron: BTreeMap::new(),
            no_object: None,
        }
    }

    /// The tree.
    pub fn system(&self) -> &ActorSystem {
        &self.system
    }

    /// What the actors say about themselves.
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// The settings it was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The settings it runs with, of which some can [change](Self::change_settings) since its start.
    pub fn running_settings(&self) -> Arc<Settings> {
        self.kept.running()
    }

    /// Every setting it runs with and where it is set, what needs a restart, and what is wrong with the sources, if they were
    /// read again and could not be taken. Secrets are masked.
    pub fn settings_view(&self) -> SettingsView {
        self.kept.view(self.handles.node_name())
    }

    /// Sets settings while it runs, above all their sources, until it stops; `None` takes back what was set so. Values are
    /// written as in environment variables. Which keys can be set, [`is_live`](crate::config::is_live) tells. All of it is
    /// done, or nothing. It is carried out when this returns; dropping the future before may or may not prevent that.
    ///
    /// ```
    /// use callboard::App;
    ///
    /// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
    /// # let folder = tempfile::tempdir().unwrap();
    /// let app = App::builder().data_dir(folder.path()).start().await?;
    /// let changed = app.change_settings([("queues.default.concurrency", Some("5"))]).await?;
    /// assert_eq!(changed.applied[0].old.as_deref(), Some("50"));
    /// assert_eq!(app.running_settings().queue("default").concurrency, 5);
    /// assert!(app.change_settings([("web.listen", Some("127.0.0.1:0"))]).await.is_err());
    /// # app.stop().await;
    /// # Ok::<(), callboard::AppError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`AppError::Refused`] says what is wrong; nothing has changed then.
    pub async fn change_settings<K: Into<String>, V: Into<String>>(
        &self,
        settings: impl IntoIterator<Item = (K, Option<V>)>,
    ) -> Result<SettingsChanged, AppError> {
        let one = |(key, value): (K, Option<V>)| (key.into(), value.map(Into::into));
        let request = ChangeSettings { settings: settings.into_iter().map(one).collect() };
        let who = Who { name: format!("node {}", self.handles.node_name()), role: None };
        Ok(self.keeper.ask_within(ASK_LIMIT, Signed { who, request }).await??)
    }

    /// Reads the sources of its [configuration](AppBuilder::configuration) again, and takes up what can change while it runs.
    /// Files are watched: this is for those who do not want to wait, and for other sources.
    ///
    /// # Errors
    /// [`AppError::Settings`] says what is wrong; nothing has changed then.
    pub async fn reread_settings(&self) -> Result<SettingsChanged, AppError> {
        Ok(self.keeper.ask_within(ASK_LIMIT, Reread { quiet: false }).await??)
    }

    /// Where the web endpoints are, if there are any.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Where the ports of the old system are (`observatory.ports`), by their names: `gateway`, `read-model`, `metrics`.
    pub fn old_addresses(&self) -> &[(&'static str, SocketAddr)] {
        &self.old_addresses
    }

    /// Submits a job with its type's options. It is stored durably when this returns.
    ///
    /// # Errors
    /// [`AppError::Refused`] says why the job was not accepted; nothing of it is stored then.
    pub async fn submit<J: Job>(&self, job: &J) -> Result<Submitted, AppError> {
        let Ok(Value::Object(payload)) = serde_json::to_value(job) else {
            return Err(AppError::NoObject { job_type: type_name::<J>() });
        };
        self.submit_job(SubmitJob { job_type: J::TYPE.to_owned(), payload, ..SubmitJob::default() }).await
    }

    /// Submits a job that says everything itself.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub async fn submit_job(&self, job: SubmitJob) -> Result<Submitted, AppError> {
        let jobs = vec![serde_json::to_value(job).unwrap_or(Value::Null)];
        let request = Submit { form: Form::Api, jobs, origin: Origin::here() };
        let mut answers = self.handles.gateway.ask_within(ASK_LIMIT, request).await?;
        let submitted = answers.pop().ok_or(AppError::Unanswered(AskError::Stopped))??;
        #[cfg(feature = "testkit")]
        let submitted = self.run_if_inline(submitted).await?;
        Ok(submitted)
    }

    #[cfg(feature = "testkit")]
    pub(crate) fn run_inline(&mut self) {
        self.inline = true;
    }

    #[cfg(feature = "testkit")]
    pub(crate) fn runs_inline(&self) -> bool {
        self.inline
    }

    /// Waits until the job has run, if that is wanted and it may run now.
    #[cfg(feature = "testkit")]
    async fn run_if_inline(&self, submitted: Submitted) -> Result<Submitted, AppError> {
        if !self.inline {
            return Ok(submitted);
        }
        let runs = |state| matches!(state, JobState::Available | JobState::Executing);
        let job = self.wait_until(submitted.id, |job| !runs(job.summary.state)).await?;
        Ok(Submitted { state: job.summary.state, ..submitted })
    }

    /// The job as it stands.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a job that was never submitted or is deleted already.
    pub async fn job(&self, id: Uuid) -> Result<JobDetail, AppError> {
        let found = self.handles.read_model.ask_within(ASK_LIMIT, GetJob { id }).await?;
        let found = found.map_err(|error| self.store_error(error))?;
        found.ok_or(AppError::NotFound(id))
    }

    /// A part of what the runs of a job have said ([`JobContext::log`](crate::jobs::JobContext::log)), also while they run. Give
    /// its `next` as `after` for what follows; as long as it has not `ended` there may be more later.
    ///
    /// # Errors
    /// As [`job`](Self::job).
    pub async fn job_log(&self, id: Uuid, query: JobLogQuery) -> Result<JobLogPage, AppError> {
        let found = self.handles.read_model.ask_within(ASK_LIMIT, GetJobLog { id, query }).await?;
        let found = found.map_err(|error| self.store_error(error))?;
        found.ok_or(AppError::NotFound(id))
    }

    /// Waits until the job is completed, cancelled or dead, and gives it. Dropping the future only ends the waiting.
    ///
    /// # Errors
    /// As [`job`](Self::job).
    pub async fn wait(&self, id: Uuid) -> Result<JobDetail, AppError> {
        self.wait_until(id, |job| job.summary.state.is_final()).await
    }

    async fn wait_until(&self, id: Uuid, done: impl Fn(&JobDetail) -> bool) -> Result<JobDetail, AppError> {
        let mut committed = self.store.committed();
        loop {
            committed.mark_unchanged();
            let job = self.job(id).await?;
            if done(&job) {
                return Ok(job);
            }
            if committed.changed().await.is_err() {
                return Err(AppError::Unanswered(AskError::Stopped));
            }
        }
    }

    /// Calls a job off.
    ///
    /// # Errors
    /// [`AppError::Refused`], for example because it is finished.
    pub async fn cancel(&self, id: Uuid) -> Result<Cancelled, AppError> {
        Ok(self.handles.gateway.ask_within(ASK_LIMIT, CancelJob { id }).await??)
    }

    /// Runs a waiting job now, or a finished one again as a new job.
    ///
    /// # Errors
    /// [`AppError::Refused`], for example because it runs.
    pub async fn retry(&self, id: Uuid) -> Result<Retried, AppError> {
        Ok(self.handles.gateway.ask_within(ASK_LIMIT, RetryJob { id }).await??)
    }

    /// Trips an edge, a service outside that job types need ([`JobOptions::needs`](crate::jobs::JobOptions::needs)), or makes it
    /// ready. While it is tripped, jobs that need it wait, on all nodes and without spending attempts. How it is then.
    ///
    /// # Errors
    /// [`AppError::Refused`] for a name that cannot be, or when 1000 edges are tripped.
    pub async fn set_edge(&self, name: impl Into<String>, set: PutEdge) -> Result<EdgeView, AppError> {
        let request = SetEdge { edge: name.into(), set, by: None };
        Ok(self.handles.gateway.ask_within(ASK_LIMIT, request).await??)
    }

    /// The edges that were ever tripped, and those that its job types need.
    ///
    /// # Errors
    /// [`AppError::Store`] if they cannot be read.
    pub async fn edges(&self) -> Result<Vec<EdgeView>, AppError> {
        let edges = self.handles.read_model.ask_within(ASK_LIMIT, GetEdges).await?;
        edges.map_err(|error| self.store_error(error))
    }

    /// An actor that another node [offers](AppBuilder::offer), or this one. The address is good whether or not that node lives.
    ///
    /// What is sent is handled *at most once*, and its answer waited for within a time limit. Without a bus (`bus.url`) whatever is asked
    /// is answered with [`RemoteError::NoBus`](crate::remote::RemoteError::NoBus).
    ///
    /// ```no_run
    /// use callboard::{App, Message, remote::{RemoteError, RemoteMessage}};
    /// use schemars::JsonSchema;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Message, Serialize, Deserialize, JsonSchema)]
    /// #[message(reply = u64)]
    /// struct HowMany { queue: String }
    ///
    /// impl RemoteMessage for HowMany {
    ///     const TYPE: &'static str = "how-many";
    /// }
    ///
    /// # async fn example(app: App) -> Result<(), RemoteError> {
    /// let counter = app.remote::<HowMany>("w1", "counter");
    /// println!("{}", counter.ask(HowMany { queue: "mail".to_owned() }).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn remote<M: RemoteMessage>(
        &self,
        node: impl Into<String>,
        actor: impl Into<String>,
    ) -> RemoteRef<M> {
        self.remote.actor(node, actor)
    }

    /// The supervision tree of a node, of this one without a bus, within this time (60 s at most). It has no backtraces.
    ///
    /// # Errors
    /// See [`RemoteError`](crate::remote::RemoteError).
    pub async fn tree_of(&self, node: &str, limit: Duration) -> Result<TreeNode, RemoteError> {
        Fleet::of(self).tree(node, limit).await
    }

    /// Waits until somebody has told the node to leave the fleet (`callboard nodes drain`). Whoever runs the app then
    /// [stops](Self::stop) it.
    pub async fn told_to_leave(&self) {
        let mut leaving = self.leaving.clone();
        if leaving.wait_for(|leaving| *leaving).await.is_err() {
            // The tree is gone, so nobody can tell it any more.
            std::future::pending::<()>().await;
        }
    }

    /// Stops in good order: no new jobs, running ones may finish within `jobs.shutdown_grace`, the rest is handed back;
    /// then the tree stops.
    pub async fn stop(&self) -> StopReport {
        let jobs = self.handles.drain.run(self.kept.running().jobs.shutdown_grace).await;
        let tree = self.system.shutdown(STOP_LIMIT).await;
        self.handles.forget_host();
        StopReport { jobs, tree }
    }

    /// What can be done with workflows.
    pub fn workflows(&self) -> Workflows<'_> {
        Workflows::of(self)
    }

    pub(crate) fn store_error(&self, error: StoreError) -> AppError {
        AppError::Store { place: self.place.clone(), error }
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn has_own_store(&self) -> bool {
        self.own_store
    }
}

impl AppBuilder {
    /// All settings at once. Later calls change single ones.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self.configuration = None;
        self
    }

    /// All settings at once, with their sources: changes of the files are taken up while the app runs, as far as they can be
    /// ([`is_live`](crate::config::is_live)); [`App::settings_view`] says what of them needs a restart. Settings that are changed in
    /// code after this are settings alone.
    pub fn configuration(mut self, configuration: Configuration) -> Self {
        self.settings = configuration.running().settings.clone();
        self.configuration = Some(configuration);
        self
    }

    /// Changes the settings.
    pub fn configure(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self.configuration = None;
        self
    }

    /// The folder of the database. Default: `callboard-data` in the working directory.
    pub fn data_dir(self, folder: impl AsRef<Path>) -> Self {
        self.configure(|settings| settings.data.dir = folder.as_ref().to_owned())
    }

    /// Keeps jobs in this PostgreSQL database, `postgres://USER:PASSWORD@HOST:5432/DATABASE`, which other apps and servers may
    /// use at the same time. Default: an SQLite file in the data folder. A URL that is none is told by [`start`](Self::start).
    #[cfg(feature = "postgres")]
    pub fn postgres(mut self, url: impl Into<String>) -> Self {
        match DatabaseUrl::new(url) {
            Ok(url) => {
                self.settings.store.backend = StoreBackend::Postgres;
                self.settings.store.url = Some(url);
                self.configuration = None;
                self.wrong_url = None;
            }
            Err(error) => self.wrong_url = Some(error),
        }
        self
    }

    /// Adds a job type.
    pub fn job<J: Job>(mut self) -> Self {
        self.registry = self.registry.register::<J>();
        self
    }

    /// A value that jobs reach by [`JobContext::state`](crate::jobs::JobContext::state).
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.registry = self.registry.state(value);
        self
    }

    /// Adds an actor of the embedding program, under the supervisor `application`.
    pub fn actor<A: Actor>(mut self, actor: ChildSpec<A>) -> Self {
        self.application = self.application.child(actor);
        self
    }

    /// Adds a supervisor of the embedding program, under the supervisor `application`.
    pub fn supervisor(mut self, supervisor: SupervisorSpec) -> Self {
        self.application = self.application.supervisor(supervisor);
        self
    }

    /// Lets other nodes send messages of this type to an actor of this app, under this name ([`App::remote`]). What is not offered,
    /// nobody reaches. It needs a bus (`bus.url`); without one nobody asks.
    ///
    /// Messages come as the actor's mailbox has room: a full one refuses at once. The latest offer of a name and type counts.
    /// `callboard` is the name of what every node offers, and not for others.
    pub fn offer<M: RemoteMessage>(mut self, name: impl Into<String>, actor: Recipient<M>) -> Self {
        let name = name.into();
        self.offers.push(Box::new(move |remote: &Remote| {
            if name == INSPECTOR {
                return Err(RemoteError::Malformed(format!(
                    "the name {name:?} is taken by every node itself"
                )));
            }
            remote.offer(name, actor)
        }));
        self
    }

    /// Serves the web endpoints at `web.listen`.
    #[cfg(feature = "web")]
    pub fn web(mut self) -> Self {
        self.web = Endpoints::Server;
        self
    }

    /// Says that this program has the command `console` of `callboard`: the web terminal runs it by default. Without it there is a
    /// web terminal only where the setting `terminal.command` names another program.
    #[cfg(feature = "web")]
    pub fn console(mut self) -> Self {
        self.console = true;
        self
    }

    /// Serves the endpoints of a process that only runs jobs, its probes and metrics, at `worker.probes`.
    #[cfg(feature = "web")]
    pub fn probes(mut self) -> Self {
        self.web = Endpoints::Worker;
        self
    }

    /// What this node does of all that there is to do, on a store that other nodes share. Default: everything.
    pub fn roles(mut self, roles: RoleSet) -> Self {
        self.roles = roles;
        self
    }

    /// Of the queues in the settings, those whose jobs this node runs. Default: all.
    pub fn serves(mut self, queues: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.serves = Some(queues.into_iter().map(Into::into).collect());
        self
    }

    /// How another part of the log is written, when the node is told to (`callboard nodes log-level`). Default: it cannot be.
    pub fn log_level(mut self, set: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.log_level = Some(Arc::new(set));
        self
    }

    /// Starts everything, and waits until the store is open, or says why it cannot be.
    ///
    /// # Errors
    /// See [`AppError`]. Nothing is left running.
    pub async fn start(self) -> Result<App, AppError> {
        // Its state is large, and whoever awaits it would have it within his own.
        Box::pin(self.launch()).await
    }

    async fn launch(self) -> Result<App, AppError> {
        if let Some(error) = self.wrong_url {
            return Err(StoreSetupError::from(error).into());
        }
        let settings = self.settings;
        let mut configuration = self.configuration.unwrap_or_else(|| Configuration::of(settings.clone()));
        if self.log_level.is_none() {
            configuration.fix("log.level");
        }
        if cfg!(not(feature = "otlp")) && settings.telemetry.endpoint.is_some() {
            return Err(AppError::NoTelemetry);
        }
        let backends = self.backends;
        let shared = backends.is_shared(&settings);
        self.roles.check(shared)?;
        if cfg!(not(feature = "rabbitmq")) && settings.bus.url.is_some() {
            return Err(AppError::NoBus);
        }
        let (open, place) = backends.open_store(&settings)?;
        // An SQLite file has a lock of its own, and it is there that its holder is looked for.
        let folder = match shared || backends.store.is_some() {
            true => Some(Arc::new(FolderLock::take(&settings.data.dir).await?)),
            false => None,
        };
        let runner: CommandRunner = assembly::command_runner(&settings)?;
        let registry = self.registry.state(runner.clone());
        #[cfg(feature = "http")]
        let registry = registry.state(assembly::http_client(&settings)?);
        let registry = registry.build()?;
        let conditions = Conditions::new();
        let (store_spec, store) = StoreEdge::spec(StoreEdgeArgs {
            open,
            conditions: conditions.clone(),
            batch_max: settings.store.batch_max,
            queue_max: settings.store.queue_max,
            write_timeout: settings.store.write_timeout,
        });
        let roles = self.roles.clone();
        if let Some(job_type) = self.no_object {
            return Err(AppError::NoObject { job_type });
        }
        let of = settings.clone();
        let keys = tokio::task::spawn_blocking(move || keyring(&of)).await;
        let keys = keys.unwrap_or(Err(KeyringError::Stopped))?;
        let config = RolesConfig {
            roles: roles.clone(),
            serves: self.serves,
            cron_of_program: self.cron,
            keys,
            ..assembly::roles(&settings)
        };
        #[cfg_attr(not(feature = "rabbitmq"), expect(unused_mut, reason = "a bus adds to it"))]
        let mut config = assembly::outside(backends.apply(config, &settings), &settings)?;
        #[cfg(feature = "rabbitmq")]
        let bus = assembly::bus(&settings, &conditions, &config.bus_numbers)?;
        #[cfg(feature = "rabbitmq")]
        if let Some(bus) = &bus {
            config.sinks.extend(bus.sink());
            config.publisher = Some(Publisher(bus.publisher()));
        }
        backends.check(&config, &settings)?;
        let telemetry = config.telemetry.clone();
        let node = config.node.clone();
        let mut assembled = Roles::assemble(config, registry, store.clone(), conditions.clone())?;
        #[cfg(feature = "rabbitmq")]
        let remote = match &bus {
            Some(bus) => Remote::new(node, bus.publisher()),
            None => Remote::without_bus(node, NO_BUS),
        };
        #[cfg(not(feature = "rabbitmq"))]
        let remote = Remote::without_bus(node, NO_BUS);
        for offer in self.offers {
            offer(&remote).map_err(AppError::Offer)?;
        }
        // Others can ask where there is a bus, and only there is it started.
        let inspector = assembled.inspector.take();
        if let Some(inspector) = &inspector {
            remote.offer(INSPECTOR, inspector.actor_ref().recipient()).map_err(AppError::Offer)?;
        }
        let workers = match settings.system.executors {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        let edges =
            SupervisorSpec::new("edges").on_exhausted(OnExhausted::RetryAtMaxBackoff).child(store_spec);
        // It stops when everybody else has said his last, but for the store.
        #[cfg(feature = "otlp")]
        let edges = match assembly::exporter(&settings, &telemetry)? {
            Some(exporter) => edges.child(exporter),
            None => edges,
        };
        #[cfg(feature = "rabbitmq")]
        let edges = match bus {
            // Whoever takes jobs in takes them from there, too.
            Some(bus) => {
                let receive = roles.has(Role::Gateway).then(|| assembled.handles.receive.clone());
                let bus = bus.with_remote(&remote).supervisor(receive);
                let edges = match inspector {
                    Some(inspector) => edges.child(inspector),
                    None => edges,
                };
                edges.supervisor(bus)
            }
            None => edges,
        };
        let own_store = backends.store.is_some();
        let edges = match backends.consumers {
            Some(consumers) if roles.has(Role::Gateway) => {
                edges.supervisor(consumers(assembled.handles.receive.clone()))
            }
            _ => edges,
        };
        let root = SupervisorSpec::new("root").on_exhausted(OnExhausted::RetryAtMaxBackoff).supervisor(edges);
        let system = ActorSystem::builder("callboard").executors(workers).start(root).await?;
        let (leaving, left) = watch::channel(false);
        let kept = Arc::new(Kept::new(configuration));
        let keeper = ChildSpec::<Keeper>::new(
            "settings",
            KeeperArgs {
                kept: kept.clone(),
                handles: assembled.handles.clone(),
                conditions: conditions.clone(),
                log_level: self.log_level,
            },
        );
        let keeper_ref = keeper.actor_ref();
        assembled.handles.set_host(Process {
            root: system.root(),
            conditions: conditions.clone(),
            leaving,
            keeper: keeper_ref.clone(),
        });
        let app = App {
            system,
            handles: assembled.handles.clone(),
            store,
            conditions,
            remote,
            telemetry,
            settings,
            place,
            own_store,
            #[cfg(feature = "testkit")]
            inline: false,
            kept,
            keeper: keeper_ref,
            address: None,
            old_addresses: Vec::new(),
            console: self.console,
            roles,
            leaving: left,
            _folder: folder,
        };
        match app.clone().begin(assembled, keeper, self.application, runner, self.web).await {
            Ok(app) => Ok(app),
            Err(error) => {
                app.system.shutdown(STOP_LIMIT).await;
                app.handles.forget_host();
                Err(error)
            }
        }
    }
}

impl App {
    /// Starts the rest of the tree, in its order, once the store is open.
    async fn begin(
        mut self,
        roles: Roles,
        keeper: ChildSpec<Keeper>,
        application: SupervisorSpec,
        runner: CommandRunner,
        web: Endpoints,
    ) -> Result<App, AppError> {
        self.store.ready().await.map_err(|error| self.store_error(error))?;
        // Only now is it certain that no other process uses the folder, and no program runs yet.
        if let Err(error) = runner.clean_workspace().await {
            tracing::warn!(%error, "folders of an earlier server's programs could not be removed");
        }
        self.look_for_unfit_jobs().await?;
        self.look_for_missing_keys().await;
        let root = self.system.root();
        root.start_supervisor(roles.observers).await?;
        root.start_supervisor(application).await?;
        // What is left to other nodes is not here.
        if let Some(queues) = roles.queues {
            root.start_supervisor(queues).await?;
        }
        if self.roles.has(Role::Gateway) {
            root.start_child(roles.gateway).await?;
        }
        // Whom it tells of changes is there.
        root.start_child(keeper).await?;
        if web != Endpoints::None {
            self.serve(web).await?;
        }
        Ok(self)
    }

    /// Jobs whose key is missing wait, and others may have it; whoever starts a node without it is to know.
    async fn look_for_missing_keys(&self) {
        match self.handles.missing_keys().await {
            Ok(missing) => {
                for (key, of) in missing {
                    tracing::warn!(
                        key,
                        payloads = of.payloads,
                        waiting = of.waiting,
                        results = of.results,
                        cron = of.cron,
                        "what is stored is encrypted with a key that this node does not have (docs/encryption.md)"
                    );
                }
            }
            Err(error) => {
                tracing::warn!(%error, "it is not known whether this node has all keys of what is stored")
            }
        }
    }

    /// Before this node takes a job, or says what its types are.
    async fn look_for_unfit_jobs(&self) -> Result<(), AppError> {
        match self.handles.unfit_jobs().await {
            Ok(unfit) if unfit.is_empty() => Ok(()),
            Ok(unfit) if self.settings.jobs.unfit == config::UnfitJobs::Refuse => Err(AppError::Unfit(unfit)),
            Ok(unfit) => {
                for jobs in unfit {
                    tracing::warn!(%jobs, "jobs wait that do not fit their type any more");
                }
                Ok(())
            }
            // Whoever is not to start with such jobs does not start without knowing: afterwards nobody looks again.
            Err(error) if self.settings.jobs.unfit == config::UnfitJobs::Refuse => {
                Err(self.store_error(error))
            }
            Err(error) => {
                tracing::warn!(%error, "it is not known whether all jobs fit their types");
                Ok(())
            }
        }
    }

    #[cfg(feature = "web")]
    async fn serve(&mut self, endpoints: Endpoints) -> Result<(), AppError> {
        let worker = endpoints == Endpoints::Worker;
        let mut settings = assembly::web(&self.settings, worker);
        if !worker {
            settings.terminal = assembly::terminal(&self.settings, self.console)?;
        }
        let (spec, handle) = callboard_web::web(settings, self.web_dependencies())?;
        self.system.root().start_supervisor(spec).await?;
        self.address = *handle.local_addr.borrow();
        if let Some(address) = self.address
            && let Err(error) = crate::folder_lock::note_address(&self.settings.data.dir, address)
        {
            // Whoever looks for the server there is told of it in other ways.
            tracing::warn!(%error, "the lock of the data folder does not say where the server is");
        }
        let old = handle.old_ports.iter().filter_map(|(port, at)| Some((port.as_str(), (*at.borrow())?)));
        self.old_addresses = old.collect();
        Ok(())
    }

    #[cfg(not(feature = "web"))]
    async fn serve(&mut self, _: Endpoints) -> Result<(), AppError> {
        Ok(())
    }

    #[cfg(feature = "web")]
    fn web_dependencies(&self) -> callboard_web::WebDependencies {
        let Handles { gateway, read_model, metrics, .. } = &self.handles;
        let (metrics, counted, terminals) = (metrics.clone(), metrics.clone(), metrics.clone());
        let handles = self.handles.clone();
        // Not the system itself: the tree must not keep itself alive.
        let (root, conditions) = (self.system.root(), self.conditions.clone());
        let same_root = root.clone();
        let fleet = Fleet::of(self);
        callboard_web::WebDependencies {
            submit: gateway.recipient(),
            submit_once: gateway.recipient(),
            cancel: gateway.recipient(),
            retry: gateway.recipient(),
            retry_edited: gateway.recipient(),
            bulk_jobs: gateway.recipient(),
            stop_bulk: gateway.recipient(),
            pause_queue: gateway.recipient(),
            limit_queue: gateway.recipient(),
            label_queue: gateway.recipient(),
            set_edge: gateway.recipient(),
            order: gateway.recipient(),
            put_cron: gateway.recipient(),
            delete_cron: gateway.recipient(),
            pause_cron: gateway.recipient(),
            run_cron: gateway.recipient(),
            list_cron: read_model.recipient(),
            get_cron: read_model.recipient(),
            preview_cron: read_model.recipient(),
            get_job: read_model.recipient(),
            get_job_log: read_model.recipient(),
            signal_job: gateway.recipient(),
            list_signals: read_model.recipient(),
            get_job_state: read_model.recipient(),
            list_jobs: read_model.recipient(),
            get_jobs: read_model.recipient(),
            recent_events: read_model.recipient(),
            read_log: read_model.recipient(),
            get_totals: read_model.recipient(),
            get_queues: read_model.recipient(),
            get_edges: read_model.recipient(),
            get_job_types: read_model.recipient(),
            get_nodes: read_model.recipient(),
            list_commands: read_model.recipient(),
            get_audit: read_model.recipient(),
            submit_workflow: gateway.recipient(),
            cancel_workflow: gateway.recipient(),
            resume_workflow: gateway.recipient(),
            get_workflow: read_model.recipient(),
            list_workflows: read_model.recipient(),
            list_steps: read_model.recipient(),
            get_graph: read_model.recipient(),
            get_inputs: read_model.recipient(),
            get_dead_causes: read_model.recipient(),
            compare_job: read_model.recipient(),
            get_encryption: read_model.recipient(),
            rotate_keys: gateway.recipient(),
            reveal_job: read_model.recipient(),
            list_bulks: read_model.recipient(),
            get_settings: self.keeper.recipient(),
            change_settings: self.keeper.recipient(),
            note_audit: std::sync::Arc::new(move |entry, outcome| {
                let handles = handles.clone();
                Box::pin(async move { handles.note(entry, outcome).await })
            }),
            committed: self.store.committed(),
            conditions: self.conditions.clone(),
            metrics: std::sync::Arc::new(move || metrics.render()),
            tree: std::sync::Arc::new(move |backtraces| tree_node(&root.snapshot(), &conditions, backtraces)),
            node_tree: std::sync::Arc::new(move |node: String, limit| {
                let fleet = fleet.clone();
                Box::pin(async move { fleet.tree(&node, limit).await })
            }),
            troubles: std::sync::Arc::new(move || {
                callboard_actors::roles::tree_troubles(&same_root.snapshot())
            }),
            windows: self.handles.windows(),
            request_refused: std::sync::Arc::new(move || counted.request_refused()),
            terminal_event: std::sync::Arc::new(move |event| terminals.terminal(event)),
            telemetry: self.telemetry.clone(),
            series: self.handles.series(),
            node: self.handles.node_name().into(),
            version: env!("CARGO_PKG_VERSION"),
            node_roles: self.roles.clone(),
        }
    }
}
