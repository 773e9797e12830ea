//! The actors of a queue.

use std::sync::Arc;

use callboard_supervisors::{
    ChildSpec, DynamicSupervisorSpec, MailboxSpec, OnExhausted, OnStartFailure, Placement, SupervisorSpec,
};

use super::{
    Queue,
    producer::{Producer, ProducerArgs},
};
use crate::roles::{node::Node, tuning::Tuned};

/// The largest number of jobs at a time that a configuration can give a queue.
const MOST_CONCURRENT: u32 = 100_000;

/// The queue's subtree: its running jobs, and the producer that starts them; and who is told of other settings.
pub(crate) fn subtree(node: &Arc<Node>, queue: &Arc<Queue>) -> (SupervisorSpec, Tuned) {
    // It can change while they run.
    let concurrency = queue.concurrency().max(MOST_CONCURRENT) as usize;
    let jobs = DynamicSupervisorSpec::new("jobs")
        // The producer keeps the concurrency; children that are on their way out, or do not go, come on top.
        .max_children(concurrency.saturating_mul(2).saturating_add(16))
        .placement(Placement::Workers);
    let args = ProducerArgs { node: node.clone(), queue: queue.clone(), jobs: jobs.handle() };
    let producer = ChildSpec::<Producer>::new("producer", args)
        .placement(Placement::Control)
        // Each running job can end at any time, and none of these words may be lost.
        .mailbox(MailboxSpec::bounded(concurrency.saturating_mul(4).saturating_add(1024)));
    let address = producer.actor_ref();
    let exits = address.recipient();
    queue.served_by(address.recipient());
    let tuned = (format!("queues/queue-{}/producer", queue.name), address.recipient());
    let rules = node.tuned().supervision_of(&queue.name).into_owned();
    let subtree = SupervisorSpec::new(format!("queue-{}", queue.name))
        .strategy(rules.strategy)
        .intensity(rules.max_restarts, rules.restart_period)
        .backoff(rules.backoff())
        .on_start_failure(OnStartFailure::Retry)
        // It tries again, ever more slowly, while the queue is paused.
        .on_exhausted(OnExhausted::RetryAtMaxBackoff)
        .dynamic(jobs.on_exit(exits))
        .child(producer);
    queue.supervised_by(subtree.handle());
    (subtree, tuned)
}
