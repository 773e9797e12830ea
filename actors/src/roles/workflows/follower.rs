//! The role that lets workflows go on: it follows the log, and advances the steps whose jobs have ended.

use std::{sync::Arc, time::Duration};

use callboard_contracts::{EventType, api::LogCursor};
use callboard_supervisors::{Actor, Context, StartError};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use uuid::Uuid;

use crate::{
    edges::store::{
        Operation, Outcome, StoreError,
        record::LoggedEvent,
        workflow::{EndedSteps, WorkflowOperation, WorkflowOutcome},
    },
    roles::{backoff::Backoff, condition::Condition, node::Node},
};

/// Events of one page.
const PAGE: u32 = 1000;
/// Jobs that one write is told of at most.
const JOBS: usize = 500;
/// Steps that one write advances, with those that wait for them, at most, unless it is a single one.
const LIMIT: u32 = 5000;
/// Steps that are looked at at a time when a leader begins.
const LOOKED_AT: u32 = 1000;
/// While no workflow is open, how often it is looked whether one is.
const IDLE: Duration = Duration::from_millis(100);
/// How long it waits for the log to grow before it sees for itself.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Lets workflows go on, if this node leads. It begins by looking at the steps that have not ended, and then follows the log from
/// where that was newest before it looked: so it needs to keep no place, and nothing is lost with a log that was pruned, restored
/// or begun anew.
pub(crate) struct Workflows;

impl Actor for Workflows {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.spawn(run(node, cx.path()));
        Ok(Workflows)
    }
}

async fn run(node: Arc<Node>, path: String) {
    let mut backoff = Backoff::default();
    loop {
        let Some(leader) = node.leads.now() else {
            node.conditions.set(&path, Condition::Standby);
            node.leads.begun().await;
            continue;
        };
        let follower = Follower { node: &node, leader, committed: node.store.committed() };
        let ended = async {
            while node.leads.now() == Some(leader) {
                node.leads.changed().await;
            }
        };
        let followed = tokio::select! {
            () = ended => continue,
            followed = follower.follow(&path, &mut backoff) => followed,
        };
        match followed {
            Ok(Next::Anew) => {}
            Ok(Next::Ended) => return,
            Err(error) => {
                if node.conditions.set(&path, Condition::Degraded(error.to_string())) {
                    tracing::warn!(%error, "workflows do not go on for now");
                }
                backoff.pause().await;
            }
        }
    }
}

/// What comes after it has followed the log.
enum Next {
    /// A part of the log was deleted before it was read, or the leadership has ended: it is to be begun anew.
    Anew,
    /// The store is gone for good.
    Ended,
}

struct Follower<'n> {
    node: &'n Arc<Node>,
    leader: u64,
    committed: watch::Receiver<LogCursor>,
}

impl Follower<'_> {
    async fn follow(mut self, path: &str, backoff: &mut Backoff) -> Result<Next, StoreError> {
        // Before the store is open, nobody knows the log's end.
        if self.committed.wait_for(|newest| *newest != LogCursor::default()).await.is_err() {
            return Ok(Next::Ended);
        }
        // Whatever has ended up to here is found by looking.
        let mut after = *self.committed.borrow_and_update();
        if !self.look().await? {
            return Ok(Next::Anew);
        }
        loop {
            let newest = *self.committed.borrow_and_update();
            let mut idle = false;
            if after != newest {
                // A workflow that is not there yet has no events up to here.
                if self.node.store.has_open_workflows().await? {
                    match self.read(after, newest).await? {
                        Some(place) => after = place,
                        None => return Ok(Next::Anew),
                    }
                } else {
                    (after, idle) = (newest, true);
                }
            }
            backoff.reset();
            self.node.conditions.set(path, Condition::Ready);
            if idle {
                sleep(IDLE).await;
            }
            if let Ok(Err(_)) = timeout(LONGEST_WAIT, self.committed.changed()).await {
                return Ok(Next::Ended);
            }
        }
    }

    /// Advances what has ended up to `newest`; how far it came. `None`: events are missing, or this node does not lead any more.
    async fn read(&self, mut after: LogCursor, newest: LogCursor) -> Result<Option<LogCursor>, StoreError> {
        while after != newest {
            let page = self.node.store.events_after(after, None, PAGE).await?;
            // The beginning of a log is no place behind which something is missing.
            if page.reset && after.position > 0 {
                return Ok(None);
            }
            let Some(last) = page.events.last().map(|event| event.cursor) else { break };
            if !self.advance(page.events.iter().filter_map(ended_job).collect()).await? {
                return Ok(None);
            }
            after = last;
        }
        Ok(Some(after))
    }

    /// Looks at all steps that were not advanced, page by page. Whether this node still leads.
    async fn look(&self) -> Result<bool, StoreError> {
        let mut after = Uuid::nil();
        loop {
            let EndedSteps { jobs, next } = self.node.store.ended_steps(after, LOOKED_AT).await?;
            if !self.advance(jobs).await? {
                return Ok(false);
            }
            match next {
                Some(next) => after = next,
                None => return Ok(true),
            }
        }
    }

    /// Advances the steps of these jobs. Whether this node still leads.
    async fn advance(&self, jobs: Vec<Uuid>) -> Result<bool, StoreError> {
        for jobs in jobs.chunks(JOBS) {
            let mut left = jobs.to_vec();
            while !left.is_empty() {
                let advance = WorkflowOperation::Advance { jobs: left, limit: LIMIT, leader: self.leader };
                match self.node.store.write(Operation::Workflow(advance)).await? {
                    Outcome::Workflow(WorkflowOutcome::Advanced { left: more, queues, steps, ended }) => {
                        self.node.wake(&queues);
                        if steps > 0 {
                            tracing::debug!(steps, ended, "steps of workflows have ended");
                        }
                        left = more;
                    }
                    Outcome::NotLeader => {
                        self.node.leads.ended(self.leader);
                        return Ok(false);
                    }
                    other => return Err(other.unexpected()),
                }
            }
        }
        Ok(true)
    }
}

/// The job that has ended, if the event says so.
fn ended_job(event: &LoggedEvent) -> Option<Uuid> {
    let ends = matches!(event.event.event_type, EventType::Completed | EventType::Failed);
    ends.then(|| event.event.payload["id"].as_str()?.parse().ok()).flatten()
}
