//! Events that wait for their place in the log.

use std::time::Duration;

use callboard_contracts::{EventType, Timestamp};
use uuid::Uuid;

use super::{JobRow, report};
use crate::edges::store::{
    record::{ClaimedJob, NewJob},
    report::ReportedProgress,
};

/// An event that waits for its place in the log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: Uuid,
    pub(crate) event: EventType,
    pub(crate) job: Uuid,
    pub(crate) job_type: String,
    pub(crate) queue: String,
    pub(crate) job_created_at: Timestamp,
    pub(crate) correlation_id: Uuid,
    pub(crate) attempt: u32,
    pub(crate) error: Option<String>,
    pub(crate) duration: Option<Duration>,
    /// JSON text.
    pub(crate) progress: Option<String>,
}

impl Event {
    pub(crate) fn of(row: &JobRow, event: EventType) -> Self {
        Event {
            id: Uuid::now_v7(),
            event,
            job: row.id,
            job_type: row.job_type.clone(),
            queue: row.queue.clone(),
            job_created_at: row.created_at,
            correlation_id: row.correlation_id,
            attempt: row.attempt,
            error: None,
            duration: None,
            progress: None,
        }
    }

    /// That this job was stored.
    pub(crate) fn created(job: &NewJob, now: Timestamp) -> Self {
        Event {
            id: job.event_id,
            event: EventType::Created,
            job: job.id,
            job_type: job.job_type.clone(),
            queue: job.queue.clone(),
            job_created_at: now,
            correlation_id: job.correlation_id,
            attempt: 0,
            error: None,
            duration: None,
            progress: None,
        }
    }

    /// That this job was claimed for the first time.
    pub(crate) fn validated(job: &ClaimedJob) -> Self {
        Event {
            id: Uuid::now_v7(),
            event: EventType::Validated,
            job: job.id,
            job_type: job.job_type.clone(),
            queue: job.queue.clone(),
            job_created_at: job.created_at,
            correlation_id: job.correlation_id,
            attempt: job.attempt,
            error: None,
            duration: None,
            progress: None,
        }
    }

    pub(crate) fn error(self, error: &str) -> Self {
        Event { error: Some(error.to_owned()), ..self }
    }

    pub(crate) fn progress(self, progress: &ReportedProgress) -> Self {
        Event { progress: Some(report::as_json(progress)), ..self }
    }

    pub(crate) fn lasting(self, duration: Option<Duration>) -> Self {
        Event { duration, ..self }
    }
}
