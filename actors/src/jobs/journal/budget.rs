//! Bytes that all journals of a node may hold together.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

/// What all journals of a node hold, and may. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Bytes>);

#[derive(Debug)]
struct Bytes {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Budget(Arc::new(Bytes { used: AtomicUsize::new(0), limit }))
    }

    /// Whether so much more would be too much.
    pub(super) fn lacks(&self, bytes: usize) -> bool {
        self.used().saturating_add(bytes) > self.0.limit
    }

    pub(super) fn used(&self) -> usize {
        self.0.used.load(SeqCst)
    }

    pub(super) fn hold(&self, bytes: usize) {
        self.0.used.fetch_add(bytes, SeqCst);
    }

    pub(super) fn free(&self, bytes: usize) {
        self.0.used.fetch_sub(bytes, SeqCst);
    }
}
