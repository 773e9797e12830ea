//! [`ActorLoop`]: what a task needs to know of the kind of actor it owns.

use std::{
    sync::Arc,
    task::{Context as Task, Poll},
};

use crate::reference::Controlled;

/// Owns one actor and works for it, over all its generations. Every method may run user code, and so may panic.
pub(crate) trait ActorLoop: Sized + Unpin + 'static {
    /// What it shares with the holders of the address.
    type Shared: Controlled;
    /// What it is made from, on its executor.
    type Seed: Send + 'static;

    fn new(shared: Arc<Self::Shared>, seed: Self::Seed) -> Self;

    /// Works. `Ready` when the generation has ended by itself: stopped, or not started.
    fn poll(&mut self, task: &mut Task<'_>) -> Poll<()>;

    /// Drops what is left of the generation. The next poll starts a new one.
    fn clear(&mut self);

    /// Whether the generation is ending by its own wish, where the state of its `Meta` does not say so.
    fn is_stopping(&mut self) -> bool {
        false
    }
}
