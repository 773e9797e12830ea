//! The nodes of a fleet, and what they are told to do.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Labels, Timestamp};

/// How a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It does what its roles say.
    Ready,
    /// It claims no jobs, since somebody has said so.
    Paused,
    /// It is on its way out: it claims no jobs and ends those that it has.
    Draining,
    /// It claims no jobs, since the store has what it cannot read.
    TooOld,
    /// It has not said for too long that it lives: its jobs are about to be given to others.
    Silent,
}

impl NodeState {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            NodeState::Ready => "ready",
            NodeState::Paused => "paused",
            NodeState::Draining => "draining",
            NodeState::TooOld => "too_old",
            NodeState::Silent => "silent",
        }
    }
}

/// A queue that a node serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeQueue {
    /// Its name.
    pub name: String,
    /// Its jobs that the node runs at once.
    pub concurrency: u32,
}

/// A node: a process that works on the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// The session under which it claims jobs. A node that was taken for dead comes back with another one.
    pub session: Uuid,
    /// How it is.
    pub state: NodeState,
    /// Whether it does what is done once for all nodes.
    pub leads: bool,
    /// The program's version.
    pub version: String,
    /// The newest form of what is stored that it reads.
    pub reads: u32,
    /// The process id, on its host.
    pub process: u32,
    /// Since when its session is open.
    pub since: Timestamp,
    /// When it last said that it lives, on the store's clock.
    pub last_seen: Timestamp,
    /// What it does: `gateway`, `processor`, `read-model`, `leader`.
    pub roles: Vec<String>,
    /// The queues whose jobs it runs.
    pub queues: Vec<NodeQueue>,
    /// What it has, for jobs that ask for it.
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, String>))]
    pub labels: Labels,
    /// Jobs that it runs at once at most.
    pub capacity: u64,
    /// Jobs that it has claimed and not ended.
    pub running: u64,
}

/// What a node can be told to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum NodeAction {
    /// Claim no more jobs; what runs goes on.
    Pause,
    /// Claim jobs again.
    Resume,
    /// Claim no more jobs, end what runs or hand it back, and exit.
    Drain,
    /// Restart an actor, or a supervisor with all below it.
    RestartActor {
        /// Its path in the node's tree, such as `observers/metrics`.
        actor: String,
    },
    /// Let an actor, or all that is below a supervisor now, handle no messages until it is resumed or restarted; its mailbox
    /// takes them. What carries commands out is not suspended.
    SuspendActor {
        /// Its path in the node's tree.
        actor: String,
    },
    /// Let a suspended actor, or all that is below a supervisor now, handle messages again.
    ResumeActor {
        /// Its path in the node's tree.
        actor: String,
    },
    /// Stop an actor, or a supervisor with all below it, for good: it is there again when what is above it is restarted. What
    /// carries commands out is not stopped.
    StopActor {
        /// Its path in the node's tree.
        actor: String,
    },
    /// Write another part of the log from now on.
    LogLevel {
        /// Filter directives, as those of `log.level`.
        level: String,
    },
    /// Set settings that can change while the node runs, above all its sources, until it ends; all of it or nothing.
    Set {
        /// The values by their keys, as of environment variables; `null` takes back what was set so.
        settings: BTreeMap<String, Option<String>>,
    },
}

impl NodeAction {
    /// Its name on the wire.
    pub fn as_str(&self) -> &'static str {
        match self {
            NodeAction::Pause => "pause",
            NodeAction::Resume => "resume",
            NodeAction::Drain => "drain",
            NodeAction::RestartActor { .. } => "restart_actor",
            NodeAction::SuspendActor { .. } => "suspend_actor",
            NodeAction::ResumeActor { .. } => "resume_actor",
            NodeAction::StopActor { .. } => "stop_actor",
            NodeAction::LogLevel { .. } => "log_level",
            NodeAction::Set { .. } => "set",
        }
    }

    /// What it is done to, if it is not the node itself.
    pub fn object(&self) -> Option<Cow<'_, str>> {
        match self {
            NodeAction::RestartActor { actor }
            | NodeAction::SuspendActor { actor }
            | NodeAction::ResumeActor { actor }
            | NodeAction::StopActor { actor } => Some(actor.into()),
            NodeAction::LogLevel { level } => Some(level.into()),
            NodeAction::Set { settings } => {
                let one = |(key, value): (&String, &Option<String>)| match value {
                    Some(value) => format!("{key}={value}"),
                    None => format!("{key} taken back"),
                };
                Some(settings.iter().map(one).collect::<Vec<_>>().join(", ").into())
            }
            NodeAction::Pause | NodeAction::Resume | NodeAction::Drain => None,
        }
    }
}

/// Tells a node to do something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderNode {
    /// What.
    #[serde(flatten)]
    pub action: NodeAction,
    /// After so many milliseconds without it the command is void. Default: a minute; at most a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub valid_for_ms: Option<u64>,
}

/// Where a command is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CommandState {
    /// The node has not said anything yet.
    Waiting,
    /// The node has done it.
    Done,
    /// The node could not do it.
    Failed,
    /// The node has not done it while it was valid.
    Expired,
}

impl CommandState {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            CommandState::Waiting => "waiting",
            CommandState::Done => "done",
            CommandState::Failed => "failed",
            CommandState::Expired => "expired",
        }
    }
}

/// Something that a node was told to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CommandView {
    /// Its id.
    pub id: Uuid,
    /// The node.
    pub node: String,
    /// What.
    #[serde(flatten)]
    pub action: NodeAction,
    /// Who said so.
    pub by: String,
    /// When.
    pub ordered_at: Timestamp,
    /// Until when the node may begin with it.
    pub valid_until: Timestamp,
    /// Where it is on its way.
    pub state: CommandState,
    /// When the node said what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What the node has said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_one_flat_object() {
        let read = |text| serde_json::from_str::<OrderNode>(text).unwrap();
        let order = OrderNode { action: NodeAction::Pause, valid_for_ms: None };
        assert_eq!(read(r#"{"action":"pause"}"#), order);
        let actor = "observers/metrics".to_owned();
        let order = OrderNode { action: NodeAction::RestartActor { actor }, valid_for_ms: Some(5) };
        let text = r#"{"action":"restart_actor","actor":"observers/metrics","valid_for_ms":5}"#;
        assert_eq!(read(text), order);
        assert_eq!(serde_json::to_string(&order).unwrap(), text);
        assert!(serde_json::from_str::<OrderNode>(r#"{"action":"explode"}"#).is_err());
        let set = read(r#"{"action":"set","settings":{"retention.batch":"5","log.level":null}}"#);
        assert_eq!(set.action.object().as_deref(), Some("log.level taken back, retention.batch=5"));
    }
}
