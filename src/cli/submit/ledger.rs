//! What is known of the jobs that are waited for. Knows nothing of the network and the clock.

use std::collections::{HashMap, VecDeque};

use callboard::contracts::{EventType, api::EventRecord};
use uuid::Uuid;

use super::sender::Told;

/// Jobs that one lookup names at most.
const LOOKUP: usize = 1000;

/// What is known of a job that has not been shown yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Sent,
    /// Sent, and events may have told of its end before the answer came.
    SentAndMaybeFinished,
    Accepted,
}

/// Which jobs are waited for, and which of them are looked up next.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    open: HashMap<Uuid, Open>,
    /// Accepted and probably finished: to be looked up at once.
    due: VecDeque<Uuid>,
    /// Accepted, in the order in which they are looked up without a reason. Those that were shown stay until their turn.
    round: VecDeque<Uuid>,
}

impl Ledger {
    /// How many have not been shown.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Whether this one is waited for, and not shown.
    pub(super) fn is_open(&self, id: Uuid) -> bool {
        self.open.contains_key(&id)
    }

    /// Whether something has probably finished.
    pub(super) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    pub(super) fn told(&mut self, told: Told) {
        match told {
            Told::Sent(id) => {
                self.open.entry(id).or_insert(Open::Sent);
            }
            Told::Refused(id) => {
                // The same id may have been accepted before, on another line.
                if self.open.get(&id) != Some(&Open::Accepted) {
                    self.open.remove(&id);
                }
            }
            Told::Accepted(id, state) => {
                let before = self.open.insert(id, Open::Accepted);
                if before == Some(Open::SentAndMaybeFinished) || state.is_final() {
                    self.due.push_back(id);
                }
                self.round.push_back(id);
            }
        }
    }

    pub(super) fn event(&mut self, record: &EventRecord) {
        if !matches!(record.event.event_type, EventType::Completed | EventType::Failed) {
            return;
        }
        let Ok(id) = Uuid::try_parse(&record.event.idempotency_key) else { return };
        match self.open.get_mut(&id) {
            Some(Open::Accepted) => self.due.push_back(id),
            Some(open) => *open = Open::SentAndMaybeFinished,
            None => {}
        }
    }

    /// Events were missed: any of them may have finished.
    pub(super) fn missed(&mut self) {
        self.due.clear();
        for (id, open) in &mut self.open {
            match open {
                Open::Accepted => self.due.push_back(*id),
                _ => *open = Open::SentAndMaybeFinished,
            }
        }
    }

    /// What to look up now: what is due, or else what has waited longest.
    pub(super) fn next(&mut self) -> Vec<Uuid> {
        let mut ids = Vec::new();
        while ids.len() < LOOKUP
            && let Some(id) = self.due.pop_front()
        {
            if self.open.contains_key(&id) {
                ids.push(id);
            }
        }
        if !ids.is_empty() {
            return ids;
        }
        for _ in 0..self.round.len() {
            let Some(id) = self.round.pop_front() else { break };
            if self.open.contains_key(&id) {
                self.round.push_back(id);
                ids.push(id);
            }
            if ids.len() == LOOKUP {
                break;
            }
        }
        ids
    }

    /// Whether this one has not been shown yet; from now on it has.
    pub(super) fn shown(&mut self, id: Uuid) -> bool {
        self.open.remove(&id).is_some()
    }
}

#[cfg(test)]
mod tests {
    use callboard::contracts::JobState;
    use serde_json::json;

    use super::*;

    fn finished(id: Uuid) -> EventRecord {
        let event = json!({
            "contractVersion": "1.0.0", "eventType": "job.completed", "eventId": Uuid::nil(),
            "occurredAt": "2026-01-01T00:00:00Z",
            "producer": { "service": "s", "instanceId": "i", "version": "1" },
            "correlationId": Uuid::nil(), "idempotencyKey": id, "payload": {},
        });
        serde_json::from_value(json!({ "cursor": "1-1", "queue": "default", "event": event })).unwrap()
    }

    #[test]
    fn an_end_is_looked_up_whichever_comes_first() {
        let (early, late, other) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let mut ledger = Ledger::default();
        ledger.told(Told::Sent(early));
        ledger.told(Told::Sent(late));
        ledger.event(&finished(early));
        ledger.event(&finished(other));
        assert!(ledger.due.is_empty(), "it may be another's job until it is accepted");
        ledger.told(Told::Accepted(early, JobState::Available));
        ledger.told(Told::Accepted(late, JobState::Available));
        ledger.event(&finished(late));
        assert_eq!(ledger.next(), [early, late]);
        assert!(ledger.shown(early) && !ledger.shown(early));
        assert_eq!(ledger.next(), [late], "what is not finished is asked for again in its turn");
        assert!(ledger.shown(late));
        assert!(ledger.next().is_empty() && ledger.open.is_empty());
    }

    #[test]
    fn what_was_submitted_before_and_is_finished_is_looked_up() {
        let id = Uuid::from_u128(1);
        let mut ledger = Ledger::default();
        ledger.told(Told::Sent(id));
        ledger.told(Told::Accepted(id, JobState::Discarded));
        assert_eq!(ledger.due, [id]);
    }

    #[test]
    fn refused_jobs_are_not_waited_for() {
        let (refused, twice) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut ledger = Ledger::default();
        ledger.told(Told::Sent(refused));
        ledger.told(Told::Sent(twice));
        ledger.told(Told::Sent(twice));
        ledger.told(Told::Accepted(twice, JobState::Available));
        ledger.told(Told::Refused(twice));
        ledger.told(Told::Refused(refused));
        assert_eq!(ledger.open.keys().collect::<Vec<_>>(), [&twice]);
    }

    #[test]
    fn after_a_gap_all_are_looked_up() {
        let (sent, accepted) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut ledger = Ledger::default();
        ledger.told(Told::Sent(sent));
        ledger.told(Told::Sent(accepted));
        ledger.told(Told::Accepted(accepted, JobState::Available));
        ledger.missed();
        assert_eq!(ledger.next(), [accepted]);
        ledger.told(Told::Accepted(sent, JobState::Available));
        assert_eq!(ledger.next(), [sent]);
    }

    #[test]
    fn many_take_turns() {
        let mut ledger = Ledger::default();
        let ids: Vec<Uuid> = (0..1500).map(Uuid::from_u128).collect();
        for id in &ids {
            ledger.told(Told::Accepted(*id, JobState::Available));
        }
        assert_eq!(ledger.next(), ids[..1000]);
        let second = ledger.next();
        assert_eq!(second[..500], ids[1000..]);
        assert_eq!(second[500..], ids[..500]);
    }
}
