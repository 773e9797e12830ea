//! The attempts that a node holds of one queue.
//!
//! The board outlives its producer: a producer that crashes finds here what it had claimed and started, so nothing is
//! lost and nothing runs twice. Its lock is never held over an await.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use callboard_supervisors::ActorHandle;
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use super::attempt::{Attempt, EndReason};
use crate::edges::store::record::Lease;

/// The attempts that a node holds of one queue.
#[derive(Default)]
pub(crate) struct Board {
    state: Mutex<State>,
    /// Told whenever an attempt leaves, or a claim is over.
    pub(crate) left: Notify,
}

#[derive(Default)]
struct State {
    /// Claimed, and not started yet; in the order of their claims.
    ready: VecDeque<Arc<Attempt>>,
    /// Started, by token.
    running: HashMap<u64, Running>,
    /// Ended, but not told yet, and still in their places.
    placeholders: usize,
    /// A claim is under way.
    claiming: bool,
    /// When the last claim failed of which nobody knows whether it was carried out after all.
    doubt: Option<Instant>,
}

impl State {
    fn started(&self) -> usize {
        self.running.len() + self.placeholders
    }
}

struct Running {
    attempt: Arc<Attempt>,
    /// `None` only while it is being started.
    actor: Option<ActorHandle>,
    /// It was seen to be gone once; the word of its end may still be on its way.
    missing: bool,
}

/// Where a lease was found.
pub(crate) enum Found {
    /// It runs, and was told to end.
    Told,
    /// It had not been started, and is off the board now; it keeps its place until that is told and
    /// [`free_place`](Board::free_place) is called, so that nobody takes the board for empty before.
    Withdrawn(Arc<Attempt>),
    /// It is not here.
    Nowhere,
}

