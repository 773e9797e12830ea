//! What is encrypted in the store: finding it, and encrypting it anew.
//!
//! The store knows nothing of keys. It finds texts that have sealed values in them, and exchanges a text for another one if it is
//! still the one that was found: whoever changes it meanwhile is not overwritten.

use callboard_contracts::JobState;
use uuid::Uuid;

/// Where a text stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SealedPlace {
    /// It is the payload of this job.
    Payload(Uuid),
    /// It is the result of this job.
    Result(Uuid),
    /// It is the payload that this entry of the cron table has for its jobs.
    Cron(String),
    /// It is the patch of this bulk operation.
    Bulk(Uuid),
}

/// A text with sealed values in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedText {
    /// Where it stands.
    pub place: SealedPlace,
    /// The job type that it is of.
    pub job_type: String,
    /// The job's state.
    pub state: JobState,
    /// The text, JSON.
    pub text: String,
}

/// A page of such texts of jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedPage {
    /// The texts, in the order of their jobs.
    pub texts: Vec<SealedText>,
    /// Jobs that were looked at, with sealed values or without.
    pub looked_at: u32,
    /// The last of them, as [`JobRecord::sequence`](super::record::JobRecord::sequence); `None`: there are no more.
    pub next: Option<u64>,
}

impl SealedPage {
    /// Bytes of texts after which a page ends.
    pub const ENOUGH: usize = 4 * 1024 * 1024;
}

/// A text, and what it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resealed {
    /// Where it stands.
    pub place: SealedPlace,
    /// The text that was found there.
    pub old: String,
    /// What it is to be, if it is still that.
    pub new: String,
}
