//! Pauses queues that crash too often.

use std::{sync::Arc, time::Duration};

use callboard_contracts::api::{PauseCause, QueueCrash, QueueCrashes, QueuePause};
use callboard_supervisors::{Actor, ChildExited, Context, PlainHandler, StartError};
use uuid::Uuid;

use super::{
    backoff::Backoff,
    condition::Condition,
    node::Node,
    queue::{Ending, Queue, attempt::Attempt, crashes::Due, cut},
};
use crate::edges::store::{
    Operation, Outcome, StoreError,
    queue_pause::{QueueOperation, QueueOutcome, Trip},
    record::{NewAudit, QueueTotals},
};

/// Bytes of a crash's message that are kept with the pause.
const MAX_MESSAGE_BYTES: usize = 500;
/// After this time a pause of which the store cannot be told is given up: if it is still right, there will be crashes again.
const GIVE_UP: Duration = Duration::from_secs(600);
/// The names of the queues' supervisors begin so.
const SUBTREES: &str = "queues/queue-";

/// Tells the store to pause the queues whose jobs or actors crash too often on this node. Until it knows, the queue is held here:
/// nothing of it is claimed or started. What is to be told is kept with the queue, so that a crash of this actor loses none of it.
pub(crate) struct CrashGuard {
    node: Arc<Node>,
}

impl Actor for CrashGuard {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.spawn(run(node.clone(), cx.path()));
        Ok(CrashGuard { node })
    }
}

/// An actor of a queue has ended.
impl PlainHandler<ChildExited> for CrashGuard {
    type Reply = ();

    fn handle(&mut self, exit: ChildExited, _: &mut Context<Self>) {
        let node = &self.node;
        node.metrics.actor_ended(exit.crash.is_some(), exit.restarting);
        let queue = exit.supervisor.strip_prefix(SUBTREES).and_then(|name| node.queues.get(name));
        if let Some(queue) = queue.filter(|_| exit.exhausted) {
            actors_crashed(node, queue, &exit);
        }
    }
}

/// The supervisor of a queue's actors has used up its budget.
fn actors_crashed(node: &Node, queue: &Queue, exit: &ChildExited) {
    if node.is_draining() || queue.is_paused() {
        return;
    }
    let tuned = node.tuned();
    let rules = tuned.supervision_of(&queue.name);
    let count = u32::try_from(rules.max_restarts).unwrap_or(u32::MAX).saturating_add(1);
    let last = QueueCrash {
        at: node.store.now(),
        job: None,
        job_type: None,
        attempt: None,
        kind: None,
        actor: Some(format!("{}/{}", exit.supervisor, exit.name)),
        message: cut(exit.reason.to_string(), MAX_MESSAGE_BYTES),
    };
    let due = queue
        .crashes
        .exhausted(|| pause(node, PauseCause::ActorCrashes, (count, rules.restart_period), last));
    if due {
        tripped(node, queue);
    }
}

/// An attempt has ended; if it has crashed, that counts.
pub(super) fn attempt_ended(node: &Node, attempt: &Attempt, ending: &Ending) {
    let (Ending::Failed { error, .. }, job) = (ending, &attempt.job) else { return };
    let Some(queue) = node.queues.get(&job.queue) else { return };
    let tuned = node.tuned();
    let rules = tuned.supervision_of(&job.queue);
    // What ran when the queue was paused says nothing new, and on its way out a node ends attempts itself.
    if !rules.crash_kinds.contains(&error.kind) || node.is_draining() || queue.is_paused() {
        return;
    }
    let due = queue.crashes.crashed(rules.pause_after_crashes, rules.crash_period, |count| {
        let last = QueueCrash {
            at: node.store.now(),
            job: Some(job.id),
            job_type: Some(job.job_type.clone()),
            attempt: Some(job.attempt),
            kind: Some(error.kind),
            actor: None,
            message: cut(error.message.clone(), MAX_MESSAGE_BYTES),
        };
        pause(node, PauseCause::JobCrashes, (count, rules.crash_period), last)
    });
    if due {
        tripped(node, queue);
    }
}

/// The pause, with a reason in words.
fn pause(node: &Node, cause: PauseCause, (count, within): (u32, Duration), last: QueueCrash) -> QueuePause {
    let of = match (&last.job, &last.job_type, &last.actor) {
        (Some(id), Some(job_type), _) => format!("job {id} ({job_type})"),
        (_, _, Some(actor)) => actor.clone(),
        _ => String::new(),
    };
    let what = what_crashed(cause, count, within);
    let reason = format!("{what} on node {:?}; the last one: {of}: {}", node.name, last.message);
    let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
    let crashes = QueueCrashes { node: node.name.to_string(), count, within_ms, last };
    QueuePause { cause, by: format!("node {}", node.name), reason: Some(reason), crashes: Some(crashes) }
}

