//! A folder with configuration files.

use std::path::PathBuf;

use callboard_config::Loader;
use tempfile::TempDir;

/// A folder of its own, removed at the end.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a folder for the test"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file of the test");
        path
    }

    /// The errors of a loader, with the folder's own name left out.
    pub(crate) fn errors(&self, loader: Loader) -> String {
        let error = loader.load().expect_err("the configuration is wrong");
        error.to_string().replace(&format!("{}/", self.0.path().display()), "")
    }
}

/// The errors of one file.
pub(crate) fn errors(text: impl AsRef<[u8]>) -> String {
    let folder = Folder::new();
    let path = folder.write("callboard.toml", text);
    folder.errors(Loader::new().file(path))
}

/// Environment variables as the loader takes them.
pub(crate) fn variables<const N: usize>(
    variables: [(&str, &str); N],
) -> impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)> {
    variables.map(|(name, value)| (name.into(), value.into())).into_iter()
}
