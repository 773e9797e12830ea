//! The gateway: takes jobs in, calls them off, and runs them again.

mod check;
mod fingerprint;

use std::{cell::Cell, collections::BTreeSet, rc::Rc, sync::Arc};

use callboard_contracts::{
    JobState, Timestamp,
    api::{Cancelled, Retried, Submitted},
};
use callboard_supervisors::{Actor, Context, Later, PlainHandler, StartError};
use serde_json::Value;
use tokio::task::yield_now;
use uuid::Uuid;

use super::{
    node::Node,
    request::{CancelJob, Refusal, RetryJob, Submit},
};
use crate::{
    edges::store::{Operation, OperationResult, Outcome, StoreError},
    failpoint,
};

/// Jobs that may be under way to the store at a time; further requests are told that it is busy.
const MOST_UNDER_WAY: usize = 50_000;
/// Jobs that are checked before others on the thread have their turn.
const CHECKED_AT_ONCE: usize = 32;

/// Takes jobs in: checks each, stores the good ones of a request in one go, and answers when they are durable.
/// Many requests are under way at a time.
pub struct Gateway {
    node: Arc<Node>,
    under_way: Rc<Cell<usize>>,
}

impl Actor for Gateway {
    type Args = GatewayArgs;

    async fn start(args: GatewayArgs, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Gateway { node: args.0, under_way: Rc::default() })
    }
}

/// What a [`Gateway`] is made from.
#[derive(Clone)]
pub struct GatewayArgs(pub(super) Arc<Node>);

impl PlainHandler<Submit> for Gateway {
    type Reply = Later<Vec<Result<Submitted, Refusal>>>;

    fn handle(&mut self, request: Submit, _: &mut Context<Self>) -> Self::Reply {
        let count = request.jobs.len();
        if self.node.is_draining() {
            return Later::new(async move { refuse_all(count, Refusal::Stopping) });
        }
        match self.begin(count) {
            Ok(under_way) => {
                let node = self.node.clone();
                Later::new(async move {
                    let _under_way = under_way;
                    submit(&node, request).await
                })
            }
            Err(busy) => Later::new(async move { refuse_all(count, busy.into()) }),
        }
    }
}

impl PlainHandler<CancelJob> for Gateway {
    type Reply = Later<Result<Cancelled, Refusal>>;

    fn handle(&mut self, request: CancelJob, _: &mut Context<Self>) -> Self::Reply {
        let (node, under_way) = (self.node.clone(), self.begin(1));
        Later::new(async move {
            let _under_way = under_way?;
            cancel(&node, request.id).await
        })
    }
}

impl PlainHandler<RetryJob> for Gateway {
    type Reply = Later<Result<Retried, Refusal>>;

    fn handle(&mut self, request: RetryJob, _: &mut Context<Self>) -> Self::Reply {
        let (node, under_way) = (self.node.clone(), self.begin(1));
        Later::new(async move {
            let _under_way = under_way?;
            if node.is_draining() {
                return Err(Refusal::Stopping);
            }
            retry(&node, request.id).await
        })
    }
}

/// Jobs of one request that are under way.
struct UnderWay {
    all: Rc<Cell<usize>>,
    count: usize,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.all.set(self.all.get() - self.count);
    }
}

impl Gateway {
    fn begin(&self, count: usize) -> Result<UnderWay, StoreError> {
        let waiting = self.under_way.get();
        // One request by itself is never too large: what it may hold is for those who take it in to say.
        if waiting > 0 && waiting + count > MOST_UNDER_WAY {
            return Err(StoreError::Busy { waiting });
        }
        self.under_way.set(waiting + count);
        Ok(UnderWay { all: self.under_way.clone(), count })
    }
}

fn refuse_all(count: usize, refusal: Refusal) -> Vec<Result<Submitted, Refusal>> {
    vec![Err(refusal); count]
}

