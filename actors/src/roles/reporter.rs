//! The reporter: writes what running attempts say of themselves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use callboard_supervisors::{Actor, Context, StartError};
use tokio::time::{sleep, timeout};

use super::{backoff::Backoff, condition::Condition, node::Node};
use crate::{
    edges::store::{Operation, OperationResult, Outcome, StoreError, report::Report},
    jobs::journal::Journal,
};

/// What gathers for so long is written together.
const GATHER: Duration = Duration::from_millis(50);
/// What one write holds at most.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Writes how far running attempts are, and the lines of their logs, each attempt at most about once a second and many
/// attempts together. What is not written when an attempt ends goes with its end, so nobody waits for this, and what cannot
/// be written for now stays where it is, bounded.
pub(crate) struct Reporter;

impl Actor for Reporter {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.spawn(run(node, cx.path()));
        Ok(Reporter)
    }
}

async fn run(node: Arc<Node>, path: String) {
    let mut backoff = Backoff::default();
    node.conditions.set(&path, Condition::Ready);
    loop {
        node.inbox.filled().await;
        let (due, next) = node.inbox.due(Instant::now(), BATCH);
        if due.is_empty() {
            if next.is_none() {
                // Whatever could not be written has gone with the ends of its attempts.
                node.conditions.set(&path, Condition::Ready);
            }
            // Who says much meanwhile is due sooner.
            sleep(next.unwrap_or(GATHER).clamp(GATHER, 4 * GATHER)).await;
            continue;
        }
        match write(&node, due).await {
            Ok(()) => {
                backoff.reset();
                node.conditions.set(&path, Condition::Ready);
                sleep(GATHER).await;
            }
            Err(error) => {
                if node.conditions.set(&path, Condition::Degraded(error.to_string())) {
                    tracing::warn!(%error, "what running jobs say of themselves cannot be written");
                }
                backoff.pause().await;
            }
        }
    }
}

/// Journals that go back to the others, whatever becomes of the write.
struct Held<'n> {
    node: &'n Node,
    journals: Vec<Arc<Journal>>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.node.inbox.put_back(self.journals.drain(..));
    }
}

async fn write(node: &Node, due: Vec<Arc<Journal>>) -> Result<(), StoreError> {
    let held = Held { node, journals: due };
    let now = Instant::now();
    let (mut operations, mut sent, mut bytes) = (Vec::new(), Vec::new(), 0);
    for journal in &held.journals {
        if bytes > BATCH_BYTES {
            break;
        }
        if let Some(report) = journal.take(now) {
            bytes += size(&report);
            operations.push(Operation::Report(Box::new(report)));
            sent.push(journal.clone());
        }
    }
    if operations.is_empty() {
        return Ok(());
    }
    // The store's own limit holds; this one is for the case that nobody answers.
    let limit = node.store.limit() * 2;
    let results = timeout(limit, node.store.write_all(operations)).await;
    let results = results.unwrap_or(Err(StoreError::TimedOut(limit)))?;
    // Those that hold nothing any more fall out by themselves.
    for (journal, result) in sent.iter().zip(results) {
        settle(node, journal, result);
    }
    Ok(())
}

fn settle(node: &Node, journal: &Arc<Journal>, result: OperationResult) {
    match result {
        Ok(Outcome::Stale) => {
            // Of one that has ended meanwhile, all goes with its end.
            if let Some(lost) = journal.close() {
                journal.lost(&lost);
                let (queue, job_type) = journal.labels();
                node.metrics.stale_write(queue, job_type, false);
                tracing::warn!(
                    jobId = %journal.lease().id, queue, "type" = job_type,
                    "what an attempt says of itself came too late: its lease had ended"
                );
            }
        }
        Ok(_) => journal.written(),
        Err(error) => {
            journal.refused();
            let (queue, job_type) = journal.labels();
            tracing::warn!(
                %error, jobId = %journal.lease().id, queue, "type" = job_type,
                "what an attempt says of itself was refused"
            );
        }
    }
}

/// Bytes of what is to be written.
pub(crate) fn size(report: &Report) -> usize {
    let published = report.published.as_ref().map_or(0, |published| published.value.len());
    report.lines.iter().map(|line| line.text.len() + 64).sum::<usize>() + published + 128
}
