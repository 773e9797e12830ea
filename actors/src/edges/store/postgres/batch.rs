//! The operations of one transaction.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{
    attempts, bulk, claim, completed, control, cron, dead_jobs, encryption, enqueue, fleet, inbox, keyed,
    order, outside, queue_pause, reports, retention, session, signals, transaction::Transaction, unique,
    workflows,
};
use crate::edges::store::{
    Operation, OperationResult, Outcome,
    dead_jobs::DeadJobsOperation,
    transition::{Kind, attempt::leased_job, bulk::concerned, unique::keys},
};

/// Carries the operations out in their order; neighbours of one kind together.
pub(super) async fn run(
    tx: &mut Transaction<'_>,
    operations: &[Operation],
) -> sqlx::Result<Vec<OperationResult>> {
    // Places before jobs, and all at once, so that no two transactions wait for each other.
    let kinds = kinds(operations);
    if !kinds.is_empty() {
        unique::lock(tx.connection, &kinds).await?;
    }
    order::lock(tx, operations).await?;
    let only_completed = completed::only_completed(operations, job);
    // All at once and in the order of their ids: transactions that share jobs wait for each other in one order.
    let steps = operations.iter().filter_map(|operation| match operation {
        Operation::DeadJobs(DeadJobsOperation::StepBulk(step)) => Some(step),
        _ => None,
    });
    let of_steps = steps.flat_map(|step| concerned(step));
    let resealed = operations.iter().flat_map(encryption::concerned);
    let jobs = operations.iter().filter_map(job).filter(|id| !only_completed.contains(id));
    tx.load(jobs.chain(of_steps).chain(resealed)).await?;
    let mut results = Vec::with_capacity(operations.len());
    for (kind, group) in Kind::groups(operations) {
        match kind {
            Kind::Enqueue => results.extend(enqueue::run(tx, group).await?),
            Kind::Attempt => results.extend(attempts::run(tx, group, &only_completed).await?),
            Kind::Report => results.extend(reports::run(tx, group).await?),
            Kind::Received => results.extend(inbox::receive(tx, group).await?),
            Kind::HandOver => results.extend(outside::give(tx, group).await?),
            Kind::Heard => results.extend(outside::hear(tx, group).await?),
            Kind::Other => {
                for operation in group {
                    results.push(match operation {
                        Operation::EnqueueOnce(request) => keyed::run(tx, request).await?,
                        other => Ok(run_one(tx, other).await?),
                    });
                }
            }
        }
    }
    if !kinds.is_empty() {
        unique::let_go(tx.connection, &kinds).await?;
    }
    Ok(results)
}

/// The kinds of which the new jobs want to be the only ones.
fn kinds(operations: &[Operation]) -> BTreeSet<[u8; 32]> {
    let jobs = operations.iter().flat_map(|operation| match operation {
        Operation::Enqueue(job) => std::slice::from_ref(&**job),
        Operation::EnqueueOnce(request) => &request.jobs,
        Operation::ReceiveJob(received) => std::slice::from_ref(&received.job),
        _ => &[],
    });
    keys(&jobs.collect::<Vec<_>>())
}

/// The job that an operation changes, if it names one.
fn job(operation: &Operation) -> Option<Uuid> {
    match operation {
        Operation::Cancel { id } | Operation::Retry { id, .. } => Some(*id),
        Operation::DeadJobs(DeadJobsOperation::Replay(edited)) => Some(edited.id),
        Operation::Audited { operation, .. } => job(operation),
        operation => leased_job(operation),
    }
}

/// Carries one operation out that is of no kind.
pub(super) async fn run_one(tx: &mut Transaction<'_>, operation: &Operation) -> sqlx::Result<Outcome> {
    match operation {
        Operation::Claim { queue, limit, session } => claim::claim(tx, queue, *limit, *session, None).await,
        Operation::ClaimOut { queue, limit, session, most } => {
            claim::claim(tx, queue, *limit, *session, Some(*most)).await
        }
        Operation::Lapse { error, retry, limit, leader } => {
            if !session::leads(tx.connection, *leader).await? {
                return Ok(Outcome::NotLeader);
            }
            outside::end_lapsed(tx, error, retry, *limit).await
        }
        Operation::Reclaim { queue, limit, session, known } => {
            attempts::reclaim(tx, queue, *limit, *session, known).await
        }
        Operation::Prune { retention, leader } => {
            if !session::leads(tx.connection, *leader).await? {
                return Ok(Outcome::NotLeader);
            }
            retention::prune(tx, *retention).await
        }
        Operation::Workflow(operation) => workflows::run(tx, operation).await,
        Operation::Audited { entry, operation } => fleet::audited(tx, entry, operation).await,
        Operation::PruneAudit { kept, limit, leader } => {
            if !session::leads(tx.connection, *leader).await? {
                return Ok(Outcome::NotLeader);
            }
            fleet::prune(tx, *kept, *limit).await
        }
        Operation::Cron(operation) => {
            let outcome = cron::run(tx, operation).await?;
            Ok(outcome.map_or(Outcome::NotLeader, Outcome::Cron))
        }
        Operation::DeadJobs(operation) => dead_jobs(tx, operation).await,
        Operation::Queue(operation) => queue_pause::run(tx, operation).await,
        Operation::Signals(operation) => signals::run(tx, operation).await,
        Operation::Reseal(texts) => encryption::reseal(tx, texts).await,
        other => control::run(tx, other).await,
    }
}

async fn dead_jobs(tx: &mut Transaction<'_>, operation: &DeadJobsOperation) -> sqlx::Result<Outcome> {
    match operation {
        DeadJobsOperation::Replay(edited) => dead_jobs::replay(tx, edited).await,
        DeadJobsOperation::FillCauses { limit, leader } => dead_jobs::fill_causes(tx, *limit, *leader).await,
        DeadJobsOperation::StartBulk(new) => bulk::start(tx, new).await,
        DeadJobsOperation::StopBulk { id } => bulk::stop(tx, *id).await,
        DeadJobsOperation::StepBulk(step) => bulk::step(tx, step).await,
    }
}
