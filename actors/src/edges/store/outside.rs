//! What goes between the store and programs outside: their events, and attempts that are with workers there.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use callboard_contracts::{Timestamp, api::AttemptError};
use uuid::Uuid;

use super::record::NewJob;
use crate::jobs::RetryPolicy;

/// Whose the lease is of an attempt that is with a worker outside: that of no node. It ends by its time, and with no node's
/// session.
pub const OUTSIDE: Uuid = Uuid::max();

/// An event of another program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedEvent {
    /// Its id: it is dealt with once, however often it comes.
    pub id: Uuid,
    /// When it happened, as its producer says.
    pub occurred_at: Timestamp,
    /// Who says so.
    pub producer: String,
}

/// An event of another program that tells of a new job.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedJob {
    /// The event.
    pub event: ReceivedEvent,
    /// The job. Its `job.created` event has the id of the event that it came with, so that there is one of them.
    pub job: NewJob,
}

/// A word about an attempt that is with a worker outside.
#[derive(Clone, Debug, PartialEq)]
pub struct OutsideWord {
    /// The event that says it.
    pub event: ReceivedEvent,
    /// The job.
    pub job: Uuid,
    /// The token of the attempt's lease; `None`: it is about the current attempt, whichever that is.
    pub token: Option<u64>,
    /// When the attempt's run began, if that is said. Brought between its claim and now.
    pub started_at: Option<Timestamp>,
    /// What it says.
    pub said: Said,
    /// The queues that are served by workers outside, each with how long a word keeps an attempt alive. Of jobs of other queues
    /// nothing is heard, unless they were given away before.
    pub served: Arc<BTreeMap<String, Duration>>,
}

/// What a worker outside says of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// It is at it.
    Alive,
    /// It is done, with a result (JSON text), if it has one.
    Completed {
        /// The result, any JSON value.
        result: Option<String>,
    },
    /// It has failed.
    Failed {
        /// What went wrong.
        error: AttemptError,
        /// Whether another attempt follows, and when.
        retry: RetryPlan,
    },
}

/// When failed attempts are followed by the next. It is for the store to use, where it learns only in its transaction which
/// attempts those are.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPlan {
    /// What types say that have a policy of their own.
    pub by_type: Arc<BTreeMap<String, RetryPolicy>>,
    /// What holds for the others.
    pub other: RetryPolicy,
    /// Chance, uniform in 0..1.
    pub random: f64,
}

impl RetryPlan {
    /// When the attempt after this one, which has failed, may begin; `None`: none follows. Of `most` attempts, this was the one of this
    /// number, counted from 1. For backends of the store.
    pub fn retry_at(&self, job_type: &str, (attempt, most): (u32, u32), now: Timestamp) -> Option<Timestamp> {
        let policy = self.by_type.get(job_type).unwrap_or(&self.other);
        let delay = if attempt < most { policy.delay(attempt, self.random) } else { None };
        delay.map(|delay| now.saturating_add(delay))
    }
}
