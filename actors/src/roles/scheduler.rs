//! The scheduler: makes jobs available whose time has come.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use callboard_contracts::Timestamp;
use callboard_supervisors::{Actor, Context, PlainHandler, StartError};
use tokio::{sync::Notify, time::sleep};

use super::{backoff::Backoff, condition::Condition, node::Node, parking::Looked, tuning::Retune};
use crate::edges::store::{Operation, Outcome, StoreError};

/// Jobs that are made available in one write.
const BATCH: u32 = 1000;
/// How often each node looks for jobs that wait for a handler that it has.
const RELEASE: Duration = Duration::from_secs(10);

/// Makes scheduled and retryable jobs available whose time has come, and puts jobs aside that wait for tripped edges, if this
/// node leads; and on every node those that
/// wait for a handler that it has: at its start, and now and then after it, since other nodes may have taken them in that
/// have none. It sleeps until the next job falls due, or until the poll interval is over.
pub(crate) struct Scheduler {
    retuned: Arc<Notify>,
}

impl Actor for Scheduler {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let retuned = Arc::<Notify>::default();
        cx.spawn(run(node, cx.path(), retuned.clone()));
        Ok(Scheduler { retuned })
    }
}

impl PlainHandler<Retune> for Scheduler {
    type Reply = ();

    fn handle(&mut self, _: Retune, _: &mut Context<Self>) {
        self.retuned.notify_one();
    }
}

async fn run(node: Arc<Node>, path: String, retuned: Arc<Notify>) {
    node.session().await;
    let mut backoff = Backoff::default();
    let mut released: Option<Instant> = None;
    let mut looked = Looked::default();
    loop {
        match tick(&node, &mut released, &mut looked).await {
            Ok((next, condition)) => {
                backoff.reset();
                node.conditions.set(&path, condition);
                tokio::select! {
                    () = wait(&node, next) => {}
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

/// Does what there is to do. When the next job is due, and what this node is to the others.
async fn tick(
    node: &Node,
    released: &mut Option<Instant>,
    looked: &mut Looked,
) -> Result<(Option<Timestamp>, Condition), StoreError> {
    if released.is_none_or(|at| at.elapsed() >= RELEASE) {
        release(node).await?;
        *released = Some(Instant::now());
    }
    match node.leads.now() {
        Some(leader) => {
            let due = promote(node, leader).await?;
            let parking = looked.look(node, leader).await?;
            Ok((due.into_iter().chain(parking).min(), Condition::Ready))
        }
        None => Ok((None, Condition::Standby)),
    }
}

/// Lets those go that wait for a handler.
async fn release(node: &Node) -> Result<(), StoreError> {
    loop {
        let operation = Operation::ReleaseHeld {
            job_types: node.registry.names(),
            queues: node.config.outlets.keys().cloned().collect(),
            limit: BATCH,
        };
        match moved(node, operation).await? {
            Some((BATCH.., _)) => {}
            _ => return Ok(()),
        }
    }
}

/// Makes all available that are due. Returns when the next one is, if this node still leads.
async fn promote(node: &Node, leader: u64) -> Result<Option<Timestamp>, StoreError> {
    loop {
        let noted = node.due.take();
        let outcome = moved(node, Operation::Promote { limit: BATCH, leader }).await;
        if let (Err(_), Some(noted)) = (&outcome, noted) {
            node.due.note(noted);
        }
        match outcome? {
            Some((BATCH.., _)) => {}
            Some((_, next)) => return Ok(next),
            None => {
                node.leads.ended(leader);
                return Ok(None);
            }
        }
    }
}

/// How many were moved, and when the next one falls due; `None`: this node does not lead any more.
async fn moved(node: &Node, operation: Operation) -> Result<Option<(u32, Option<Timestamp>)>, StoreError> {
    match node.store.write(operation).await? {
        Outcome::Moved { queues, count, next_at } => {
            node.wake(&queues);
            Ok(Some((count, next_at)))
        }
        Outcome::NotLeader => Ok(None),
        other => Err(other.unexpected()),
    }
}

/// Sleeps until the next job is due, as the store has said or as it is noted meanwhile.
async fn wait(node: &Node, next: Option<Timestamp>) {
    let longest = node.tuned().schedule_poll;
    let mut next = next.unwrap_or(Timestamp::MAX);
    loop {
        let time = next.saturating_since(node.store.now()).min(longest).max(Duration::from_millis(1));
        tokio::select! {
            () = sleep(time) => return,
            () = node.leads.changed() => return,
            () = node.due.earlier() => next = node.due.take().map_or(next, |noted| noted.min(next)),
        }
    }
}
