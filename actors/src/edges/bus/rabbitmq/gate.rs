//! [`Gate`]: holds deliveries back while nothing can be done with them.

use std::cell::{Cell, RefCell};

use tokio::time::{Instant, sleep_until};

use super::{link::Link, pauses::Pauses};
use crate::roles::condition::Condition;

/// Where the deliveries of a queue wait while nothing can be done with any of them. One is let through when a pause is over.
pub(super) struct Gate<'a> {
    link: &'a Link,
    actor: &'a str,
    pauses: RefCell<Pauses>,
    /// Until when it is closed.
    until: Cell<Option<Instant>>,
}

impl<'a> Gate<'a> {
    pub(super) fn new(link: &'a Link, actor: &'a str) -> Self {
        Gate { link, actor, pauses: RefCell::new(Pauses::new(&link.settings)), until: Cell::new(None) }
    }

    /// Waits until it is open.
    pub(super) async fn open(&self) {
        while let Some(until) = self.until.get().filter(|until| Instant::now() < *until) {
            sleep_until(until).await;
        }
    }

    /// Nothing can be done now, and why. Of those that were tried at the same time the first word counts.
    pub(super) fn close(&self, why: &str, since: Instant) {
        if self.until.get().is_none_or(|until| until <= since) {
            let pause = self.pauses.borrow_mut().next();
            self.until.set(Some(Instant::now() + pause));
        }
        self.link.say(self.actor, Condition::Degraded(format!("messages wait: {why}")));
    }

    /// Something could be done.
    pub(super) fn passed(&self) {
        if self.until.take().is_some() {
            self.pauses.borrow_mut().reset();
            self.link.say(self.actor, Condition::Ready);
        }
    }
}
