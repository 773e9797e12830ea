//! A node for tests: all roles on an actor system, with a store in a folder of its own or one that is given to it.

use std::{path::Path, sync::Arc, time::Duration};

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
use callboard_supervisors::{ActorHandle, ActorSystem, SupervisorSpec};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::timeout;
use uuid::Uuid;

/// How long anything may take that normally takes milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Where a node keeps its jobs; it outlives the node.
pub struct Folder(TempDir);

impl Default for Folder {
    fn default() -> Self {
        Folder::new()
    }
}

impl Folder {
    /// A new one.
    ///
    /// # Panics
    /// If there can be none.
    pub fn new() -> Self {
        Folder(tempfile::tempdir().expect("a temporary folder"))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// How the store in it, SQLite's, is opened.
    pub fn store(&self) -> impl Fn() -> Result<Arc<dyn Store>, StoreError> + Send + Sync + 'static {
        let path = self.path().join("test.db");
        let options = SqliteOptions { min_free_space: 0, ..SqliteOptions::new(path) };
        move || Ok(SqliteStore::open(options.clone())? as Arc<dyn Store>)
    }
}

/// A running node, `test`. What it is asked for and does not do panics.
pub struct Node {
    system: ActorSystem,
    /// What its roles are asked by.
    pub handles: Handles,
    /// Its store.
    pub store: StoreHandle,
    /// What its actors say of themselves.
    pub conditions: Conditions,
}

impl Node {
    /// Starts one on this store, with these job types, and waits until the store is open. `change` sets what is not as usual.
    pub async fn start(
        open: impl Fn() -> Result<Arc<dyn Store>, StoreError> + Send + Sync + 'static,
        types: JobRegistryBuilder,
        change: impl FnOnce(&mut RolesConfig),
    ) -> Self {
        let conditions = Conditions::new();
        let (edge, store) = StoreEdge::spec(StoreEdgeArgs {
            open: Arc::new(open),
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
        Node { system, handles: roles.handles, store, conditions }
    }

    /// How many messages the actor at this path has handled.
    pub fn handled(&self, path: &str) -> u64 {
        let tree = self.system.snapshot();
        tree.find(path).unwrap_or_else(|| panic!("no {path}")).handled
    }

    /// What is at this path of its tree, if anything is.
    pub fn actor(&self, path: &str) -> Option<ActorHandle> {
        self.system.root().child(path)
    }

    /// What the gateway answers to each of these jobs.
    pub async fn answers(&self, form: Form, jobs: Vec<Value>) -> Vec<Result<Submitted, Refusal>> {
        let request = Submit { form, jobs, origin: Origin::here() };
        self.handles.gateway.ask(request).await.unwrap()
    }

    /// Submits a job.
    pub async fn submit(&self, job: Value) -> Result<Submitted, Refusal> {
        self.answers(Form::Api, vec![job]).await.remove(0)
    }

    /// Submits jobs of which none is refused; their ids.
    pub async fn submit_all(&self, jobs: Vec<Value>) -> Vec<Uuid> {
        let answers = self.answers(Form::Api, jobs).await;
        answers.into_iter().map(|answer| answer.unwrap().id).collect()
    }

    /// The job, which must be there.
    pub async fn job(&self, id: Uuid) -> JobDetail {
        self.handles.read_model.ask(GetJob { id }).await.unwrap().unwrap().expect("the job is there")
    }

    /// Waits until `state` gives something. It is looked at again after each commit, and every now and then for what
    /// no commit tells.
    pub async fn until<T>(&self, what: &str, mut state: impl AsyncFnMut() -> Option<T>) -> T {
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

    /// Waits until the job is in this state. It must not end in another one.
    pub async fn reaches(&self, id: Uuid, state: JobState) -> JobDetail {
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

    /// Leaves it to itself at once, as if its process had ended.
    pub async fn abandon(self) {
        self.system.shutdown(Duration::ZERO).await;
    }

    /// Stops it in good order.
    pub async fn stop(self) {
        let report = self.handles.drain.run(Duration::ZERO).await;
        assert_eq!(report.lost, 0);
        self.system.shutdown(PATIENCE).await;
    }
}
