//! What the actors say about themselves: an outage is a state, not a crash.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use callboard_contracts::{Timestamp, api::ReadinessReason};
use parking_lot::Mutex;

/// What an actor can do at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All it is there for.
    Ready,
    /// Nothing, and nothing is wanted of it: another node does its work. Counts as ready.
    Standby,
    /// Nothing yet, and why.
    Starting(String),
    /// Nothing, because somebody, or too many crashes, have paused it. Counts as ready.
    Paused {
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: String,
    },
    /// Less than it is there for, and why.
    Degraded(String),
    /// Nothing yet: the server outside has not answered so far, and why.
    Connecting(String),
    /// Nothing: the server outside is away, and is not asked again before this time.
    Tripped {
        /// When it is asked again.
        until: Timestamp,
        /// What it did last, or did not.
        reason: String,
    },
    /// Nothing any more: it is on its way out.
    Stopping,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Ready => f.write_str("ready"),
            Condition::Standby => f.write_str("standby: another node leads"),
            Condition::Paused { since, reason } => write!(f, "paused since {since}: {reason}"),
            Condition::Starting(reason) => write!(f, "starting: {reason}"),
            Condition::Degraded(reason) => write!(f, "degraded: {reason}"),
            Condition::Connecting(reason) => write!(f, "connecting: {reason}"),
            Condition::Tripped { until, reason } => write!(f, "tripped until {until}: {reason}"),
            Condition::Stopping => f.write_str("stopping"),
        }
    }
}

/// The board on which actors post their [`Condition`], by path. Clones share one board.
#[derive(Clone, Debug, Default)]
pub struct Conditions(Arc<Mutex<Board>>);

#[derive(Debug, Default)]
struct Board {
    conditions: BTreeMap<String, Condition>,
    /// Actors without which the node does its work all the same.
    optional: BTreeSet<String>,
}

impl Conditions {
    /// An empty board: everything is ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Posts what `actor` says; the earlier word is gone. Returns whether that is a change.
    pub fn set(&self, actor: &str, condition: Condition) -> bool {
        let board = &mut self.0.lock().conditions;
        if board.get(actor) == Some(&condition) {
            return false;
        }
        board.insert(actor.to_owned(), condition);
        true
    }

    /// The node does its work also without `actor`: what it says is among the [reasons](Self::reasons), and does not
    /// count [overall](Self::overall).
    pub fn make_optional(&self, actor: &str) {
        self.0.lock().optional.insert(actor.to_owned());
    }

    /// What `actor` said last.
    pub fn get(&self, actor: &str) -> Option<Condition> {
        self.0.lock().conditions.get(actor).cloned()
    }

    /// Takes `actor` off the board.
    pub fn remove(&self, actor: &str) {
        let board = &mut *self.0.lock();
        board.conditions.remove(actor);
        board.optional.remove(actor);
    }

    /// The worst condition of all that are not [optional](Self::make_optional): stopping, then starting, then degraded, then
    /// ready.
    pub fn overall(&self) -> &'static str {
        let rank = |condition: &Condition| match condition {
            Condition::Ready | Condition::Standby | Condition::Paused { .. } => 0,
            Condition::Degraded(_) | Condition::Tripped { .. } => 1,
            Condition::Starting(_) | Condition::Connecting(_) => 2,
            Condition::Stopping => 3,
        };
        let board = &*self.0.lock();
        let counted = board.conditions.iter().filter(|(actor, _)| !board.optional.contains(*actor));
        let worst = counted.map(|(_, condition)| rank(condition)).max().unwrap_or(0);
        ["ready", "degraded", "starting", "stopping"][worst]
    }

    /// Why not everything is ready, by actor; there may be some although it is ready [overall](Self::overall).
    pub fn reasons(&self) -> Vec<ReadinessReason> {
        let board = &self.0.lock().conditions;
        let unready =
            board.iter().filter(|(_, condition)| !matches!(condition, Condition::Ready | Condition::Standby));
        unready
            .map(|(actor, condition)| ReadinessReason { actor: actor.clone(), reason: condition.to_string() })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_word_counts_and_reasons_name_actors() {
        let board = Conditions::new();
        assert_eq!(board.overall(), "ready");
        assert!(board.set("edges/store", Condition::Degraded("disk full".into())));
        assert!(!board.set("edges/store", Condition::Degraded("disk full".into())));
        board.set("web", Condition::Ready);
        board.set("observers/pruner", Condition::Standby);
        assert_eq!(board.overall(), "degraded");
        let reasons = board.reasons();
        assert_eq!(reasons.len(), 1);
        assert_eq!((&*reasons[0].actor, &*reasons[0].reason), ("edges/store", "degraded: disk full"));
        board.set("web", Condition::Starting("binding".into()));
        assert_eq!(board.overall(), "starting");
        board.remove("web");
        assert_eq!(board.overall(), "degraded");
    }

    #[test]
    fn what_is_not_needed_is_told_and_does_not_count() {
        let board = Conditions::new();
        board.make_optional("observers/edge-counters");
        let since = Timestamp::from_micros(0);
        board.set("queues/queue-mail", Condition::Paused { since, reason: "so it is".into() });
        assert_eq!(board.overall(), "ready");
        assert_eq!(board.reasons()[0].reason, "paused since 1970-01-01T00:00:00.000000Z: so it is");
        board.remove("queues/queue-mail");
        let until = Timestamp::from_micros(0);
        board.set("observers/edge-counters", Condition::Tripped { until, reason: "no answer".into() });
        assert_eq!(board.overall(), "ready");
        let reasons = board.reasons();
        assert_eq!(reasons[0].reason, "tripped until 1970-01-01T00:00:00.000000Z: no answer");
        board.set("edges/bus", Condition::Connecting("no answer".into()));
        assert_eq!(board.overall(), "starting");
        board.remove("edges/bus");
        board.remove("observers/edge-counters");
        board.set("observers/edge-counters", Condition::Degraded("no answer".into()));
        assert_eq!(board.overall(), "degraded");
    }
}
