//! [`ShutdownReport`].

use std::time::Duration;

/// What became of one phase of a shutdown.
///
/// ```
/// # use callboard_supervisors::*;
/// # use std::time::Duration;
/// # #[derive(Message)]
/// # struct Work;
/// # struct Slow;
/// # impl Actor for Slow {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Slow) }
/// # }
/// # impl Handler<Work> for Slow {
/// #     async fn handle(&mut self, _: Work, _: &mut Context<Self>) { std::future::pending().await }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let spec = ChildSpec::<Slow>::new("slow", ());
/// let slow = spec.actor_ref();
/// # let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// slow.tell(Work)?; // it will not come to an end
/// # while slow.snapshot().current.is_none() { tokio::task::yield_now().await; }
/// let plan = ShutdownPlan::new(Duration::from_millis(40)).phase("work", Duration::from_millis(20), ["slow"]);
/// let report = system.shutdown(plan).await;
/// let phase: &PhaseReport = &report.phases[0];
/// assert_eq!((phase.name.as_str(), phase.unstopped.as_slice()), ("work", &["slow".to_owned()][..]));
/// assert!(phase.elapsed <= report.elapsed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhaseReport {
    /// Its name in the plan.
    pub name: String,
    /// How long it took.
    pub elapsed: Duration,
    /// Paths of what had not stopped when the phase was over.
    pub unstopped: Vec<String>,
}

/// What became of a shutdown.
///
/// ```
/// # use callboard_supervisors::*;
/// # use std::time::Duration;
/// # #[derive(Message)]
/// # struct Work;
/// # struct Slow;
/// # impl Actor for Slow {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Slow) }
/// # }
/// impl Handler<Work> for Slow {
///     async fn handle(&mut self, _: Work, _: &mut Context<Self>) {
///         tokio::time::sleep(Duration::from_secs(3600)).await;
///     }
/// }
///
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let spec = ChildSpec::<Slow>::new("slow", ());
/// let slow = spec.actor_ref();
/// let root = SupervisorSpec::new("root").child(spec);
/// let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// slow.tell(Work)?;
/// # while slow.snapshot().current.is_none() { tokio::task::yield_now().await; }
/// let report: ShutdownReport = system.shutdown(Duration::from_millis(20)).await;
/// assert!(!report.is_clean());
/// assert_eq!(report.unstopped, ["slow"]); // it was killed
/// assert_eq!(report.blocked_threads, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// How long it took.
    pub elapsed: Duration,
    /// What became of the phases of the plan, in order.
    pub phases: Vec<PhaseReport>,
    /// Paths of what had not stopped by the deadline, and was killed.
    pub unstopped: Vec<String>,
    /// Paths of what did not end although it was killed: it blocks its thread, which is left behind.
    pub stuck: Vec<String>,
    /// Executor threads that did not end.
    pub blocked_threads: usize,
}

impl ShutdownReport {
    /// Whether everything stopped in order and in time, the phases included.
    pub fn is_clean(&self) -> bool {
        self.phases.iter().all(|phase| phase.unstopped.is_empty())
            && self.unstopped.is_empty()
            && self.stuck.is_empty()
            && self.blocked_threads == 0
    }
}
