//! [`Seat`]: the user's actor with its context, and how it is saved out of a panicking future.

use std::{any::Any, cell::RefCell, thread::panicking};

use crate::{actor::Actor, context::Context, core::bury};

/// The actor and its context: one box, moved by pointer into exclusive futures and back.
pub(crate) struct Seat<A: Actor> {
    pub(crate) actor: A,
    pub(crate) cx: Context<A>,
}

thread_local! {
    /// Seats whose future panicked. Dropping them during the unwind would abort if their `Drop` panics too.
    static MORGUE: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Drops what the last panic left behind. To be called outside of any unwind.
pub(crate) fn empty_morgue() {
    for seat in MORGUE.take() {
        bury(seat);
    }
}

/// Holds a seat inside a future, and saves it from being dropped during an unwind.
pub(crate) struct Salvage<A: Actor>(pub(crate) Option<Box<Seat<A>>>);

impl<A: Actor> Drop for Salvage<A> {
    fn drop(&mut self) {
        if let Some(seat) = self.0.take().filter(|_| panicking()) {
            MORGUE.with_borrow_mut(|morgue| morgue.push(seat));
        }
    }
}
