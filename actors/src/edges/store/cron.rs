//! The cron table: entries, and what is done to them.
//!
//! Who fires computes the times (see [`crate::cron`]); the store compares. [`CronOperation::Fire`] names the time that the entry
//! waited for, and only of the entry that still does, unchanged, a job is stored: in the transaction in which the entry begins to
//! wait for its next time. So there is one job for each time, whoever leads and however often he asks.

use callboard_contracts::{
    JobState, Timestamp,
    api::{CronDefinition, CronFiring, CronSource},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    StoreError,
    record::{Lease, NewJob},
};
use crate::cron::{DueTime, Firing};

/// An entry as it stands in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CronRecord {
    /// Its name.
    pub name: String,
    /// When, and what.
    pub definition: CronDefinition,
    /// Where it comes from.
    pub source: CronSource,
    /// Who has set it last.
    pub set_by: String,
    /// Grows with each change by anybody, so that nobody acts on what is no more.
    pub revision: u64,
    /// Since when it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Timestamp>,
    /// The time that it waits for; none while it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<DueTime>,
    /// The job that was stored last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_job: Option<Uuid>,
    /// Times for which a job was stored.
    pub fired: u64,
    /// Times for which none could be, or was to be.
    pub skipped: u64,
    /// Times that were missed.
    pub missed: u64,
    /// What became of the last times, newest first, at most [`FIRINGS`](Self::FIRINGS).
    pub firings: Vec<CronFiring>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last, other than by its firing.
    pub updated_at: Timestamp,
}

impl CronRecord {
    /// Entries that there may be.
    pub const MOST: u32 = 1000;
    /// Times of which it is kept what became of them.
    pub const FIRINGS: usize = 10;
}

/// How an entry is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCron {
    /// Its name.
    pub name: String,
    /// When, and what.
    pub definition: CronDefinition,
    /// Its first time from now on. One that is there and has the same times waits on for what it waited for.
    pub next: Option<DueTime>,
}

/// One write to the cron table.
#[derive(Clone, Debug, PartialEq)]
pub enum CronOperation {
    /// Make an entry, or change it, as a request asks. One of the configuration stays as it is.
    Put {
        /// How it is to be.
        entry: Box<NewCron>,
        /// Who says so.
        by: String,
    },
    /// Make the entries of a configuration what they are to be, and take those out that it does not have any more. Entries that
    /// requests have made stay as they are.
    Sync {
        /// All that it has.
        entries: Vec<NewCron>,
        /// The node that has the configuration.
        node: String,
        /// Whether entries are taken out that another node has put in.
        all: bool,
        /// The token of the [`Leadership`](super::Leadership) under which it is done.
        leader: u64,
    },
    /// Take an entry out that a request has made. Its jobs stay.
    Delete {
        /// The entry.
        name: String,
    },
    /// Let an entry store no more jobs. Times that pass meanwhile are not missed, but nothing.
    Pause {
        /// The entry.
        name: String,
    },
    /// Let it go on.
    Resume {
        /// The entry.
        name: String,
        /// As it was when `next` was found.
        revision: u64,
        /// Its first time from now on.
        next: Option<DueTime>,
    },
    /// Store a job of an entry now, whatever its times are and also while it is paused.
    Run {
        /// The entry.
        name: String,
        /// As it was when the job was made of it.
        revision: u64,
        /// The job.
        job: Box<NewJob>,
    },
    /// Deal with a time that has come.
    Fire(Box<Fire>),
}

/// What is to become of a time that has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Fire {
    /// The entry.
    pub name: String,
    /// As it was when this was decided.
    pub revision: u64,
    /// Which time, and which is next.
    pub firing: Firing,
    /// The job, or why there is none. Passed over when no time is to be made up for.
    pub job: Result<NewJob, String>,
    /// The token of the [`Leadership`](super::Leadership) under which it is done.
    pub leader: u64,
}

/// A job that was running, and is told to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalledOff {
    /// Its attempt.
    pub lease: Lease,
    /// Its queue.
    pub queue: String,
    /// Whose it is.
    pub session: Uuid,
}

/// What a [`CronOperation`] did.
#[derive(Clone, Debug, PartialEq)]
pub enum CronOutcome {
    /// It is as it is to be.
    Done,
    /// [`CronOperation::Sync`]: so many were changed and taken out; these were not, since requests have made entries of their
    /// names, or there are too many.
    Synced {
        /// Entries that are new or other than before.
        changed: u32,
        /// Entries that are gone.
        taken_out: Vec<String>,
        /// Entries that were left alone.
        refused: Vec<String>,
    },
    /// There is no such entry; nothing changed.
    NotFound,
    /// It comes from elsewhere, where it is to be changed; nothing changed.
    Taken {
        /// Where it comes from.
        source: CronSource,
    },
    /// There are as many entries as may be; nothing changed.
    TooMany {
        /// How many.
        limit: u32,
    },
    /// It is another one than it was, or waits for another time; nothing changed.
    Changed,
    /// A job was stored.
    Fired {
        /// The job.
        job: Uuid,
        /// Its queue.
        queue: String,
        /// Its state.
        state: JobState,
        /// The job before it, which ran and is to end.
        called_off: Option<CalledOff>,
    },
    /// No job was stored, and the entry waits for its next time.
    Skipped {
        /// Why.
        reason: String,
    },
    /// There is no room for the job, and it is early enough to wait for some; nothing changed.
    Full {
        /// What is full.
        reason: String,
    },
    /// The store takes no new jobs now; nothing changed.
    Unavailable(StoreError),
}

/// Entries whose time has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CronDue {
    /// Those that wait for the earliest times.
    pub entries: Vec<CronRecord>,
    /// When the first job of the others is to be stored.
    pub next_at: Option<Timestamp>,
}