impl Board {
    /// Marks that a claim is under way; false if one is already.
    pub(crate) fn begin_claim(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().claiming, true)
    }

    /// Nobody knows whether a claim was carried out: the store may hold leases for this node that are not here.
    pub(crate) fn doubt(&self) {
        self.state.lock().doubt = Some(Instant::now());
    }

    /// Since when there is such a doubt, and the tokens of all that is here. `None` also while something is on its way
    /// from here to where it is told.
    pub(crate) fn doubted(&self) -> Option<(Instant, Vec<u64>)> {
        let state = self.state.lock();
        let since = state.doubt.filter(|_| state.placeholders == 0)?;
        let ready = state.ready.iter().map(|attempt| attempt.job.token);
        Some((since, ready.chain(state.running.keys().copied()).collect()))
    }

    /// The doubt that there was since then is settled.
    pub(crate) fn settle(&self, since: Instant) {
        self.state.lock().doubt.take_if(|doubt| *doubt == since);
    }

    /// These were claimed.
    pub(crate) fn add(&self, claimed: impl Iterator<Item = Attempt>) {
        self.state.lock().ready.extend(claimed.map(Arc::new));
    }

    /// The claim is over.
    pub(crate) fn end_claim(&self) {
        self.state.lock().claiming = false;
        self.left.notify_waiters();
    }

    /// How many are held, and how many of them were started.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.ready.len() + state.started(), state.started())
    }

    /// Whether none is held, and none is about to be.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state.lock();
        state.ready.is_empty() && state.started() == 0 && !state.claiming
    }

    /// Takes the next one to be started, if fewer than `concurrency` run. It counts as running from now on.
    pub(crate) fn next(&self, concurrency: usize) -> Option<Arc<Attempt>> {
        let mut state = self.state.lock();
        if state.started() >= concurrency {
            return None;
        }
        let attempt = state.ready.pop_front()?;
        let running = Running { attempt: attempt.clone(), actor: None, missing: false };
        state.running.insert(attempt.job.token, running);
        Some(attempt)
    }

    /// It runs.
    pub(crate) fn started(&self, token: u64, actor: ActorHandle) {
        // Its end may have been told already.
        if let Some(running) = self.state.lock().running.get_mut(&token) {
            running.actor = Some(actor);
        }
    }

    /// It could not be started: it is the next one again.
    pub(crate) fn put_back(&self, token: u64) {
        let mut state = self.state.lock();
        if let Some(running) = state.running.remove(&token) {
            state.ready.push_front(running.attempt);
        }
    }

    /// All that were to be started and have no actor are the next ones again, in the order of their claims.
    pub(crate) fn put_all_back(&self) {
        let mut state = self.state.lock();
        let mut back: Vec<_> = state.running.extract_if(|_, running| running.actor.is_none()).collect();
        back.sort_unstable_by_key(|(token, _)| std::cmp::Reverse(*token));
        back.into_iter().for_each(|(_, running)| state.ready.push_front(running.attempt));
    }

    /// One that was started.
    pub(crate) fn running(&self, token: u64) -> Option<Arc<Attempt>> {
        Some(self.state.lock().running.get(&token)?.attempt.clone())
    }

    /// Its actor is gone, and its end is told.
    pub(crate) fn remove(&self, token: u64) {
        self.state.lock().running.remove(&token);
        self.left.notify_waiters();
    }

    /// One that has been removed keeps its place until [`free_place`](Self::free_place).
    pub(crate) fn keep_place(&self) {
        self.state.lock().placeholders += 1;
    }

    /// Its place is free.
    pub(crate) fn free_place(&self) {
        self.state.lock().placeholders -= 1;
        self.left.notify_waiters();
    }

    /// Takes all that were not started. Each keeps its place until what became of it is told, and
    /// [`free_place`](Self::free_place) is called, so that nobody takes the board for empty before.
    pub(crate) fn take_ready(&self) -> Vec<Arc<Attempt>> {
        let mut state = self.state.lock();
        let ready: Vec<_> = state.ready.drain(..).collect();
        state.placeholders += ready.len();
        ready
    }

    /// Asks one to end.
    pub(crate) fn end(&self, lease: Lease, reason: EndReason) -> Found {
        let mut state = self.state.lock();
        if let Some(running) = state.running.get(&lease.token) {
            running.attempt.end(reason);
            return Found::Told;
        }
        let place = state.ready.iter().position(|attempt| attempt.job.token == lease.token);
        match place.and_then(|place| state.ready.remove(place)) {
            Some(attempt) => {
                state.placeholders += 1;
                Found::Withdrawn(attempt)
            }
            None => Found::Nowhere,
        }
    }

    /// Asks all that run to end.
    pub(crate) fn end_all(&self, reason: EndReason) {
        for running in self.state.lock().running.values() {
            running.attempt.end(reason);
        }
    }

    /// Kills the actors of all that run and that `which` chooses.
    pub(crate) fn kill(&self, which: impl Fn(&Attempt) -> bool) {
        for running in self.state.lock().running.values() {
            if let (Some(actor), true) = (&running.actor, which(&running.attempt)) {
                actor.kill();
            }
        }
    }

    /// Only attempts of `session` count from now on: the others are killed, and those that were not started are gone.
    pub(crate) fn abandon(&self, session: Option<Uuid>) {
        let mut state = self.state.lock();
        state.ready.retain(|attempt| Some(attempt.session) == session);
        for running in state.running.values().filter(|running| Some(running.attempt.session) != session) {
            running.attempt.end(EndReason::SessionLost);
            if let Some(actor) = &running.actor {
                actor.kill();
            }
        }
        drop(state);
        self.left.notify_waiters();
    }

    /// Takes off those whose actors were gone at the last call already: the word of their end was lost, which happens
    /// when a producer crashes while it handles it.
    pub(crate) fn sweep(&self) -> Vec<Arc<Attempt>> {
        let mut state = self.state.lock();
        let mut lost = Vec::new();
        state.running.retain(|_, running| {
            let gone = running.actor.as_ref().is_none_or(|actor| !actor.is_alive());
            let keep = !(gone && running.missing);
            running.missing = gone;
            if !keep {
                lost.push(running.attempt.clone());
            }
            keep
        });
        drop(state);
        if !lost.is_empty() {
            self.left.notify_waiters();
        }
        lost
    }

    /// Those that are still here, started or not; the board is empty then.
    pub(crate) fn take_all(&self) -> Vec<Arc<Attempt>> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let running = state.running.drain().map(|(_, running)| running.attempt);
        let all = state.ready.drain(..).chain(running).collect();
        self.left.notify_waiters();
        all
    }
}
