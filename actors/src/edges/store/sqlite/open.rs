//! Opening the file: the lock, the pragmas, the migrations.

use std::{
    fmt,
    fs::{self, File, TryLockError},
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use callboard_contracts::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};
use serde_json::json;

use super::{Durability, SqliteOptions, error::translate};
use crate::edges::store::{
    StoreError,
    transfer::{BEGIN_EPOCH, next_epoch},
};

/// `CALL` in ASCII: tells our files from other programs' databases.
const APPLICATION_ID: i32 = 0x4341_4c4c;
/// Each migration brings the file from the version of its place to the next.
const MIGRATIONS: [&str; 15] = [
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_submitting.sql"),
    include_str!("migrations/0003_limits.sql"),
    include_str!("migrations/0004_trace_context.sql"),
    include_str!("migrations/0005_needs.sql"),
    include_str!("migrations/0006_keys.sql"),
    include_str!("migrations/0007_progress.sql"),
    include_str!("migrations/0008_outside.sql"),
    include_str!("migrations/0009_fleet.sql"),
    include_str!("migrations/0010_unique.sql"),
    include_str!("migrations/0011_workflows.sql"),
    include_str!("migrations/0012_cron.sql"),
    include_str!("migrations/0013_dead_jobs.sql"),
    include_str!("migrations/0014_queue_pause.sql"),
    include_str!("migrations/0015_signals.sql"),
];
/// What the lock file may hold.
const MAX_NOTE: usize = 4096;
/// How long the lock of a process that is dead is waited for, and how often it is looked at. A child that it was about to
/// start holds the lock until it has become the program that it is to be.
const DEAD_HOLDER: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

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
        let deadline = Instant::now() + DEAD_HOLDER;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            let holder = Holder::read(&file);
            if !holder.is_dead() || Instant::now() > deadline {
                return Err(StoreError::InUse { holder: holder.to_string() });
            }
            thread::sleep(LOOK);
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

/// What the process that has the lock has noted about itself.
struct Holder(serde_json::Value);

impl Holder {
    fn read(file: &File) -> Self {
        let mut text = [0; MAX_NOTE];
        let read = file.read_at(&mut text, 0).unwrap_or(0);
        Holder(serde_json::from_slice(&text[..read]).unwrap_or_default())
    }

    /// Whether there is no such process any more.
    fn is_dead(&self) -> bool {
        let process =
            self.0["process"].as_i64().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        process.is_some_and(|process| test_kill_process(process) == Err(Errno::SRCH))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let note = &self.0;
        match (&note["process"], note["node"].as_str(), note["since"].as_str()) {
            (serde_json::Value::Number(process), Some(node), Some(since)) => {
                write!(f, "process {process} on {node}, since {since}")
            }
            _ => f.write_str("another process"),
        }
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
    let found = version(&connection, path)?;
    let known = known_version();
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
    begin_epoch(&mut connection).map_err(named)?;
    Ok(connection)
}

/// The version of the tables that this program works on.
pub(super) fn known_version() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// The version of the tables in the file, 0 if there are none yet.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<u32, StoreError> {
    let number = |sql: &str| connection.query_row(sql, (), |row| row.get::<_, i64>(0)).map_err(translate);
    let fresh = number("SELECT count(*) FROM sqlite_schema")? == 0;
    if !fresh && number("PRAGMA application_id")? != i64::from(APPLICATION_ID) {
        return Err(StoreError::Corrupt(format!("{} is a database of another program", path.display())));
    }
    Ok(u32::try_from(number("PRAGMA user_version")?).unwrap_or(u32::MAX))
}

/// A new file with all tables, which is not durable before it is synced as a whole.
pub(super) fn scratch(path: &Path, options: &SqliteOptions) -> Result<Connection, StoreError> {
    let made = || {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "journal_mode", "OFF")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "cache_size", -65_536)?;
        if let Some(pages) = options.max_pages {
            connection.pragma_update(None, "max_page_count", pages)?;
        }
        connection.set_prepared_statement_cache_capacity(64);
        migrate(&mut connection, 0)?;
        Ok(connection)
    };
    made().map_err(translate)
}

/// The log of a copy goes on in a new epoch: places in it are not places in the original's.
fn begin_epoch(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    if transaction.execute("DELETE FROM settings WHERE key = ?1", [BEGIN_EPOCH])? > 0 {
        let sql = "SELECT CAST(value AS INTEGER) FROM settings WHERE key = 'epoch'";
        let last: Option<u64> = transaction.query_row(sql, (), |row| row.get(0)).optional()?;
        let epoch = next_epoch(last.unwrap_or(0)).to_string();
        transaction.execute(
            "INSERT INTO settings (key, value) VALUES ('epoch', ?1) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            [epoch],
        )?;
    }
    transaction.commit()
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A process that has lived.
    fn dead() -> u32 {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    }

    fn locked(options: &SqliteOptions, process: u32) -> File {
        let mut file = File::create(lock_path(&options.path)).unwrap();
        file.lock().unwrap();
        let note = json!({ "process": process, "node": "other", "since": "then" });
        file.write_all(note.to_string().as_bytes()).unwrap();
        file
    }

    #[test]
    fn what_a_dead_process_leaves_locked_for_a_moment_is_waited_for() {
        let folder = tempfile::TempDir::new().unwrap();
        let options = SqliteOptions::new(folder.path().join("callboard.db"));
        let file = locked(&options, std::process::id());
        let refused = FileLock::take(&options).err();
        assert!(
            matches!(refused, Some(StoreError::InUse { holder }) if holder.contains("on other, since then"))
        );
        drop(file);

        let file = locked(&options, dead());
        thread::scope(|scope| {
            let taken = scope.spawn(|| FileLock::take(&options).map(drop));
            // For so long it is held.
            thread::sleep(10 * LOOK);
            assert!(!taken.is_finished());
            drop(file);
            taken.join().unwrap().unwrap();
        });
        let note = fs::read_to_string(lock_path(&options.path)).unwrap();
        let note: serde_json::Value = serde_json::from_str(&note).unwrap();
        assert_eq!(note["process"], std::process::id());
    }
}
