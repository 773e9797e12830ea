//! The pruner: deletes what has outlived its retention.

use std::sync::Arc;

use callboard_supervisors::{Actor, Context, StartError};
use tokio::time::sleep;

use super::{backoff::Backoff, condition::Condition, node::Node};
use crate::edges::store::{Operation, Outcome, StoreError};

/// Deletes finished jobs and old events, a bounded number in each write, if this node leads.
pub(crate) struct Pruner;

impl Actor for Pruner {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.spawn(run(node, cx.path()));
        Ok(Pruner)
    }
}

async fn run(node: Arc<Node>, path: String) {
    let mut backoff = Backoff::default();
    loop {
        let Some(leader) = node.leads.now() else {
            node.conditions.set(&path, Condition::Standby);
            node.leads.begun().await;
            continue;
        };
        match prune(&node, leader).await {
            Ok(()) => {
                backoff.reset();
                node.conditions.set(&path, Condition::Ready);
                sleep(node.config.retention_interval).await;
            }
            Err(error) => {
                node.conditions.set(&path, Condition::Degraded(error.to_string()));
                backoff.pause().await;
            }
        }
    }
}

/// Deletes until there is nothing more to delete, or this node does not lead any more.
async fn prune(node: &Node, leader: u64) -> Result<(), StoreError> {
    let (kept, limit) = (node.config.audit_kept, node.config.retention.batch);
    delete(node, leader, &Operation::PruneAudit { kept, limit, leader }).await?;
    delete(node, leader, &Operation::Prune { retention: node.config.retention, leader }).await
}

async fn delete(node: &Node, leader: u64, operation: &Operation) -> Result<(), StoreError> {
    loop {
        match node.store.write(operation.clone()).await? {
            Outcome::Pruned { jobs, events, more } => {
                tracing::debug!(jobs, events, more, "pruned");
                if !more {
                    return Ok(());
                }
            }
            Outcome::NotLeader => {
                node.leads.ended(leader);
                return Ok(());
            }
            other => return Err(other.unexpected()),
        }
    }
}
