//! What a running attempt says of itself: how far it is, and the lines of its log.

use callboard_contracts::{Timestamp, api::LogLevel};

use super::record::Lease;

/// Runs of one job whose progress and log are kept: the last ones. A job that is snoozed for ever has no end of them.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) const RUNS: u32 = 100;

/// What an attempt has said since its last report. Sent again it changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The attempt's lease.
    pub lease: Lease,
    /// When its run began; stands in for an [`Operation::Start`](super::Operation::Start) that is not written yet.
    pub started_at: Option<Timestamp>,
    /// Whether it may be the attempt's first: then what more than the last 100 runs have said is deleted.
    pub first: bool,
    /// How far it is, if there is news.
    pub progress: Option<ReportedProgress>,
    /// What it shows of itself, if there is news.
    pub published: Option<ReportedState>,
    /// The numbers of the signals that it has taken.
    pub taken: Vec<u32>,
    /// Lines of its log.
    pub lines: Vec<ReportedLine>,
    /// The first and the last number of lines that are to be forgotten, since the log would be too long with them.
    pub forget: Option<(u64, u64)>,
}

/// How far an attempt is.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportedProgress {
    /// The part of the work that is done, 0 to 1.
    pub fraction: f64,
    /// What it is at.
    pub message: Option<String>,
    /// When it said so. Of two words the later one counts, and the same time is the same word.
    pub at: Timestamp,
}

/// What an attempt shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedState {
    /// JSON text.
    pub value: String,
    /// When it was published. Of two the later one counts, and the same time is the same.
    pub at: Timestamp,
}

/// A line of an attempt's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedLine {
    /// Which line of the attempt it is, from 1. Numbers that are missing are lines that were dropped.
    pub number: u64,
    /// When it was written.
    pub at: Timestamp,
    /// What kind of line it is.
    pub level: LogLevel,
    /// What it says.
    pub text: String,
}
