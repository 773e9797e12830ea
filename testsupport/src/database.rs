//! A database of one's own.

use std::{
    env,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use uuid::Uuid;

use crate::programs::{psql, psql_file, user_name};

/// What a killed test left behind is removed after this time.
const ABANDONED: Duration = Duration::from_secs(2 * 3600);

/// An empty database. Dropped, it is dropped on the server too, whoever is still connected.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
    url: String,
}

impl Database {
    /// An empty database on the shared server: the one that `CALLBOARD_TEST_POSTGRES` names, or else the one at
    /// 127.0.0.1:5432.
    ///
    /// # Panics
    /// If no server answers there, or it does not let us create databases.
    pub fn create() -> Database {
        let server = env::var("CALLBOARD_TEST_POSTGRES")
            .unwrap_or_else(|_| format!("postgres://{}@127.0.0.1:5432/postgres", user_name()));
        Database::create_on(&server).unwrap_or_else(|error| {
            panic!(
                "no database at {server}: {error}; `scripts/services run -- COMMAND` starts a server, \
                 CALLBOARD_TEST_POSTGRES names one"
            )
        })
    }

    pub(crate) fn create_on(server: &str) -> Result<Database, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs();
        remove_abandoned(server, now);
        let name = format!("cb_{now}_{}", Uuid::new_v4().simple());
        psql(server, &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"))?;
        Ok(Database { server: server.to_owned(), url: with_database(server, &name), name })
    }

    /// Its URL, which holds no secret on the servers that `scripts/services` starts.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements, each in a transaction of its own, and gives what they print: a line a row, columns separated by
    /// `|`.
    ///
    /// # Panics
    /// If a statement fails.
    pub fn psql(&self, statements: &str) -> String {
        psql(&self.url, statements).unwrap_or_else(|error| panic!("{statements}: {error}"))
    }

    /// Runs what is in a file, such as pg_dump writes.
    ///
    /// # Panics
    /// If a statement fails.
    pub fn load(&self, file: &Path) {
        psql_file(&self.url, file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    /// Ends all connections to this database but the one that asks.
    ///
    /// # Panics
    /// If the server does not answer.
    pub fn disconnect_all(&self) {
        self.psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Its server may have been stopped already.
        let _ = psql(&self.server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

/// The URL of another database on the same server.
fn with_database(server: &str, name: &str) -> String {
    let (server, options) =
        server.split_once('?').map_or((server, None), |(url, options)| (url, Some(options)));
    let (scheme, rest) = server.split_once("://").unwrap_or(("postgres", server));
    let host = rest.split('/').next().unwrap_or_default();
    let options = options.map(|options| format!("?{options}")).unwrap_or_default();
    format!("{scheme}://{host}/{name}{options}")
}

/// Drops the databases of tests that were killed before they could do it themselves.
fn remove_abandoned(server: &str, now: u64) {
    let names = psql(server, r"SELECT datname FROM pg_database WHERE datname ~ '^cb_\d+_[0-9a-f]{32}$'");
    for name in names.unwrap_or_default().lines() {
        let created = name.split('_').nth(1).and_then(|seconds| seconds.parse::<u64>().ok());
        if created.is_some_and(|created| created + ABANDONED.as_secs() < now) {
            // Another test may be at it too.
            let _ = psql(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_its_options_when_it_names_another_database() {
        let cases = [
            ("postgres://me@127.0.0.1:5432/postgres", "postgres://me@127.0.0.1:5432/cb"),
            ("postgresql://me:pw@host", "postgresql://me:pw@host/cb"),
            ("postgres:///postgres?host=/run&port=5433", "postgres:///cb?host=/run&port=5433"),
        ];
        for (server, expected) in cases {
            assert_eq!(with_database(server, "cb"), expected);
        }
    }

    #[test]
    fn a_database_is_there_until_it_is_dropped() {
        let database = Database::create();
        database.psql("CREATE TABLE things (id int); INSERT INTO things VALUES (1), (2)");
        assert_eq!(
            database.psql("SELECT count(*), current_database() FROM things"),
            format!("2|{}", database.name())
        );
        let (server, url) = (database.server.clone(), database.url().to_owned());
        drop(database);
        psql(&url, "SELECT 1").unwrap_err();
        psql(&server, "SELECT 1").unwrap();
    }
}
