//! The suites, run on this repository's own backends as anybody outside would run them on his.
#![allow(clippy::unwrap_used, reason = "a test says by its panic what is wrong, also in its helpers")]

#[cfg(feature = "sinks")]
mod app;
#[cfg(feature = "sinks")]
mod file_archive;
mod postgres;
mod sqlite;

use std::{fs, path::PathBuf};

/// What the releases left of this backend.
fn releases(backend: &str) -> Vec<PathBuf> {
    let all = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/releases");
    let folders = fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path().join(backend));
    let mut folders: Vec<_> = folders.filter(|folder| folder.exists()).collect();
    folders.sort();
    folders
}
