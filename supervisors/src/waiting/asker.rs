//! Which actor's exclusive future is being polled on this thread.

use std::cell::Cell;

use crate::meta::ActorId;

thread_local! {
    static ASKER: Cell<Option<ActorId>> = const { Cell::new(None) };
}

/// Puts back what was there, also when a poll panics.
struct Before(Option<ActorId>);

impl Drop for Before {
    fn drop(&mut self) {
        ASKER.set(self.0);
    }
}

/// Polls a future that holds the actor `id`.
pub(crate) fn asking<T>(id: ActorId, poll: impl FnOnce() -> T) -> T {
    let _before = Before(ASKER.replace(Some(id)));
    poll()
}

/// Whoever waits now holds this actor while it waits.
pub(super) fn asker() -> Option<ActorId> {
    ASKER.get()
}

/// Whether it is this actor that waits now, and so cannot answer.
pub(crate) fn is_asking(id: ActorId) -> bool {
    asker() == Some(id)
}
