//! [`Executor`]: one thread with one `tokio::runtime::LocalRuntime`. No actix `System`, no `Arbiter`, no `LocalSet`.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use futures_util::future::poll_fn;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::task::Poll;
use tokio::{
    runtime::{Builder, Handle, LocalOptions},
    sync::Notify,
};

#[cfg(feature = "testkit")]
use crate::executor::seeded::Seeded;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    /// One entry for each child that is being launched, so bounded by the number of children.
    jobs: VecDeque<Job>,
    closed: bool,
}

/// A thread that runs actors, or the thread that started the system.
pub(crate) struct Executor {
    index: usize,
    /// A ping waits for its answer.
    pinged: AtomicBool,
    queue: Mutex<Queue>,
    waker: AtomicWaker,
    /// Where `spawn_local` works without a detour.
    home: OnceLock<(thread::ThreadId, tokio::runtime::Id)>,
    load: AtomicUsize,
    ended: Notify,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
    /// Runs the tasks in place of tokio.
    #[cfg(feature = "testkit")]
    seeded: Option<Arc<Seeded>>,
}

impl Executor {
    fn new(index: usize) -> Self {
        Executor {
            index,
            pinged: AtomicBool::new(false),
            queue: Mutex::default(),
            waker: AtomicWaker::new(),
            home: OnceLock::new(),
            load: AtomicUsize::new(0),
            ended: Notify::new(),
            thread: Mutex::new(None),
            #[cfg(feature = "testkit")]
            seeded: None,
        }
    }

    /// A new thread.
    pub(crate) fn start(name: &str, index: usize) -> io::Result<Arc<Self>> {
        let executor = Arc::new(Executor::new(index));
        let ours = executor.clone();
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            // A LocalRuntime is `!Send`: it is built on the thread where it lives.
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            match runtime {
                Ok(runtime) => {
                    // The starter waits for this, unless its own thread was ended.
                    let _ = ready.send(Ok(()));
                    runtime.block_on(ours.work());
                    drop(runtime);
                }
                Err(error) => drop(ready.send(Err(error))),
            }
            ours.close();
            ours.ended.notify_one();
        })?;
        *executor.thread.lock() = Some(thread);
        started.recv().map_err(|_| io::Error::other("the executor's thread ended"))??;
        Ok(executor)
    }

    /// The caller's thread, which must be inside a `LocalRuntime` (or a `LocalSet`).
    pub(crate) fn here() -> Arc<Self> {
        let executor = Arc::new(Executor::new(0));
        let ours = executor.clone();
        tokio::task::spawn_local(async move { ours.work().await });
        executor.ended.notify_one();
        executor
    }

    /// As [`here`](Self::here), in an order that the seed decides.
    #[cfg(feature = "testkit")]
    pub(crate) fn seeded(seed: u64) -> Arc<Self> {
        let seeded = Seeded::new(seed);
        let executor = Arc::new(Executor { seeded: Some(seeded.clone()), ..Executor::new(0) });
        let ours = executor.clone();
        tokio::task::spawn_local(async move {
            seeded.work().await;
            ours.ended.notify_one();
        });
        executor
    }

    /// Chance that a seed decides, if there is one.
    #[cfg(feature = "testkit")]
    pub(crate) fn roll(&self) -> Option<u64> {
        self.seeded.as_ref().map(|seeded| seeded.roll())
    }

    async fn work(&self) {
        // It works in one place for life.
        let _ = self.home.set((thread::current().id(), Handle::current().id()));
        poll_fn(|task| {
            self.waker.register(task.waker());
            loop {
                let mut queue = self.queue.lock();
                let Some(job) = queue.jobs.pop_front() else {
                    return if queue.closed { Poll::Ready(()) } else { Poll::Pending };
                };
                drop(queue);
                job();
            }
        })
        .await;
    }

    /// The only way in for tasks: `make` runs on the thread, and what it makes, which may be `!Send`, lives there. What
    /// comes too late is dropped unrun.
    pub(crate) fn spawn<F>(&self, make: impl FnOnce() -> Option<F> + Send + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        #[cfg(feature = "testkit")]
        if let Some(seeded) = &self.seeded {
            return seeded.spawn(make);
        }
        self.run(move || {
            if let Some(task) = make() {
                tokio::task::spawn_local(task);
            }
        });
    }

    /// Runs `job` on the thread, where `spawn_local` works. A job that comes too late is dropped unrun.
    fn run(&self, job: impl FnOnce() + Send + 'static) {
        if self.is_here() {
            return job();
        }
        let mut queue = self.queue.lock();
        if !queue.closed {
            queue.jobs.push_back(Box::new(job));
            drop(queue);
            self.waker.wake();
        }
    }

    fn is_here(&self) -> bool {
        let (Ok(runtime), Some(home)) = (Handle::try_current(), self.home.get()) else { return false };
        *home == (thread::current().id(), runtime.id())
    }

    pub(crate) fn add_load(&self) {
        self.load.fetch_add(1, Relaxed);
    }

    pub(crate) fn drop_load(&self) {
        self.load.fetch_sub(1, Relaxed);
    }

    /// Its place among the executors of its system.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Has the thread come by. False: it has not since the last call.
    pub(crate) fn ping(self: &Arc<Self>) -> bool {
        if self.pinged.swap(true, Relaxed) {
            return false;
        }
        let ours = self.clone();
        self.run(move || ours.pinged.store(false, Relaxed));
        true
    }

    /// Actors that live here.
    pub(crate) fn load(&self) -> usize {
        self.load.load(Relaxed)
    }

    /// Lets the thread end: what is left on it is dropped.
    pub(crate) fn close(&self) {
        #[cfg(feature = "testkit")]
        if let Some(seeded) = &self.seeded {
            seeded.close();
        }
        let mut queue = self.queue.lock();
        queue.closed = true;
        let left = std::mem::take(&mut queue.jobs);
        drop(queue);
        self.waker.wake();
        drop(left);
    }

    /// Waits until the thread has ended. False: it did not in time, because somebody blocks it.
    pub(crate) async fn join(&self, limit: Duration) -> bool {
        if tokio::time::timeout(limit, self.ended.notified()).await.is_err() {
            return false;
        }
        // For a second caller.
        self.ended.notify_one();
        let thread = self.thread.lock().take();
        // It is at its last instruction.
        thread.is_none_or(|thread| thread.join().is_ok())
    }
}
