//! The console's own settings: `callboard/console.toml` in the folder for configurations.

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    keys::{Keys, KeysError},
    theme::{Theme, ThemeError},
};

/// Bytes of a file at most.
const LARGEST: u64 = 1 << 20;

/// The console's settings.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The keys.
    pub keys: Keys,
    /// The colours.
    pub theme: Theme,
    /// Whether the mouse is used, if that is said.
    pub mouse: Option<bool>,
    /// Whether only ASCII is drawn, if that is said.
    pub ascii: Option<bool>,
    /// Whether nothing may be changed.
    pub read_only: bool,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{}: {problem}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: io::Error,
    },
    /// It is no TOML, or has what is no setting.
    #[error("{}: {}", .path.display(), .problem.trim_end())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where, and what.
        problem: String,
    },
    /// Keys cannot be so.
    #[error("{}: {problem}", .path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: KeysError,
    },
    /// Colours cannot be so.
    #[error("{}: {problem}", .path.display())]
    Theme {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: ThemeError,
    },
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    keys: BTreeMap<String, String>,
    #[serde(default)]
    theme: BTreeMap<String, String>,
    mouse: Option<bool>,
    ascii: Option<bool>,
    #[serde(default)]
    readonly: bool,
}

impl Config {
    /// Where the file is, if a folder for it is known: `$XDG_CONFIG_HOME/callboard/console.toml`, else
    /// `~/.config/callboard/console.toml`.
    pub fn place() -> Option<PathBuf> {
        Some(folder("XDG_CONFIG_HOME", ".config")?.join("console.toml"))
    }

    /// Where the console writes its log: `$XDG_STATE_HOME/callboard/console.log`, else
    /// `~/.local/state/callboard/console.log`.
    pub fn log_place() -> Option<PathBuf> {
        Some(folder("XDG_STATE_HOME", ".local/state")?.join("console.log"))
    }

    /// What the file says; none if there is no file.
    ///
    /// # Errors
    /// [`ConfigError`] says where, and what would be right.
    pub fn read(path: &Path) -> Result<Option<Self>, ConfigError> {
        let at = || path.to_owned();
        let failed = |problem| ConfigError::Read { path: at(), problem };
        let size = match fs::metadata(path) {
            Ok(about) => about.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if size > LARGEST {
            return Err(failed(io::Error::other(format!("it has more than {LARGEST} bytes"))));
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        let written: Written = toml::from_str(&text)
            .map_err(|error| ConfigError::Toml { path: at(), problem: error.to_string() })?;
        let Written { keys, theme, mouse, ascii, readonly } = written;
        let keys = Keys::with(&keys).map_err(|problem| ConfigError::Keys { path: at(), problem })?;
        let theme = Theme::with(&theme).map_err(|problem| ConfigError::Theme { path: at(), problem })?;
        Ok(Some(Config { keys, theme, mouse, ascii, read_only: readonly }))
    }
}

fn folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let given = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let own = || Some(PathBuf::from(env::var_os("HOME").filter(|home| !home.is_empty())?).join(below_home));
    Some(given.or_else(own)?.join("callboard"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_or_says_what_is_wrong() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("console.toml");
        assert!(Config::read(&path).unwrap().is_none());
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            Config::read(&path).map(Option::unwrap)
        };
        let config =
            read("mouse = false\n[keys]\n\"jobs.cancel\" = \"Ctrl-x\"\n[theme]\ndead = \"light-red\"\n")
                .unwrap();
        assert_eq!((config.mouse, config.ascii, config.read_only), (Some(false), None, false));
        for (text, says) in [
            ("mice = true", "unknown field"),
            ("mouse = 3", "boolean"),
            ("[keys]\nquit = \"x\"", "keys.quit: N, U, R and Q"),
            ("[theme]\ndead = \"pink\"", "\"pink\" is no colour"),
            ("[", "console.toml"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("console.toml"), "{text:?}: {error}");
        }
    }
}
