//! Where a value comes from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// Nobody set it: the value of `default.toml`.
    Default,
    /// The program has set it itself.
    Code,
    /// A configuration file.
    File {
        /// The file, as it was named.
        path: Arc<Path>,
        /// Line of the value, from 1.
        line: usize,
        /// Column of the value in characters, from 1.
        column: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: Arc<str>,
    },
    /// A flag of the command line.
    Flag {
        /// The flag as people write it, such as `--listen`.
        flag: Arc<str>,
    },
    /// Somebody has set it while the program runs; so it stays until that ends.
    Request {
        /// Who.
        by: Arc<str>,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Code => f.write_str("set by the program"),
            Self::File { path, line, .. } => write!(f, "{}:{line}", path.display()),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::Flag { flag } => write!(f, "flag {flag}"),
            Self::Request { by } => write!(f, "set while it runs, by {by}"),
        }
    }
}

/// A key, its value, and where the value comes from.
#[derive(Clone, Copy, Debug)]
pub struct EffectiveValue<'a> {
    /// The key, such as `web.listen`.
    pub key: &'a str,
    /// The value as TOML; secrets are masked.
    pub value: &'a str,
    /// Where it was set.
    pub source: &'a Source,
    /// Whether a running program takes a change of it up; else it needs a restart.
    pub live: bool,
}
