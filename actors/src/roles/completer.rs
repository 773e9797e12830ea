//! The completer: writes what has happened to attempts, many in one go.

use std::{collections::HashMap, sync::Arc};

use callboard_contracts::{
    JobState,
    api::{AttemptError, ErrorKind},
};
use callboard_supervisors::{Actor, Context, StartError};

use super::{
    backoff::Backoff,
    condition::Condition,
    node::Node,
    outcomes::{Outcome, Part},
    queue::attempt::EndReason,
};
use crate::{
    edges::store::{Operation, OperationResult, Outcome as Written, StoreError, record::AttemptEnd},
    failpoint,
};

/// Batches that are written side by side. Each is a transaction of its own where the store has several connections, so that the
/// server works on one while the ends of the next are still on their way.
pub(crate) const WRITERS: usize = 2;

/// Writes what has happened to attempts, in batches of what gathers while the last one is written. Of each part of it one is
/// under way at a time, so what happens to an attempt is written in its order.
///
/// An attempt's place is free as soon as it ends, not when that is written: else the store's round trip would be part
/// of every job. What is not written yet is bounded, and while the store is away producers come to a halt.
pub(crate) struct Completer {
    node: Arc<Node>,
}

impl Actor for Completer {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        for part in 0..node.outcomes.parts().len() {
            cx.spawn(run(node.clone(), part, cx.path()));
        }
        Ok(Completer { node })
    }

    /// Writes what is left.
    async fn stopping(&mut self, _: &mut Context<Self>) {
        let node = &*self.node;
        while !node.outcomes.is_empty() {
            for part in node.outcomes.parts() {
                if let Err(error) = flush(node, part).await {
                    let lost = node.outcomes.unwritten_ends();
                    tracing::error!(%error, lost, "ends of attempts could not be written; these attempts will run again");
                    return;
                }
            }
        }
    }
}

async fn run(node: Arc<Node>, part: usize, path: String) {
    let Some(part) = node.outcomes.parts().get(part) else { return };
    let mut backoff = Backoff::default();
    loop {
        if part.is_empty() {
            part.added.notified().await;
        }
        match flush(&node, part).await {
            Ok(()) => {
                backoff.reset();
                node.conditions.set(&path, Condition::Ready);
            }
            Err(error) => {
                if node.conditions.set(&path, Condition::Degraded(error.to_string())) {
                    tracing::warn!(%error, "ends of attempts cannot be written; they are kept and tried again");
                }
                backoff.pause().await;
            }
        }
    }
}

/// Writes one batch.
async fn flush(node: &Node, part: &Part) -> Result<(), StoreError> {
    let _writing = part.writing.lock().await;
    let batch = node.outcomes.next(part);
    if batch.is_empty() {
        return Ok(());
    }
    let was_full = node.outcomes.is_full();
    // All that was said first, so that operations of one kind are neighbours.
    let said: Vec<Operation> = batch.iter().filter_map(Outcome::report).collect();
    let count = said.len();
    let operations = said.into_iter().chain(batch.iter().map(Outcome::operation)).collect();
    let mut said = node.store.write_all(operations).await?;
    let results = said.split_off(count.min(said.len()));
    for error in said.into_iter().filter_map(Result::err) {
        tracing::warn!(%error, "what an attempt has said last of itself was refused");
    }
    failpoint!("outcomes.answered");
    node.outcomes.written(part);
    settle(node, batch, results);
    if was_full && !node.outcomes.is_full() {
        node.wake_all();
    }
    Ok(())
}

fn settle(node: &Node, batch: Vec<Outcome>, results: Vec<OperationResult>) {
    let mut left: HashMap<String, u64> = HashMap::new();
    for (outcome, result) in batch.into_iter().zip(results) {
        let attempt = outcome.attempt().clone();
        let job = &attempt.job;
        match result {
            Ok(Written::Started { cancel_requested: true }) => attempt.end(EndReason::Cancelled),
            Ok(Written::Finished { state }) => {
                match left.get_mut(&job.queue) {
                    Some(count) => *count += 1,
                    None => drop(left.insert(job.queue.clone(), 1)),
                }
                if let Outcome::Finished { end, .. } = &outcome {
                    node.metrics.ended(&job.queue, &job.job_type, end);
                }
                if let Outcome::Finished {
                    end: AttemptEnd::Failed { retry_at: Some(at), .. } | AttemptEnd::Snoozed { until: at },
                    ..
                } = &outcome
                {
                    node.due.note(*at);
                }
                if state == JobState::Available && !node.is_draining() {
                    node.wake([&job.queue]);
                }
            }
            Ok(Written::Stale) => {
                let is_end = matches!(outcome, Outcome::Finished { .. });
                node.metrics.stale_write(&job.queue, &job.job_type, is_end);
                tracing::warn!(
                    jobId = %job.id, attempt = job.attempt, correlationId = %job.correlation_id, queue = job.queue,
                    "type" = job.job_type, "the word about an attempt came too late: its lease had ended"
                );
            }
            Ok(_) => {}
            Err(error) => refused(node, outcome, &error),
        }
    }
    for (queue, count) in left {
        if let Some(queue) = node.queues.get(&queue) {
            queue.left(count);
        }
    }
}

/// The store refused one outcome and took the others.
fn refused(node: &Node, outcome: Outcome, error: &StoreError) {
    let job = &outcome.attempt().job;
    tracing::error!(
        %error, jobId = %job.id, attempt = job.attempt, correlationId = %job.correlation_id, queue = job.queue,
        "type" = job.job_type, "the word about an attempt was refused"
    );
    let Outcome::Finished { attempt, refused, .. } = outcome else { return };
    // Something about it cannot be stored. That it has failed can.
    if !refused {
        let message = format!("the end of the attempt could not be stored: {error}");
        let error = AttemptError { kind: ErrorKind::Failed, message, backtrace: None, is_final: true };
        let end = AttemptEnd::Failed { error, retry_at: None };
        node.outcomes.add(Outcome::Finished { attempt, end, report: None, refused: true });
    }
}
