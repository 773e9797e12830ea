//! The jobs that are loaded.

use std::collections::VecDeque;

use callboard_client::JobQuery;
use callboard_contracts::Timestamp;
use uuid::Uuid;

use crate::{rows::JobRow, table::Table};

/// Jobs that are held at most; of more, the newest.
pub const MOST_JOBS: usize = 100_000;
/// Jobs of one page.
pub const PAGE: u32 = 1_000;
/// Jobs whose payloads are loaded at most because a filter asks for them.
pub const MOST_PAYLOADS: usize = 1_000;

/// The list of jobs.
#[derive(Debug, Default)]
pub struct Jobs {
    /// The jobs.
    pub table: Table<JobRow>,
    /// What of the filter the server applies.
    pub query: JobQuery,
    /// Grows with each new query, so that late answers to an earlier one are known.
    pub generation: u64,
    /// Where the next page begins.
    pub next: Option<String>,
    /// Whether a page was asked for and has not come.
    pub loading: bool,
    /// Whether the first page has come.
    pub loaded: bool,
    /// How many pages in a row the server has refused.
    pub refused: u32,
    /// When it is asked for a page again after that.
    pub again_at: Option<Timestamp>,
    /// Loaded jobs that may be otherwise by now and are to be looked up.
    pub recheck: VecDeque<Uuid>,
    /// Newer jobs than of this time may be missing.
    pub behind: Option<Timestamp>,
    /// Pages that were loaded to find them.
    pub pages: u32,
    /// Whether all pages are to be loaded, up to the bound.
    pub want_all: bool,
    /// Payloads that were asked for by the filter that holds now.
    pub payloads_asked: usize,
    /// Payloads that were asked for and have not come.
    pub payloads_open: usize,
}

impl Jobs {
    /// Whether the server has more than what is held.
    pub fn has_more(&self) -> bool {
        self.next.is_some()
    }

    /// Whether no more are held because there are too many.
    pub fn is_full(&self) -> bool {
        self.table.len() >= MOST_JOBS
    }
}
