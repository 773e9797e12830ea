//! What is done to a database beside serving from it.

use std::io::{BufRead, Write};

use sqlx::PgConnection;

use super::{
    PostgresOptions, check,
    connect::{Purpose, connect},
    error::translate,
    migrate, transfer,
};
use crate::edges::store::{
    StoreError,
    transfer::{Check, Counts, Progress, SchemaVersion, TransferError},
};

/// A database, for its upkeep. Servers may use it meanwhile, unless it is said otherwise. Everything here blocks, and must
/// not be called on the threads of an async runtime.
#[derive(Clone, Debug)]
pub struct PostgresUpkeep {
    options: PostgresOptions,
}

impl PostgresUpkeep {
    /// The database that these options open.
    pub fn new(options: PostgresOptions) -> Self {
        PostgresUpkeep { options }
    }

    /// The version of its tables; 0 if there are none.
    ///
    /// # Errors
    /// `NotReady` while the server cannot be reached, `TooNew`, and what the server says.
    pub fn version(&self) -> Result<SchemaVersion, TransferError> {
        self.on_connection(async |connection| self.look(connection).await)
    }

    /// Brings its tables to the version of this program, made if they are missing. Gives the version that was there.
    ///
    /// # Errors
    /// As [`version`](Self::version). Nothing has changed then.
    pub fn migrate(&self) -> Result<SchemaVersion, TransferError> {
        self.on_connection(async |connection| {
            let version = self.look(connection).await?;
            migrate::migrate(connection, &self.options).await?;
            Ok(version)
        })
    }

    /// Looks whether it is whole.
    ///
    /// # Errors
    /// When it cannot be looked at; what is wrong in it is no error, but said.
    pub fn check(&self) -> Result<Vec<Check>, TransferError> {
        self.on_connection(async |connection| {
            self.migrated(connection).await?;
            transfer::without_limits(connection).await?;
            Ok(check::run(connection).await.map_err(translate)?)
        })
    }

    /// Writes all that it holds, as of one moment, as lines of JSON.
    ///
    /// # Errors
    /// When it cannot be read, or the lines cannot be written.
    pub fn export(
        &self,
        events: bool,
        to: &mut dyn Write,
        progress: Progress<'_>,
    ) -> Result<Counts, TransferError> {
        self.on_connection(async |connection| {
            self.migrated(connection).await?;
            transfer::export(connection, events, to, progress).await
        })
    }

    /// Fills it, which must be empty, from an export, in one transaction. Its tables are made if they are missing. Jobs
    /// that ran when the export was made are available again, and the log begins a new epoch.
    ///
    /// # Errors
    /// When it holds jobs or events already, a server uses it, or the export cannot be read. Nothing is in it then.
    pub fn import(&self, from: &mut dyn BufRead, progress: Progress<'_>) -> Result<Counts, TransferError> {
        self.on_connection(async |connection| {
            migrate::migrate(connection, &self.options).await?;
            transfer::import(connection, &self.options, from, progress).await
        })
    }

    async fn look(&self, connection: &mut PgConnection) -> Result<SchemaVersion, TransferError> {
        let found = migrate::found_version(connection, &self.options.schema).await.map_err(translate)?;
        let known = migrate::known_version();
        if found > known {
            return Err(StoreError::TooNew { found, known }.into());
        }
        Ok(SchemaVersion { found, known })
    }

    async fn migrated(&self, connection: &mut PgConnection) -> Result<(), TransferError> {
        match self.look(connection).await? {
            SchemaVersion { found: 0, .. } => {
                Err(TransferError::Missing(format!("the database has no schema {}", self.options.schema)))
            }
            SchemaVersion { found, known } if found == known => Ok(()),
            SchemaVersion { found, known } => Err(TransferError::NotMigrated { found, known }),
        }
    }

    fn on_connection<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, TransferError>,
    ) -> Result<T, TransferError> {
        self.options.check()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::Failed(error.to_string()))?;
        runtime.block_on(async {
            let mut connection = connect(&self.options, Purpose::Read).await?;
            work(&mut connection).await
        })
    }
}
