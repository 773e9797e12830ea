//! [`Pool`]: the handle of a pool.

use std::{fmt, pin::pin, sync::Arc};

use crate::{
    actix::Message,
    actor::Actor,
    handler::Handler,
    meta::State,
    pool::{Members, ResizeError, Router, Routing, state::PoolState},
    reference::ActorRef,
    supervisor::Supervisor,
};

/// The handle of a pool of workers. See [`PoolSpec`](crate::PoolSpec).
///
/// ```
/// # use callboard_supervisors::*;
/// # struct Worker;
/// # impl Actor for Worker {
/// #     type Args = usize;
/// #     async fn start(_: usize, _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Worker) }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let spec = PoolSpec::<Worker>::with("pool", 2, |number| number);
/// let pool = spec.pool();
/// let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").pool(spec)).await?;
/// let first = pool.workers()[0].clone();
/// first.stop();
/// first.watch().await;
/// pool.filled().await.expect("it runs");
/// assert_ne!(pool.workers()[0], first);
/// assert!(matches!(pool.resize(0), Err(ResizeError::OutOfBounds { .. })));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), StartSystemError>(())
/// # }).unwrap();
/// ```
pub struct Pool<A: Actor> {
    state: Arc<PoolState<A>>,
    supervisor: Supervisor,
}

impl<A: Actor> Clone for Pool<A> {
    fn clone(&self) -> Self {
        Pool { state: self.state.clone(), supervisor: self.supervisor.clone() }
    }
}

impl<A: Actor> fmt::Debug for Pool<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool(`{}`, {} of {})", self.supervisor.path(), self.state.roster.len(), self.size())
    }
}

impl<A: Actor> Pool<A> {
    pub(super) fn new(state: Arc<PoolState<A>>, supervisor: Supervisor) -> Self {
        Pool { state, supervisor }
    }

    /// A router over the workers as they come and go. Each has its own turn; the routers of a pool know nothing of each
    /// other.
    pub fn router<M: Message>(&self, routing: Routing<M>) -> Router<M>
    where
        A: Handler<M>,
    {
        Router::new(self.members(), routing)
    }

    /// The workers as they come and go, as somebody who handles `M`.
    pub fn members<M: Message>(&self) -> Members<M>
    where
        A: Handler<M>,
    {
        Members::of_roster(self.state.roster.clone())
    }

    /// The workers that are there now, in the order of their numbers. Some may be between two generations.
    pub fn workers(&self) -> Vec<ActorRef<A>> {
        self.state.roster.actors()
    }

    /// How many workers there should be.
    pub fn size(&self) -> usize {
        self.state.size()
    }

    /// Says how many workers there should be from now on, and does not wait for it; see [`filled`](Self::filled).
    /// Workers that are one too many, those with the highest numbers, get no more messages, do what waits in their
    /// mailboxes, and are stopped; answers that come [`Later`](crate::Later) are cut off then. The last of several
    /// calls counts. Lasts over crashes of the pool.
    ///
    /// # Errors
    /// When the size is out of the pool's bounds, or the pool is gone for good, or nobody keeps its size because
    /// somebody stopped `keeper` or `workers`.
    pub fn resize(&self, size: usize) -> Result<(), ResizeError> {
        if self.is_gone() {
            return Err(ResizeError::Stopped);
        }
        self.state.resize(size)
    }

    /// Waits until there are as many workers as there should be: none is missing and none is too many. Dropping the
    /// future leaves nothing behind.
    ///
    /// # Errors
    /// `Stopped` when the pool is gone for good, or goes meanwhile, or nobody keeps its size any more.
    pub async fn filled(&self) -> Result<(), ResizeError> {
        loop {
            let mut changed = pin!(self.state.roster.changed().notified());
            changed.as_mut().enable();
            if self.is_gone() {
                return Err(ResizeError::Stopped);
            }
            if self.state.roster.is_filled(self.size()) {
                return Ok(());
            }
            tokio::select! {
                () = changed => {}
                () = self.watch() => {}
            }
        }
    }

    fn is_gone(&self) -> bool {
        let keeper_is_gone = self.state.keeper.get().is_some_and(|keeper| !keeper.is_alive());
        keeper_is_gone || self.supervisor.state() == State::Stopped
    }

    /// The keeper goes with the pool.
    async fn watch(&self) {
        match self.state.keeper.get() {
            Some(keeper) => keeper.watch().await,
            None => self.supervisor.watch().await,
        };
    }

    /// The pool as a part of the tree: its state, its snapshot, its end.
    pub fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }
}
