//! [`ActorSystem`]: a tree of actors and the threads that it runs on.

mod builder;
mod report;
mod shutdown_plan;
mod watchdog;

use std::{fmt, sync::Arc, time::Duration, time::SystemTime};

use futures_util::future::join_all;
use tokio::time::{Instant, timeout, timeout_at};

pub use builder::ActorSystemBuilder;
pub use report::{PhaseReport, ShutdownReport};
pub use shutdown_plan::ShutdownPlan;

use self::{shutdown_plan::Phase, watchdog::Watchdog};
use crate::{
    actor::Actor,
    executor::BlockingPool,
    meta::{ActorSnapshot, BlockingSnapshot, State, StopReason, TreeSnapshot},
    moment::after,
    reference::{ActorHandle, ActorRef, Node},
    registry::Registry,
    supervisor::{KILL_GRACE, Runtime, Supervisor},
    task::Order,
    telemetry::{ChangeFeed, Telemetry},
};

/// How long an end that was forced may take: longer than supervisors wait before they take what they killed for stuck.
const FORCED: Duration = KILL_GRACE.saturating_mul(2);
/// How long each executor may take after it.
const CLOSED: Duration = Duration::from_secs(1);

struct Inner {
    name: Arc<str>,
    runtime: Arc<Runtime>,
    root: Supervisor,
    telemetry: Arc<Telemetry>,
    blocking: Arc<BlockingPool>,
    _watchdog: Option<Watchdog>,
}

/// Whoever forgets to shut down does not leave threads behind: what runs on them is dropped, and counts as killed.
impl Drop for Inner {
    fn drop(&mut self) {
        self.runtime.executors.all().for_each(|executor| executor.close());
    }
}

/// A running tree of actors. Clones are handles of the same one; when the last is dropped, what still runs is killed.
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u64)]
/// # struct Count;
/// # struct Counter(u64);
/// # impl Actor for Counter {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Counter(0)) }
/// # }
/// # impl PlainHandler<Count> for Counter {
/// #     type Reply = u64;
/// #     fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 { self.0 += 1; self.0 }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let root = SupervisorSpec::new("root").child(ChildSpec::<Counter>::new("counter", ()));
/// let system = ActorSystem::builder("example").executors(2).start(root).await?;
/// let counter = system.find::<Counter>("counter").expect("it is declared");
/// assert_eq!(counter.ask(Count).await, Ok(1));
/// let report = system.shutdown(std::time::Duration::from_secs(5)).await;
/// assert!(report.is_clean());
/// assert_eq!(system.terminated().await, StopReason::Shutdown);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct ActorSystem(Arc<Inner>);

impl fmt::Debug for ActorSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorSystem(`{}`)", self.0.name)
    }
}

impl ActorSystem {
    /// Begins the description of a system. The name shows in thread names and snapshots.
    pub fn builder(name: impl Into<Arc<str>>) -> ActorSystemBuilder {
        ActorSystemBuilder::new(name.into())
    }

    fn new(
        name: Arc<str>,
        runtime: Arc<Runtime>,
        root: Supervisor,
        telemetry: Arc<Telemetry>,
        blocking: Arc<BlockingPool>,
        watchdog: Option<Watchdog>,
    ) -> Self {
        ActorSystem(Arc::new(Inner { name, runtime, root, telemetry, blocking, _watchdog: watchdog }))
    }

    /// The system's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The root supervisor.
    pub fn root(&self) -> Supervisor {
        self.0.root.clone()
    }

    /// The actor at this path, as in `edges/store`. None if there is none, or it is of another type.
    pub fn find<A: Actor>(&self, path: &str) -> Option<ActorRef<A>> {
        self.0.root.find(path)
    }

    /// The names of this system.
    pub fn registry(&self) -> &Registry {
        &self.0.runtime.registry
    }

