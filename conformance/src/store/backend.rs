//! What the suite needs of a backend.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicI64},
};

use callboard_actors::edges::store::Store;

/// A place for a store's data, empty at first, and how a store is opened on it. A value is made for each test, and more than one
/// test runs at a time: no two may share their data.
///
/// What cannot be done panics; a test says by its panic what is wrong.
#[allow(
    async_fn_in_trait,
    reason = "the suite awaits them where it calls them, and never needs them to be Send"
)]
pub trait Backend: Sized + 'static {
    /// Whether several processes may have the data open at a time. If not, the suite has several nodes share one store.
    const SHARED: bool;
    /// Random cases that are tried against the model. Fewer where a store takes long to make.
    const CASES: u32 = 64;

    /// A new place. Stores that are opened on it go by this clock, in microseconds since 1970, and by no other.
    async fn create(clock: Arc<AtomicI64>) -> Self;

    /// Opens it, for a node of this name.
    async fn open(&self, node: &str) -> Arc<dyn Store>;

    /// What the death of the process would leave: from now on the data are what was durable at this moment. The store is not
    /// closed in good order before.
    async fn kill(&mut self, store: Arc<dyn Store>);

    /// Waits until everything that is committed has its place in the log, and `store` knows of it. Nothing to do for a backend that
    /// gives the places in the transaction itself.
    async fn settle(&self, store: &dyn Store);

    /// Takes it away with all that is in it. No store is open on it any more. Also called after a test that has failed.
    async fn remove(self);
}

/// A backend that has been released before: what its past versions left is opened with today's code.
#[allow(async_fn_in_trait, reason = "as with `Backend`")]
pub trait Releases: Backend {
    /// A folder for each release, with what it left and, beside it, what it said of it: `jobs.ndjson`, `events.ndjson`, `stats.json`,
    /// `queues.json` and `job-types.json`, as `/api/v1` answers them. The first test fails if there is none.
    fn left() -> Vec<PathBuf>;

    /// A new place, with a copy of what a release left in this folder.
    async fn restore(left: &Path, clock: Arc<AtomicI64>) -> Self;

    /// What tables, columns and indexes there are, or whatever takes their place, in an order that says nothing of how they came about.
    async fn schema(&self) -> Vec<String>;
}
