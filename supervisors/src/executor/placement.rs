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
