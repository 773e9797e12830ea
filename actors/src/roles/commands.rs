//! The commands: does what this node is told, and says what the node is.

use std::{collections::BTreeMap, sync::Arc};

use callboard_contracts::api::NodeAction;
use callboard_supervisors::{Actor, Context, StartError};
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    backoff::Backoff,
    condition::Condition,
    fleet::{description, min_reader},
    node::Node,
    queue::producer::hand_back,
    request::Who,
    standing::ActorOrder,
    tuning,
};
use crate::edges::store::{
    Operation, Outcome, StoreError,
    record::{CommandEnd, CommandFilter, CommandRecord, NodeDescription, READER},
};

/// Commands that are read at a time.
const PAGE: u32 = 16;
/// What commands come through, by their paths in the tree of a node.
const STORE: &str = "edges/store";
const SESSION: &str = "observers/session";

/// Does what somebody, through whichever node, has told this node, and says in the store what became of it: woken by a word,
/// and every heartbeat, since words get lost. What a node did whose word on it was lost, it does again.
///
/// It also keeps up what the store says of the node, and finds out whether the store has what this program cannot read; then
/// the node claims nothing, and is not ready.
pub(crate) struct Commands;

impl Actor for Commands {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.spawn(run(node, cx.path()));
        Ok(Commands)
    }
}

/// What the store was told last of the node, and under which session.
type Said = Option<(Uuid, NodeDescription)>;

async fn run(node: Arc<Node>, path: String) {
    let mut backoff = Backoff::default();
    let mut said = None;
    let mut stage = node.stage.subscribe();
    loop {
        let ordered = node.standing.ordered.notified();
        tokio::pin!(ordered);
        // What is ordered from now on is heard of.
        ordered.as_mut().enable();
        match round(&node, &path, &mut said).await {
            Ok(()) => {
                backoff.reset();
                node.conditions.set(&path, condition(&node));
                tokio::select! {
                    () = ordered => {}
                    Ok(()) = stage.changed() => {}
                    () = sleep(node.config.heartbeat) => {}
                }
            }
            Err(error) => {
                node.conditions.set(&path, Condition::Degraded(error.to_string()));
                backoff.pause().await;
            }
        }
    }
}

fn condition(node: &Node) -> Condition {
    match node.standing.too_old_for() {
        Some(needed) => Condition::Degraded(format!(
            "the store has what this program cannot read: reader {needed} is needed, and this is {READER}; no jobs are \
             claimed until a newer program runs here"
        )),
        None => Condition::Ready,
    }
}

async fn round(node: &Node, path: &str, said: &mut Said) -> Result<(), StoreError> {
    let session = node.session().await;
    let least = min_reader(node).await?;
    if node.standing.needs_reader(least) {
        match node.standing.too_old_for() {
            Some(needed) => {
                tracing::error!(
                    needed,
                    have = READER,
                    "this program is too old for the store: it claims no more jobs"
                );
                node.served().for_each(|queue| hand_back(node, queue));
            }
            None => tracing::info!("this program reads what the store has: it claims jobs again"),
        }
        node.wake_all();
    }
    tuning::store(node).await?;
    describe(node, session, said).await?;
    for command in node.store.commands(CommandFilter::WaitingFor(node.name.to_string()), PAGE).await? {
        obey(node, path, session, command, said).await?;
    }
    Ok(())
}

/// Says what the node is, if that has changed.
async fn describe(node: &Node, session: Uuid, said: &mut Said) -> Result<(), StoreError> {
    let now = (session, description(node));
    if said.as_ref() == Some(&now) {
        return Ok(());
    }
    let (labels, description) = (node.config.labels.clone(), now.1.clone());
    match node.store.write(Operation::DescribeNode { session, labels, description }).await? {
        // It may have ended meanwhile; the next one says it anew.
        Outcome::Done | Outcome::NotFound => {
            *said = Some(now);
            Ok(())
        }
        other => Err(other.unexpected()),
    }
}

