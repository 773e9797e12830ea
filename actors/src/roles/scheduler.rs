//! The scheduler: makes jobs available whose time has come.

use std::{sync::Arc, time::Duration};

use callboard_contracts::Timestamp;
use callboard_supervisors::{Actor, Context, StartError};
use tokio::time::sleep;

use super::{backoff::Backoff, condition::Condition, node::Node};
use crate::edges::store::{Operation, Outcome, StoreError};

/// Jobs that are made available in one write.
const BATCH: u32 = 1000;

/// Makes scheduled and retryable jobs available whose time has come, and at its start those that wait for a handler
/// that there is now. It sleeps until the next job falls due, or until the poll interval is over.
pub(crate) struct Scheduler;

impl Actor for Scheduler {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.spawn(run(node, cx.path()));
        Ok(Scheduler)
    }
}

async fn run(node: Arc<Node>, path: String) {
    node.session().await;
    let mut backoff = Backoff::default();
    let mut released = false;
    loop {
        let tick = async {
            if !released {
                release(&node).await?;
                released = true;
            }
            promote(&node).await
        };
        match tick.await {
            Ok(next) => {
                backoff.reset();
                node.conditions.set(&path, Condition::Ready);
                wait(&node, next).await;
            }
            Err(error) => {
                node.conditions.set(&path, Condition::Degraded(error.to_string()));
                backoff.pause().await;
            }
        }
    }
}

/// Lets those go that wait for a handler.
async fn release(node: &Node) -> Result<(), StoreError> {
    loop {
        let operation = Operation::ReleaseHeld { job_types: node.registry.names(), limit: BATCH };
        let (count, _) = moved(node, operation).await?;
        if count < BATCH {
            return Ok(());
        }
    }
}

/// Makes all available that are due. Returns when the next one is.
async fn promote(node: &Node) -> Result<Option<Timestamp>, StoreError> {
    loop {
        let noted = node.due.take();
        let outcome = moved(node, Operation::Promote { limit: BATCH }).await;
        if let (Err(_), Some(noted)) = (&outcome, noted) {
            node.due.note(noted);
        }
        let (count, next) = outcome?;
        if count < BATCH {
            return Ok(next);
        }
    }
}

async fn moved(node: &Node, operation: Operation) -> Result<(u32, Option<Timestamp>), StoreError> {
    match node.store.write(operation).await? {
        Outcome::Moved { queues, count, next_at } => {
            node.wake(&queues);
            Ok((count, next_at))
        }
        other => Err(StoreError::Failed(format!("it gave an answer to another question: {other:?}"))),
    }
}

/// Sleeps until the next job is due, as the store has said or as it is noted meanwhile.
async fn wait(node: &Node, next: Option<Timestamp>) {
    let longest = node.config.schedule_poll;
    let mut next = next.unwrap_or(Timestamp::MAX);
    loop {
        let time = next.saturating_since(node.store.now()).min(longest).max(Duration::from_millis(1));
        tokio::select! {
            () = sleep(time) => return,
            () = node.due.earlier() => next = node.due.take().map_or(next, |noted| noted.min(next)),
        }
    }
}
