//! The pruner: deletes what has outlived its retention.

use std::sync::Arc;

use callboard_supervisors::{Actor, Context, PlainHandler, StartError};
use tokio::{sync::Notify, time::sleep};

use super::{backoff::Backoff, condition::Condition, node::Node, tuning::Retune};
use crate::edges::store::{
    Operation, Outcome, StoreError,
    workflow::{WorkflowOperation, WorkflowOutcome},
};

/// Writes in which old workflows are deleted before it is the turn of jobs and events.
const WRITES: u32 = 100;

/// Deletes finished jobs and old events, a bounded number in each write, if this node leads.
pub(crate) struct Pruner {
    retuned: Arc<Notify>,
}

impl Actor for Pruner {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let retuned = Arc::<Notify>::default();
        cx.spawn(run(node, cx.path(), retuned.clone()));
        Ok(Pruner { retuned })
    }
}

impl PlainHandler<Retune> for Pruner {
    type Reply = ();

    fn handle(&mut self, _: Retune, _: &mut Context<Self>) {
        self.retuned.notify_one();
    }
}

async fn run(node: Arc<Node>, path: String, retuned: Arc<Notify>) {
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
                tokio::select! {
                    () = sleep(node.tuned().retention_interval) => {}
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

/// Deletes until there is nothing more to delete, or this node does not lead any more.
async fn prune(node: &Node, leader: u64) -> Result<(), StoreError> {
    let tuned = node.tuned();
    let (kept, limit) = (tuned.audit_kept, tuned.retention.batch);
    delete(node, leader, &Operation::PruneAudit { kept, limit, leader }).await?;
    // First, since it lets go of jobs.
    let workflows = WorkflowOperation::Prune {
        completed: tuned.retention.completed,
        cancelled: tuned.retention.cancelled,
        failed: tuned.retention.discarded,
        limit,
        leader,
    };
    let workflows = Operation::Workflow(workflows);
    // A bounded number of writes each time: however many workflows are old, jobs and events are deleted beside them.
    while forget(node, leader, &workflows).await? {
        delete(node, leader, &Operation::Prune { retention: tuned.retention, leader }).await?;
    }
    delete(node, leader, &Operation::Prune { retention: tuned.retention, leader }).await
}

/// Deletes workflows in so many writes at most. Whether there are more.
async fn forget(node: &Node, leader: u64, workflows: &Operation) -> Result<bool, StoreError> {
    for _ in 0..WRITES {
        match node.store.write(workflows.clone()).await? {
            Outcome::Workflow(WorkflowOutcome::Pruned { more: true }) => {}
            Outcome::Workflow(WorkflowOutcome::Pruned { more: false }) => return Ok(false),
            Outcome::NotLeader => {
                node.leads.ended(leader);
                return Ok(false);
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(true)
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
