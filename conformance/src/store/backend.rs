//! What the suite needs of a backend. Adding one is a file beside this one and a line in `conformance`.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicI64},
};

use callboard_actors::edges::store::Store;

/// A place for a store's data, empty at first, and how a store is opened on it.
pub(super) trait Backend: Sized + 'static {
    /// Its name: that of its folder among what the releases left.
    const NAME: &str;
    /// Whether several processes may have the data open at a time.
    const SHARED: bool;
    /// Random cases that are tried against the model; fewer where a store takes long to make.
    const CASES: u32;

    /// A new place. Stores that are opened on it go by this clock, in microseconds since 1970.
    async fn create(clock: Arc<AtomicI64>) -> Self;

    /// A new place, with a copy of what a release left in this folder.
    async fn restore(left: &Path, clock: Arc<AtomicI64>) -> Self;

    /// Opens it, for a node of this name.
    async fn open(&self, node: &str) -> Arc<dyn Store>;

    /// What the death of the process would leave: from now on the data are what was durable at this moment.
    async fn kill(&mut self, store: Arc<dyn Store>);

    /// Waits until everything that is committed has its place in the log, and `store` knows of it.
    async fn settle(&self, store: &dyn Store);

    /// What tables, columns and indexes there are, in an order that says nothing of how they came about.
    async fn schema(&self) -> Vec<String>;

    /// Takes it away with all that is in it. No store is open on it any more.
    async fn remove(self);
}