/// From now on nothing of it is claimed or started here, and the store is told.
fn tripped(node: &Node, queue: &Queue) {
    if let Some(due) = queue.crashes.due() {
        let reason = due.pause.reason.as_deref();
        tracing::warn!(queue = queue.name, reason, "the queue crashes too often and is paused");
    }
    node.crashed.notify_one();
    // Its producer hands back what it has claimed.
    queue.wake();
}

async fn run(node: Arc<Node>, path: String) {
    let mut backoff = Backoff::default();
    loop {
        let mut failed = None;
        for queue in node.queues.values() {
            if let Some(due) = queue.crashes.due()
                && let Err(error) = tell(&node, queue, due).await
            {
                tracing::debug!(queue = queue.name, %error, "the store could not be told to pause a queue");
                failed = Some(format!("queue {:?} is to be paused: {error}", queue.name));
            }
        }
        match failed {
            None => {
                backoff.reset();
                node.conditions.set(&path, Condition::Ready);
                node.crashed.notified().await;
            }
            Some(why) => {
                node.conditions.set(&path, Condition::Degraded(why));
                backoff.pause().await;
            }
        }
    }
}

/// Tells the store of a pause that is due.
async fn tell(node: &Node, queue: &Queue, due: Due) -> Result<(), StoreError> {
    let Due { pause, resumes, since } = due;
    let entry = NewAudit {
        id: Uuid::now_v7(),
        by: pause.by.clone(),
        role: None,
        action: "queue.pause".to_owned(),
        target: queue.name.clone(),
        detail: serde_json::to_string(&pause).ok(),
    };
    let trip = Trip { queue: queue.name.clone(), pause, resumes, entry };
    match node.store.write(Operation::Queue(QueueOperation::Trip(Box::new(trip)))).await {
        Ok(Outcome::Queue(QueueOutcome::Tripped | QueueOutcome::PausedBefore)) => {
            // Before it is let go here.
            queue.set_paused(true);
            queue.crashes.settle(resumes);
            queue.forgive_restarts();
        }
        Ok(Outcome::Queue(QueueOutcome::GoesOn)) => {
            tracing::info!(queue = queue.name, "somebody has let the queue go on since: it is not paused");
            let_go(queue, resumes);
        }
        // It has never been made known: nothing of it was claimed.
        Ok(Outcome::NotFound) => let_go(queue, resumes),
        Ok(other) => return Err(other.unexpected()),
        Err(error) if since.elapsed() < GIVE_UP => return Err(error),
        Err(error) => {
            tracing::warn!(queue = queue.name, %error, "the store could not be told to pause the queue: it goes on");
            let_go(queue, resumes);
        }
    }
    Ok(())
}

/// The queue goes on here, and what crashed before does not count.
fn let_go(queue: &Queue, resumes: u64) {
    queue.crashes.settle(resumes);
    queue.forgive_restarts();
    queue.wake();
}

/// What the store says of a queue on this node.
pub(super) fn queue_seen(node: &Node, queue: &Queue, totals: &QueueTotals) {
    if queue.crashes.resumed(totals.resumes) {
        queue.forgive_restarts();
        queue.wake();
    }
    queue.set_paused(totals.paused_at.is_some());
    if !node.config.serves(&queue.name) || node.config.outlets.contains_key(&queue.name) {
        return;
    }
    let path = format!("{SUBTREES}{}", queue.name);
    match totals.paused_at {
        Some(since) => {
            node.conditions.set(&path, Condition::Paused { since, reason: words(totals) });
        }
        None => node.conditions.remove(&path),
    }
}

/// Somebody has let a queue go on by this node: it is not shown as paused until the next look at the store.
pub(super) fn goes_on(node: &Node, queue: &str) {
    node.conditions.remove(&format!("{SUBTREES}{queue}"));
}

/// Why it is paused, for whoever may ask whether the node is ready, which is everybody: not what people and jobs have said.
fn words(totals: &QueueTotals) -> String {
    let crashes = totals.pause.as_ref().and_then(|pause| Some((pause.cause, pause.crashes.as_ref()?)));
    let Some((cause, crashes)) = crashes else { return "somebody has asked for it".to_owned() };
    let QueueCrashes { node, count, within_ms, .. } = crashes;
    let within = Duration::from_millis(*within_ms);
    format!("{} on node {node:?}", what_crashed(cause, *count, within))
}

/// What has crashed how often.
fn what_crashed(cause: PauseCause, count: u32, within: Duration) -> String {
    match cause {
        PauseCause::ActorCrashes => {
            format!("the actors of the queue crashed {count} times within {within:?}")
        }
        _ if count == 1 => format!("1 attempt crashed within {within:?}"),
        _ => format!("{count} attempts crashed within {within:?}"),
    }
}
