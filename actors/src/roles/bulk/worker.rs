//! [`Bulk`]: goes on with bulk operations, and finds out what old dead jobs died of.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use callboard_contracts::api::BulkState;
use callboard_supervisors::{Actor, Context, StartError};
use tokio::time::sleep;

use super::plan::next_step;
use crate::{
    edges::store::{
        Operation, Outcome, StoreError,
        dead_jobs::{BulkRecord, BulkSelection, BulkStepped, DeadJobsOperation, DeadJobsOutcome},
    },
    roles::{backoff::Backoff, condition::Condition, node::Node},
};

/// Dead jobs whose cause is found out in one write.
const CAUSES: u32 = 500;
/// How often there is a look for such jobs: an older program beside this one may still leave some.
const LOOK_FOR_CAUSES: Duration = Duration::from_secs(60);
/// How long an operation that finds no room waits before it tries again.
const NO_ROOM: Duration = Duration::from_secs(2);

/// Goes on with bulk operations, a bounded number of jobs of each in turn, if this node leads; and finds out, in bounded steps, what
/// dead jobs died of that ended before that was kept.
pub(crate) struct Bulk;

impl Actor for Bulk {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.spawn(run(node, cx.path()));
        Ok(Bulk)
    }
}

/// What comes after a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// Nothing is under way.
    Idle,
    /// What is under way finds no room.
    NoRoom,
    /// There is more to do.
    More,
}

async fn run(node: Arc<Node>, path: String) {
    let mut backoff = Backoff::default();
    let mut looked: Option<Instant> = None;
    loop {
        let Some(leader) = node.leads.now() else {
            node.conditions.set(&path, Condition::Standby);
            node.leads.begun().await;
            continue;
        };
        match round(&node, leader, &mut looked).await {
            Ok(next) => {
                backoff.reset();
                node.conditions.set(&path, Condition::Ready);
                let pause = match next {
                    Next::More => continue,
                    Next::NoRoom => NO_ROOM,
                    Next::Idle => node.tuned().schedule_poll,
                };
                tokio::select! {
                    () = sleep(pause) => {}
                    () = node.bulk_begun.notified() => {}
                }
            }
            Err(error) => {
                node.conditions.set(&path, Condition::Degraded(error.to_string()));
                backoff.pause().await;
            }
        }
    }
}

/// A part of everything that there is to do.
async fn round(node: &Node, leader: u64, looked: &mut Option<Instant>) -> Result<Next, StoreError> {
    let mut next = Next::Idle;
    if looked.is_none_or(|at| at.elapsed() >= LOOK_FOR_CAUSES) {
        let operation = DeadJobsOperation::FillCauses { limit: CAUSES, leader };
        match node.store.write(Operation::DeadJobs(operation)).await? {
            Outcome::DeadJobs(DeadJobsOutcome::CausesFilled { count: CAUSES.. }) => next = Next::More,
            Outcome::DeadJobs(DeadJobsOutcome::CausesFilled { .. }) => *looked = Some(Instant::now()),
            Outcome::NotLeader => {
                node.leads.ended(leader);
                return Ok(Next::More);
            }
            other => return Err(other.unexpected()),
        }
    }
    // An orderly stop leaves the rest to the next leader.
    if node.is_draining() {
        return Ok(next);
    }
    let mut trouble = None;
    for record in node.store.bulks(BulkSelection::Running, BulkRecord::MOST_RUNNING).await? {
        match go_on(node, leader, &record).await {
            Ok(one) => next = next.max(one),
            // What is wrong with one of them does not keep the others.
            Err(error @ (StoreError::Corrupt(_) | StoreError::Failed(_) | StoreError::TimedOut(_))) => {
                trouble = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    trouble.map_or(Ok(next), Err)
}

/// One step of an operation.
async fn go_on(node: &Node, leader: u64, record: &BulkRecord) -> Result<Next, StoreError> {
    let step = next_step(node, record, leader).await?;
    let operation = DeadJobsOperation::StepBulk(Box::new(step));
    let stepped = match node.store.write(Operation::DeadJobs(operation)).await? {
        Outcome::DeadJobs(DeadJobsOutcome::Stepped(stepped)) => *stepped,
        Outcome::NotLeader => {
            node.leads.ended(leader);
            return Ok(Next::More);
        }
        // It was deleted meanwhile.
        Outcome::NotFound => return Ok(Next::Idle),
        other => return Err(other.unexpected()),
    };
    let BulkStepped { record: now, queues, cancels } = stepped;
    node.wake(&queues);
    for (lease, queue, _) in cancels {
        node.call_off(lease, &queue);
    }
    for (outcome, count) in &now.outcomes {
        let before = record.outcomes.get(outcome).copied().unwrap_or(0);
        node.metrics.dealt_with_in_bulk(now.action, *outcome, count.saturating_sub(before));
    }
    if now.state == BulkState::Done {
        let (id, action) = (now.id, now.action.as_str());
        tracing::info!(%id, action, outcomes = ?now.outcomes, "a bulk operation is done");
    }
    Ok(match now.waits_for {
        // It may have done a part of what it was to do.
        Some(_) => Next::NoRoom,
        None => Next::More,
    })
}
