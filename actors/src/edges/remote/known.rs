//! [`Known`]: messages that were handled.

use std::collections::{HashSet, VecDeque};

use uuid::Uuid;

/// Messages that are remembered.
const MOST: usize = 10_000;

/// Messages that were handled, as many as are remembered.
#[derive(Default)]
pub(super) struct Known {
    ids: HashSet<Uuid>,
    order: VecDeque<Uuid>,
}

impl Known {
    /// Whether it is new.
    pub(super) fn add(&mut self, id: Uuid) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}
