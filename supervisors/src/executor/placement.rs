//! Which executor an actor gets.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use crate::executor::Executor;

/// Where a child runs. Restarts do not move it.
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
/// let here = ChildSpec::<Counter>::new("here", ());
/// let there = ChildSpec::<Counter>::new("there", ()).placement(Placement::Workers);
/// let root = SupervisorSpec::new("root").child(here).child(there);
/// let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// let tree = system.snapshot();
/// let threads = ["here", "there"].map(|path| tree.find(path).and_then(|node| node.executor));
/// assert_eq!(threads, [Some(0), Some(1)]); // 0 is the control executor
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// Where its supervisor says: a supervisor's own placement is that of its children. At the root: `Control`.
    #[default]
    Parent,
    /// The executor of supervisors. For what must never wait behind a job.
    Control,
    /// The worker executor with the fewest actors. On a supervisor: one for all its children, which stay together; on a
    /// dynamic supervisor: chosen for each child.
    Workers,
}

/// All executors of a system.
pub(crate) struct Executors {
    control: Arc<Executor>,
    workers: Vec<Arc<Executor>>,
    next: AtomicUsize,
}

impl Executors {
    /// One thread for control, `workers` for the rest.
    pub(crate) fn start(name: &str, workers: usize) -> io::Result<Self> {
        let control = Executor::start(&format!("{name}-control"), 0)?;
        let mut executors = Executors { control, workers: Vec::new(), next: AtomicUsize::new(0) };
        for n in 0..workers {
            executors.workers.push(Executor::start(&format!("{name}-worker-{n}"), n + 1)?);
        }
        Ok(executors)
    }

    /// Everything on the caller's thread.
    pub(crate) fn local() -> Self {
        Executors { control: Executor::here(), workers: Vec::new(), next: AtomicUsize::new(0) }
    }

    /// Everything on the caller's thread, in an order that the seed decides.
    #[cfg(feature = "testkit")]
    pub(crate) fn seeded(seed: u64) -> Self {
        Executors { control: Executor::seeded(seed), workers: Vec::new(), next: AtomicUsize::new(0) }
    }

    pub(crate) fn control(&self) -> &Arc<Executor> {
        &self.control
    }

    /// The least loaded worker, taking turns among equals.
    pub(crate) fn worker(&self) -> &Arc<Executor> {
        let first = self.next.fetch_add(1, Relaxed);
        (0..self.workers.len())
            .filter_map(|n| self.workers.get((first.wrapping_add(n)) % self.workers.len()))
            .min_by_key(|worker| worker.load())
            .unwrap_or(&self.control)
    }

    /// By their index.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &Arc<Executor>> {
        [&self.control].into_iter().chain(&self.workers)
    }

    /// Control last: supervisors see the others end.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Executor>> {
        self.workers.iter().chain([&self.control])
    }
}

/// Threads of a system that never came to run would wait for ever: nobody else has them end.
impl Drop for Executors {
    fn drop(&mut self) {
        self.all().for_each(|executor| executor.close());
    }
}