/// Does what it is told, and says so.
async fn obey(
    node: &Node,
    path: &str,
    session: Uuid,
    command: CommandRecord,
    said: &mut Said,
) -> Result<(), StoreError> {
    let CommandRecord { id, action, by, .. } = command;
    tracing::info!(command = %id, by, action = action.as_str(), object = action.object().as_deref(), "told to do something");
    // Whatever ends this actor cannot be told afterwards.
    let ends_this = match &action {
        NodeAction::Drain => true,
        NodeAction::RestartActor { actor } => {
            path == actor || path.strip_prefix(actor.as_str()).is_some_and(|rest| rest.starts_with('/'))
        }
        _ => false,
    };
    if ends_this && node.standing.host().is_some() {
        end(node, id, CommandEnd { done: true, outcome: "under way".to_owned() }).await?;
        let done = carry_out(node, path, &action, &by).await;
        if let Err(error) = done {
            tracing::warn!(command = %id, error, "what the node was told could not be done");
        }
        return describe(node, session, said).await;
    }
    let done = carry_out(node, path, &action, &by).await;
    describe(node, session, said).await?;
    let outcome = match done {
        Ok(outcome) => CommandEnd { done: true, outcome },
        Err(error) => {
            tracing::warn!(command = %id, error, "what the node was told could not be done");
            CommandEnd { done: false, outcome: error }
        }
    };
    end(node, id, outcome).await
}

/// Somebody may have said it before, or its time was over.
async fn end(node: &Node, id: Uuid, end: CommandEnd) -> Result<(), StoreError> {
    match node.store.write(Operation::EndCommand { id, end }).await? {
        Outcome::Done | Outcome::NotFound => Ok(()),
        other => Err(other.unexpected()),
    }
}

/// Refuses what would leave nobody to hear the command that undoes it. `path` is this actor's own.
fn check_dispensable(path: &str, actor: &str) -> Result<(), String> {
    let actor = actor.trim_matches('/');
    let leads_to = |needed: &&&str| {
        let rest = needed.strip_prefix(actor);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match [path, STORE, SESSION].iter().find(leads_to) {
        Some(needed) => Err(format!(
            "commands are carried out by {needed}: without it, no further one would be heard; restart it, or drain the node"
        )),
        None => Ok(()),
    }
}

async fn carry_out(node: &Node, path: &str, action: &NodeAction, by: &str) -> Result<String, String> {
    let host = || node.standing.host().ok_or_else(|| "this program leaves that to nobody".to_owned());
    match action {
        NodeAction::Pause => {
            node.standing.pause(true);
            node.served().for_each(|queue| hand_back(node, queue));
            Ok("it claims no more jobs".to_owned())
        }
        NodeAction::Resume => {
            node.standing.pause(false);
            node.wake_all();
            Ok("it claims jobs".to_owned())
        }
        NodeAction::Drain => {
            host()?.leave();
            Ok("it ends what runs, and exits".to_owned())
        }
        NodeAction::RestartActor { actor } => {
            host()?.order_actor(actor, ActorOrder::Restart)?;
            Ok(format!("{actor} is restarted"))
        }
        NodeAction::SuspendActor { actor } => {
            check_dispensable(path, actor)?;
            host()?.order_actor(actor, ActorOrder::Suspend)?;
            Ok(format!("{actor} handles no messages until it is resumed"))
        }
        NodeAction::ResumeActor { actor } => {
            host()?.order_actor(actor, ActorOrder::Resume)?;
            Ok(format!("{actor} handles messages"))
        }
        NodeAction::StopActor { actor } => {
            check_dispensable(path, actor)?;
            host()?.order_actor(actor, ActorOrder::Stop)?;
            Ok(format!("{actor} is stopped"))
        }
        NodeAction::LogLevel { level } => {
            let settings = BTreeMap::from([("log.level".to_owned(), Some(level.clone()))]);
            host()?.change_settings(settings, Who { name: by.to_owned(), role: None }).await?;
            Ok(format!("the log is written as {level} says"))
        }
        NodeAction::Set { settings } => {
            host()?.change_settings(settings.clone(), Who { name: by.to_owned(), role: None }).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_carries_commands_out_is_neither_suspended_nor_stopped() {
        for needed in
            ["observers/commands", "observers", "edges", "edges/store", "/edges/store/", "observers/session"]
        {
            assert!(check_dispensable("observers/commands", needed).is_err(), "{needed}");
        }
        for other in ["observers/metrics", "edges/bus", "web/server", "edges/storehouse", "obs", "queues"] {
            assert_eq!(check_dispensable("observers/commands", other), Ok(()), "{other}");
        }
    }
}
