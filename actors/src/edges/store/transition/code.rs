//! States, event types and outcomes as the numbers that stand in the database. They never change.

use callboard_contracts::{EventType, JobState, Rate, TraceContext, api::AttemptOutcome};

pub(crate) fn state_of(code: i64) -> JobState {
    usize::try_from(code)
        .ok()
        .and_then(|code| JobState::ALL.get(code))
        .copied()
        .unwrap_or(JobState::Discarded)
}

pub(crate) fn event_code(event: EventType) -> i64 {
    match event {
        EventType::Created => 0,
        EventType::Validated => 1,
        EventType::Executed => 2,
        EventType::Completed => 3,
        EventType::Failed => 4,
        EventType::AttemptStarted => 5,
        EventType::AttemptFailed => 6,
        EventType::Released => 7,
        EventType::CancelRequested => 8,
        EventType::MadeAvailable => 9,
        EventType::Quarantined => 10,
        EventType::Snoozed => 11,
        EventType::Progressed => 12,
        EventType::Signalled => 13,
    }
}

pub(crate) fn event_of(code: i64) -> EventType {
    EventType::ALL.into_iter().find(|event| event_code(*event) == code).unwrap_or(EventType::MadeAvailable)
}

/// What was written of a trace; what cannot be read is none, since no job waits for it.
pub(crate) fn trace_of(text: Option<String>) -> Option<TraceContext> {
    text?.parse().ok()
}

/// A rate as it is stored; the store writes none that cannot be read.
pub(crate) fn rate_of(text: Option<String>) -> Option<Rate> {
    text?.parse().ok()
}

pub(crate) fn outcome_code(outcome: AttemptOutcome) -> i64 {
    match outcome {
        AttemptOutcome::Completed => 0,
        AttemptOutcome::Failed => 1,
        AttemptOutcome::Cancelled => 2,
        AttemptOutcome::Released => 3,
    }
}

pub(crate) fn outcome_of(code: i64) -> AttemptOutcome {
    match code {
        0 => AttemptOutcome::Completed,
        1 => AttemptOutcome::Failed,
        2 => AttemptOutcome::Cancelled,
        _ => AttemptOutcome::Released,
    }
}
