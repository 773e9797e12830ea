//! SQLite, for the suite.

use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::AtomicI64},
};

use callboard_actors::edges::store::{Clock, SqliteOptions, SqliteStore, Store};
use tempfile::TempDir;

use super::backend::Backend;

/// A file in a folder of its own.
pub(super) struct Sqlite {
    folder: TempDir,
    clock: Arc<AtomicI64>,
}

/// The options of a store in this folder.
pub(super) fn options(folder: &Path) -> SqliteOptions {
    SqliteOptions { min_free_space: 0, ..SqliteOptions::new(folder.join("callboard.db")) }
}

impl Backend for Sqlite {
    const SHARED: bool = false;
    const CASES: u32 = 64;

    async fn create(clock: Arc<AtomicI64>) -> Self {
        Sqlite { folder: TempDir::new().unwrap(), clock }
    }

    async fn open(&self, node: &str) -> Arc<dyn Store> {
        let clock = Clock::Manual(self.clock.clone());
        SqliteStore::open(SqliteOptions { clock, node: node.into(), ..options(self.folder.path()) }).unwrap()
    }

    async fn kill(&mut self, store: Arc<dyn Store>) {
        // The file and its log, neither closed.
        let copy = TempDir::new().unwrap();
        for name in ["callboard.db", "callboard.db-wal"] {
            fs::copy(self.folder.path().join(name), copy.path().join(name)).unwrap();
        }
        drop(store);
        self.folder = copy;
    }

    async fn settle(&self, _: &dyn Store) {
        // The writer gives the places as it writes.
    }

    async fn remove(self) {
        self.folder.close().unwrap();
    }
}
