//! Short words for what is sent to a store.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use callboard_actors::edges::store::{
    Operation, StoreError,
    outside::{OutsideWord, ReceivedEvent, ReceivedJob, RetryPlan, Said},
    queue_pause::QueueOperation,
    record::{AttemptEnd, ClaimedJob, JobFilter, Lease, NewJob, NewSession, Retention},
};
use callboard_actors::jobs::RetryPolicy;
use callboard_contracts::{
    JobState, Timestamp,
    api::{AttemptError, ErrorKind, PauseCause, QueuePause},
};
use uuid::Uuid;

/// A second.
pub const SECOND: Duration = Duration::from_secs(1);
/// How long [`prune`] keeps things.
pub const DAY: Duration = Duration::from_secs(86_400);

/// A job of the queue `default`.
pub fn job() -> NewJob {
    NewJob {
        id: Uuid::now_v7(),
        job_type: "noop".into(),
        queue: "default".into(),
        payload: "{}".into(),
        metadata: None,
        document: None,
        fingerprint: [7; 32],
        max_attempts: 3,
        timeout: Duration::from_secs(60),
        held: None,
        correlation_id: Uuid::now_v7(),
        event_id: Uuid::now_v7(),
        max_backlog: 1_000_000,
        max_total: u64::MAX,
        needs: Vec::new(),
        scheduled_at: None,
        priority: 0,
        tags: Vec::new(),
        partition_key: None,
        unique: None,
        trace: None,
    }
}

/// Stores the job.
pub fn enqueue(job: &NewJob) -> Operation {
    Operation::Enqueue(Box::new(job.clone()))
}

/// The lease of a job that was claimed.
pub fn lease(job: &ClaimedJob) -> Lease {
    Lease { id: job.id, token: job.token }
}

/// Claims jobs of the queue for the session, at most `limit`.
pub fn claim(queue: &str, limit: u32, session: Uuid) -> Operation {
    Operation::Claim { queue: queue.into(), limit, session }
}

/// A pause that somebody has asked for.
pub fn pause_of(who: &str) -> QueuePause {
    QueuePause { cause: PauseCause::Requested, by: who.into(), reason: None, crashes: None }
}

/// Pauses the queue, or lets it go on.
pub fn pausing(queue: &str, paused: bool) -> Operation {
    let queue = queue.into();
    Operation::Queue(match paused {
        true => QueueOperation::Pause { queue, pause: Box::new(pause_of("somebody")) },
        false => QueueOperation::Resume { queue },
    })
}

/// The run of the attempt has begun.
pub fn start(lease: Lease, started_at: Timestamp) -> Operation {
    Operation::Start { lease, started_at }
}

/// The attempt has ended; its beginning was told before, or is not told.
pub fn finish(lease: Lease, end: AttemptEnd) -> Operation {
    Operation::Finish { lease, started_at: None, end }
}

/// An end: it is done, and the result is 17.
pub fn completed() -> AttemptEnd {
    AttemptEnd::Completed { result: Some("17".into()) }
}

/// An error that is no reason to give up.
pub fn error() -> AttemptError {
    AttemptError { kind: ErrorKind::Failed, message: "no luck".into(), backtrace: None, is_final: false }
}

/// An end: it has failed, and another attempt follows then, or none.
pub fn failed(retry_at: Option<Timestamp>) -> AttemptEnd {
    AttemptEnd::Failed { error: error(), retry_at }
}

/// An end: it was called off.
pub fn cancelled() -> AttemptEnd {
    AttemptEnd::Cancelled { error: AttemptError { kind: ErrorKind::Cancelled, ..error() } }
}

/// Runs the job now, or once more, in a queue that is never full.
pub fn retry(id: Uuid) -> Operation {
    Operation::Retry {
        id,
        replay_id: Uuid::now_v7(),
        event_id: Uuid::now_v7(),
        max_backlog: 1_000_000,
        max_total: u64::MAX,
    }
}

/// Makes jobs available that waited for a handler of one of these types, at most `limit`.
pub fn release(job_types: &[&str], limit: u32) -> Operation {
    let job_types = job_types.iter().map(|name| (*name).to_owned()).collect();
    Operation::ReleaseHeld { job_types, queues: Vec::new(), limit }
}

/// The error of an attempt whose node is gone.
pub fn lost() -> AttemptError {
    AttemptError { kind: ErrorKind::Lost, ..error() }
}

/// Ends the attempts of a session whatever it says, and the session with the last of them.
pub fn rescue(session: Uuid, limit: u32) -> Operation {
    Operation::Rescue { session, error: lost(), limit, idle_for: None, quarantine_after: 0, leader: None }
}

/// A session, of an id of its own, of the node `node`.
pub fn session() -> NewSession {
    NewSession { id: Uuid::now_v7(), node: "node".into(), version: "0".into(), process: 1 }
}

/// Keeps everything for a day.
pub fn prune(batch: u32) -> Retention {
    Retention {
        completed: DAY,
        cancelled: DAY,
        discarded: DAY,
        events: DAY,
        events_max: u64::MAX,
        keys: DAY,
        inbox: DAY,
        inbox_max: u64::MAX,
        batch,
    }
}

/// The jobs of a queue.
pub fn of_queue(queue: &str) -> JobFilter {
    JobFilter { queue: Some(queue.to_owned()), ..JobFilter::default() }
}

/// The jobs in a state.
pub fn in_state(state: JobState) -> JobFilter {
    JobFilter { states: vec![state], ..JobFilter::default() }
}

/// What kind of error it is, without its text.
pub fn kind(error: &StoreError) -> &'static str {
    match error {
        StoreError::NotReady(_) => "not ready",
        StoreError::Busy { .. } => "busy",
        StoreError::DiskFull(_) => "disk full",
        StoreError::ReadOnly(_) => "read-only",
        StoreError::InUse { .. } => "in use",
        StoreError::Locked(_) => "locked",
        StoreError::Corrupt(_) => "corrupt",
        StoreError::TooNew { .. } => "too new",
        StoreError::TimedOut(_) => "timed out",
        StoreError::Failed(_) => "failed",
    }
}

/// An event of another program.
pub fn event() -> ReceivedEvent {
    ReceivedEvent { id: Uuid::now_v7(), occurred_at: Timestamp::from_micros(5), producer: "gateway/1".into() }
}

/// That an event tells of this job.
pub fn receive(event: &ReceivedEvent, job: &NewJob) -> Operation {
    let (event, job) = (event.clone(), NewJob { event_id: event.id, ..job.clone() });
    Operation::ReceiveJob(Box::new(ReceivedJob { event, job }))
}

/// A word of a worker outside, who serves the queue `default`; each word keeps an attempt alive for a minute.
pub fn word(job: Uuid, token: Option<u64>, said: Said) -> OutsideWord {
    let served = Arc::new(BTreeMap::from([("default".to_owned(), 60 * SECOND)]));
    OutsideWord { event: event(), job, token, started_at: None, said, served }
}

/// Tells the store a word from outside.
pub fn hear(word: &OutsideWord) -> Operation {
    Operation::Hear(Box::new(word.clone()))
}

/// A second after each failure but the last.
pub fn plan() -> RetryPlan {
    RetryPlan { by_type: Arc::default(), other: RetryPolicy::Fixed(SECOND), random: 0.5 }
}
