//! Signals: what becomes of one that is sent.

use callboard_contracts::{
    EventType,
    api::{MOST_SIGNAL_BYTES, MOST_SIGNALS},
};
use serde_json::json;

use super::{Changes, Event, attempt};
use crate::edges::store::{
    Outcome,
    outside::OUTSIDE,
    record::Lease,
    signals::{NewSignal, SignalOutcome},
};

/// What is stored of a job's signals before one is added.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Held {
    /// The newest one's number.
    pub(crate) last: u32,
    /// Those that are unacknowledged, and the bytes of their values.
    pub(crate) signals: u32,
    pub(crate) bytes: u64,
    /// The one that has the new one's id: number, name and value.
    pub(crate) same: Option<(u32, String, String)>,
}

/// What becomes of a signal, whose job is loaded. It is to be written, under its number, if it is
/// [`Stored`](SignalOutcome::Stored).
pub(crate) fn send(changes: &mut Changes, new: &NewSignal, held: &Held) -> Outcome {
    let Some(row) = changes.rows.get(&new.job) else { return Outcome::NotFound };
    let state = row.state;
    if let Some((number, name, value)) = &held.same {
        let same = *name == new.name && *value == new.value;
        return Outcome::Signals(match same {
            true => SignalOutcome::Duplicate { number: *number, state },
            false => SignalOutcome::OtherSignal,
        });
    }
    if state.is_final() {
        return Outcome::NotPossible { state };
    }
    if row.session == Some(OUTSIDE) {
        return Outcome::Signals(SignalOutcome::Outside);
    }
    let (signals, bytes) = (held.signals, held.bytes);
    if signals >= MOST_SIGNALS || bytes + new.value.len() as u64 > MOST_SIGNAL_BYTES as u64 {
        return Outcome::Signals(SignalOutcome::TooMany { signals, bytes });
    }
    let number = held.last + 1;
    let told = json!({
        "signal": { "id": new.id, "number": number, "name": new.name, "by": new.by },
        "status": state.status(row.started_at.is_some()),
    });
    let event = Event { progress: Some(told.to_string()), ..Event::of(row, EventType::Signalled) };
    let session = row.session;
    changes.events.push(event);
    Outcome::Signals(SignalOutcome::Stored { job: new.job, number, state, session })
}

/// Which attempt acknowledges a signal; `None`: the lease is not the job's current one.
pub(crate) fn acknowledges(changes: &mut Changes, lease: Lease) -> Option<u32> {
    attempt::heard(changes, lease, None)
}

/// In words, for the audit trail.
pub(crate) fn words(outcome: &SignalOutcome) -> String {
    match outcome {
        SignalOutcome::Stored { number, state, .. } => format!("signal {number} of a job that is {state}"),
        SignalOutcome::Duplicate { number, .. } => format!("it is signal {number} already"),
        SignalOutcome::OtherSignal => "refused: another signal has this id".to_owned(),
        SignalOutcome::TooMany { signals, .. } => format!("refused: {signals} are unacknowledged"),
        SignalOutcome::Outside => "refused: the attempt is with a worker outside".to_owned(),
        SignalOutcome::Acknowledged => "acknowledged".to_owned(),
    }
}
