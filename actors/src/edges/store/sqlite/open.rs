//! Opening the file: the lock, the pragmas, the migrations.

use std::{
    fs::{self, File, TryLockError},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use callboard_contracts::Timestamp;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use super::{Durability, SqliteOptions, error::translate};
use crate::edges::store::StoreError;

/// `CALL` in ASCII: tells our files from other programs' databases.
const APPLICATION_ID: i32 = 0x4341_4c4c;
/// Each migration brings the file from the version of its place to the next.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_initial.sql")];
/// What the lock file may hold.
const MAX_NOTE: u64 = 4096;

/// The file's real path, so that it has one lock by whatever name it is reached. The file and its folder are made if
/// they are missing; an empty file is a new database.
pub(super) fn real_path(path: &Path) -> Result<PathBuf, StoreError> {
    let made = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        if !path.exists() {
            File::options().append(true).create(true).open(path)?;
        }
        fs::canonicalize(path)
    };
    made().map_err(|error| StoreError::Failed(format!("{}: {error}", path.display())))
}

/// Held for as long as this process uses the database; names this process to others.
pub(super) struct FileLock {
    _file: File,
}

impl FileLock {
    pub(super) fn take(options: &SqliteOptions) -> Result<Self, StoreError> {
        let path = &options.path;
        let failed = |error: std::io::Error| StoreError::Failed(format!("{}: {error}", path.display()));
        let note = lock_path(path);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&note)
            .map_err(|error| StoreError::Failed(format!("{}: {error}", note.display())))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { holder: holder(&mut file) }),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let text = json!({
            "process": std::process::id(),
            "node": options.node,
            "version": options.version,
            "since": Timestamp::now(),
        });
        file.set_len(0).and_then(|()| file.write_all(text.to_string().as_bytes())).map_err(failed)?;
        Ok(FileLock { _file: file })
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    PathBuf::from(path)
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(MAX_NOTE).read_to_string(&mut text);
    let note: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    match (read, &note["process"], note["node"].as_str(), note["since"].as_str()) {
        (Ok(_), serde_json::Value::Number(process), Some(node), Some(since)) => {
            format!("process {process} on {node}, since {since}")
        }
        _ => "another process".to_owned(),
    }
}

/// The connection that writes, on a file of the newest version.
pub(super) fn writer(options: &SqliteOptions) -> Result<Connection, StoreError> {
    let path = &options.path;
    let named = |error: rusqlite::Error| match translate(error) {
        StoreError::Corrupt(text) => StoreError::Corrupt(format!("{}: {text}", path.display())),
        StoreError::ReadOnly(text) => StoreError::ReadOnly(format!("{}: {text}", path.display())),
        StoreError::Failed(text) => StoreError::Failed(format!("{}: {text}", path.display())),
        other => other,
    };
    let mut connection = Connection::open(path).map_err(named)?;
    connection.busy_timeout(options.busy_timeout).map_err(named)?;
    let fresh: bool = connection
        .query_row("SELECT count(*) = 0 FROM sqlite_schema", (), |row| row.get(0))
        .map_err(named)?;
    let application: i32 =
        connection.query_row("PRAGMA application_id", (), |row| row.get(0)).map_err(named)?;
    if !fresh && application != APPLICATION_ID {
        let problem = format!("{} is a database of another program", path.display());
        return Err(StoreError::Corrupt(problem));
    }
    let found: u32 = connection.query_row("PRAGMA user_version", (), |row| row.get(0)).map_err(named)?;
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    let synchronous = match options.durability {
        Durability::Full => "FULL",
        Durability::Relaxed => "NORMAL",
    };
    if fresh {
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(named)?;
    }
    connection.pragma_update(None, "journal_mode", "WAL").map_err(named)?;
    connection.pragma_update(None, "synchronous", synchronous).map_err(named)?;
    connection.pragma_update(None, "cache_size", -32_768).map_err(named)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024).map_err(named)?;
    if let Some(pages) = options.max_pages {
        connection.pragma_update(None, "max_page_count", pages).map_err(named)?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    migrate(&mut connection, found).map_err(named)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, found: u32) -> rusqlite::Result<()> {
    for (version, migration) in (1u32..).zip(MIGRATIONS).skip(found as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// A connection that only reads.
pub(super) fn reader(options: &SqliteOptions) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&options.path, flags).map_err(translate)?;
    connection.busy_timeout(options.busy_timeout).map_err(translate)?;
    connection.pragma_update(None, "query_only", true).map_err(translate)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
