//! A schema on PostgreSQL for one server.

use callboard::{
    config::{DatabaseUrl, StoreBackend, StoreSettings},
    store::{PostgresOptions, PostgresStore},
};
use uuid::Uuid;

use super::super::output::Failure;

/// A name that no other schema has. Dropped, it is dropped on the server too.
pub(super) struct Schema(PostgresOptions);

impl Schema {
    pub(super) fn new(url: &str) -> Result<Schema, Failure> {
        let url = DatabaseUrl::new(url).map_err(|error| Failure::usage(format!("--postgres: {error}")))?;
        let schema = format!("bench_{}", Uuid::now_v7().simple());
        Ok(Schema(PostgresOptions { schema, ..PostgresOptions::new(url.expose()) }))
    }

    pub(super) fn name(&self) -> &str {
        &self.0.schema
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let options = self.0.clone();
        // It blocks, which must not be in a runtime. What cannot be dropped is only in the way.
        let _ = std::thread::spawn(move || PostgresStore::drop_schema(&options)).join();
    }
}

/// The settings of a store in the schema.
pub(super) fn settings(given: StoreSettings, url: Option<DatabaseUrl>, schema: &str) -> StoreSettings {
    StoreSettings { backend: StoreBackend::Postgres, url, schema: schema.to_owned(), ..given }
}
