//! [`ActorSystemBuilder`].

use std::{fmt, num::NonZeroU32, sync::Arc, thread::available_parallelism, time::Duration};

use crate::{
    error::StartSystemError,
    executor::{BlockingPool, Executors},
    meta::{Place, State, StopReason},
    reference::Node,
    supervisor::{Runtime, SupervisorSpec, start_root},
    system::{ActorSystem, watchdog::Watchdog},
    task::install_hook,
    telemetry::{SAMPLED, Telemetry, Undelivered, UndeliveredHook},
};

/// How long an actor may be in one message, unless said otherwise.
const WATCHDOG: Duration = Duration::from_secs(10);

/// Describes an [`ActorSystem`] before its start.
///
/// ```
/// # use callboard_supervisors::*;
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let system = ActorSystem::builder("example")
///     .executors(2)
///     .sample_latency(0)
///     .watchdog(Some(std::time::Duration::from_secs(2)))
///     .undelivered(|lost| eprintln!("{}: {}", lost.path, lost.reason))
///     .start(SupervisorSpec::new("root"))
///     .await?;
/// assert_eq!(system.name(), "example");
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
#[must_use = "a system runs when it is started"]
pub struct ActorSystemBuilder {
    name: Arc<str>,
    /// None: everything on the caller's thread.
    workers: Option<usize>,
    undelivered: Option<UndeliveredHook>,
    sampled: Option<NonZeroU32>,
    blocking: Option<usize>,
    watchdog: Watch,
    #[cfg(feature = "testkit")]
    seed: Option<u64>,
}

/// When the watchdog barks.
#[derive(Clone, Copy)]
enum Watch {
    /// After [`WATCHDOG`], unless the system is local.
    Default,
    After(Duration),
    Never,
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
        ActorSystemBuilder {
            name,
            workers: Some(workers),
            undelivered: None,
            sampled: Some(SAMPLED),
            blocking: None,
            watchdog: Watch::Default,
            #[cfg(feature = "testkit")]
            seed: None,
        }
    }

    /// Threads beside the control executor, at least one: with 0 the start fails. Default: as many as the machine has
    /// cores. Takes back a [`local`](Self::local).
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

    /// Of so many messages of an actor the time of one is measured; rounded up to a power of two. 0: of none. Shown in
    /// [`ActorSnapshot::latency`](crate::ActorSnapshot::latency). Default: 64.
    pub fn sample_latency(mut self, every: u32) -> Self {
        self.sampled = NonZeroU32::new(every);
        self
    }

    /// So much work of [`Context::blocking`](crate::Context::blocking) is under way at a time, at least 1. Default: as
    /// many as the machine has cores.
    pub fn blocking_threads(mut self, limit: usize) -> Self {
        self.blocking = Some(limit);
        self
    }

    /// An actor that has been in one message for longer than this is told to the [feed](ActorSystem::changes), and
    /// logged: as a warning if it blocks its thread, else for debugging. Looked for four times as often, though not
    /// more often than every 5 ms nor less than every second, by a thread of its own. None: nobody looks. Default: 10
    /// s; none in a [local](Self::local) system.
    pub fn watchdog(mut self, limit: Option<Duration>) -> Self {
        self.watchdog = limit.map_or(Watch::Never, Watch::After);
        self
    }

    /// As [`local`](Self::local), and the seed decides which actor or supervisor of those that have something to do has
    /// its turn next, how much it does in it, and the chance in backoffs. The same seed gives the same order of events
    /// on a paused clock, if nothing comes from other threads and the actors use no chance of their own (as
    /// `tokio::select!` does unless it is `biased`). See [`explore`](crate::testkit::explore). A later call of
    /// [`executors`](Self::executors) takes it back.
    #[cfg(feature = "testkit")]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self.workers = None;
        self
    }

    /// Starts the tree, and waits until every declared child runs. Dropping the future kills what has started.
    ///
    /// # Errors
    /// See [`StartSystemError`]. Nothing is left running.
    ///
    /// # Panics
    /// When the system is to be [local](Self::local), outside of a `LocalRuntime` or a `LocalSet`.
    pub async fn start(self, root: SupervisorSpec) -> Result<ActorSystem, StartSystemError> {
        if cfg!(panic = "abort") {
            return Err(StartSystemError::PanicAborts);
        }
        install_hook();
        let executors = match self.workers {
            Some(0) => return Err(StartSystemError::NoExecutors),
            Some(workers) => Executors::start(&self.name, workers)?,
            #[cfg(feature = "testkit")]
            None if let Some(seed) = self.seed => Executors::seeded(seed),
            None => Executors::local(),
        };
        let runtime = Arc::new(Runtime::new(executors));
        let handle = root.handle();
        let blocking = Arc::new(self.blocking.map_or_else(BlockingPool::default, BlockingPool::new));
        let telemetry = Arc::new(Telemetry::new(self.undelivered, self.sampled));
        handle.node().meta().put_below(Place::top(telemetry.clone(), blocking.clone()));
        runtime.registry.end_with(handle.node().meta());
        let limit = match self.watchdog {
            Watch::Default => self.workers.map(|_| WATCHDOG),
            Watch::After(limit) => Some(limit),
            Watch::Never => None,
        };
        let watchdog = limit.map(|limit| Watchdog::start(&self.name, limit, runtime.clone(), &handle));
        let watchdog = watchdog.transpose()?;
        // The last thing that can fail: a tree that runs keeps its threads.
        start_root(root, &runtime)?;
        let system = ActorSystem::new(self.name, runtime, handle.clone(), telemetry, blocking, watchdog);
        let settled = |state| matches!(state, State::Running | State::Stopped);
        match handle.node().meta().wait_until(settled).await {
            State::Stopped if !handle.node().meta().has_run() => {
                let reason = handle.node().meta().last_reason().unwrap_or(StopReason::Killed);
                Err(StartSystemError::RootFailed(reason))
            }
            _ => Ok(system),
        }
    }
}
