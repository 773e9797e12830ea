//! What a person should look at.

use std::time::Duration;

use callboard_contracts::{
    Timestamp,
    api::{
        ActorKind, Alert, AlertSeverity, EdgeCondition, EdgeView, NodeState, NodeView, PauseCause, QueueView,
        Readiness, TreeNode,
    },
};

/// Alerts that are told at most.
const MOST: usize = 100;
/// A queue's oldest job may be available for so long before somebody should look.
const LONG_WAIT: Duration = Duration::from_secs(5 * 60);

/// What there is, as far as it is known.
pub(super) struct Seen<'a> {
    pub(super) now: Timestamp,
    pub(super) readiness: &'a Readiness,
    pub(super) tree: &'a TreeNode,
    pub(super) queues: &'a [QueueView],
    pub(super) nodes: &'a [NodeView],
    pub(super) edges: &'a [EdgeView],
}

/// What of it a person should look at, critical things first.
pub(super) fn alerts(seen: &Seen<'_>) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let severity = match seen.readiness.status.as_str() {
        "ready" => AlertSeverity::Warning,
        _ => AlertSeverity::Critical,
    };
    alerts.extend(seen.readiness.reasons.iter().map(|reason| Alert {
        severity,
        source: "actor".to_owned(),
        subject: reason.actor.clone(),
        text: reason.reason.clone(),
        since: None,
    }));
    // What has used up its budget is said by the readiness.
    near_the_end(seen.tree, &mut alerts);
    alerts.extend(seen.edges.iter().filter(|edge| edge.state == EdgeCondition::Tripped).map(of_edge));
    alerts.extend(seen.nodes.iter().filter_map(of_node));
    alerts.extend(seen.queues.iter().filter_map(|queue| of_queue(queue, seen)));
    alerts.sort_by_key(|alert| alert.severity);
    alerts.truncate(MOST);
    alerts
}

/// Supervisors of which one more crash, or a few, would be too many.
fn near_the_end(node: &TreeNode, alerts: &mut Vec<Alert>) {
    let (used, allowed) = (node.restarts, node.restarts_allowed);
    if node.kind != ActorKind::Actor && used > 0 && allowed > 0 && used < allowed && 2 * used >= allowed {
        alerts.push(Alert {
            severity: AlertSeverity::Warning,
            source: "actor".to_owned(),
            subject: node.path.clone(),
            text: format!("{used} of the {allowed} restarts that it may make in its period are used up"),
            since: None,
        });
    }
    if node.kind != ActorKind::DynamicSupervisor {
        node.children.iter().for_each(|child| near_the_end(child, alerts));
    }
}

fn of_edge(edge: &EdgeView) -> Alert {
    let because = edge.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let waiting = match edge.parked {
        0 => String::new(),
        parked => format!("; jobs that wait for it: {parked}"),
    };
    Alert {
        severity: AlertSeverity::Warning,
        source: "edge".to_owned(),
        subject: edge.name.clone(),
        text: format!("tripped{because}{waiting}"),
        since: edge.since,
    }
}

fn of_node(node: &NodeView) -> Option<Alert> {
    let (severity, text) = match node.state {
        NodeState::Silent => {
            (AlertSeverity::Critical, "says no more that it lives: its jobs are about to be given to others")
        }
        NodeState::TooOld => {
            (AlertSeverity::Critical, "claims no jobs: the store has what its program cannot read")
        }
        NodeState::Ready | NodeState::Paused | NodeState::Draining => return None,
    };
    Some(Alert {
        severity,
        source: "node".to_owned(),
        subject: node.name.clone(),
        text: text.to_owned(),
        since: Some(node.last_seen).filter(|_| node.state == NodeState::Silent),
    })
}

