//! The leader: sees to it that one node does what is done once for all.

use std::{sync::Arc, time::Instant};

use callboard_supervisors::{Actor, Context, StartError};
use tokio::time::sleep;

use super::{backoff::Backoff, condition::Condition, node::Node};
use crate::{
    edges::store::{Leadership, StoreError},
    failpoint,
};

/// Takes the lease of the fleet's leader when nobody has it, and renews it every heartbeat. The scheduler, the rescuer
/// and the pruner of the node that leads do their work; those of the others stand by.
///
/// The lease ends by itself when it was not renewed for a session's time to live, and at once with the node's session.
/// Two nodes may believe for a moment that they lead: what they do carries the lease's token, and the store refuses the
/// older one.
pub(crate) struct Leader;

impl Actor for Leader {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.spawn(run(node, cx.path()));
        Ok(Leader)
    }
}

async fn run(node: Arc<Node>, path: String) {
    let mut backoff = Backoff::default();
    let mut renewed = Instant::now();
    loop {
        let asked = Instant::now();
        match lead(&node, &path).await {
            Ok(()) => {
                backoff.reset();
                renewed = asked;
                let mut session = node.session.subscribe();
                tokio::select! {
                    () = sleep(node.config.heartbeat) => {}
                    _ = session.changed() => {}
                }
            }
            Err(error) => {
                if renewed.elapsed() >= node.config.session_ttl && node.leads.set(None) {
                    tracing::warn!(%error, "this node leads no more: its lease could not be renewed in time");
                }
                node.conditions.set(&path, Condition::Degraded(error.to_string()));
                backoff.pause().await;
            }
        }
    }
}

async fn lead(node: &Node, path: &str) -> Result<(), StoreError> {
    let open = *node.session.borrow();
    let session = match open {
        Some(session) => session,
        None => {
            node.leads.set(None);
            node.session().await
        }
    };
    let (token, condition) = match node.store.lead(session, node.config.session_ttl).await? {
        Leadership::Leader { token } => (Some(token), Condition::Ready),
        Leadership::Follower { .. } => (None, Condition::Standby),
    };
    if token.is_some() && node.leads.now().is_none() {
        failpoint!("leader.taken");
    }
    node.conditions.set(path, condition);
    // The session may have ended meanwhile, and its leadership with it.
    let token = token.filter(|_| *node.session.borrow() == Some(session));
    if node.leads.set(token) {
        match token {
            Some(token) => tracing::info!(token, "this node leads"),
            None => tracing::info!("another node leads"),
        }
    }
    Ok(())
}
