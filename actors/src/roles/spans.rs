//! What the roles' spans say of themselves, in the words of OpenTelemetry's conventions for messaging.

use callboard_contracts::api::{AttemptError, Submitted};
use uuid::Uuid;

use super::{
    queue::{Ending, attempt::Attempt},
    request::Refusal,
};
use crate::edges::telemetry::Description;

/// `messaging.system` of every span about a job.
const SYSTEM: &str = "callboard";

/// A job was taken in, or refused.
pub(super) fn submission(job_type: &str, answer: &Result<Submitted, Refusal>) -> Description {
    let described = Description::new(format!("submit {}", named(job_type)))
        .with("messaging.system", SYSTEM)
        .with("messaging.operation.type", "send")
        .with("callboard.job.type", job_type);
    match answer {
        Ok(submitted) => described
            .with("messaging.message.id", submitted.id.to_string())
            .with("callboard.submission.outcome", if submitted.duplicate { "duplicate" } else { "accepted" }),
        Err(refusal) => {
            described.with("callboard.submission.outcome", "refused").failed(Some(refusal.to_string()))
        }
    }
}

/// A job was made for a transaction of somebody else.
pub(super) fn preparation(job_type: &str, made: Result<Uuid, &Refusal>) -> Description {
    let described = Description::new(format!("prepare {}", named(job_type)))
        .with("messaging.system", SYSTEM)
        .with("messaging.operation.type", "create")
        .with("callboard.job.type", job_type);
    match made {
        Ok(id) => described.with("messaging.message.id", id.to_string()),
        Err(refusal) => described.failed(Some(refusal.to_string())),
    }
}

/// The jobs of a request were written, or not.
pub(super) fn stored(jobs: usize, failed: Option<String>) -> Description {
    Description::new("store jobs")
        .with("callboard.jobs", i64::try_from(jobs).unwrap_or(i64::MAX))
        .failed(failed)
}

/// A run has ended; `None`: it was killed because its session was lost.
pub(super) fn run(attempt: &Attempt, node: &str, ending: Option<&Ending>) -> Description {
    let job = &attempt.job;
    let kind = |error: &AttemptError| {
        let kind = serde_json::to_value(error.kind).unwrap_or_default();
        kind.as_str().unwrap_or_default().to_owned()
    };
    let (outcome, error) = match ending {
        Some(Ending::Completed(_)) => ("completed", None),
        Some(Ending::Failed { error, .. }) => ("failed", Some(error)),
        Some(Ending::Cancelled(error)) => ("cancelled", Some(error)),
        Some(Ending::Released) => ("released", None),
        Some(Ending::Snoozed(_)) => ("snoozed", None),
        None => ("lost", None),
    };
    let described = Description::new(format!("run {}", job.job_type))
        .with("messaging.system", SYSTEM)
        .with("messaging.operation.type", "process")
        .with("messaging.destination.name", job.queue.clone())
        .with("messaging.message.id", job.id.to_string())
        .with("callboard.job.type", job.job_type.clone())
        .with("callboard.job.attempt", i64::from(job.attempt))
        .with("callboard.job.max_attempts", i64::from(job.max_attempts))
        .with("callboard.attempt.outcome", outcome)
        .with("callboard.node", node);
    match error {
        Some(error) => described.with("error.type", kind(error)).failed(Some(error.message.clone())),
        None if ending.is_none() => described.failed(Some("the session of the node was lost".to_owned())),
        None => described,
    }
}

/// A type as part of a span's name: those that nobody could have registered make one name.
fn named(job_type: &str) -> &str {
    if callboard_contracts::name::check(job_type).is_ok() { job_type } else { "job" }
}
