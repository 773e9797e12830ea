//! The supervision tree as it is shown outside.

use std::{sync::Arc, time::UNIX_EPOCH};

use callboard_contracts::{
    Timestamp,
    api::{ActorKind, CrashView, ReadinessReason, TreeNode},
};
use callboard_supervisors::{ActorSnapshot, CrashRecord, Kind, State, StopReason};

use super::condition::Conditions;

/// Children of one node that are shown.
const CHILDREN: usize = 100;
/// Characters of a backtrace that are shown.
const BACKTRACE: usize = 8 * 1024;

/// What is shown of the places where actors crashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backtraces {
    /// All of it. Resolving a backtrace takes milliseconds: not on an executor's thread.
    Shown,
    /// Nothing.
    Left,
}

/// The node and all below it.
pub fn tree_node(node: &ActorSnapshot, conditions: &Conditions, backtraces: Backtraces) -> TreeNode {
    let supervision = node.supervision.as_ref();
    let crash_view = |crash| crash_view(crash, backtraces);
    let last_crashes = match supervision {
        Some(supervision) => supervision.last_crashes.iter().rev().map(crash_view).collect(),
        None => node.last_crash.iter().map(crash_view).collect(),
    };
    let children = node.children.iter().take(CHILDREN);
    TreeNode {
        path: node.path.clone(),
        name: node.name.to_string(),
        kind: match node.kind {
            Kind::Supervisor => ActorKind::Supervisor,
            Kind::Dynamic => ActorKind::DynamicSupervisor,
            _ => ActorKind::Actor,
        },
        actor_type: node.type_name.to_owned(),
        state: node.state.as_str().to_owned(),
        condition: conditions.get(&node.path).map(|condition| condition.to_string()),
        generation: node.generation,
        restarts: supervision.map_or(0, |supervision| count(supervision.recent_restarts)),
        restarts_allowed: supervision.map_or(0, |supervision| count(supervision.intensity)),
        mailbox_depth: node.depth,
        mailbox_capacity: node.capacity,
        refused: node.refused,
        handled: node.handled,
        crashes: supervision.map_or(node.panics, |supervision| supervision.crashes),
        current_message: node.current.map(|current| current.message_type.to_owned()),
        current_message_ms: node
            .current
            .map(|current| u64::try_from(current.busy.as_millis()).unwrap_or(u64::MAX)),
        last_crashes,
        children: children.map(|child| tree_node(child, conditions, backtraces)).collect(),
    }
}

/// What the tree itself knows to be out of order: parts that crash, or block their thread, and supervisors whose budget is
/// used up, so that they try again at the longest pause only. What a dynamic supervisor has below it comes and goes.
pub fn tree_troubles(root: &ActorSnapshot) -> Vec<ReadinessReason> {
    let mut troubles = Vec::new();
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        let because = |what: &str| match &node.last_reason {
            Some(reason) => format!("{what}: {reason}"),
            None => what.to_owned(),
        };
        let exhausted = node.supervision.as_ref().is_some_and(|supervision| supervision.exhausted);
        let reason = match node.state {
            State::Crashed => Some(because("crashed")),
            State::Stuck => Some("stuck: it blocks its thread".to_owned()),
            _ if exhausted => Some("degraded: a child of it keeps crashing".to_owned()),
            _ => None,
        };
        troubles.extend(reason.map(|reason| ReadinessReason { actor: node.path.clone(), reason }));
        if node.kind != Kind::Dynamic {
            open.extend(node.children.iter().rev());
        }
    }
    troubles
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn crash_view(crash: &Arc<CrashRecord>, backtraces: Backtraces) -> CrashView {
    let micros = crash.at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    let message_type = match &crash.reason {
        StopReason::Panicked { message, .. } => message.map(str::to_owned),
        _ => None,
    };
    let shown = crash.backtrace.as_ref().filter(|_| backtraces == Backtraces::Shown);
    let backtrace = shown.map(|backtrace| {
        let text = backtrace.to_string();
        text.chars().take(BACKTRACE).collect()
    });
    CrashView {
        at: Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX)),
        actor: crash.path.clone(),
        generation: crash.generation,
        message_type,
        reason: crash.reason.to_string(),
        backtrace,
    }
}
