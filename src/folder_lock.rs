//! The data folder belongs to one server.

use std::{
    fs::{self, File, TryLockError},
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};
use tokio::time::sleep;

/// The lock's name in the folder.
const NAME: &str = "callboard.lock";
/// What the lock may say of its holder.
const LONGEST: usize = 20;
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
    let mut text = [0; LONGEST];
    let read = file.read_at(&mut text, 0).ok()?;
    Pid::from_raw(std::str::from_utf8(&text[..read]).ok()?.parse().ok()?)
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
        drop(held);
        FolderLock::take(folder.path()).await.unwrap();
    }
}
