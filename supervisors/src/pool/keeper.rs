//! [`Keeper`]: sees to it that a pool has its workers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::{
    actor::{Actor, StartError},
    context::Context,
    error::StartChildError,
    meta::State,
    moment::after,
    pool::{make::Maker, state::PoolState},
    reference::ActorRef,
    supervisor::{Backoff, ChildSpec, DynamicSupervisor, random},
};

/// How often one looks whether a worker that is to go has done what waits.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What every generation of a keeper is made from.
pub(super) struct Tools<A: Actor> {
    pub(super) state: Arc<PoolState<A>>,
    pub(super) workers: DynamicSupervisor,
    pub(super) maker: Maker<A>,
    pub(super) backoff: Backoff,
    pub(super) drain: Duration,
}

impl<A: Actor> Clone for Tools<A> {
    fn clone(&self) -> Self {
        Tools {
            state: self.state.clone(),
            workers: self.workers.clone(),
            maker: self.maker.clone(),
            backoff: self.backoff,
            drain: self.drain,
        }
    }
}

/// What is known of a worker's place, beside the roster.
#[derive(Default)]
struct Slot {
    /// A start, or the pause before it, is under way.
    busy: bool,
    /// Since when somebody is there, or was there when last looked.
    since: Option<Instant>,
    /// Ends and failed starts in a row.
    failures: u32,
    /// Somebody was there, or a start failed.
    used: bool,
}

/// A worker that gets no more messages.
struct Retired<A: Actor> {
    worker: usize,
    actor: ActorRef<A>,
    /// None: as long as it takes.
    until: Instant,
    told: bool,
}

/// Has no messages: it looks after the pool whenever the roster or the size has changed. Who is in the roster is known
/// to the roster alone, so that a keeper that crashed finds everything as it was.
pub(super) struct Keeper<A: Actor> {
    tools: Tools<A>,
    slots: BTreeMap<usize, Slot>,
    retired: Vec<Retired<A>>,
    looking: bool,
}

/// Tells workers apart in the roster.
fn seat_of(worker: usize) -> u64 {
    u64::try_from(worker).unwrap_or(u64::MAX)
}

impl<A: Actor> Actor for Keeper<A> {
    type Args = Tools<A>;

    /// Starts all workers, or takes over those that are there.
    async fn start(tools: Tools<A>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let size = tools.state.size();
        let mut keeper =
            Keeper { tools: tools.clone(), slots: BTreeMap::new(), retired: Vec::new(), looking: false };
        let specs = (0..size).map(|worker| tools.maker.make(worker)).collect::<Result<Vec<_>, _>>()?;
        let starts = specs.into_iter().map(|spec| start_or_find(&tools.workers, spec));
        for (worker, started) in join_all(starts).await.into_iter().enumerate() {
            let actor = started.map_err(|error| format!("worker {worker}: {error}"))?;
            keeper.seat(worker, &actor);
        }
        let surplus = tools.workers.children().into_iter().filter_map(|child| {
            let name = child.node().meta().name().clone();
            let worker: usize = name.parse().ok()?;
            let actor = tools.workers.find::<A>(&name)?;
            (worker >= size).then_some((worker, actor))
        });
        for (worker, actor) in surplus {
            keeper.tools.state.roster.leave(seat_of(worker));
            keeper.retire(worker, actor, cx);
        }
        keeper.tend(cx);
        listen(&tools.state, cx);
        Ok(keeper)
    }
}

/// A keeper that was restarted finds its workers running.
async fn start_or_find<A: Actor>(
    workers: &DynamicSupervisor,
    spec: ChildSpec<A>,
) -> Result<ActorRef<A>, StartChildError> {
    let name = spec.actor_ref().name().to_owned();
    match workers.start_child(spec).await {
        Err(taken @ StartChildError::NameTaken { .. }) => {
            workers.find(&name).filter(ActorRef::is_alive).ok_or(taken)
        }
        started => started,
    }
}

fn listen<A: Actor>(state: &Arc<PoolState<A>>, cx: &mut Context<Keeper<A>>) {
    let ours = state.clone();
    cx.spawn_then(async move { ours.roster.vacancy().notified().await }, |(), keeper, cx| {
        keeper.tend(cx);
        listen(&keeper.tools.state, cx);
    });
}

