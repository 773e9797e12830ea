//! The rescuer: ends the attempts of nodes that died.

use std::{sync::Arc, time::Duration};

use callboard_supervisors::{Actor, Context, PlainHandler, StartError};
use tokio::{sync::Notify, time::sleep};

use super::{
    backoff::Backoff,
    condition::Condition,
    node::Node,
    session::{Verdict, end_session},
    tuning::Retune,
};
use crate::edges::store::StoreError;

/// Ends the attempts of sessions whose node is dead: each job goes on with its next attempt. Only the node that leads
/// does so.
///
/// On a store that has a sole owner, every session found at the start but this node's own is dead. Later, and on any
/// other store, one is dead that has not said for the session's time to live, on the store's clock, that it lives; that
/// is judged only after this node has itself seen the store without a gap for as long, so that an outage of the store
/// kills nobody.
pub(crate) struct Rescuer {
    retuned: Arc<Notify>,
}

impl Actor for Rescuer {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let retuned = Arc::<Notify>::default();
        cx.spawn(run(node, cx.path(), retuned.clone()));
        Ok(Rescuer { retuned })
    }
}

impl PlainHandler<Retune> for Rescuer {
    type Reply = ();

    fn handle(&mut self, _: Retune, _: &mut Context<Self>) {
        self.retuned.notify_one();
    }
}

async fn run(node: Arc<Node>, path: String, retuned: Arc<Notify>) {
    // Without a session of its own the node could not tell which one that is.
    node.session().await;
    let mut backoff = Backoff::default();
    let mut others_are_dead = node.config.sole_owner;
    loop {
        let Some(leader) = node.leads.now() else {
            node.conditions.set(&path, Condition::Standby);
            node.leads.begun().await;
            continue;
        };
        match look(&node, others_are_dead, leader).await {
            Ok(()) => {
                others_are_dead = false;
                backoff.reset();
                node.conditions.set(&path, Condition::Ready);
                tokio::select! {
                    () = sleep(node.tuned().rescue_interval) => {}
                    () = retuned.notified() => {}
                }
            }
            Err(error) => {
                node.conditions.set(&path, Condition::Degraded(error.to_string()));
                backoff.pause().await;
            }
        }
    }
}

async fn look(node: &Node, others_are_dead: bool, leader: u64) -> Result<(), StoreError> {
    let ttl = node.config.session_ttl;
    if !others_are_dead && !node.sight.lasted(ttl, 2 * node.config.heartbeat) {
        return Ok(());
    }
    let idle_for = if others_are_dead { Duration::ZERO } else { ttl };
    let verdict = Verdict { leader, idle_for };
    let sessions = node.store.open_sessions().await?;
    let now = node.store.now();
    for session in sessions {
        let own = *node.session.borrow() == Some(session.id);
        // Only a first look: the store judges when it is done.
        if own || now.saturating_since(session.seen_at) < idle_for {
            continue;
        }
        let message = format!("its node {:?} died while it ran", session.node);
        if let Some(rescued) = end_session(node, session.id, &message, Some(verdict)).await? {
            tracing::warn!(session = %session.id, node = session.node, rescued, "a dead node's attempts were ended");
        }
    }
    Ok(())
}
