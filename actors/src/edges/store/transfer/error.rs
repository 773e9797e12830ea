//! Why a transfer did not succeed.

use std::io;

use super::Counts;
use crate::edges::store::StoreError;

/// Why a transfer did not succeed. The target of an import is as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The store does not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is read cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[source] io::Error),
    /// What is written cannot be written.
    #[error("it cannot be written: {0}")]
    Write(#[source] io::Error),
    /// A line is not what it should be.
    #[error("line {line}: {problem}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// The last line is missing.
    #[error("it is cut off: after line {line} the closing line is missing; export it again")]
    CutOff {
        /// The last line that is there.
        line: u64,
    },
    /// The lines are not those that were written.
    #[error("it is damaged: it should hold {expected:?}, and holds {found:?}; export it again")]
    Miscounted {
        /// What the closing line says.
        expected: Counts,
        /// What was read.
        found: Counts,
    },
    /// The target holds something already.
    #[error("the store is not empty: it holds {jobs} jobs and {events} events; import into a new one")]
    NotEmpty {
        /// Jobs in it.
        jobs: u64,
        /// Events in it.
        events: u64,
    },
    /// Servers use the target.
    #[error("{nodes} uses the store; stop every server that does")]
    InUse {
        /// The nodes.
        nodes: String,
    },
    /// The store's tables are not those of this program.
    #[error(
        "the store's schema is version {found}, and this program works on {known}: run `callboard store migrate`"
    )]
    NotMigrated {
        /// The version found.
        found: u32,
        /// The version needed.
        known: u32,
    },
    /// The store has tools of its own for this.
    #[error("PostgreSQL is backed up by its own tools: {command}")]
    OtherTool {
        /// How to call them.
        command: String,
    },
    /// There is no store.
    #[error("there is no store: {0}")]
    Missing(String),
}
