//! The data folder belongs to one server.

use std::{
    fs::{self, File, TryLockError},
    io::Write,
    net::SocketAddr,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};
use serde_json::Value;
use tokio::time::sleep;

/// The lock's name in the folder.
const NAME: &str = "callboard.lock";
/// The embedded store's lock in the folder.
const STORE_NAME: &str = "callboard.db.lock";
/// What a lock may say of its holder.
const LONGEST: usize = 4096;
/// How long the lock of a process that is dead is waited for, and how often it is looked at. A child that it was about to
/// start holds the lock until it has become the program that it is to be.
const DEAD_HOLDER: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

/// Held for as long as this process uses the folder.
pub(crate) struct FolderLock {
    _file: File,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// Another server uses it.
    #[error("{}: {holder} uses this folder; give each server one of its own (--data)", .folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The process.
        holder: String,
    },
    /// The system says no.
    #[error("{}: {error}", .folder.display())]
    System {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
}

impl FolderLock {
    /// Takes the folder, which is made if it is missing.
    pub(crate) async fn take(folder: &Path) -> Result<Self, FolderError> {
        let failed = |error| FolderError::System { folder: folder.to_owned(), error };
        fs::create_dir_all(folder).map_err(failed)?;
        let path = folder.join(NAME);
        let options = File::options().read(true).write(true).create(true).truncate(false).clone();
        let mut file = options.open(path).map_err(failed)?;
        let deadline = Instant::now() + DEAD_HOLDER;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            let holder = holder(&file);
            let is_dead = holder.is_some_and(|process| test_kill_process(process) == Err(Errno::SRCH));
            if !is_dead || Instant::now() > deadline {
                let holder = holder.map_or("another process".to_owned(), |id| format!("process {id}"));
                return Err(FolderError::InUse { folder: folder.to_owned(), holder });
            }
            sleep(LOOK).await;
        }
        let note = std::process::id().to_string();
        file.set_len(0).and_then(|()| file.write_all(note.as_bytes())).map_err(failed)?;
        Ok(FolderLock { _file: file })
    }
}

/// The process that has noted itself in the lock.
fn holder(file: &File) -> Option<Pid> {
    let (process, _) = note(&text_of(file)?)?;
    Some(process)
}

fn text_of(file: &File) -> Option<String> {
    let mut text = [0; LONGEST];
    let read = file.read_at(&mut text, 0).ok()?;
    String::from_utf8(text[..read].to_vec()).ok()
}

/// The process that a note names, and where it serves: an object in the lock of the store, else a line each.
fn note(text: &str) -> Option<(Pid, Option<SocketAddr>)> {
    if let Ok(Value::Object(note)) = serde_json::from_str(text) {
        let process = note.get("process")?.as_i64().and_then(|process| i32::try_from(process).ok())?;
        let address = note.get("address").and_then(Value::as_str).and_then(|address| address.parse().ok());
        return Some((Pid::from_raw(process)?, address));
    }
    let mut lines = text.lines();
    let process = Pid::from_raw(lines.next()?.parse().ok()?)?;
    Some((process, lines.next().and_then(|address| address.parse().ok())))
}

/// Notes in the folder's lock where this process, which holds it, serves.
#[cfg(any(feature = "web", test))]
pub(crate) fn note_address(folder: &Path, address: SocketAddr) -> std::io::Result<()> {
    let own = Pid::from_raw(i32::try_from(std::process::id()).unwrap_or(0));
    for name in [STORE_NAME, NAME] {
        let mut file = match File::options().read(true).write(true).open(folder.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let text = text_of(&file).unwrap_or_default();
        if note(&text).map(|(process, _)| process) != own {
            continue;
        }
        let text = match serde_json::from_str(&text) {
            Ok(Value::Object(mut note)) => {
                note.insert("address".to_owned(), address.to_string().into());
                Value::Object(note).to_string()
            }
            _ => format!("{}\n{address}", std::process::id()),
        };
        file.set_len(0)?;
        file.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// Where the server listens that uses this data folder now, as it has noted in the folder's lock.
pub fn address_in_lock(folder: &Path) -> Option<SocketAddr> {
    let at = |name: &str| {
        let (process, address) = note(&text_of(&File::open(folder.join(name)).ok()?)?)?;
        // What a dead process has noted is of no use.
        address.filter(|_| test_kill_process(process) != Err(Errno::SRCH))
    };
    at(STORE_NAME).or_else(|| at(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_has_one_holder_who_is_named() {
        let folder = tempfile::TempDir::new().unwrap();
        let held = FolderLock::take(folder.path()).await.unwrap();
        let error = FolderLock::take(folder.path()).await.err().unwrap().to_string();
        assert!(error.contains(&format!("process {} uses this folder", std::process::id())), "{error}");
        let address = "127.0.0.1:4711".parse().unwrap();
        note_address(folder.path(), address).unwrap();
        assert_eq!(address_in_lock(folder.path()), Some(address));
        let error = FolderLock::take(folder.path()).await.err().unwrap().to_string();
        assert!(error.contains("process"), "the process is found still: {error}");
        drop(held);
        FolderLock::take(folder.path()).await.unwrap();
        assert_eq!(address_in_lock(folder.path()), None, "who takes it next has said nothing yet");
    }

    #[test]
    fn the_lock_of_the_store_has_it_too_and_the_dead_are_not_believed() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join(STORE_NAME);
        let note = |process: u32| serde_json::json!({ "process": process, "node": "n" }).to_string();
        fs::write(&path, note(std::process::id())).unwrap();
        let address = "127.0.0.1:4711".parse().unwrap();
        note_address(folder.path(), address).unwrap();
        assert_eq!(address_in_lock(folder.path()), Some(address));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let other = note(child.id());
        fs::write(&path, &other).unwrap();
        note_address(folder.path(), address).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), other, "the note of another process stays");
        fs::write(&path, other.replace('}', ",\"address\":\"127.0.0.1:4711\"}")).unwrap();
        assert_eq!(address_in_lock(folder.path()), None);
    }
}
