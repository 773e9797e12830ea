//! A store's content as lines of JSON, for moving it to another store, and what is said of its health.
//!
//! The first line (`export`) says what follows: settings, queues, totals, edges, the cron table, answered keys, events of others that were dealt
//! with, what was changed in replays, bulk operations, jobs with their attempts in the order of storing, each followed by what its runs have
//! said, workflows, then, if wanted, the events in the order of the log. The last line (`end`)
//! counts them, so that a file that was cut off is known as such. Whatever the size of the store, one line of it is in memory at a
//! time.

mod check;
mod error;
mod line;
mod reader;
mod workflow_line;
mod writer;

use std::time::{SystemTime, UNIX_EPOCH};

use callboard_contracts::{EventType, Timestamp, api::AttemptOutcome};
use uuid::Uuid;

pub use self::{
    check::{Check, SchemaVersion},
    error::TransferError,
    line::Counts,
};
pub(crate) use self::{
    line::{
        AttemptLine, BulkLine, EdgeLine, EditLine, EventLine, Header, InboxLine, JobLine, KeyLine, Line,
        LogLine, PlaceLine, ProgressLine, PublishedLine, QueueLine, ReportLine, SettingLine, SignalLine,
        TotalLine, raw,
    },
    reader::Reader,
    workflow_line::{StepLine, WorkflowLine},
    writer::Writer,
};

/// Told now and then of how far a transfer is.
pub type Progress<'a> = &'a mut dyn FnMut(Counts);

/// Settings that a store writes for itself; they do not move.
pub(crate) const OWN_SETTINGS: [&str; 4] = ["epoch", "counters", "probed", BEGIN_EPOCH];
/// The setting of a copy: its log begins a new epoch when it is first opened.
pub(crate) const BEGIN_EPOCH: &str = "begin_epoch";

/// The epoch of a log that goes on from a copy of one of epoch `last`. Two copies of the same log get different ones, so that
/// no reader takes a place in one for a place in the other.
pub(crate) fn next_epoch(last: u64) -> u64 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    last.saturating_add(1).max(seconds)
}

/// Makes a job that ran when it was exported available again: the attempt that was under way is handed back, and does not
/// count.
pub(crate) fn hand_back(
    job: &JobLine,
    now: Timestamp,
    node: &str,
    version: &str,
    position: u64,
) -> (AttemptLine, EventLine) {
    let attempt = AttemptLine {
        number: job.attempt,
        token: job.token,
        outcome: AttemptOutcome::Released,
        node: node.to_owned(),
        claimed_at: job.claimed_at.unwrap_or(now),
        started_at: job.started_at,
        finished_at: now,
        error: None,
    };
    let event = EventLine {
        position,
        id: Uuid::now_v7(),
        event: EventType::Released,
        occurred_at: now,
        job: job.id,
        job_type: job.job_type.clone(),
        queue: job.queue.clone(),
        job_created_at: job.created_at,
        correlation_id: job.correlation_id,
        attempt: job.attempt,
        error: None,
        duration_us: job
            .started_at
            .map(|at| u64::try_from(now.saturating_since(at).as_micros()).unwrap_or(u64::MAX >> 1)),
        progress: None,
        instance: node.to_owned(),
        version: version.to_owned(),
    };
    (attempt, event)
}