async fn submit(node: &Node, request: Submit) -> Vec<Result<Submitted, Refusal>> {
    failpoint!("submit.received");
    let Submit { form, jobs, correlation_id } = request;
    let mut checked = Vec::with_capacity(jobs.len());
    let mut operations = Vec::with_capacity(jobs.len());
    for (index, value) in jobs.into_iter().enumerate() {
        if index > 0 && index % CHECKED_AT_ONCE == 0 {
            yield_now().await;
        }
        let job_type = value.get("type").and_then(Value::as_str).unwrap_or_default();
        node.metrics.submitted(job_type);
        checked.push(check::check(node, form, value, correlation_id).map(|job| {
            let sent = Sent {
                id: job.id,
                event_id: job.event_id,
                queue: job.queue.clone(),
                scheduled_at: job.scheduled_at,
            };
            operations.push(Operation::Enqueue(Box::new(job)));
            sent
        }));
    }
    let written = if operations.is_empty() { Ok(Vec::new()) } else { node.store.write_all(operations).await };
    let results = match written {
        Ok(results) => results,
        Err(error) => return checked.into_iter().map(|one| one.and(Err(error.clone().into()))).collect(),
    };
    let mut results = results.into_iter();
    let mut awake = BTreeSet::new();
    let answers = checked.into_iter().map(|one| {
        let sent = one?;
        let result = results.next();
        if matches!(result, Some(Ok(Outcome::Enqueued { state: JobState::Available })))
            && !awake.contains(&sent.queue)
        {
            awake.insert(sent.queue.clone());
        }
        if let (Some(at), Some(Ok(Outcome::Enqueued { state: JobState::Scheduled }))) =
            (sent.scheduled_at, &result)
        {
            node.due.note(at);
        }
        sent.answer(node, result)
    });
    let answers = answers.collect();
    failpoint!("submit.answer.before");
    node.wake(&awake);
    answers
}

/// A job that was sent to the store.
struct Sent {
    id: Uuid,
    event_id: Uuid,
    queue: String,
    scheduled_at: Option<Timestamp>,
}

impl Sent {
    fn answer(self, node: &Node, result: Option<OperationResult>) -> Result<Submitted, Refusal> {
        let Sent { id, event_id, queue, .. } = self;
        let unanswered = || Err(StoreError::Failed("it gave no answer about this job".to_owned()));
        match result.unwrap_or_else(unanswered)? {
            Outcome::Enqueued { state } => {
                node.metrics.accepted();
                Ok(Submitted { id, event_id, state, duplicate: false })
            }
            Outcome::Duplicate { event_id, state } => Ok(Submitted { id, event_id, state, duplicate: true }),
            Outcome::Conflict => Err(Refusal::Conflict(id)),
            Outcome::BacklogFull { waiting, limit } => Err(backlog_full(node, queue, waiting, limit)),
            other => Err(unexpected(&other)),
        }
    }
}

async fn cancel(node: &Node, id: Uuid) -> Result<Cancelled, Refusal> {
    match node.store.write(Operation::Cancel { id }).await? {
        Outcome::Cancelled => Ok(Cancelled { id, state: JobState::Cancelled }),
        Outcome::CancelRequested { lease, queue, .. } => {
            node.call_off(lease, &queue);
            Ok(Cancelled { id, state: JobState::Executing })
        }
        Outcome::NotFound => Err(Refusal::NotFound(id)),
        Outcome::NotPossible { state } => Err(Refusal::WrongState {
            state,
            detail: "only a job that is not finished can be cancelled".to_owned(),
        }),
        other => Err(unexpected(&other)),
    }
}

async fn retry(node: &Node, id: Uuid) -> Result<Retried, Refusal> {
    let Some(found) = node.store.job(id).await? else { return Err(Refusal::NotFound(id)) };
    let settings = node.queues.get(&found.job.queue).map(|queue| &queue.settings);
    let operation = Operation::Retry {
        id,
        replay_id: Uuid::now_v7(),
        event_id: Uuid::now_v7(),
        max_backlog: settings.map_or(u64::MAX, |settings| settings.max_backlog),
    };
    match node.store.write(operation).await? {
        Outcome::MadeAvailable { queue } => {
            node.wake([&queue]);
            Ok(Retried { id, state: JobState::Available, replay_of: None })
        }
        Outcome::Replayed { id: replay, queue, state } => {
            node.wake([&queue]);
            Ok(Retried { id: replay, state, replay_of: Some(id) })
        }
        Outcome::BacklogFull { waiting, limit } => Err(backlog_full(node, found.job.queue, waiting, limit)),
        Outcome::NotFound => Err(Refusal::NotFound(id)),
        Outcome::NotPossible { state } => {
            let detail = match state {
                JobState::Executing => "it runs already; cancel it first to run it again",
                JobState::Available => "it waits for its turn already",
                _ => "only a scheduled, retryable, quarantined or finished job can be run again",
            };
            Err(Refusal::WrongState { state, detail: detail.to_owned() })
        }
        other => Err(unexpected(&other)),
    }
}

fn backlog_full(node: &Node, queue: String, waiting: u64, limit: u64) -> Refusal {
    let retry_after = node.queues.get(&queue).map(|queue| queue.retry_after(waiting)).unwrap_or_default();
    Refusal::BacklogFull { queue, waiting, limit, retry_after }
}

fn unexpected(outcome: &Outcome) -> Refusal {
    Refusal::Unavailable(StoreError::Failed(format!("it gave an answer to another question: {outcome:?}")))
}
