//! PostgreSQL, for the suite.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicI64},
};

use callboard_actors::edges::store::{Clock, PostgresOptions, PostgresStore, Store};
use callboard_conformance::store::{Backend, Releases};
use callboard_testsupport::Database;

callboard_conformance::store_suite!(suite: Postgres, releases);

/// A database of its own on the shared server.
struct Postgres {
    database: Arc<Database>,
    clock: Arc<AtomicI64>,
}

impl Postgres {
    async fn psql(&self, statements: impl Into<String>) -> String {
        let (database, statements) = (self.database.clone(), statements.into());
        tokio::task::spawn_blocking(move || database.psql(&statements)).await.unwrap().trim().to_owned()
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

impl Releases for Postgres {
    fn left() -> Vec<PathBuf> {
        crate::releases("postgres")
    }

    async fn restore(left: &Path, clock: Arc<AtomicI64>) -> Self {
        let backend = Postgres::create(clock).await;
        let (database, dump) = (backend.database.clone(), left.join("callboard.sql"));
        tokio::task::spawn_blocking(move || database.load(&dump)).await.unwrap();
        backend
    }

    async fn schema(&self) -> Vec<String> {
        let schema = self
            .psql(
                "SELECT format('version %s', version) FROM callboard.schema_version;
                 SELECT format('column %s.%s: %s, nullable %s, default %s', table_name, column_name, data_type,
                               is_nullable, column_default)
                 FROM information_schema.columns WHERE table_schema = 'callboard';
                 SELECT format('index %s', indexdef) FROM pg_indexes WHERE schemaname = 'callboard';
                 SELECT format('constraint of %s: %s', conrelid::regclass, pg_get_constraintdef(oid))
                 FROM pg_constraint WHERE connamespace = 'callboard'::regnamespace;
                 SELECT format('%s %s: %s', relkind, relname, reloptions) FROM pg_class
                 WHERE relnamespace = 'callboard'::regnamespace",
            )
            .await;
        let mut schema: Vec<String> = schema.lines().map(|line| line.trim().to_owned()).collect();
        schema.sort();
        schema
    }
}