fn of_queue(queue: &QueueView, seen: &Seen<'_>) -> Option<Alert> {
    let alert = |severity, text, since| {
        Some(Alert { severity, source: "queue".to_owned(), subject: queue.name.clone(), text, since })
    };
    if let Some(since) = queue.paused_at {
        // What a person has paused, a person knows.
        let pause = queue.pause.as_ref().filter(|pause| pause.cause != PauseCause::Requested)?;
        let because = pause.reason.as_deref().unwrap_or("its jobs or actors crashed too often");
        return alert(AlertSeverity::Critical, format!("paused by {}: {because}", pause.by), Some(since));
    }
    let since = queue.oldest_available_at?;
    let waiting = seen.now.saturating_since(since);
    if waiting < LONG_WAIT {
        return None;
    }
    let minutes = waiting.as_secs() / 60;
    let served = seen.nodes.iter().any(|node| node.queues.iter().any(|served| served.name == queue.name));
    let text = match served {
        true => format!("its oldest job has been available for {minutes} min"),
        false => format!("its oldest job has been available for {minutes} min, and no node serves the queue"),
    };
    alert(AlertSeverity::Warning, text, Some(since))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn queue(name: &str, more: serde_json::Value) -> QueueView {
        let mut queue = json!({
            "name": name, "concurrency": 1, "max_backlog": 1, "pending": 0, "scheduled": 0, "available": 0, "executing": 0,
            "retryable": 0, "completed": 0, "cancelled": 0, "discarded": 0,
        });
        queue.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        read(queue)
    }

    fn supervisor(
        path: &str,
        kind: &str,
        restarts: u32,
        children: Vec<serde_json::Value>,
    ) -> serde_json::Value {
        json!({
            "path": path, "name": path, "kind": kind, "actor_type": "x", "state": "running", "generation": 0,
            "restarts": restarts, "restarts_allowed": 8, "mailbox_depth": 0, "mailbox_capacity": 0, "refused": 0, "handled": 0,
            "crashes": 0, "children": children,
        })
    }

    #[test]
    fn what_a_person_should_look_at_is_told_with_the_critical_first() {
        let now: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
        let below = vec![
            supervisor("edges", "supervisor", 4, vec![]),
            supervisor("calm", "supervisor", 3, vec![]),
            supervisor("used-up", "supervisor", 8, vec![]),
            supervisor("jobs", "dynamic_supervisor", 0, vec![supervisor("jobs/x", "supervisor", 4, vec![])]),
        ];
        let queues = [
            queue("fine", json!({ "oldest_available_at": "2026-01-01T00:59:00Z" })),
            queue("slow", json!({ "oldest_available_at": "2026-01-01T00:50:00Z" })),
            queue(
                "asked",
                json!({ "paused_at": "2026-01-01T00:00:00Z", "pause": { "cause": "requested", "by": "ann" } }),
            ),
            queue(
                "crashing",
                json!({ "paused_at": "2026-01-01T00:30:00Z", "pause": { "cause": "job_crashes", "by": "node a" } }),
            ),
        ];
        let edges = [read(json!({ "name": "smtp", "state": "tripped", "reason": "full", "parked": 7 }))];
        let readiness = read(json!({
            "status": "ready", "version": "1", "reasons": [{ "actor": "bus", "reason": "connecting" }],
        }));
        let tree = read(supervisor("", "supervisor", 0, below));
        let seen =
            Seen { now, readiness: &readiness, tree: &tree, queues: &queues, nodes: &[], edges: &edges };
        let told = |seen: &Seen<'_>| -> Vec<String> {
            alerts(seen)
                .into_iter()
                .map(|alert| format!("{} {}: {}", alert.source, alert.subject, alert.text))
                .collect()
        };
        assert_eq!(
            told(&seen),
            [
                "queue crashing: paused by node a: its jobs or actors crashed too often",
                "actor bus: connecting",
                "actor edges: 4 of the 8 restarts that it may make in its period are used up",
                "edge smtp: tripped: full; jobs that wait for it: 7",
                "queue slow: its oldest job has been available for 10 min, and no node serves the queue",
            ]
        );
        let readiness = Readiness { status: "degraded".to_owned(), ..readiness.clone() };
        assert_eq!(told(&Seen { readiness: &readiness, ..seen })[0], "actor bus: connecting");
    }
}
