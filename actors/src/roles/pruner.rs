//! The pruner: deletes what has outlived its retention.

use std::sync::Arc;

use callboard_supervisors::{Actor, Context, StartError};
use tokio::time::sleep;

use super::{backoff::Backoff, condition::Condition, node::Node};
use crate::edges::store::{Operation, Outcome, StoreError};

/// Deletes finished jobs and old events, a bounded number in each write.
pub(crate) struct Pruner;

impl Actor for Pruner {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.spawn(run(node, cx.path()));
        Ok(Pruner)
    }
}

async fn run(node: Arc<Node>, path: String) {
    node.session().await;
    let mut backoff = Backoff::default();
    loop {
        match prune(&node).await {
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

/// Deletes until there is nothing more to delete.
async fn prune(node: &Node) -> Result<(), StoreError> {
    loop {
        match node.store.write(Operation::Prune(node.config.retention)).await? {
            Outcome::Pruned { jobs, events, more } => {
                tracing::debug!(jobs, events, more, "pruned");
                if !more {
                    return Ok(());
                }
            }
            other => {
                return Err(StoreError::Failed(format!("it gave an answer to another question: {other:?}")));
            }
        }
    }
}
