//! The operations of one transaction.

use super::{
    attempts, bulk, claim, control, cron, dead_jobs, encryption, enqueue, fleet, inbox, keyed, outside,
    queue_pause, reports, retention, signals, transaction::Transaction, workflows,
};
use crate::edges::store::{
    Operation, OperationResult, Outcome, dead_jobs::DeadJobsOperation, transition::Kind,
};

/// Carries the operations out in their order; neighbours of one kind together.
pub(super) fn run(
    tx: &mut Transaction<'_>,
    operations: &[Operation],
) -> rusqlite::Result<Vec<OperationResult>> {
    let mut results = Vec::with_capacity(operations.len());
    for (kind, group) in Kind::groups(operations) {
        match kind {
            Kind::Enqueue => results.extend(enqueue::run(tx, group)?),
            Kind::Attempt => results.extend(attempts::run(tx, group)?),
            Kind::Report => results.extend(reports::run(tx, group)?),
            Kind::Received => results.extend(inbox::receive(tx, group)?),
            Kind::HandOver => results.extend(outside::give(tx, group)?),
            Kind::Heard => results.extend(outside::hear(tx, group)?),
            Kind::Other => {
                for operation in group {
                    results.push(match operation {
                        Operation::EnqueueOnce(request) => keyed::run(tx, request)?,
                        Operation::Workflow(operation) => workflows::run(tx, operation)?,
                        other => Ok(run_one(tx, other)?),
                    });
                }
            }
        }
    }
    Ok(results)
}

/// Carries one operation out that is of no kind.
pub(super) fn run_one(tx: &mut Transaction<'_>, operation: &Operation) -> rusqlite::Result<Outcome> {
    match operation {
        Operation::Claim { queue, limit, session } => claim::claim(tx, queue, *limit, *session, None),
        Operation::ClaimOut { queue, limit, session, most } => {
            claim::claim(tx, queue, *limit, *session, Some(*most))
        }
        Operation::Lapse { error, retry, limit, leader: _ } => outside::end_lapsed(tx, error, retry, *limit),
        Operation::Reclaim { queue, limit, session, known } => {
            attempts::reclaim(tx, queue, *limit, *session, known)
        }
        Operation::Prune { retention, .. } => retention::prune(tx, *retention),
        Operation::Workflow(operation) => workflows::change(tx, operation).map(Outcome::Workflow),
        Operation::Audited { entry, operation } => fleet::audited(tx, entry, operation),
        Operation::PruneAudit { kept, limit, .. } => fleet::prune(tx, *kept, *limit),
        Operation::Cron(operation) => cron::run(tx, operation).map(Outcome::Cron),
        Operation::DeadJobs(operation) => dead_jobs(tx, operation),
        Operation::Queue(operation) => queue_pause::run(tx, operation),
        Operation::Signals(operation) => signals::run(tx, operation),
        Operation::Reseal(texts) => encryption::reseal(tx, texts),
        other => control::run(tx, other),
    }
}

fn dead_jobs(tx: &mut Transaction<'_>, operation: &DeadJobsOperation) -> rusqlite::Result<Outcome> {
    match operation {
        DeadJobsOperation::Replay(edited) => dead_jobs::replay(tx, edited),
        DeadJobsOperation::FillCauses { limit, leader: _ } => dead_jobs::fill_causes(tx, *limit),
        DeadJobsOperation::StartBulk(new) => bulk::start(tx, new),
        DeadJobsOperation::StopBulk { id } => bulk::stop(tx, *id),
        DeadJobsOperation::StepBulk(step) => bulk::step(tx, step),
    }
}
