//! The session: this node's life on the store.

use std::{sync::Arc, time::Duration};

use callboard_contracts::api::{AttemptError, ErrorKind};
use callboard_supervisors::{Actor, Context, StartError};
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    backoff::Backoff, condition::Condition, fleet::description, node::Node, role_set::Role,
    settings::RolesConfig, tuning::Known,
};
use crate::{
    edges::store::{
        Operation, Outcome, Renewal, StoreError,
        record::{JobTypeRecord, NewSession},
    },
    failpoint,
    jobs::JobDefaults,
};

/// Attempts that one write ends.
const BATCH: u32 = 1000;

/// Opens the node's session, says every heartbeat that the node lives, and closes the session in good order. While there
/// is none, nothing is claimed. When the store does not know the session any more, the node was taken for dead: its
/// attempts are killed before a new session is opened.
pub(crate) struct Session {
    node: Arc<Node>,
}

impl Actor for Session {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.spawn(run(node.clone(), cx.path()));
        Ok(Session { node })
    }

    async fn stopping(&mut self, _: &mut Context<Self>) {
        if let Err(error) = close(&self.node).await {
            tracing::warn!(%error, "the session could not be closed; the next start will find it");
        }
    }
}

async fn run(node: Arc<Node>, path: String) {
    let mut backoff = Backoff::default();
    if node.session.borrow().is_none() {
        node.conditions.set(&path, Condition::Starting("its session is not open yet".to_owned()));
    }
    loop {
        // A generation that crashed has left its session behind.
        let session = *node.session.borrow();
        let outcome = match session {
            Some(id) => renew(&node, id).await.inspect_err(|_| node.sight.lost()),
            // It was closed for good.
            None if node.is_draining() => return,
            None => open(&node).await,
        };
        match outcome {
            Ok(()) => {
                backoff.reset();
                node.conditions.set(&path, Condition::Ready);
                if node.session.borrow().is_some() {
                    sleep(node.config.heartbeat).await;
                }
            }
            Err(error) => {
                let condition = match session {
                    Some(_) => Condition::Degraded(error.to_string()),
                    None => Condition::Starting(error.to_string()),
                };
                if node.conditions.set(&path, condition) {
                    tracing::warn!(%error, "the node cannot say that it lives");
                }
                backoff.pause().await;
            }
        }
    }
}

/// Opens a session, and says what the node serves, in one write.
async fn open(node: &Node) -> Result<(), StoreError> {
    let id = Uuid::now_v7();
    let session = NewSession {
        id,
        node: node.config.node.clone(),
        version: node.config.version.clone(),
        process: std::process::id(),
    };
    let tuned = node.tuned();
    let labels = node.config.queue_labels.iter();
    let labels = labels.filter(|(queue, labels)| !labels.is_empty() && is_known(node, queue));
    let labels = labels.map(|(queue, labels)| (queue.clone(), labels.clone())).collect::<Vec<_>>();
    let mut operations = Vec::from(known(node, &tuned));
    operations.extend(labels.into_iter().map(|(queue, labels)| Operation::LabelQueue { queue, labels }));
    operations.push(Operation::OpenSession(session));
    // With it, so that the first claim knows what the node has.
    let labels = node.config.labels.clone();
    operations.push(Operation::DescribeNode { session: id, labels, description: description(node) });
    for result in node.store.write_all(operations).await? {
        result?;
    }
    node.tuning.is_stored(tuned);
    tracing::info!(session = %id, node = node.config.node, "the node's session is open");
    // Nothing that this node does comes before this place in the log.
    node.counted.lock().get_or_insert(*node.store.committed().borrow());
    node.metrics.session_opened();
    node.session.send_replace(Some(id));
    Ok(())
}

/// Says in the store what the node's queues and job types are.
pub(super) fn known(node: &Node, config: &RolesConfig) -> Known {
    let queues = config.queues.iter().filter(|queue| is_known(node, &queue.name)).cloned().collect();
    [Operation::PutQueues(queues), Operation::PutJobTypes(job_types(node, &config.defaults))]
}

/// A node that only runs jobs says nothing of queues that are none of its business.
fn is_known(node: &Node, queue: &str) -> bool {
    node.queues.contains_key(queue) && (node.config.roles.has(Role::Gateway) || node.config.serves(queue))
}

fn job_types(node: &Node, defaults: &JobDefaults) -> Vec<JobTypeRecord> {
    let record = |job_type: &crate::jobs::registry::JobType| {
        let view = job_type.view(defaults);
        JobTypeRecord {
            timeout: job_type.options().timeout.unwrap_or(defaults.timeout),
            job_type: view.job_type,
            description: view.description,
            queue: view.queue,
            payload_schema: view.payload_schema.to_string(),
            result_schema: view.result_schema.to_string(),
            max_attempts: view.max_attempts,
        }
    };
    node.registry.types().map(record).collect()
}

async fn renew(node: &Node, id: Uuid) -> Result<(), StoreError> {
    failpoint!("session.renew");
    let renewal = node.store.renew(id).await?;
    failpoint!("session.renewed");
    match renewal {
        Renewal::Alive { cancels } => {
            cancels.iter().for_each(|(lease, queue)| node.call_off(*lease, queue));
        }
        // It may have been closed in the meantime, in good order.
        Renewal::Lost if *node.session.borrow() == Some(id) => {
            tracing::error!(session = %id, "the node was taken for dead: its attempts are killed, and it begins anew");
            node.metrics.session_lost();
            // The producers hear of it and kill what runs under it.
            node.session.send_replace(None);
        }
        Renewal::Lost => {}
    }
    node.sight.seen(2 * node.config.heartbeat);
    Ok(())
}

/// Leaves in good order. Attempts that are left over, because they cannot be stopped or because the answer to their
/// claim was lost, go on elsewhere.
pub(crate) async fn close(node: &Node) -> Result<(), StoreError> {
    let Some(id) = node.session.send_replace(None) else { return Ok(()) };
    end_session(node, id, "its node stopped while it ran", None).await?;
    tracing::info!(session = %id, "the node's session is closed");
    Ok(())
}

/// By what right the session of another node is ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    /// The token under which this node leads.
    pub(crate) leader: u64,
    /// For how long the session must not have said that it lives.
    pub(crate) idle_for: Duration,
}

/// Ends all attempts of a session, and the session: this node's own, or another one's by a verdict. How many attempts
/// that were; `None`: the session lives after all, or this node does not lead any more.
pub(crate) async fn end_session(
    node: &Node,
    session: Uuid,
    message: &str,
    verdict: Option<Verdict>,
) -> Result<Option<u64>, StoreError> {
    let error =
        AttemptError { kind: ErrorKind::Lost, message: message.to_owned(), backtrace: None, is_final: false };
    let mut rescued = 0;
    loop {
        let rescue = Operation::Rescue {
            session,
            error: error.clone(),
            limit: BATCH,
            idle_for: verdict.map(|verdict| verdict.idle_for),
            leader: verdict.map(|verdict| verdict.leader),
            quarantine_after: verdict.map_or(0, |_| node.tuned().quarantine_after),
        };
        match (node.store.write(rescue).await?, verdict) {
            (Outcome::Moved { queues, count, .. }, _) => {
                rescued += u64::from(count);
                node.metrics.rescued(count.into());
                node.wake(&queues);
                if count < BATCH {
                    return Ok(Some(rescued));
                }
            }
            (Outcome::NotFound, _) => return Ok(None),
            (Outcome::NotLeader, Some(verdict)) => {
                node.leads.ended(verdict.leader);
                return Ok(None);
            }
            (other, _) => return Err(other.unexpected()),
        }
    }
}
