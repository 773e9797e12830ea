//! The folders that programs run in: `<workspace>/<job>/<attempt>`.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Only the server's user may look into a program's folder.
const PRIVATE: u32 = 0o700;
/// How often a folder is made again when the clearing of an earlier attempt took its parent away in between.
const CREATE_TRIES: u32 = 8;

/// When the folder of an attempt stays after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeepWorkspace {
    /// It is always removed.
    #[default]
    Never,
    /// It stays unless the program exited with code 0.
    OnFailure,
    /// It always stays.
    Always,
}

impl KeepWorkspace {
    pub(super) fn keeps(self, succeeded: bool) -> bool {
        match self {
            Self::Never => false,
            Self::OnFailure => !succeeded,
            Self::Always => true,
        }
    }
}

/// Makes the folder of an attempt; the folder must be new.
pub(super) fn create(workspace: &Path, job: &str, attempt: u32) -> io::Result<PathBuf> {
    let parent = workspace.join(job);
    let folder = parent.join(attempt.to_string());
    let mut tries = 1..CREATE_TRIES;
    loop {
        DirBuilder::new().recursive(true).mode(PRIVATE).create(&parent)?;
        match DirBuilder::new().mode(PRIVATE).create(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries.next().is_some() => {}
            Err(error) => return Err(error),
            // Made absolute after it exists; the parts below the workspace are ours and hold no links.
            Ok(()) => return std::path::absolute(&folder),
        }
    }
}

/// Removes the folder of an attempt, and the job's if that was the last.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    remove_tree(folder)?;
    if let Some(parent) = folder.parent() {
        // Another attempt's folder is in it, or it is gone already: both are fine.
        let _ = std::fs::remove_dir(parent);
    }
    Ok(())
}

/// Removes everything below the workspace; returns how many jobs' folders there were.
pub(super) fn clean(workspace: &Path) -> io::Result<usize> {
    let entries = match std::fs::read_dir(workspace) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        // Callboard makes nothing but folders here; anything else is somebody's, and no leftover.
        if entry.file_type()?.is_dir() && is_job_name(&entry.file_name().to_string_lossy()) {
            remove_tree(&entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether `name` can be the folder of a job: no path, no hidden file, no surprise.
pub(super) fn is_job_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Removes a tree, also one whose folders its program made unwritable. Links are removed, never followed.
fn remove_tree(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            std::fs::remove_dir_all(path)
        }
        done => done,
    }
}

/// Gives the owner all rights on the folder and those below it.
fn open_up(root: &Path) -> io::Result<()> {
    if !std::fs::symlink_metadata(root)?.is_dir() {
        return Ok(());
    }
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        std::fs::set_permissions(&folder, Permissions::from_mode(PRIVATE))?;
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_private_new_and_removed_with_their_parent() {
        let root = tempfile::tempdir().unwrap();
        let workspace = root.path().join("not/yet/there");
        let first = create(&workspace, "job", 1).unwrap();
        let second = create(&workspace, "job", 2).unwrap();
        assert_eq!(std::fs::metadata(&first).unwrap().permissions().mode() & 0o777, PRIVATE);
        assert_eq!(create(&workspace, "job", 1).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        remove(&first).unwrap();
        assert!(second.exists() && !first.exists());
        remove(&second).unwrap();
        assert!(workspace.exists() && !workspace.join("job").exists());
        remove(&second).unwrap();
    }

    #[test]
    fn leftovers_are_cleaned_and_what_is_not_ours_stays() {
        let root = tempfile::tempdir().unwrap();
        let outside = root.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("precious"), "").unwrap();
        let workspace = root.path().join("workspace");
        assert_eq!(clean(&workspace).unwrap(), 0);
        let folder = create(&workspace, "job", 1).unwrap();
        std::fs::write(folder.join("file"), "").unwrap();
        std::os::unix::fs::symlink(&outside, folder.join("link")).unwrap();
        std::os::unix::fs::symlink(&outside, workspace.join("link")).unwrap();
        std::fs::write(workspace.join("README"), "").unwrap();
        std::fs::create_dir(workspace.join(".git")).unwrap();
        std::fs::create_dir(folder.join("locked")).unwrap();
        std::fs::write(folder.join("locked/file"), "").unwrap();
        std::fs::set_permissions(folder.join("locked"), Permissions::from_mode(0o500)).unwrap();
        assert_eq!(clean(&workspace).unwrap(), 1);
        assert!(!workspace.join("job").exists());
        for kept in ["outside/precious", "workspace/link", "workspace/README", "workspace/.git"] {
            assert!(root.path().join(kept).exists(), "{kept}");
        }
    }

    #[test]
    fn job_names_cannot_leave_the_workspace() {
        for name in ["", ".", "..", "a/b", "/", ".git", "a b", "a\0", "é", &"a".repeat(65)] {
            assert!(!is_job_name(name), "{name:?}");
        }
        assert!(is_job_name("0190a5b2-7c1e-7d2f-8a3b-4c5d6e7f8091"));
    }
}
