//! [`PoolSpec`]: a pool before it runs.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use crate::{
    actor::Actor,
    executor::Placement,
    pool::{
        Pool,
        keeper::{Keeper, Tools},
        make::Maker,
        state::PoolState,
    },
    supervisor::{Backoff, ChildSpec, DynamicSupervisorSpec, OnExhausted, Strategy, SupervisorSpec},
};

/// A pool of workers that all do the same: a supervisor with two children, `workers`, a dynamic supervisor whose
/// children are named `0`, `1` and so on, and `keeper`, which sees to it that there are as many as there should be.
///
/// A worker that crashes is restarted as its own specification says. One that is gone for good is replaced by a new one
/// with the same number, after a pause of the [`backoff`](Self::backoff). When `workers` gives up, all are replaced.
/// The start of the pool waits until all workers run, and fails if one does not start.
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u64)]
/// # struct Square(u64);
/// # #[derive(Clone)]
/// # struct Worker;
/// # impl Actor for Worker {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Worker) }
/// # }
/// # impl PlainHandler<Square> for Worker {
/// #     type Reply = u64;
/// #     fn handle(&mut self, Square(n): Square, _: &mut Context<Self>) -> u64 { n * n }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let spec = PoolSpec::<Worker>::new("squares", 4, ())
///     .bounds(1..=16)
///     .worker(|_, worker| worker.mailbox(MailboxSpec::bounded(64)));
/// let pool = spec.pool();
/// let system = ActorSystem::builder("example").executors(2).start(SupervisorSpec::new("root").pool(spec)).await?;
/// let squares = pool.router(Routing::least_busy());
/// assert_eq!(squares.ask(Square(12)).await, Ok(144));
/// pool.resize(2).expect("within the bounds");
/// pool.filled().await.expect("it runs");
/// assert_eq!(pool.workers().len(), 2);
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), StartSystemError>(())
/// # }).unwrap();
/// ```
#[must_use = "a pool runs when its specification is given to a supervisor"]
pub struct PoolSpec<A: Actor> {
    supervisor: SupervisorSpec,
    workers: DynamicSupervisorSpec,
    maker: Maker<A>,
    backoff: Backoff,
    drain: Duration,
    state: Arc<PoolState<A>>,
}

impl<A: Actor> PoolSpec<A> {
    /// `size` workers, each made from a clone of `args`. `name` must be unique below the supervisor, not empty, and
    /// without a `/`.
    pub fn new(name: impl Into<Arc<str>>, size: usize, args: A::Args) -> Self {
        PoolSpec::with(name, size, move |_| args.clone())
    }

    /// `size` workers; worker 0, 1 and so on is made from what the function gives. It is called on the control
    /// executor, once for every worker that is started or replaced; a panic in it counts as a crash of the pool.
    pub fn with(
        name: impl Into<Arc<str>>,
        size: usize,
        args: impl Fn(usize) -> A::Args + Clone + Send + 'static,
    ) -> Self {
        PoolSpec {
            supervisor: SupervisorSpec::new(name).strategy(Strategy::RestForOne),
            workers: DynamicSupervisorSpec::new("workers").placement(Placement::Workers),
            maker: Maker::new(args),
            backoff: Backoff::default(),
            drain: Duration::from_secs(5),
            state: Arc::new(PoolState::new(size)),
        }
    }

    /// What is said of each worker: its mailbox, its restart kind, its shutdown. The function gets the specification
    /// and must give the same one back. Called again, it adds to what was said before.
    pub fn worker(
        self,
        settings: impl Fn(usize, ChildSpec<A>) -> ChildSpec<A> + Clone + Send + 'static,
    ) -> Self {
        PoolSpec { maker: self.maker.then(settings), ..self }
    }

    /// The sizes that [`Pool::resize`] may give it. Default: 1 to 1024.
    pub fn bounds(self, bounds: RangeInclusive<usize>) -> Self {
        self.state.set_bounds(&bounds);
        self
    }

    /// At most so many restarts of workers within the period, in the whole pool. Default: 8 in 60 s.
    pub fn intensity(self, restarts: usize, period: Duration) -> Self {
        PoolSpec { workers: self.workers.intensity(restarts, period), ..self }
    }

    /// What follows when the restarts exceed the intensity. Default: escalate, so that all workers are replaced, which
    /// counts as a crash within the pool: 8 in 60 s make the pool itself give up.
    pub fn on_exhausted(self, what: OnExhausted) -> Self {
        PoolSpec { workers: self.workers.on_exhausted(what), ..self }
    }

    /// The pauses before restarts, and before a worker that is gone for good is replaced. See [`Backoff`] for the
    /// default.
    pub fn backoff(self, backoff: Backoff) -> Self {
        PoolSpec { workers: self.workers.backoff(backoff), backoff, ..self }
    }

    /// Where the workers run. Default: each on the worker executor that is least loaded.
    pub fn placement(self, placement: Placement) -> Self {
        PoolSpec { workers: self.workers.placement(placement), ..self }
    }

    /// How long a worker that is one too many may take for what waits in its mailbox; it gets nothing new. Then it is
    /// stopped as its shutdown timeout says. Default: 5 s.
    pub fn drain(self, limit: Duration) -> Self {
        PoolSpec { drain: limit, ..self }
    }

    /// A handle that is good before the start, and over restarts.
    pub fn pool(&self) -> Pool<A> {
        Pool::new(self.state.clone(), self.supervisor.handle())
    }
}

/// The pool as a part of a tree.
impl<A: Actor> From<PoolSpec<A>> for SupervisorSpec {
    fn from(pool: PoolSpec<A>) -> Self {
        let PoolSpec { supervisor, workers, maker, backoff, drain, state } = pool;
        let problem = state.check(state.size()).err().map(|error| error.to_string());
        let ours = state.clone();
        let tools = Tools { state, workers: workers.handle(), maker, backoff, drain };
        let keeper =
            ChildSpec::<Keeper<A>>::new("keeper", tools).placement(Placement::Control).problem(problem);
        // The only one that is made of this specification.
        let _ = ours.keeper.set(keeper.actor_ref().handle());
        supervisor.dynamic(workers).child(keeper)
    }
}

impl SupervisorSpec {
    /// Adds a pool after the others.
    pub fn pool<A: Actor>(self, pool: PoolSpec<A>) -> Self {
        self.supervisor(pool.into())
    }
}
