//! What is done to a file beside, or instead of, serving from it.

use std::{
    io::{BufRead, Write},
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, MAIN_DB, backup::Backup};

use super::{
    SqliteOptions, check,
    error::translate,
    open::{self, FileLock},
    transfer::{self, Partial},
};
use crate::edges::store::{
    StoreError,
    transfer::{BEGIN_EPOCH, Check, Counts, Progress, SchemaVersion, TransferError},
};

/// Pages copied between two words on the progress.
const PAGES: i32 = 1024;

/// A database file, for its upkeep. Everything here blocks.
#[derive(Clone, Debug)]
pub struct SqliteUpkeep {
    options: SqliteOptions,
}

impl SqliteUpkeep {
    /// The file that these options open.
    pub fn new(options: SqliteOptions) -> Self {
        SqliteUpkeep { options }
    }

    /// The version of its tables; 0 if there are none, or no file. A server may use it meanwhile.
    ///
    /// # Errors
    /// When it is no database of ours.
    pub fn version(&self) -> Result<SchemaVersion, TransferError> {
        if !self.options.path.exists() {
            return Ok(SchemaVersion { found: 0, known: open::known_version() });
        }
        let (_, version) = self.look()?;
        Ok(version)
    }

    /// Brings its tables to the version of this program; a file that is missing is made. Gives the version that was there.
    ///
    /// # Errors
    /// `InUse` while a server uses it, `TooNew`, `Corrupt`, and what the system says.
    pub fn migrate(&self) -> Result<SchemaVersion, TransferError> {
        let mut options = self.options.clone();
        let version = self.version()?;
        if version.found == version.known {
            return Ok(version);
        }
        options.path = open::real_path(&options.path)?;
        let _lock = FileLock::take(&options)?;
        drop(open::writer(&options)?);
        Ok(version)
    }

    /// Looks whether it is whole. A server may use it meanwhile.
    ///
    /// # Errors
    /// When it cannot be looked at; what is damaged in it is no error, but said.
    pub fn check(&self) -> Result<Vec<Check>, TransferError> {
        match self.migrated() {
            Ok(connection) => Ok(check::run(&connection).map_err(translate)?),
            // So damaged that not even its version can be read.
            Err(TransferError::Store(StoreError::Corrupt(problem))) => Ok(vec![check::pages(vec![problem])]),
            Err(error) => Err(error),
        }
    }

    /// Copies it, as it is at one moment, to a file that must not be there yet. A server may use it meanwhile. The copy
    /// can be put in the place of the original; its log begins a new epoch when it is first opened. `progress` hears of
    /// the pages that are copied, and of all.
    ///
    /// # Errors
    /// When it cannot be read or the copy cannot be written. Nothing is left of the copy then.
    pub fn backup(&self, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), TransferError> {
        let source = self.migrated()?;
        if to.exists() {
            let there = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(TransferError::Write(there));
        }
        let partial = Partial::new(to)?;
        self.copy(&source, &partial.path, progress)
            .map_err(|error| TransferError::Store(translate(error)))?;
        partial.take_the_place_of(to)
    }

    fn copy(
        &self,
        source: &Connection,
        to: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> rusqlite::Result<()> {
        // Held open, the snapshot keeps the writer's commits from beginning the copy anew each time.
        let snapshot = source.unchecked_transaction()?;
        snapshot.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))?;
        let mut copy = Connection::open(to)?;
        if let Some(pages) = self.options.max_pages {
            copy.pragma_update(None, "max_page_count", pages)?;
        }
        {
            let backup = Backup::new_with_names(&snapshot, MAIN_DB, &mut copy, MAIN_DB)?;
            loop {
                let step = backup.step(PAGES)?;
                let all = u64::try_from(backup.progress().pagecount).unwrap_or(0);
                progress(all - u64::try_from(backup.progress().remaining).unwrap_or(0).min(all), all);
                match step {
                    rusqlite::backup::StepResult::Done => break,
                    rusqlite::backup::StepResult::More => {}
                    _ => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        }
        // One file alone, with no log beside it that could be forgotten.
        copy.pragma_update(None, "journal_mode", "DELETE")?;
        copy.execute(
            "INSERT INTO settings (key, value) VALUES (?1, 'true') ON CONFLICT (key) DO NOTHING",
            [BEGIN_EPOCH],
        )?;
        copy.close().map_err(|(_, error)| error)
    }

    /// Writes all that it holds, as of one moment, as lines of JSON. A server may use it meanwhile.
    ///
    /// # Errors
    /// When it cannot be read, or the lines cannot be written.
    pub fn export(
        &self,
        events: bool,
        to: &mut dyn Write,
        progress: Progress<'_>,
    ) -> Result<Counts, TransferError> {
        transfer::export(&self.migrated()?, events, to, progress)
    }

    /// Makes the file of an export. Jobs that ran when it was made are available again, and the log begins a new epoch.
    ///
    /// # Errors
    /// When the file holds jobs or events already, a server uses it, or the export cannot be read. The file is as it was
    /// before, then.
    pub fn import(&self, from: &mut dyn BufRead, progress: Progress<'_>) -> Result<Counts, TransferError> {
        transfer::import(&self.options, from, progress)
    }

    fn migrated(&self) -> Result<Connection, TransferError> {
        let (connection, SchemaVersion { found, known }) = self.look()?;
        if found == known { Ok(connection) } else { Err(TransferError::NotMigrated { found, known }) }
    }

    fn look(&self) -> Result<(Connection, SchemaVersion), TransferError> {
        let path = &self.options.path;
        if !path.exists() {
            return Err(TransferError::Missing(path.display().to_string()));
        }
        let connection = open::reader(&self.options)?;
        let found = open::version(&connection, path)?;
        let known = open::known_version();
        if found > known {
            return Err(StoreError::TooNew { found, known }.into());
        }
        Ok((connection, SchemaVersion { found, known }))
    }
}
