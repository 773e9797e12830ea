//! The pipeline's node: one with job types that do as tests want them to, on a store that can make trouble.

use std::{
    ops::Deref,
    sync::{Arc, atomic::Ordering::SeqCst},
};

use callboard_actors::{
    edges::store::{Store, StoreError},
    jobs::{JobRegistry, registry::JobRegistryBuilder},
    roles::RolesConfig,
};
pub(crate) use callboard_conformance::node::{Folder, PATIENCE};
use tokio::time::timeout;

use super::{
    jobs::{self, SharedStage, Stage},
    trouble::{Trouble, Troubled},
};

/// A running node.
pub(crate) struct Node {
    node: callboard_conformance::node::Node,
    pub(super) stage: SharedStage,
    pub(super) trouble: Arc<Trouble>,
}

impl Deref for Node {
    type Target = callboard_conformance::node::Node;

    fn deref(&self) -> &Self::Target {
        &self.node
    }
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
        let types = types(JobRegistry::builder());
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
        Self::launch_on(folder.store(), types, stage, change).await
    }

    async fn launch_on(
        open: impl Fn() -> Result<Arc<dyn Store>, StoreError> + Send + Sync + 'static,
        types: JobRegistryBuilder,
        stage: SharedStage,
        change: impl FnOnce(&mut RolesConfig),
    ) -> Self {
        let trouble = Arc::new(Trouble::default());
        let troubles = trouble.clone();
        let open =
            move || Ok(Arc::new(Troubled { store: open()?, trouble: troubles.clone() }) as Arc<dyn Store>);
        let node = callboard_conformance::node::Node::start(open, types, change).await;
        Node { node, stage, trouble }
    }

    /// Waits until so many jobs of type `hold` have begun.
    pub(super) async fn begun(&self, count: u64) {
        let mut begun = self.stage.begun.subscribe();
        timeout(PATIENCE, begun.wait_for(|begun| *begun >= count)).await.unwrap().unwrap();
    }

    /// Takes the store away from it and leaves it to itself: nothing that it still does counts.
    pub(super) async fn crash(self) {
        self.trouble.outage.store(true, SeqCst);
        self.node.abandon().await;
    }

    /// Stops it in good order.
    pub(crate) async fn stop(self) {
        self.node.stop().await;
    }
}