impl<A: Actor> Keeper<A> {
    fn seat(&mut self, worker: usize, actor: &ActorRef<A>) -> bool {
        let slot = self.slots.entry(worker).or_default();
        slot.used = true;
        let seated = self.tools.state.roster.seat(seat_of(worker), actor, |_| true);
        if seated {
            slot.since = Some(Instant::now());
        }
        seated
    }

    /// Makes the roster what it should be, as far as that can be done now.
    fn tend(&mut self, cx: &mut Context<Self>) {
        let size = self.tools.state.size();
        let (_, seats) = self.tools.state.roster.list();
        for seat in seats {
            if let Ok(worker) = usize::try_from(seat.number)
                && worker >= size
            {
                self.tools.state.roster.leave(seat.number);
                self.retire(worker, seat.of, cx);
            }
        }
        self.slots.retain(|worker, slot| *worker < size || slot.busy);
        for worker in 0..size {
            if self.tools.state.roster.get(seat_of(worker)).is_none() && !self.take_back(worker) {
                self.prepare(worker, cx);
            }
        }
    }

    /// The pool grows again before a worker that was to go has been told.
    fn take_back(&mut self, worker: usize) -> bool {
        let Some(index) = self.retired.iter().position(|retired| retired.worker == worker && !retired.told)
        else {
            return false;
        };
        let retired = self.retired.swap_remove(index);
        self.seat(worker, &retired.actor)
    }

    /// Has a worker started, after a pause if this place has been taken before.
    fn prepare(&mut self, worker: usize, cx: &mut Context<Self>) {
        let backoff = self.tools.backoff;
        let slot = self.slots.entry(worker).or_default();
        if slot.busy {
            return;
        }
        slot.busy = true;
        if slot.since.take().is_some_and(|since| since.elapsed() >= backoff.reset_after) {
            slot.failures = 0;
        }
        if !slot.used {
            return self.fill(worker, cx);
        }
        let pause = backoff.pause(slot.failures, random());
        slot.failures = slot.failures.saturating_add(1);
        cx.after(pause, move |keeper, cx| keeper.fill(worker, cx));
    }

    fn fill(&mut self, worker: usize, cx: &mut Context<Self>) {
        let workers = self.tools.workers.clone();
        if worker >= self.tools.state.size() {
            self.slots.remove(&worker);
            return;
        }
        match self.tools.maker.make(worker) {
            Ok(spec) => cx.spawn_then(
                async move { workers.start_child(spec).await.map_err(|error| error.to_string()) },
                move |started, keeper, cx| keeper.started(worker, started, cx),
            ),
            Err(problem) => self.started(worker, Err(problem), cx),
        }
    }

    fn started(&mut self, worker: usize, started: Result<ActorRef<A>, String>, cx: &mut Context<Self>) {
        let slot = self.slots.entry(worker).or_default();
        slot.busy = false;
        slot.used = true;
        if self.tools.workers.state() == State::Stopped {
            // Somebody stopped their supervisor for good: there will be no more.
            return cx.myself().stop();
        }
        match started {
            // It may be one too many by now, which `tend` sees, or gone again already.
            Ok(actor) => {
                self.seat(worker, &actor);
            }
            Err(error) => {
                let pool = cx.path();
                tracing::warn!(pool, worker, error, "a worker of a pool could not be started");
            }
        }
        self.tend(cx);
    }

    fn retire(&mut self, worker: usize, actor: ActorRef<A>, cx: &mut Context<Self>) {
        self.retired.retain(|retired| retired.actor.is_alive());
        self.retired.push(Retired {
            worker,
            actor,
            until: after(Instant::now(), self.tools.drain),
            told: false,
        });
        self.look_again(cx);
    }

    fn look_again(&mut self, cx: &mut Context<Self>) {
        if std::mem::replace(&mut self.looking, true) {
            return;
        }
        cx.after(LOOK_AGAIN, |keeper, cx| {
            keeper.looking = false;
            keeper.drain();
            if keeper.retired.iter().any(|retired| !retired.told) {
                keeper.look_again(cx);
            }
        });
    }

    /// Stops those who have done what waited for them, or had their time.
    fn drain(&mut self) {
        let now = Instant::now();
        for retired in self.retired.iter_mut().filter(|retired| !retired.told) {
            if retired.actor.shared().mailbox.depth() == 0 || now >= retired.until {
                retired.told = true;
                retired.actor.stop();
            }
        }
        self.retired.retain(|retired| retired.actor.is_alive());
    }
}
