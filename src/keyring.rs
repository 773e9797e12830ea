//! The keys of payloads, from where the configuration says they are.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use callboard_actors::encryption::{KeyError, Keyring};
use callboard_config::{EncryptionKeySettings, Settings};
use secrecy::SecretString;

/// Bytes of a file that holds a key, at most.
const MAX_BYTES: u64 = 1024;

/// Why the keys cannot be used. It never says what a key is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// A file cannot be read.
    #[error("`encryption.keys`: the key {name:?}: {}: {error}", file.display())]
    File {
        /// The key.
        name: String,
        /// Its file.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Others may read the file.
    #[error(
        "`encryption.keys`: the key {name:?}: {}: every user may read or change it (mode {mode:03o}); chmod 600, or 640 with a group",
        file.display()
    )]
    Mode {
        /// The key.
        name: String,
        /// Its file.
        file: PathBuf,
        /// The file's mode.
        mode: u32,
    },
    /// A variable is not there.
    #[error(
        "`encryption.keys`: the key {name:?}: the environment has no variable {variable:?}, or it is no text"
    )]
    Variable {
        /// The key.
        name: String,
        /// The variable.
        variable: String,
    },
    /// They could not be read, as the program stops.
    #[error("`encryption.keys`: the keys could not be read, as the program stops")]
    Stopped,
    /// They are read and are no keys.
    #[error("`encryption`: {0}")]
    Key(#[from] KeyError),
}

/// The keys that the settings name. Blocks.
///
/// # Errors
/// The first that cannot be used.
pub(crate) fn keyring(settings: &Settings) -> Result<Keyring, KeyringError> {
    let encryption = &settings.encryption;
    let keys = encryption.keys.iter().map(|key| Ok((key.name.clone(), text(key)?)));
    let keys = keys.collect::<Result<Vec<_>, KeyringError>>()?;
    Ok(Keyring::new(keys, encryption.current.as_deref(), encryption.fingerprint_key.as_deref())?)
}

fn text(key: &EncryptionKeySettings) -> Result<SecretString, KeyringError> {
    match (&key.file, &key.env) {
        (Some(file), _) => from_file(&key.name, file),
        (None, variable) => {
            let variable = variable.clone().unwrap_or_default();
            let missing = || KeyringError::Variable { name: key.name.clone(), variable: variable.clone() };
            // The name of no variable is empty, nor has it these; asking for one would panic.
            if variable.is_empty() || variable.contains(['=', '\0']) {
                return Err(missing());
            }
            std::env::var(&variable).map(SecretString::from).map_err(|_| missing())
        }
    }
}

fn from_file(name: &str, file: &Path) -> Result<SecretString, KeyringError> {
    let unreadable = |error| KeyringError::File { name: name.to_owned(), file: file.to_owned(), error };
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    let metadata = opened.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::Error::other("it is no file")));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o007 != 0 {
            return Err(KeyringError::Mode { name: name.to_owned(), file: file.to_owned(), mode });
        }
    }
    let mut text = String::new();
    opened.take(MAX_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn settings(key: EncryptionKeySettings) -> Settings {
        let mut settings = Settings::default();
        settings.encryption.current = Some(key.name.clone());
        settings.encryption.keys = vec![key];
        settings
    }

    #[test]
    fn a_key_comes_from_a_file_that_not_everybody_reads() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let of = |file: &Path| {
            keyring(&settings(EncryptionKeySettings { name: "a".into(), file: Some(file.into()), env: None }))
        };
        assert!(matches!(of(&file), Err(KeyringError::File { .. })));
        std::fs::write(&file, format!("{}\n", "ab".repeat(32))).unwrap();
        for (mode, fits) in [(0o600, true), (0o640, true), (0o644, false), (0o602, false)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            match of(&file) {
                Ok(keys) => assert!(fits && keys.current() == Some("a"), "{mode:o}"),
                Err(error) => assert!(!fits && matches!(error, KeyringError::Mode { .. }), "{error}"),
            }
        }
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&file, "not-a-key").unwrap();
        let error = of(&file).unwrap_err();
        assert!(matches!(error, KeyringError::Key(_)) && !error.to_string().contains("not-a-key"), "{error}");
        assert!(matches!(of(folder.path()), Err(KeyringError::File { .. })));
    }

    #[test]
    fn a_variable_that_is_not_there_is_named() {
        for variable in ["CALLBOARD_TEST_NO_SUCH_KEY", "", "a=b"] {
            let key = EncryptionKeySettings { name: "a".into(), file: None, env: Some(variable.to_owned()) };
            let error = keyring(&settings(key)).unwrap_err();
            assert!(matches!(error, KeyringError::Variable { .. }), "{error}");
        }
    }
}
