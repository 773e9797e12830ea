//! [`Farewells`]: who hears when somebody is gone for good.

use std::sync::Weak;

use crate::meta::ActorId;

/// Keeps a list of actors, from which one that is gone for good is to be removed.
pub(crate) trait Farewell: Send + Sync {
    /// Called once, on the thread on which the actor ended. Must be short, and run no user code.
    fn gone(&self, actor: ActorId);
}

/// The lists that one actor is in. Each is in here once, however often the actor was put into it, so there are at most
/// as many as there are lists.
#[derive(Default)]
pub(super) struct Farewells(Vec<Weak<dyn Farewell>>);

impl Farewells {
    pub(super) fn add(&mut self, list: Weak<dyn Farewell>) {
        self.0.retain(|other| other.strong_count() > 0 && !other.ptr_eq(&list));
        self.0.push(list);
    }

    pub(super) fn take(&mut self) -> Vec<Weak<dyn Farewell>> {
        std::mem::take(&mut self.0)
    }
}
