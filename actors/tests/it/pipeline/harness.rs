//! A node on a store in a folder of its own.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use callboard_actors::{
    edges::store::{SqliteOptions, SqliteStore, Store, StoreEdge, StoreEdgeArgs, StoreError, StoreHandle},
    jobs::registry::JobRegistryBuilder,
    roles::{
        Conditions, Handles, Roles, RolesConfig,
        request::{Form, GetJob, Origin, Refusal, Submit},
    },
};
use callboard_contracts::{
    JobState,
    api::{JobDetail, Submitted},
};
use callboard_supervisors::{ActorSystem, SupervisorSpec};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    jobs::{self, SharedStage, Stage},
    trouble::{Trouble, Troubled},
};

/// How long anything may take that normally takes milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where a node keeps its store; it outlives the node.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A running node.
pub(crate) struct Node {
    system: ActorSystem,
    pub(crate) handles: Handles,
    pub(crate) store: StoreHandle,
    pub(crate) conditions: Conditions,
    pub(super) stage: SharedStage,
    pub(super) trouble: Arc<Trouble>,
}

impl Node {
    pub(crate) async fn start(folder: &Folder) -> Self {
        Self::configured(folder, |_| {}).await
    }

    pub(crate) async fn configured(folder: &Folder, change: impl FnOnce(&mut RolesConfig)) -> Self {
        let stage = SharedStage::new(Stage::default());
        let types = jobs::builder(&stage);
        Self::launch(folder, types, stage, change).await
    }

    /// One that knows other job types.
    pub(crate) async fn with_types(
        folder: &Folder,
        types: impl FnOnce(JobRegistryBuilder) -> JobRegistryBuilder,
    ) -> Self {
        let types = types(callboard_actors::jobs::JobRegistry::builder());
        Self::launch(folder, types, Arc::default(), |_| {}).await
    }

    /// One on a store that others may have as well.
    #[cfg(feature = "postgres")]
    pub(super) async fn on(
        open: impl Fn() -> Result<Arc<dyn Store>, StoreError> + Send + Sync + 'static,
        change: impl FnOnce(&mut RolesConfig),
    ) -> Self {
        let stage = SharedStage::new(Stage::default());
        let types = jobs::builder(&stage);
        Self::launch_on(open, types, stage, change).await
    }

    async fn launch(
        folder: &Folder,
        types: JobRegistryBuilder,
        stage: SharedStage,
        change: impl FnOnce(&mut RolesConfig),
    ) -> Self {
        let options =
            SqliteOptions { min_free_space: 0, ..SqliteOptions::new(folder.path().join("test.db")) };
        let open = move || Ok(SqliteStore::open(options.clone())? as Arc<dyn Store>);
        Self::launch_on(open, types, stage, change).await
    }

    async fn launch_on(
        open: impl Fn() -> Result<Arc<dyn Store>, StoreError> + Send + Sync + 'static,
        types: JobRegistryBuilder,
        stage: SharedStage,
        change: impl FnOnce(&mut RolesConfig),
    ) -> Self {
        let trouble = Arc::new(Trouble::default());
        let conditions = Conditions::new();
        let troubles = trouble.clone();
        let (edge, store) = StoreEdge::spec(StoreEdgeArgs {
            open: Arc::new(move || {
                Ok(Arc::new(Troubled { store: open()?, trouble: troubles.clone() }) as Arc<dyn Store>)
            }),
            conditions: conditions.clone(),
            batch_max: 1000,
            queue_max: 8192,
            write_timeout: Duration::from_secs(10),
        });
        let mut config = RolesConfig { node: "test".to_owned(), ..RolesConfig::default() };
        change(&mut config);
        let roles =
            Roles::assemble(config, types.build().unwrap(), store.clone(), conditions.clone()).unwrap();
        let root = SupervisorSpec::new("root")
            .supervisor(SupervisorSpec::new("edges").child(edge))
            .supervisor(roles.observers)
            .supervisor(roles.queues.expect("it has all roles"))
            .child(roles.gateway);
        let system = ActorSystem::builder("test").start(root).await.unwrap();
        store.ready().await.unwrap();
        Node { system, handles: roles.handles, store, conditions, stage, trouble }
    }

    /// How many messages the actor at this path has handled.
    pub(super) fn handled(&self, path: &str) -> u64 {
        let tree = self.system.snapshot();
        tree.find(path).unwrap_or_else(|| panic!("no {path}")).handled
    }

    pub(super) async fn answers(&self, form: Form, jobs: Vec<Value>) -> Vec<Result<Submitted, Refusal>> {
        let request = Submit { form, jobs, origin: Origin::here() };
        self.handles.gateway.ask(request).await.unwrap()
    }

    pub(crate) async fn submit(&self, job: Value) -> Result<Submitted, Refusal> {
        self.answers(Form::Api, vec![job]).await.remove(0)
    }

    /// Submits jobs of which none is refused; their ids.
    pub(crate) async fn submit_all(&self, jobs: Vec<Value>) -> Vec<Uuid> {
        let answers = self.answers(Form::Api, jobs).await;
        answers.into_iter().map(|answer| answer.unwrap().id).collect()
    }

    pub(crate) async fn job(&self, id: Uuid) -> JobDetail {
        self.handles.read_model.ask(GetJob { id }).await.unwrap().unwrap().expect("the job is there")
    }

    /// Waits until `state` gives something. It is looked at again after each commit, and every now and then for what
    /// no commit tells.
    pub(crate) async fn until<T>(&self, what: &str, mut state: impl AsyncFnMut() -> Option<T>) -> T {
        let mut committed = self.store.committed();
        let looking = async {
            loop {
                committed.mark_unchanged();
                if let Some(found) = state().await {
                    return found;
                }
                let _ = timeout(Duration::from_millis(20), committed.changed()).await;
            }
        };
        timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
    }

    pub(crate) async fn reaches(&self, id: Uuid, state: JobState) -> JobDetail {
        let mut last = None;
        let looking = self.until("a job's state", async || {
            let job = self.job(id).await;
            let reached = job.summary.state == state;
            assert!(reached || !job.summary.state.is_final(), "instead of {state}: {job:?}");
            last = Some(job.clone());
            reached.then_some(job)
        });
        looking.await
    }

    /// Waits until so many jobs of type `hold` have begun.
    pub(super) async fn begun(&self, count: u64) {
        let mut begun = self.stage.begun.subscribe();
        timeout(PATIENCE, begun.wait_for(|begun| *begun >= count)).await.unwrap().unwrap();
    }

    /// Takes the store away from it and leaves it to itself: nothing that it still does counts.
    pub(super) async fn crash(self) {
        self.trouble.outage.store(true, SeqCst);
        self.system.shutdown(Duration::ZERO).await;
    }

    /// Stops it in good order.
    pub(crate) async fn stop(self) {
        let report = self.handles.drain.run(Duration::ZERO).await;
        assert_eq!(report.lost, 0);
        self.system.shutdown(PATIENCE).await;
    }
}
