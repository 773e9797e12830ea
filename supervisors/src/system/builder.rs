//! [`ActorSystemBuilder`].

use std::{sync::Arc, thread::available_parallelism};

use crate::{
    error::StartSystemError,
    executor::Executors,
    meta::{State, StopReason},
    reference::Node,
    supervisor::{Runtime, SupervisorSpec, start_root},
    system::ActorSystem,
    task::install_hook,
};

/// Describes an [`ActorSystem`] before its start.
#[derive(Clone, Debug)]
#[must_use = "a system runs when it is started"]
pub struct ActorSystemBuilder {
    name: Arc<str>,
    /// None: everything on the caller's thread.
    workers: Option<usize>,
}

impl ActorSystemBuilder {
    pub(super) fn new(name: Arc<str>) -> Self {
        let workers = available_parallelism().map_or(1, usize::from);
        ActorSystemBuilder { name, workers: Some(workers) }
    }

    /// Threads beside the control executor, at least one. Default: as many as the machine has cores.
    pub fn executors(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Everything on the caller's thread, which must be inside a `tokio::runtime::LocalRuntime` or a `LocalSet`. For
    /// tests on a paused clock.
    pub fn local(mut self) -> Self {
        self.workers = None;
        self
    }

    /// Starts the tree, and waits until every declared child runs.
    ///
    /// # Errors
    /// See [`StartSystemError`]. Nothing is left running.
    pub async fn start(self, root: SupervisorSpec) -> Result<ActorSystem, StartSystemError> {
        if cfg!(panic = "abort") {
            return Err(StartSystemError::PanicAborts);
        }
        install_hook();
        let executors = match self.workers {
            Some(0) => return Err(StartSystemError::NoExecutors),
            Some(workers) => Executors::start(&self.name, workers)?,
            None => Executors::local(),
        };
        let runtime = Arc::new(Runtime::new(executors));
        let handle = root.handle();
        start_root(root, &runtime)?;
        let system = ActorSystem::new(self.name, runtime, handle.clone());
        let settled = |state| matches!(state, State::Running | State::Stopped);
        match handle.node().meta().wait_until(settled).await {
            State::Stopped => {
                let reason = handle.node().meta().last_reason().unwrap_or(StopReason::Killed);
                Err(StartSystemError::RootFailed(reason))
            }
            _ => Ok(system),
        }
    }
}
