//! JSON.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    meta::{ActorSnapshot, CrashRecord, SupervisionSnapshot, TreeSnapshot, WaitingFor},
    telemetry::LatencySnapshot,
};

impl TreeSnapshot {
    /// The tree as JSON. Names are those of the fields; times are UTC in RFC 3339, durations are seconds. A crash is
    /// given without its backtrace, whose symbols take milliseconds to find. Feature `json`.
    pub fn to_json(&self) -> Value {
        json!({
            "system": &*self.system,
            "at": instant(self.at),
            "blocking": { "running": self.blocking.running, "limit": self.blocking.limit },
            "root": node(&self.root),
        })
    }
}

fn node(node: &ActorSnapshot) -> Value {
    let current = node.current.as_ref();
    let mut value = json!({
        "id": node.id.get(),
        "name": &*node.name,
        "path": node.path,
        "type": node.type_name,
        "kind": node.kind.as_str(),
        "state": node.state.as_str(),
        "generation": node.generation,
        "executor": node.executor,
        "depth": node.depth,
        "capacity": node.capacity,
        "high_water": node.high_water,
        "refused": node.refused,
        "handled": node.handled,
        "panics": node.panics,
        "latency": node.latency.as_ref().map(latency),
        "current": current.map(|message| json!({
            "message_type": message.message_type, "busy": seconds(message.busy)
        })),
        "waits_for": node.waits_for.iter().map(waiting).collect::<Vec<_>>(),
        "last_reason": node.last_reason.as_ref().map(ToString::to_string),
        "last_crash": node.last_crash.as_deref().map(crash),
    });
    if let (Some(supervision), Some(object)) = (&node.supervision, value.as_object_mut()) {
        object.insert("supervision".into(), supervision_of(supervision));
        object.insert("children".into(), node.children.iter().map(self::node).collect());
    }
    value
}

fn supervision_of(supervision: &SupervisionSnapshot) -> Value {
    json!({
        "strategy": supervision.strategy.as_str(),
        "recent_restarts": supervision.recent_restarts,
        "intensity": supervision.intensity,
        "period": seconds(supervision.period),
        "exhausted": supervision.exhausted,
        "child_count": supervision.child_count,
        "max_children": supervision.max_children,
        "exits": supervision.exits,
        "crashes": supervision.crashes,
        "last_crashes": supervision.last_crashes.iter().map(|record| crash(record)).collect::<Vec<_>>(),
        "unreported_exits": supervision.unreported_exits,
    })
}

fn latency(latency: &LatencySnapshot) -> Value {
    json!({
        "samples": latency.samples(),
        "p50": latency.quantile(0.5).map(seconds),
        "p99": latency.quantile(0.99).map(seconds),
    })
}

fn waiting(waiting: &WaitingFor) -> Value {
    json!({
        "actor": waiting.actor.get(),
        "path": waiting.path,
        "message_type": waiting.message_type,
        "waiting": seconds(waiting.waiting),
    })
}

fn crash(crash: &CrashRecord) -> Value {
    json!({
        "at": instant(crash.at),
        "actor": crash.actor.get(),
        "path": crash.path,
        "type": crash.actor_type,
        "generation": crash.generation,
        "reason": crash.reason.to_string(),
        "location": crash.location,
    })
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// Null for a clock that is beyond the year 9999.
fn instant(at: SystemTime) -> Option<String> {
    OffsetDateTime::from(at).format(&Rfc3339).ok()
}
