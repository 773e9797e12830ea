//! [`Farewells`]: who hears when somebody is gone for good.

use std::sync::Weak;

use parking_lot::Mutex;

use crate::meta::ActorId;

/// Keeps a list of actors, from which one that is gone for good is to be removed.
pub(crate) trait Farewell: Send + Sync {
    /// Called once, on the thread on which the actor ended. Must be short, and run no user code.
    fn gone(&self, actor: ActorId);
}

/// The lists that one actor is in. Each is in here once, however often the actor was put into it, so there are at most as
/// many as there are lists.
#[derive(Default)]
pub(crate) struct Farewells(Mutex<Vec<Weak<dyn Farewell>>>);

impl Farewells {
    /// `is_gone` is asked under the lock under which [`take`](Self::take) looks. Gives its answer.
    pub(super) fn add(&self, list: Weak<dyn Farewell>, is_gone: impl Fn() -> bool) -> bool {
        let mut lists = self.0.lock();
        if is_gone() {
            return true;
        }
        lists.retain(|other| other.strong_count() > 0 && !other.ptr_eq(&list));
        lists.push(list);
        false
    }

    pub(super) fn take(&self) -> Vec<Weak<dyn Farewell>> {
        std::mem::take(&mut self.0.lock())
    }
}
