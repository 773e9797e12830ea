//! [`ActorSystemBuilder`].

use std::{fmt, sync::Arc, thread::available_parallelism};

use crate::{
    error::StartSystemError,
    executor::Executors,
    meta::{Place, State, StopReason},
    reference::Node,
    supervisor::{Runtime, SupervisorSpec, start_root},
    system::ActorSystem,
    task::install_hook,
    telemetry::{Telemetry, Undelivered, UndeliveredHook},
};

/// Describes an [`ActorSystem`] before its start.
#[derive(Clone)]
#[must_use = "a system runs when it is started"]
pub struct ActorSystemBuilder {
    name: Arc<str>,
    /// None: everything on the caller's thread.
    workers: Option<usize>,
    undelivered: Option<UndeliveredHook>,
}

impl fmt::Debug for ActorSystemBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorSystemBuilder")
            .field("name", &self.name)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

impl ActorSystemBuilder {
    pub(super) fn new(name: Arc<str>) -> Self {
        let workers = available_parallelism().map_or(1, usize::from);
        ActorSystemBuilder { name, workers: Some(workers), undelivered: None }
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

    /// Whom messages are told that were taken and are not handled. It runs on whichever thread lost the message, the
    /// sender's or the actor's, so it must be quick and must not block. A panic in it is caught. Default: nobody.
    ///
    /// ```
    /// use callboard_supervisors::ActorSystem;
    ///
    /// let builder = ActorSystem::builder("shop").undelivered(|lost| {
    ///     eprintln!("`{}` did not handle a {}: {}", lost.path, lost.message_type, lost.reason);
    /// });
    /// ```
    pub fn undelivered(mut self, hook: impl Fn(&Undelivered) + Send + Sync + 'static) -> Self {
        self.undelivered = Some(Arc::new(hook));
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
        handle.node().meta().put_below(Place::top(Arc::new(Telemetry::new(self.undelivered))));
        runtime.registry.end_with(handle.node().meta());
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
