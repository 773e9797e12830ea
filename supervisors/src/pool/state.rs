//! [`PoolState`]: what the holders of a pool and its keeper share.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use crate::{actor::Actor, group::Roster, pool::ResizeError, reference::ActorHandle};

pub(super) struct PoolState<A: Actor> {
    pub(super) roster: Arc<Roster<A>>,
    /// How many there should be.
    size: AtomicUsize,
    min: AtomicUsize,
    max: AtomicUsize,
    /// As soon as the pool is a part of a tree.
    pub(super) keeper: OnceLock<ActorHandle>,
}

impl<A: Actor> PoolState<A> {
    pub(super) fn new(size: usize) -> Self {
        PoolState {
            roster: Roster::new(),
            size: AtomicUsize::new(size),
            min: AtomicUsize::new(1),
            max: AtomicUsize::new(1024),
            keeper: OnceLock::new(),
        }
    }

    /// Before the pool runs.
    pub(super) fn set_bounds(&self, bounds: &RangeInclusive<usize>) {
        self.min.store(*bounds.start(), SeqCst);
        self.max.store(*bounds.end(), SeqCst);
    }

    pub(super) fn size(&self) -> usize {
        self.size.load(SeqCst)
    }

    pub(super) fn check(&self, size: usize) -> Result<(), ResizeError> {
        let (min, max) = (self.min.load(SeqCst), self.max.load(SeqCst));
        if (min..=max).contains(&size) { Ok(()) } else { Err(ResizeError::OutOfBounds { size, min, max }) }
    }

    pub(super) fn resize(&self, size: usize) -> Result<(), ResizeError> {
        self.check(size)?;
        self.size.store(size, SeqCst);
        self.roster.vacancy().notify_one();
        self.roster.changed().notify_waiters();
        Ok(())
    }
}
