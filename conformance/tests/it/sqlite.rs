//! SQLite, for the suite.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicI64},
};

use callboard_actors::edges::store::{Clock, SqliteOptions, SqliteStore, Store};
use callboard_conformance::store::{Backend, Releases};
use rusqlite::Connection;
use tempfile::TempDir;

callboard_conformance::store_suite!(suite: Sqlite, releases);

/// A file in a folder of its own.
struct Sqlite {
    folder: TempDir,
    clock: Arc<AtomicI64>,
}

impl Sqlite {
    fn file(&self) -> PathBuf {
        self.folder.path().join("callboard.db")
    }
}

impl Backend for Sqlite {
    const SHARED: bool = false;

    async fn create(clock: Arc<AtomicI64>) -> Self {
        Sqlite { folder: TempDir::new().unwrap(), clock }
    }

    async fn open(&self, node: &str) -> Arc<dyn Store> {
        let clock = Clock::Manual(self.clock.clone());
        let options = SqliteOptions { min_free_space: 0, ..SqliteOptions::new(self.file()) };
        SqliteStore::open(SqliteOptions { clock, node: node.into(), ..options }).unwrap()
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

impl Releases for Sqlite {
    fn left() -> Vec<PathBuf> {
        crate::releases("sqlite")
    }

    async fn restore(left: &Path, clock: Arc<AtomicI64>) -> Self {
        let backend = Sqlite::create(clock).await;
        fs::copy(left.join("callboard.db"), backend.file()).unwrap();
        backend
    }

    async fn schema(&self) -> Vec<String> {
        let connection = Connection::open(self.file()).unwrap();
        let mut schema = Vec::new();
        for sql in [
            "SELECT format('version %s', user_version) FROM pragma_user_version",
            "SELECT format('table %s: strict %s, without rowid %s', name, strict, wr) FROM pragma_table_list
             WHERE name NOT LIKE 'sqlite_%'",
            "SELECT format('column %s.%s: %s, not null %s, default %s, key %s', t.name, c.name, c.type, c.\"notnull\",
                           c.dflt_value, c.pk)
             FROM pragma_table_list AS t, pragma_table_xinfo(t.name) AS c WHERE t.name NOT LIKE 'sqlite_%'",
            "SELECT format('%s %s: %s', type, name, sql) FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL",
        ] {
            let mut statement = connection.prepare(sql).unwrap();
            let lines = statement.query_map((), |row| row.get::<_, String>(0)).unwrap();
            schema.extend(lines.map(|line| line.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")));
        }
        schema.sort();
        schema
    }
}