    /// What happens in the tree from now on: starts, crashes, ends, suspensions, actors that stall or wait for each
    /// other in a circle. A change that could be seen a moment ago may still be told. Costs next to nothing while
    /// nobody listens. Ends after the root has ended.
    ///
    /// ```
    /// use callboard_supervisors::*;
    ///
    /// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
    /// let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root")).await?;
    /// let mut changes = system.changes();
    /// system.shutdown(std::time::Duration::from_secs(5)).await;
    /// let mut seen = Vec::new();
    /// while let Some(Ok(change)) = changes.next().await {
    ///     if let ChangeKind::State { state, .. } = change.kind {
    ///         seen.push(state);
    ///     }
    /// }
    /// assert!(seen.ends_with(&[State::Stopping, State::Stopped]));
    /// # Ok::<(), StartSystemError>(())
    /// # }).unwrap();
    /// ```
    pub fn changes(&self) -> ChangeFeed {
        self.0.telemetry.changes.listen()
    }

    /// The whole tree as it is now, without asking anybody.
    pub fn snapshot(&self) -> TreeSnapshot {
        let pool = &self.0.blocking;
        let blocking = BlockingSnapshot { running: pool.running(), limit: pool.limit() };
        TreeSnapshot {
            system: self.0.name.clone(),
            at: SystemTime::now(),
            root: self.0.root.snapshot(),
            blocking,
        }
    }

    /// Waits until the root supervisor is gone: it gave up, or the system was shut down.
    pub async fn terminated(&self) -> StopReason {
        self.0.root.watch().await
    }

    /// Stops what the plan's phases name, then the tree in reverse order, each child with its own timeout, and ends the
    /// threads. `shutdown(Duration::from_secs(30))` is a plan without phases. What has not stopped by
    /// the deadline is killed; what does not end even then, because it blocks its thread, is left behind and named in
    /// the report. A second call waits as the first does.
    ///
    /// Dropping the future does not take the order back; the threads then end when the last handle is dropped.
    ///
    /// # Panics
    /// Outside of a tokio runtime with its timers.
    pub async fn shutdown(&self, plan: impl Into<ShutdownPlan>) -> ShutdownReport {
        let ShutdownPlan { deadline, phases } = plan.into();
        let began = Instant::now();
        let deadline = after(began, deadline);
        let mut reports = Vec::new();
        for phase in phases {
            reports.push(self.stop_phase(phase, deadline).await);
        }
        let root = self.0.root.node();
        root.order(Order::Stop);
        let mut unstopped = Vec::new();
        if timeout_at(deadline, root.meta().watch()).await.is_err() {
            unstopped = unstopped_in(&root.snapshot());
            root.order(Order::Abort { for_good: true });
            // The report says below whether this was enough.
            let _ = timeout(FORCED, root.meta().watch()).await;
        }
        let mut blocked_threads = 0;
        for executor in self.0.runtime.executors.all() {
            executor.close();
        }
        for executor in self.0.runtime.executors.all() {
            blocked_threads += usize::from(!executor.join(CLOSED).await);
        }
        let (elapsed, stuck) = (began.elapsed(), self.0.runtime.stuck());
        ShutdownReport { elapsed, phases: reports, unstopped, stuck, blocked_threads }
    }

    async fn stop_phase(&self, phase: Phase, deadline: Instant) -> PhaseReport {
        let began = Instant::now();
        let parts: Vec<_> = phase.paths.iter().filter_map(|path| self.0.root.child(path)).collect();
        parts.iter().for_each(ActorHandle::stop);
        let all = join_all(parts.iter().map(ActorHandle::watch));
        let mut unstopped = Vec::new();
        if timeout_at(deadline.min(after(began, phase.limit)), all).await.is_err() {
            unstopped = parts.iter().flat_map(|part| unstopped_in(&part.snapshot())).collect();
        }
        PhaseReport { name: phase.name, elapsed: began.elapsed(), unstopped }
    }
}

/// Paths of the actors, and of the supervisors without children, that have not stopped.
fn unstopped_in(snapshot: &ActorSnapshot) -> Vec<String> {
    let late = |node: &&ActorSnapshot| node.children.is_empty() && node.state != State::Stopped;
    snapshot.walk().filter(late).map(|node| node.path.clone()).collect()
}
