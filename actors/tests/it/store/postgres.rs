//! PostgreSQL, for the suite.

use std::sync::{Arc, atomic::AtomicI64};

use callboard_actors::edges::store::{Clock, PostgresOptions, PostgresStore, Store};
use callboard_testsupport::Database;

use super::backend::Backend;

/// A database of its own on the shared server.
pub(super) struct Postgres {
    database: Arc<Database>,
    clock: Arc<AtomicI64>,
}

impl Postgres {
    async fn psql(&self, statement: &'static str) -> String {
        let database = self.database.clone();
        tokio::task::spawn_blocking(move || database.psql(statement)).await.unwrap().trim().to_owned()
    }
}

impl Backend for Postgres {
    const SHARED: bool = true;
    const CASES: u32 = 8;

    async fn create(clock: Arc<AtomicI64>) -> Self {
        let database = tokio::task::spawn_blocking(Database::create).await.unwrap();
        Postgres { database: Arc::new(database), clock }
    }

    async fn open(&self, node: &str) -> Arc<dyn Store> {
        let options = PostgresOptions {
            clock: Clock::Manual(self.clock.clone()),
            node: node.into(),
            ..PostgresOptions::new(self.database.url())
        };
        tokio::task::spawn_blocking(|| PostgresStore::open(options)).await.unwrap().unwrap()
    }

    async fn kill(&mut self, store: Arc<dyn Store>) {
        // What it had under way is ended by the server; what it said was committed is.
        drop(store);
    }

    async fn settle(&self, store: &dyn Store) {
        let mut committed = store.committed();
        while self.psql("SELECT count(*) FROM callboard.event_batches WHERE first_position IS NULL").await
            != "0"
        {
            // Another look is worth it only when something was placed.
            let _ = tokio::time::timeout(std::time::Duration::from_millis(20), committed.changed()).await;
        }
        let newest: u64 = self.psql("SELECT position FROM callboard.log").await.parse().unwrap();
        committed.wait_for(|at| at.position >= newest).await.unwrap();
    }

    async fn remove(self) {
        tokio::task::spawn_blocking(move || drop(self.database)).await.unwrap();
    }
}
