//! The rescuer: ends the attempts of nodes that died.

use std::{sync::Arc, time::Instant};

use callboard_supervisors::{Actor, Context, StartError};
use tokio::time::sleep;

use super::{backoff::Backoff, condition::Condition, node::Node, session::end_session};
use crate::edges::store::StoreError;

/// Ends the attempts of sessions whose node is dead: each job goes on with its next attempt.
///
/// On a store that has a sole owner, every session found at the start but this node's own is dead. Later, and on any
/// other store, one is dead that has not said for the session's time to live, on the store's clock, that it lives; that
/// is judged only after this node has itself seen the store without a gap for as long, so that an outage of the store
/// kills nobody.
pub(crate) struct Rescuer;

impl Actor for Rescuer {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.spawn(run(node, cx.path()));
        Ok(Rescuer)
    }
}

async fn run(node: Arc<Node>, path: String) {
    // Without a session of its own the node could not tell which one that is.
    node.session().await;
    let mut backoff = Backoff::default();
    let mut others_are_dead = node.config.sole_owner;
    let mut seen_since = Instant::now();
    let mut looked = Instant::now();
    loop {
        if looked.elapsed() > 2 * node.config.rescue_interval {
            // The thread, or the machine, was away.
            seen_since = Instant::now();
        }
        looked = Instant::now();
        match look(&node, others_are_dead, seen_since).await {
            Ok(()) => {
                others_are_dead = false;
                backoff.reset();
                node.conditions.set(&path, Condition::Ready);
                sleep(node.config.rescue_interval).await;
            }
            Err(error) => {
                seen_since = Instant::now();
                node.conditions.set(&path, Condition::Degraded(error.to_string()));
                backoff.pause().await;
            }
        }
    }
}

async fn look(node: &Node, others_are_dead: bool, seen_since: Instant) -> Result<(), StoreError> {
    let sessions = node.store.open_sessions().await?;
    let may_judge = seen_since.elapsed() >= node.config.session_ttl;
    let now = node.store.now();
    for session in sessions {
        let own = *node.session.borrow() == Some(session.id);
        let silent = now.saturating_since(session.seen_at) > node.config.session_ttl;
        if own || !(others_are_dead || may_judge && silent) {
            continue;
        }
        let message = format!("its node {:?} died while it ran", session.node);
        let rescued = end_session(node, session.id, &message).await?;
        tracing::warn!(session = %session.id, node = session.node, rescued, "a dead node's attempts were ended");
    }
    Ok(())
}
