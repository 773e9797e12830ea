//! Who does what is done once for all nodes, as far as this node knows.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

/// Whether this node leads. The store has the last word: it checks the token of whatever is done under it.
#[derive(Debug)]
pub(crate) struct Leads(watch::Sender<Option<u64>>);

impl Default for Leads {
    fn default() -> Self {
        Leads(watch::Sender::new(None))
    }
}

impl Leads {
    /// What the store has said. Whether that is a change.
    pub(crate) fn set(&self, token: Option<u64>) -> bool {
        self.0.send_if_modified(|now| std::mem::replace(now, token) != token)
    }

    /// The store did not take this token any more.
    pub(crate) fn ended(&self, token: u64) {
        self.0.send_if_modified(|now| now.take_if(|now| *now == token).is_some());
    }

    /// The token under which this node leads, if it does.
    pub(crate) fn now(&self) -> Option<u64> {
        *self.0.borrow()
    }

    /// Waits until this node leads; gives the token.
    pub(crate) async fn begun(&self) -> u64 {
        let mut changes = self.0.subscribe();
        loop {
            if let Some(token) = *changes.borrow_and_update() {
                return token;
            }
            if changes.changed().await.is_err() {
                // The sender is in `self`.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until this node leads, or does not any more, other than now.
    pub(crate) async fn changed(&self) {
        // As above: an error cannot be.
        let _ = self.0.subscribe().changed().await;
    }
}

/// For how long this node has seen the store without a gap: whoever was away cannot say who else was.
#[derive(Debug, Default)]
pub(crate) struct Sight(Mutex<Option<Seen>>);

#[derive(Debug)]
struct Seen {
    since: Instant,
    last: Instant,
}

impl Sight {
    /// The store has answered. It was away before if the last answer is older than `gap`.
    pub(crate) fn seen(&self, gap: Duration) {
        let now = Instant::now();
        let mut seen = self.0.lock();
        match &mut *seen {
            Some(seen) if now.duration_since(seen.last) <= gap => seen.last = now,
            other => *other = Some(Seen { since: now, last: now }),
        }
    }

    /// The store has not answered.
    pub(crate) fn lost(&self) {
        *self.0.lock() = None;
    }

    /// Whether the store was seen for this long without a gap, and is.
    pub(crate) fn lasted(&self, time: Duration, gap: Duration) -> bool {
        let seen = self.0.lock();
        let lasted = |seen: &Seen| seen.last.elapsed() <= gap && seen.since.elapsed() >= time;
        seen.as_ref().is_some_and(lasted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_has_ended_ends_only_its_own_leadership() {
        let leads = Leads::default();
        assert!(leads.set(Some(2)) && !leads.set(Some(2)));
        leads.ended(1);
        assert_eq!(leads.now(), Some(2));
        leads.ended(2);
        assert_eq!(leads.now(), None);
    }

    #[test]
    fn a_gap_begins_the_time_anew() {
        let (long, none) = (Duration::from_secs(3600), Duration::ZERO);
        let sight = Sight::default();
        assert!(!sight.lasted(none, long));
        sight.seen(long);
        assert!(sight.lasted(none, long) && !sight.lasted(long, long));
        sight.lost();
        assert!(!sight.lasted(none, long));
        sight.seen(long);
        let before = sight.0.lock().as_ref().map(|seen| seen.since);
        // Any time is longer than none.
        while Instant::now() == before.unwrap() {}
        sight.seen(none);
        assert_ne!(sight.0.lock().as_ref().map(|seen| seen.since), before);
    }
}
