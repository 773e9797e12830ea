//! [`Bounds`]: where to look for the next child to start and the next one to stop.

use crate::supervisor::strategy::Key;

/// Bringing thousands of children up or down, one after the other, must not look at all of them each time.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    /// No child before this one is down.
    pub(super) down_from: Key,
    /// No child from this one on is live.
    pub(super) live_below: Key,
}

impl Bounds {
    pub(super) fn is_down(&mut self, key: Key) {
        self.down_from = self.down_from.min(key);
    }

    pub(super) fn is_live(&mut self, key: Key) {
        self.live_below = self.live_below.max(key.saturating_add(1));
        if self.down_from == key {
            self.down_from = key.saturating_add(1);
        }
    }
}
