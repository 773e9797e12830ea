//! [`Seeded`]: an executor whose order of events is a matter of a seed, and of nothing else.

use std::{
    cell::Cell,
    collections::{BTreeMap, VecDeque},
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context as Task, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::core::bury;

/// So many tasks at most have a turn before the test has one, and tokio's timers.
const ROUND: u64 = 4;
/// So many messages at most does an actor take in one turn.
const MESSAGES: u64 = 3;

thread_local! {
    /// How many messages the actor that is polled may take.
    static BUDGET: Cell<Option<usize>> = const { Cell::new(None) };
}

/// How many messages an actor may take in this turn: `usual`, but under a [`Seeded`] executor a few.
pub(crate) fn budget(usual: usize) -> usize {
    BUDGET.get().unwrap_or(usual)
}

type Local = Pin<Box<dyn Future<Output = ()>>>;
type Make = Box<dyn FnOnce() -> Option<Local> + Send>;

/// Numbers that look random: `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// From 1 to `most`.
    fn up_to(&mut self, most: u64) -> usize {
        usize::try_from(self.roll() % most + 1).unwrap_or(1)
    }

    /// One of them, if there are any.
    fn draw(&mut self, from: &mut Vec<u64>) -> Option<u64> {
        let count = u64::try_from(from.len()).ok().filter(|count| *count > 0)?;
        Some(from.swap_remove(self.up_to(count) - 1))
    }
}

struct Inner {
    dice: Dice,
    /// One entry for each child that is being launched, so bounded by the number of children.
    made: VecDeque<Make>,
    /// Tasks that have something to do, each once, in the order in which they were woken.
    ready: Vec<u64>,
    closed: bool,
}

/// Runs tasks inside of one task of tokio. Which of those that are ready has its turn next is drawn by the seed, as is
/// how much an actor does in one turn: the same seed gives the same order of events, as long as nobody else interferes.
pub(crate) struct Seeded {
    inner: Mutex<Inner>,
    waker: AtomicWaker,
}

struct TaskWaker {
    pool: Arc<Seeded>,
    id: u64,
    queued: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, SeqCst) {
            self.pool.inner.lock().ready.push(self.id);
            self.pool.waker.wake();
        }
    }
}

struct Running {
    future: Local,
    waker: Arc<TaskWaker>,
}

impl Running {
    /// Done, or broken.
    fn poll(&mut self, budget: usize) -> bool {
        self.waker.queued.store(false, SeqCst);
        let waker = Waker::from(self.waker.clone());
        BUDGET.set(Some(budget));
        let polled =
            catch_unwind(AssertUnwindSafe(|| self.future.as_mut().poll(&mut Task::from_waker(&waker))));
        BUDGET.set(None);
        match polled {
            Ok(polled) => polled.is_ready(),
            // As in a task of tokio: it hurts nobody else.
            Err(payload) => {
                bury(payload);
                true
            }
        }
    }
}

/// All that runs here; lives in tokio's task.
#[derive(Default)]
struct Tasks {
    running: BTreeMap<u64, Running>,
    next: u64,
}

/// One by one: two panicking drops in one go would abort.
impl Drop for Tasks {
    fn drop(&mut self) {
        while let Some((_, task)) = self.running.pop_first() {
            bury(task);
        }
    }
}

impl Seeded {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        let inner = Inner { dice: Dice(seed), made: VecDeque::new(), ready: Vec::new(), closed: false };
        Arc::new(Seeded { inner: Mutex::new(inner), waker: AtomicWaker::new() })
    }

    /// Chance that the seed decides.
    pub(super) fn roll(&self) -> u64 {
        self.inner.lock().dice.roll()
    }

    pub(super) fn spawn<F>(&self, make: impl FnOnce() -> Option<F> + Send + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        let make: Make = Box::new(move || make().map(|task| Box::pin(task) as Local));
        let mut inner = self.inner.lock();
        if inner.closed {
            drop(inner);
            return drop(make);
        }
        inner.made.push_back(make);
        drop(inner);
        self.waker.wake();
    }

    /// Lets [`work`](Self::work) end: what is left is dropped.
    pub(super) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        let left = std::mem::take(&mut inner.made);
        drop(inner);
        self.waker.wake();
        drop(left);
    }

    pub(super) async fn work(self: Arc<Self>) {
        let mut tasks = Tasks::default();
        poll_fn(|task| {
            self.waker.register(task.waker());
            let round = self.inner.lock().dice.up_to(ROUND);
            for _ in 0..round {
                self.take_in(&mut tasks);
                let mut inner = self.inner.lock();
                if inner.closed {
                    return Poll::Ready(());
                }
                let Inner { dice, ready, .. } = &mut *inner;
                let Some(id) = dice.draw(ready) else { return Poll::Pending };
                let budget = dice.up_to(MESSAGES);
                drop(inner);
                let done = tasks.running.get_mut(&id).is_some_and(|task| task.poll(budget));
                if done {
                    bury(tasks.running.remove(&id));
                }
            }
            // The others have their turn, and then this goes on.
            task.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn take_in(self: &Arc<Self>, tasks: &mut Tasks) {
        loop {
            let next = self.inner.lock().made.pop_front();
            let Some(make) = next else { return };
            let Some(future) = make() else { continue };
            let id = tasks.next;
            tasks.next += 1;
            let waker = Arc::new(TaskWaker { pool: self.clone(), id, queued: AtomicBool::new(false) });
            waker.wake_by_ref();
            tasks.running.insert(id, Running { future, waker });
        }
    }
}
