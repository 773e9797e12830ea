//! What a transaction locks before the rows of jobs, so that no two transactions wait for each other: entries of the cron table, then
//! workflows.

use std::{collections::BTreeSet, time::Duration};

use uuid::Uuid;

use super::{cron, transaction::Transaction, workflows};
use crate::edges::store::{
    Operation,
    cron::CronOperation,
    dead_jobs::{BulkPlan, DeadJobsOperation},
    encryption::SealedPlace,
    workflow::WorkflowOperation,
};

/// What operations will lock.
#[derive(Debug, Default, PartialEq, Eq)]
struct Locks {
    /// Whether entries of the cron table may be made.
    cron_table: bool,
    cron: BTreeSet<String>,
    workflows: BTreeSet<Uuid>,
    /// That a workflow which is so old may be forgotten.
    forgets: Option<[Duration; 3]>,
    /// Jobs whose workflows are locked.
    of_jobs: BTreeSet<Uuid>,
}

impl Locks {
    fn add(&mut self, operation: &Operation) {
        match operation {
            Operation::Audited { operation, .. } => self.add(operation),
            // What runs again may be a step's.
            Operation::Retry { id, .. } => drop(self.of_jobs.insert(*id)),
            Operation::DeadJobs(DeadJobsOperation::Replay(edited)) => drop(self.of_jobs.insert(edited.id)),
            Operation::DeadJobs(DeadJobsOperation::StepBulk(step)) => {
                let replays = step.jobs.iter().filter(|job| matches!(job.plan, BulkPlan::Retry { .. }));
                self.of_jobs.extend(replays.map(|job| job.id));
            }
            Operation::Workflow(operation) => self.add_workflow(operation),
            Operation::Cron(operation) => self.add_cron(operation),
            Operation::Reseal(texts) => {
                let entries = texts.iter().filter_map(|text| match &text.place {
                    SealedPlace::Cron(name) => Some(name.clone()),
                    _ => None,
                });
                self.cron.extend(entries);
            }
            _ => {}
        }
    }

    fn add_workflow(&mut self, operation: &WorkflowOperation) {
        match operation {
            WorkflowOperation::Advance { jobs, .. } => self.of_jobs.extend(jobs),
            WorkflowOperation::AddSteps(added) => drop(self.of_jobs.insert(added.lease.id)),
            WorkflowOperation::Cancel { id } | WorkflowOperation::Resume { id, .. } => {
                self.workflows.insert(*id);
            }
            WorkflowOperation::Prune { completed, cancelled, failed, .. } => {
                self.forgets = Some([*completed, *cancelled, *failed]);
            }
            WorkflowOperation::Submit(_) => {}
        }
    }

    fn add_cron(&mut self, operation: &CronOperation) {
        let name = match operation {
            CronOperation::Put { .. } | CronOperation::Sync { .. } => return self.cron_table = true,
            CronOperation::Delete { name }
            | CronOperation::Pause { name }
            | CronOperation::Resume { name, .. }
            | CronOperation::Run { name, .. } => name,
            CronOperation::Fire(fire) => &fire.name,
        };
        self.cron.insert(name.clone());
    }
}

/// Locks all that these operations will, but for places and jobs.
pub(super) async fn lock(tx: &mut Transaction<'_>, operations: &[Operation]) -> sqlx::Result<()> {
    let mut locks = Locks::default();
    operations.iter().for_each(|operation| locks.add(operation));
    if locks == Locks::default() {
        return Ok(());
    }
    cron::lock(tx.connection, locks.cron_table, locks.cron).await?;
    if let Some(kept) = locks.forgets
        && let Some((workflow, _)) = workflows::forgettable(tx, kept).await?
    {
        locks.workflows.insert(workflow);
    }
    workflows::lock(tx, locks.workflows, locks.of_jobs).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_again_locks_the_workflow_of_its_job_also_when_it_is_audited() {
        let id = Uuid::now_v7();
        let retry = Operation::Retry {
            id,
            replay_id: Uuid::now_v7(),
            event_id: Uuid::now_v7(),
            max_backlog: 1,
            max_total: 1,
        };
        let mut locks = Locks::default();
        locks.add(&retry);
        locks.add(&Operation::Cancel { id: Uuid::now_v7() });
        assert_eq!(locks, Locks { of_jobs: [id].into(), ..Locks::default() });
    }
}
