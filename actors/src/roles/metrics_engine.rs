//! The metrics engine: follows the log and counts.

use std::{sync::Arc, time::Duration};

use callboard_supervisors::{Actor, ChildExited, Context, PlainHandler, StartError};
use tokio::time::{Instant, sleep};

use super::{backoff::Backoff, condition::Condition, crashes::queue_seen, node::Node, queue::Queue};
use crate::edges::store::StoreError;

/// Places of the log that one read counts at most.
const PAGE: u32 = 10_000;
/// How long commits gather before they are read.
const GATHER: Duration = Duration::from_millis(25);
/// How often the queues are looked at, at most.
const QUEUES_EVERY: Duration = Duration::from_secs(1);

/// Follows the log from where it stood at the node's start, and counts what it says; looks every second at the queues, and
/// so learns which of them somebody has paused or limited on whichever node. Where it is in the log is kept with
/// the numbers, so that a crash neither loses events nor counts them twice.
pub(crate) struct MetricsEngine {
    node: Arc<Node>,
}

impl Actor for MetricsEngine {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.spawn(run(node.clone(), cx.path()));
        Ok(MetricsEngine { node })
    }
}

impl PlainHandler<ChildExited> for MetricsEngine {
    type Reply = ();

    fn handle(&mut self, exit: ChildExited, _: &mut Context<Self>) {
        self.node.metrics.actor_ended(exit.crash.is_some(), exit.restarting);
    }
}

async fn run(node: Arc<Node>, path: String) {
    node.session().await;
    let mut committed = node.store.committed();
    let mut backoff = Backoff::default();
    let mut queues_seen: Option<Instant> = None;
    loop {
        let tick = async {
            let due = || queues_seen.is_none_or(|seen| seen.elapsed() >= QUEUES_EVERY);
            // However much is to be counted: what the queues are is not to wait for it.
            let mut more = follow(&node).await?;
            while more && !due() {
                more = follow(&node).await?;
            }
            if due() {
                let queues = node.store.queues().await?;
                node.series.sample(queues.iter().map(|(_, totals)| totals), node.store.now());
                for (queue, totals) in queues {
                    node.metrics.queue(&queue.name, &totals, node.store.now());
                    if let Some(served) = node.queues.get(&queue.name) {
                        queue_seen(&node, served, &totals);
                        served.set_limited(totals.limits.has_places());
                    }
                }
                node.metrics.edges(&node.store.edges().await?, node.store.now());
                // Of the others nothing runs here.
                let own = |queue: &&Arc<Queue>| !node.config.outlets.contains_key(&queue.name);
                for queue in node.served().filter(own) {
                    let (held, running) = queue.board.counts();
                    node.metrics.board(&queue.name, queue.concurrency(), held - running, running);
                }
                node.metrics.stands(node.leads.now().is_some(), *committed.borrow());
                queues_seen = Some(Instant::now());
            }
            Ok::<_, StoreError>(more)
        };
        match tick.await {
            Ok(more) => {
                backoff.reset();
                node.conditions.set(&path, Condition::Ready);
                if more {
                    continue;
                }
                tokio::select! {
                    changed = committed.changed() => match changed {
                        Ok(()) => sleep(GATHER).await,
                        // The store is gone for good.
                        Err(_) => return,
                    },
                    () = sleep(QUEUES_EVERY) => {}
                }
            }
            Err(error) => {
                node.conditions.set(&path, Condition::Degraded(error.to_string()));
                backoff.pause().await;
            }
        }
    }
}

/// Counts one page of the log. Whether there is more.
async fn follow(node: &Node) -> Result<bool, StoreError> {
    let Some(after) = *node.counted.lock() else { return Ok(false) };
    let part = node.store.count_events_after(after, PAGE).await?;
    if part.reset {
        tracing::warn!(%after, newest = %part.newest, "events were deleted before they were counted");
    }
    for count in &part.counts {
        node.metrics.events(count);
        node.series.count(count);
    }
    // No await since the first of them was counted.
    *node.counted.lock() = Some(part.last);
    Ok(part.last < part.newest)
}
