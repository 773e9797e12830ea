//! [`Roster`]: actors of one type that come and go, each in a numbered seat.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    actor::Actor,
    meta::{ActorId, Farewell},
    reference::{ActorRef, Node},
};

/// A number that stays when the actor is replaced, and whoever has it.
#[derive(Clone)]
pub(crate) struct Seat<T> {
    pub(crate) number: u64,
    pub(crate) of: T,
}

/// Who is gone for good leaves by itself.
pub(crate) struct Roster<A: Actor> {
    seats: Mutex<BTreeMap<u64, ActorRef<A>>>,
    /// Grows with every change, under the lock.
    version: AtomicU64,
    /// Tells all who wait that something has changed.
    changed: Notify,
    /// Tells one who looks after this that somebody is gone, also if it is not looking now.
    vacancy: Notify,
}

impl<A: Actor> Roster<A> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Roster {
            seats: Mutex::default(),
            version: AtomicU64::new(1),
            changed: Notify::new(),
            vacancy: Notify::new(),
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<u64, ActorRef<A>>) -> Option<T>) -> Option<T> {
        let mut seats = self.seats.lock();
        let done = change(&mut seats)?;
        self.version.fetch_add(1, SeqCst);
        drop(seats);
        self.changed.notify_waiters();
        Some(done)
    }

    /// False: the actor is gone for good, or `may_join` says no. Whoever had the seat has lost it.
    pub(crate) fn seat(
        self: &Arc<Self>,
        number: u64,
        actor: &ActorRef<A>,
        may_join: impl FnOnce(usize) -> bool,
    ) -> bool {
        let list: Arc<dyn Farewell> = self.clone();
        if !actor.shared().meta().bid_farewell_to(Arc::downgrade(&list)) {
            return false;
        }
        let new = actor.clone();
        let before = self.change(|seats| {
            // One that ends from here on leaves after this, since that needs the lock.
            let may = actor.is_alive() && (seats.contains_key(&number) || may_join(seats.len()));
            may.then(|| seats.insert(number, new))
        });
        before.is_some()
    }

    pub(crate) fn leave(&self, number: u64) -> Option<ActorRef<A>> {
        self.change(|seats| seats.remove(&number))
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(SeqCst)
    }

    /// In the order of their numbers, and the version of which this is true.
    pub(crate) fn list(&self) -> (u64, Vec<Seat<ActorRef<A>>>) {
        let seats = self.seats.lock();
        let list = seats.iter().map(|(number, actor)| Seat { number: *number, of: actor.clone() }).collect();
        (self.version.load(SeqCst), list)
    }

    /// Those that live. One whose end is known to somebody may be in here for a moment yet.
    pub(crate) fn actors(&self) -> Vec<ActorRef<A>> {
        self.seats.lock().values().filter(|actor| actor.is_alive()).cloned().collect()
    }

    pub(crate) fn get(&self, number: u64) -> Option<ActorRef<A>> {
        self.seats.lock().get(&number).cloned()
    }

    /// How many live.
    pub(crate) fn len(&self) -> usize {
        self.seats.lock().values().filter(|actor| actor.is_alive()).count()
    }

    /// Whether the seats from 0 on are taken by so many who live, and no others.
    pub(crate) fn is_filled(&self, size: usize) -> bool {
        let seats = self.seats.lock();
        let in_order =
            (0..).zip(seats.iter()).all(|(number, (seat, actor))| *seat == number && actor.is_alive());
        seats.len() == size && in_order
    }

    pub(crate) fn changed(&self) -> &Notify {
        &self.changed
    }

    pub(crate) fn vacancy(&self) -> &Notify {
        &self.vacancy
    }
}

impl<A: Actor> Farewell for Roster<A> {
    fn gone(&self, actor: ActorId) {
        let left = self.change(|seats| {
            let number = seats.iter().find(|(_, member)| member.id() == actor).map(|(number, _)| *number)?;
            seats.remove(&number)
        });
        if left.is_some() {
            self.vacancy.notify_one();
        }
    }
}
