//! Senders that wait for room: first come, first let in, as many at once as a batch freed.
//!
//! A waiting sender's message waits here with it, so the actor's side lets it in without the sender being run first,
//! and nobody who comes later can take its place.

use std::{collections::VecDeque, task::Waker};

use crate::{envelope::Boxed, mailbox::Key};

pub(super) struct Waiter<A> {
    ticket: u64,
    pub(super) envelope: Boxed<A>,
    pub(super) key: Option<Key>,
    pub(super) waker: Waker,
}

/// Room for so many waiters is kept when all of them have gone.
const KEPT: usize = 64;

/// In order of their tickets.
pub(super) struct WaitingRoom<A> {
    next_ticket: u64,
    pub(super) waiters: VecDeque<Waiter<A>>,
}

impl<A> Default for WaitingRoom<A> {
    fn default() -> Self {
        WaitingRoom { next_ticket: 0, waiters: VecDeque::new() }
    }
}

impl<A> WaitingRoom<A> {
    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub(super) fn enter(&mut self, envelope: Boxed<A>, key: Option<Key>, waker: Waker) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiters.push_back(Waiter { ticket, envelope, key, waker });
        ticket
    }

    pub(super) fn next(&mut self) -> Option<Waiter<A>> {
        let next = self.waiters.pop_front();
        if self.waiters.is_empty() && self.waiters.capacity() > KEPT {
            self.waiters = VecDeque::new();
        }
        next
    }

    /// Gives all wakers away: their owners leave when they are woken.
    pub(super) fn wakers(&mut self) -> Vec<Waker> {
        let noop = || Waker::noop().clone();
        self.waiters.iter_mut().map(|waiter| std::mem::replace(&mut waiter.waker, noop())).collect()
    }

    pub(super) fn find(&self, ticket: u64) -> Option<usize> {
        self.waiters.binary_search_by_key(&ticket, |waiter| waiter.ticket).ok()
    }

    pub(super) fn leave(&mut self, ticket: u64) -> Option<Waiter<A>> {
        let at = self.find(ticket)?;
        self.waiters.remove(at)
    }
}
