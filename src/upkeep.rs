//! [`Upkeep`]: what is done to a store beside serving from it.

use std::{
    io::{BufRead, Write},
    path::Path,
};

#[cfg(feature = "postgres")]
use callboard_actors::edges::store::PostgresUpkeep;
use callboard_actors::edges::store::{
    SqliteUpkeep,
    transfer::{Check, Counts, Progress, SchemaVersion, TransferError},
};
use callboard_config::{Settings, StoreBackend};

use crate::assembly::{self, StoreSetupError};

/// Looks after the store of these settings: its version, its health, copies of it, and moving what it holds to another.
///
/// Everything here blocks: an async program calls it on a thread that may.
#[derive(Clone, Debug)]
pub struct Upkeep {
    place: String,
    backend: Backend,
}

#[derive(Clone, Debug)]
enum Backend {
    Sqlite(SqliteUpkeep),
    #[cfg(feature = "postgres")]
    Postgres {
        upkeep: PostgresUpkeep,
        schema: String,
    },
}

impl Upkeep {
    /// The store of these settings.
    ///
    /// # Errors
    /// When they name no store that can be opened.
    pub fn new(settings: &Settings) -> Result<Self, StoreSetupError> {
        let backend = match settings.store.backend {
            StoreBackend::Sqlite => Backend::Sqlite(SqliteUpkeep::new(assembly::sqlite_options(settings))),
            #[cfg(feature = "postgres")]
            StoreBackend::Postgres => Backend::Postgres {
                upkeep: PostgresUpkeep::new(assembly::postgres_options(settings)?),
                schema: settings.store.schema.clone(),
            },
            #[cfg(not(feature = "postgres"))]
            StoreBackend::Postgres => return Err(StoreSetupError::NotBuiltIn),
        };
        Ok(Upkeep { place: assembly::store_place(settings), backend })
    }

    /// Where the store is, for people: the file, or the database without its secrets.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The version of its tables; 0 if there are none. Servers may use it meanwhile.
    ///
    /// # Errors
    /// When it is none of ours.
    pub fn version(&self) -> Result<SchemaVersion, TransferError> {
        match &self.backend {
            Backend::Sqlite(upkeep) => upkeep.version(),
            #[cfg(feature = "postgres")]
            Backend::Postgres { upkeep, .. } => upkeep.version(),
        }
    }

    /// Brings its tables to the version of this program; a store that is missing is made. Gives the version that was there.
    ///
    /// # Errors
    /// When a server uses it, a newer program has written it, or it cannot be changed.
    pub fn migrate(&self) -> Result<SchemaVersion, TransferError> {
        match &self.backend {
            Backend::Sqlite(upkeep) => upkeep.migrate(),
            #[cfg(feature = "postgres")]
            Backend::Postgres { upkeep, .. } => upkeep.migrate(),
        }
    }

    /// Looks whether it is whole. Servers may use it meanwhile.
    ///
    /// # Errors
    /// When it cannot be looked at; what is damaged in it is no error, but said.
    pub fn check(&self) -> Result<Vec<Check>, TransferError> {
        match &self.backend {
            Backend::Sqlite(upkeep) => upkeep.check(),
            #[cfg(feature = "postgres")]
            Backend::Postgres { upkeep, .. } => upkeep.check(),
        }
    }

    /// Copies an SQLite store, as it is at one moment, to a file that must not be there yet. A server may use it meanwhile.
    /// `progress` hears of the pages that are copied, and of all.
    ///
    /// # Errors
    /// When it cannot be copied; nothing is left of the copy then.
    pub fn backup(&self, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), TransferError> {
        match &self.backend {
            Backend::Sqlite(upkeep) => upkeep.backup(to, progress),
            #[cfg(feature = "postgres")]
            Backend::Postgres { schema, .. } => {
                let file = to.display();
                let command = format!(
                    "pg_dump --format=custom --schema={schema} --file={file} \"$CALLBOARD__STORE__URL\" (or `callboard store export`)"
                );
                Err(TransferError::OtherTool { command })
            }
        }
    }

    /// Writes all that it holds, as of one moment, as lines of JSON. Servers may use it meanwhile.
    ///
    /// # Errors
    /// When it cannot be read, or the lines cannot be written.
    pub fn export(
        &self,
        events: bool,
        to: &mut dyn Write,
        progress: Progress<'_>,
    ) -> Result<Counts, TransferError> {
        match &self.backend {
            Backend::Sqlite(upkeep) => upkeep.export(events, to, progress),
            #[cfg(feature = "postgres")]
            Backend::Postgres { upkeep, .. } => upkeep.export(events, to, progress),
        }
    }

    /// Fills it, which must be empty, from an export. Jobs that ran when that was made are available again, and the log begins
    /// a new epoch.
    ///
    /// # Errors
    /// When it is not empty, a server uses it, or the export cannot be read. It is as it was before, then.
    pub fn import(&self, from: &mut dyn BufRead, progress: Progress<'_>) -> Result<Counts, TransferError> {
        match &self.backend {
            Backend::Sqlite(upkeep) => upkeep.import(from, progress),
            #[cfg(feature = "postgres")]
            Backend::Postgres { upkeep, .. } => upkeep.import(from, progress),
        }
    }
}
