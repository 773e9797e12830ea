//! [`Lapses`]: ends attempts of which nothing was heard from outside.

use std::{sync::Arc, time::Duration};

use callboard_contracts::{
    Timestamp,
    api::{AttemptError, ErrorKind},
};
use callboard_supervisors::{Actor, Context, PlainHandler, StartError};
use tokio::{sync::Notify, time::sleep};

use crate::{
    edges::store::{Operation, Outcome, StoreError},
    roles::{backoff::Backoff, condition::Condition, node::Node, tuning::Retune},
};

/// Attempts that one write ends.
const BATCH: u32 = 1000;

/// Ends attempts that are with workers outside and of which nothing was heard for their queue's visibility timeout, if this
/// node leads, whether it serves such queues itself or not.
///
/// It does so only after this node has seen the store without a gap for as long as a session lives: what workers say while the
/// store, or all nodes, are away waits in the broker, and has that long to come in.
pub(crate) struct Lapses {
    retuned: Arc<Notify>,
}

impl Actor for Lapses {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let retuned = Arc::<Notify>::default();
        cx.spawn(run(node, cx.path(), retuned.clone()));
        Ok(Lapses { retuned })
    }
}

impl PlainHandler<Retune> for Lapses {
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
        match look(&node, leader).await {
            Ok(next) => {
                backoff.reset();
                node.conditions.set(&path, Condition::Ready);
                // While there are such attempts another one may lapse before the next that is known.
                let tuned = node.tuned();
                let longest = if next.is_some() { tuned.schedule_poll } else { tuned.rescue_interval };
                let until = next.map_or(longest, |at| at.saturating_since(node.store.now()));
                tokio::select! {
                    () = sleep(until.clamp(Duration::from_millis(1), longest)) => {}
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

/// Ends what has lapsed. When the next one does.
async fn look(node: &Node, leader: u64) -> Result<Option<Timestamp>, StoreError> {
    let config = &node.config;
    if !node.sight.lasted(config.session_ttl, 2 * config.heartbeat) {
        return Ok(Some(node.store.now().saturating_add(node.tuned().schedule_poll)));
    }
    let error = AttemptError {
        kind: ErrorKind::TimedOut,
        message: "nothing was heard from the worker outside for the queue's visibility timeout".to_owned(),
        backtrace: None,
        is_final: false,
    };
    loop {
        let operation = Operation::Lapse {
            error: error.clone(),
            retry: node.outside.retry_plan(node.tuned().defaults.retry),
            limit: BATCH,
            leader,
        };
        let (ended, retry_at, next_at) = match node.store.write(operation).await? {
            Outcome::Lapsed { ended, retry_at, next_at } => (ended, retry_at, next_at),
            Outcome::NotLeader => {
                node.leads.ended(leader);
                return Ok(None);
            }
            other => return Err(other.unexpected()),
        };
        for (queue, count) in &ended {
            tracing::warn!(queue, count, "nothing was heard of attempts that workers outside have");
            node.metrics.lapsed(queue, (*count).into());
        }
        // Their places are free.
        node.wake(ended.keys());
        if let Some(at) = retry_at {
            node.due.note(at);
        }
        if next_at.is_none_or(|at| at > node.store.now()) {
            return Ok(next_at);
        }
    }
}
