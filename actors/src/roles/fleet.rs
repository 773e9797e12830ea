//! The nodes of the fleet: how they are, and what they are told.

use std::time::Duration;

use callboard_contracts::api::{
    CommandState, CommandView, FieldError, NodeAction, NodeQueue, NodeState, NodeView, OrderNode,
};
use uuid::Uuid;

use super::{
    audit::{Deed, carry_out},
    node::Node,
    request::{Refusal, Who},
};
use crate::edges::store::{
    Operation, Outcome, StoreError,
    record::{
        CommandFilter, CommandRecord, EXPIRED, MIN_READER, NewCommand, NodeDescription, NodeRecord, READER,
    },
};

/// How long a node may take to begin with what it is told, unless somebody says otherwise.
const VALID_FOR: Duration = Duration::from_secs(60);
/// The longest such time.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Characters of a path or of directives at most.
const MAX_OBJECT: usize = 500;
/// Characters of settings at most.
const MAX_SETTINGS: usize = 4000;

/// What this node says of itself.
pub(super) fn description(node: &Node) -> NodeDescription {
    let queues = node.served().map(|queue| (queue.name.clone(), queue.concurrency()));
    NodeDescription {
        roles: node.config.roles.iter().map(|role| role.to_string()).collect(),
        queues: queues.collect(),
        reads: READER,
        paused: node.standing.is_paused(),
        draining: node.is_draining(),
    }
}

/// The reader that the store needs of whoever claims.
pub(super) async fn min_reader(node: &Node) -> Result<u32, StoreError> {
    let text = node.store.setting(MIN_READER.to_owned()).await?;
    Ok(text.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
}

/// Every node with an open session.
pub(super) async fn views(node: &Node) -> Result<Vec<NodeView>, StoreError> {
    let (nodes, least) = (node.store.nodes().await?, min_reader(node).await?);
    let now = node.store.now();
    let silent = |record: &NodeRecord| now.saturating_since(record.seen_at) > node.config.session_ttl;
    Ok(nodes.into_iter().map(|record| view(silent(&record), least, record)).collect())
}

fn view(silent: bool, least: u32, record: NodeRecord) -> NodeView {
    let NodeRecord { session, opened_at, seen_at, executing, leads, labels, description } = record;
    let NodeDescription { roles, queues, reads, paused, draining } = description;
    let state = match () {
        () if silent => NodeState::Silent,
        () if draining => NodeState::Draining,
        () if reads < least => NodeState::TooOld,
        () if paused => NodeState::Paused,
        () => NodeState::Ready,
    };
    NodeView {
        name: session.node,
        session: session.id,
        state,
        leads,
        version: session.version,
        reads,
        process: session.process,
        since: opened_at,
        last_seen: seen_at,
        roles,
        capacity: queues.iter().map(|(_, concurrency)| u64::from(*concurrency)).sum(),
        queues: queues.into_iter().map(|(name, concurrency)| NodeQueue { name, concurrency }).collect(),
        labels,
        running: executing,
    }
}

/// Tells a node to do something.
pub(super) async fn order(
    node: &Node,
    who: &Who,
    name: String,
    order: OrderNode,
) -> Result<CommandView, Refusal> {
    let OrderNode { action, valid_for_ms } = order;
    let valid_for = valid_for_ms.map_or(VALID_FOR, Duration::from_millis);
    let mut errors = Vec::new();
    let mut wrong = |pointer: &str, message: String| {
        errors.push(FieldError { pointer: pointer.to_owned(), message });
    };
    if valid_for.is_zero() || valid_for > LONGEST {
        wrong("/valid_for_ms", format!("must be from 1 to {} (a day)", LONGEST.as_millis()));
    }
    let (pointer, most) = match &action {
        NodeAction::LogLevel { .. } => ("/level", MAX_OBJECT),
        NodeAction::Set { .. } => ("/settings", MAX_SETTINGS),
        _ => ("/actor", MAX_OBJECT),
    };
    if action.object().is_some_and(|object| object.trim().is_empty() || object.len() > most) {
        wrong(pointer, format!("1 to {most} bytes are needed"));
    }
    // The command is kept, and shown: no secret may get into it.
    if let NodeAction::Set { settings } = &action {
        let keys: Vec<&str> = settings.keys().map(String::as_str).collect();
        let checked = match node.standing.host() {
            Some(host) => host.check_settings(&keys),
            None => Err("this program keeps no settings, and cannot tell which can change".to_owned()),
        };
        if let Err(error) = checked {
            wrong(pointer, error);
        }
    }
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    if !node.store.nodes().await?.iter().any(|known| known.session.node == name) {
        return Err(Refusal::NoSuchNode(name));
    }
    let id = Uuid::now_v7();
    let deed = match &action {
        NodeAction::Pause => Deed::new("node.pause", &name),
        NodeAction::Resume => Deed::new("node.resume", &name),
        NodeAction::Drain => Deed::new("node.drain", &name),
        NodeAction::RestartActor { .. } => Deed::new("node.restart_actor", &name),
        NodeAction::SuspendActor { .. } => Deed::new("node.suspend_actor", &name),
        NodeAction::ResumeActor { .. } => Deed::new("node.resume_actor", &name),
        NodeAction::StopActor { .. } => Deed::new("node.stop_actor", &name),
        NodeAction::LogLevel { .. } => Deed::new("node.log_level", &name),
        NodeAction::Set { .. } => Deed::new("node.set", &name),
    };
    let deed = deed.with(serde_json::json!({ "command": id, "object": action.object() }));
    let command = NewCommand { id, node: name.clone(), action, by: who.name.clone(), valid_for };
    match carry_out(node, who, deed, Operation::PutCommand(command)).await? {
        Outcome::Ordered { .. } => {}
        other => return Err(Refusal::Unavailable(other.unexpected())),
    }
    if *node.name == name {
        node.standing.ordered.notify_one();
    }
    match node.store.commands(CommandFilter::Id(id), 1).await?.pop() {
        Some(command) => Ok(command_view(command, node)),
        None => Err(StoreError::Failed("a command was kept that is not there".to_owned()).into()),
    }
}

/// What nodes were told, newest first; or one of it.
pub(super) async fn commands(
    node: &Node,
    filter: CommandFilter,
    limit: u32,
) -> Result<Vec<CommandView>, StoreError> {
    let commands = node.store.commands(filter, limit).await?;
    Ok(commands.into_iter().map(|command| command_view(command, node)).collect())
}

fn command_view(command: CommandRecord, node: &Node) -> CommandView {
    let state = match &command.end {
        Some(end) if end.done => CommandState::Done,
        Some(end) if end.outcome == EXPIRED => CommandState::Expired,
        Some(_) => CommandState::Failed,
        None if command.valid_until <= node.store.now() => CommandState::Expired,
        None => CommandState::Waiting,
    };
    CommandView {
        id: command.id,
        node: command.node,
        action: command.action,
        by: command.by,
        ordered_at: command.ordered_at,
        valid_until: command.valid_until,
        state,
        ended_at: command.ended_at,
        outcome: command.end.map(|end| end.outcome),
    }
}
