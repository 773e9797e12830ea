//! A store as a test uses it.

use std::sync::Arc;

use callboard_actors::edges::store::{
    Operation, Outcome, Store,
    record::{AttemptEnd, ClaimedJob, JobFilter, JobRecord, Lease, LogPage, LoggedEvent, Retention},
};
use callboard_contracts::{JobState, Timestamp, api::LogCursor};
use uuid::Uuid;

use super::words::{claim, finish, session};

/// An open store, and short ways to use it. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    /// The store itself.
    pub store: Arc<dyn Store>,
    /// The token of the leadership that the test has.
    pub leader: u64,
}

impl Client {
    /// A batch of which every member must be carried out.
    pub async fn apply(&self, batch: Vec<Operation>) -> Vec<Outcome> {
        let results = self.store.apply(batch).await.unwrap();
        results.into_iter().map(|result| result.unwrap()).collect()
    }

    /// A batch of one, which must be carried out.
    pub async fn one(&self, operation: Operation) -> Outcome {
        self.apply(vec![operation]).await.remove(0)
    }

    /// Opens a session.
    pub async fn session(&self) -> Uuid {
        let session = session();
        let id = session.id;
        assert_eq!(self.one(Operation::OpenSession(session)).await, Outcome::Done);
        id
    }

    /// Claims, and gives what was claimed.
    pub async fn claim(&self, queue: &str, limit: u32, session: Uuid) -> Vec<ClaimedJob> {
        match self.one(claim(queue, limit, session)).await {
            Outcome::Claimed(jobs) | Outcome::ClaimedInPart { jobs, .. } => jobs,
            other => panic!("{other:?}"),
        }
    }

    /// The end of an attempt whose lease is good; gives the job's state.
    pub async fn finish(&self, lease: Lease, end: AttemptEnd) -> JobState {
        match self.one(finish(lease, end)).await {
            Outcome::Finished { state } => state,
            other => panic!("{other:?}"),
        }
    }

    /// The operation that makes due jobs available, under the leadership that the test has.
    pub fn promotion(&self, limit: u32) -> Operation {
        Operation::Promote { limit, leader: self.leader }
    }

    /// Makes due jobs available, at most `limit`.
    pub async fn promote(&self, limit: u32) -> Outcome {
        self.one(self.promotion(limit)).await
    }

    /// The operation that deletes what is old, under the leadership that the test has.
    pub fn pruning(&self, retention: Retention) -> Operation {
        Operation::Prune { retention, leader: self.leader }
    }

    /// Deletes until there is no more to delete; gives how many jobs and events.
    pub async fn prune(&self, retention: Retention) -> (u64, u64) {
        let mut deleted = (0, 0);
        loop {
            let pruned = self.one(self.pruning(retention)).await;
            let Outcome::Pruned { jobs, events, more } = pruned else { panic!("{pruned:?}") };
            deleted = (deleted.0 + jobs, deleted.1 + events);
            if !more {
                return deleted;
            }
        }
    }

    /// The job, which must be there.
    pub async fn record(&self, id: Uuid) -> JobRecord {
        self.store.job(id).await.unwrap().unwrap().job
    }

    /// The job's state.
    pub async fn state(&self, id: Uuid) -> JobState {
        self.record(id).await.state
    }

    /// All jobs that fit, newest first, page by page.
    pub async fn list(&self, filter: JobFilter) -> Vec<JobRecord> {
        let mut all: Vec<JobRecord> = Vec::new();
        loop {
            let before = all.last().map(|job| job.sequence).or(filter.before);
            let page = self.store.jobs(JobFilter { before, ..filter.clone() }, 1000).await.unwrap();
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }

    /// A page of the log.
    pub async fn events_after(&self, after: LogCursor, limit: u32) -> LogPage {
        self.store.events_after(after, None, limit).await.unwrap()
    }

    /// What has its place in the log, from its beginning, page by page.
    pub async fn placed(&self) -> Vec<LoggedEvent> {
        let mut all: Vec<LoggedEvent> = Vec::new();
        loop {
            let after = all.last().map(|event| event.cursor).unwrap_or_default();
            let page = self.events_after(after, 1000).await;
            if page.events.is_empty() {
                return all;
            }
            all.extend(page.events);
        }
    }

    /// The time on its clock.
    pub fn now(&self) -> Timestamp {
        self.store.now()
    }
}
