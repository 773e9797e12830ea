//! The gateway: takes jobs in, calls them off, and runs them again.

mod check;
mod fingerprint;
mod keys;
pub(super) mod secrets;
mod submissions;
mod submit;
mod unique;
mod workflows;

use std::{cell::Cell, rc::Rc, sync::Arc};

use callboard_contracts::{
    JobState,
    api::{
        BulkView, Cancelled, CommandView, CronRun, CronView, EdgeView, EncryptionRotated, FieldError,
        PauseCause, QueuePause, Retried, SignalSent, Submitted, WorkflowCancelled, WorkflowResumed,
        WorkflowSubmitted,
    },
};
use callboard_supervisors::{Actor, Context, Later, PlainHandler, StartError};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    audit::{Deed, carry_out},
    bulk, crashes, cron, dead_jobs, edges,
    encryption::{self, RotateKeys},
    fleet,
    node::Node,
    request::{
        BulkAnswer, BulkJobs, CancelJob, DeleteCron, Form, LabelQueue, LimitQueue, Order, PauseCron,
        PauseQueue, PrepareJob, PutCron, Refusal, RetryEdited, RetryJob, RunCron, SetEdge, SignalJob, Signed,
        StopBulk, Submit, SubmitOnce, SubmittedOnce, Who,
    },
    signals,
    tuning::Retune,
    workflows::request::{CancelWorkflow, ResumeWorkflow, SubmitWorkflow},
};
use crate::edges::store::{Operation, Outcome, StoreError, queue_pause::QueueOperation, record::NewJob};
pub(super) use check::check as check_job;
use keys::KeysUnderWay;
use submit::{submit, submit_once};
pub(super) use workflows::add_steps;

/// Jobs that may be under way to the store at a time; further requests are told that it is busy.
const MOST_UNDER_WAY: usize = 50_000;

/// Takes jobs in: checks each, stores the good ones of a request in one go, and answers when they are durable.
/// Many requests are under way at a time.
pub struct Gateway {
    node: Arc<Node>,
    under_way: Rc<Cell<usize>>,
    keys: KeysUnderWay,
}

impl Actor for Gateway {
    type Args = GatewayArgs;

    async fn start(args: GatewayArgs, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Gateway { node: args.0, under_way: Rc::default(), keys: KeysUnderWay::default() })
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

impl PlainHandler<SubmitOnce> for Gateway {
    type Reply = Later<Result<SubmittedOnce, Refusal>>;

    fn handle(&mut self, request: SubmitOnce, _: &mut Context<Self>) -> Self::Reply {
        let (node, under_way) = (self.node.clone(), self.begin(request.submit.jobs.len()));
        let key = self.keys.begin(&request.key).ok_or(Refusal::KeyUnderWay);
        Later::new(async move {
            let (_key, _under_way) = (key?, under_way?);
            if node.is_draining() {
                return Err(Refusal::Stopping);
            }
            submit_once(&node, request).await
        })
    }
}

impl PlainHandler<Retune> for Gateway {
    type Reply = ();

    /// What was asked before has the limits of before.
    fn handle(&mut self, _: Retune, _: &mut Context<Self>) {}
}

impl PlainHandler<PrepareJob> for Gateway {
    type Reply = Result<Box<NewJob>, Refusal>;

    fn handle(&mut self, PrepareJob { job, origin }: PrepareJob, _: &mut Context<Self>) -> Self::Reply {
        if self.node.is_draining() {
            return Err(Refusal::Stopping);
        }
        let job_type = job.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.node.metrics.submitted(&job_type);
        submissions::prepared(&self.node, &job_type, origin, |origin| {
            check::check(&self.node, Form::Api, job, origin).map(Box::new)
        })
    }
}

/// Requests that change something and are answered later: as they are, by this node itself; and signed.
macro_rules! changes {
    ($($request:ty: $reply:ty = $carry_out:expr;)+) => {$(
        impl PlainHandler<$request> for Gateway {
            type Reply = Later<Result<$reply, Refusal>>;

            fn handle(&mut self, request: $request, cx: &mut Context<Self>) -> Self::Reply {
                let who = Who { name: format!("node {}", self.node.name), role: None };
                self.handle(Signed { who, request }, cx)
            }
        }

        impl PlainHandler<Signed<$request>> for Gateway {
            type Reply = Later<Result<$reply, Refusal>>;

            fn handle(&mut self, signed: Signed<$request>, _: &mut Context<Self>) -> Self::Reply {
                let (node, under_way) = (self.node.clone(), self.begin(1));
                Later::new(async move {
                    let _under_way = under_way?;
                    let Signed { who, request } = signed;
                    $carry_out(&node, &who, request).await
                })
            }
        }
    )+};
}

changes! {
    CancelJob: Cancelled = cancel;
    RotateKeys: EncryptionRotated = encryption::rotate;
    RetryJob: Retried = retry;
    RetryEdited: Retried = dead_jobs::retry;
    SignalJob: SignalSent = signals::send;
    BulkJobs: BulkAnswer = bulk::start;
    StopBulk: BulkView = bulk::stop;
    PauseQueue: () = pause;
    LimitQueue: () = limit;
    LabelQueue: () = label;
    SetEdge: EdgeView = edges::set;
    Order: CommandView = order;
    PutCron: CronView = cron::put;
    DeleteCron: () = cron::delete;
    PauseCron: CronView = cron::pause;
    RunCron: CronRun = cron::run_now;
    CancelWorkflow: WorkflowCancelled = workflows::cancel;
    ResumeWorkflow: WorkflowResumed = workflows::resume;
}

impl PlainHandler<SubmitWorkflow> for Gateway {
    type Reply = Later<Result<WorkflowSubmitted, Refusal>>;

    fn handle(&mut self, request: SubmitWorkflow, _: &mut Context<Self>) -> Self::Reply {
        let count = request.workflow.get("steps").and_then(Value::as_array).map_or(1, Vec::len);
        let (node, under_way) = (self.node.clone(), self.begin(count));
        Later::new(async move {
            let _under_way = under_way?;
            if node.is_draining() {
                return Err(Refusal::Stopping);
            }
            workflows::submit(&node, request).await
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

async fn order(node: &Node, who: &Who, request: Order) -> Result<CommandView, Refusal> {
    fleet::order(node, who, request.node, request.order).await
}

async fn cancel(node: &Node, who: &Who, request: CancelJob) -> Result<Cancelled, Refusal> {
    let id = request.id;
    let deed = Deed::new("job.cancel", id.to_string());
    match carry_out(node, who, deed, Operation::Cancel { id }).await? {
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
        other => Err(Refusal::Unavailable(other.unexpected())),
    }
}

/// Characters of a reason at most.
const MAX_REASON: usize = 500;

async fn pause(node: &Node, who: &Who, request: PauseQueue) -> Result<(), Refusal> {
    let PauseQueue { queue, paused, reason } = request;
    let reason = reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
    let problem = match &reason {
        Some(_) if !paused => Some("only a queue that is paused has one".to_owned()),
        Some(reason) if reason.chars().count() > MAX_REASON => {
            Some(format!("at most {MAX_REASON} characters are kept"))
        }
        _ => None,
    };
    if let Some(message) = problem {
        return Err(Refusal::Invalid(vec![FieldError { pointer: "/reason".to_owned(), message }]));
    }
    let (deed, operation) = if paused {
        let deed = Deed::new("queue.pause", &queue);
        let deed = match &reason {
            Some(reason) => deed.with(json!({ "reason": reason })),
            None => deed,
        };
        let by = who.name.clone();
        let pause = Box::new(QueuePause { cause: PauseCause::Requested, by, reason, crashes: None });
        (deed, QueueOperation::Pause { queue: queue.clone(), pause })
    } else {
        (Deed::new("queue.resume", &queue), QueueOperation::Resume { queue: queue.clone() })
    };
    match carry_out(node, who, deed, Operation::Queue(operation)).await? {
        Outcome::Done => {
            // The other nodes see it in the store, and all of them what was counted before and does not count any more.
            if let Some(queue) = node.queues.get(&queue) {
                queue.set_paused(paused);
            }
            if !paused {
                crashes::goes_on(node, &queue);
            }
            Ok(())
        }
        Outcome::NotFound => Err(Refusal::NoSuchQueue(queue)),
        other => Err(Refusal::Unavailable(other.unexpected())),
    }
}

async fn label(node: &Node, who: &Who, request: LabelQueue) -> Result<(), Refusal> {
    let LabelQueue { queue, labels } = request;
    let deed = Deed::new("queue.label", &queue).with(json!(labels));
    match carry_out(node, who, deed, Operation::LabelQueue { queue: queue.clone(), labels }).await? {
        Outcome::Done => {
            // The other nodes find what they may run now when they look next.
            node.wake([&queue]);
            Ok(())
        }
        Outcome::NotFound => Err(Refusal::NoSuchQueue(queue)),
        other => Err(Refusal::Unavailable(other.unexpected())),
    }
}

async fn limit(node: &Node, who: &Who, request: LimitQueue) -> Result<(), Refusal> {
    let LimitQueue { queue, limits } = request;
    let numbers =
        [("/max_running", limits.max_running), ("/max_running_per_key", limits.max_running_per_key)];
    let zeros =
        numbers.into_iter().filter(|(_, most)| *most == Some(Some(0))).map(|(pointer, _)| FieldError {
            pointer: pointer.to_owned(),
            message: "must be at least 1; to start nothing, pause the queue".to_owned(),
        });
    let errors: Vec<FieldError> = zeros.collect();
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    let deed = Deed::new("queue.limit", &queue).with(json!(limits));
    match carry_out(node, who, deed, Operation::LimitQueue { queue: queue.clone(), limits }).await? {
        Outcome::Done => {
            // The other nodes see it in the store.
            if let Some(queue) = node.queues.get(&queue) {
                let given = [limits.max_running, limits.max_running_per_key];
                if given.iter().any(|limit| matches!(limit, Some(Some(_)))) {
                    queue.set_limited(true);
                }
                queue.wake();
            }
            Ok(())
        }
        Outcome::NotFound => Err(Refusal::NoSuchQueue(queue)),
        other => Err(Refusal::Unavailable(other.unexpected())),
    }
}

async fn retry(node: &Node, who: &Who, request: RetryJob) -> Result<Retried, Refusal> {
    let id = request.id;
    if node.is_draining() {
        return Err(Refusal::Stopping);
    }
    let Some(found) = node.store.job(id).await? else { return Err(Refusal::NotFound(id)) };
    let job = &found.job;
    if job.state.is_final() {
        // A new job is made of it, for which the limits of today hold.
        dead_jobs::edit::check_size(node, job, &job.payload)?;
    }
    let queue = node.queues.get(&found.job.queue);
    let operation = Operation::Retry {
        id,
        replay_id: Uuid::now_v7(),
        event_id: Uuid::now_v7(),
        max_backlog: queue.map_or(u64::MAX, |queue| queue.max_backlog()),
        max_total: node.tuned().max_backlog,
    };
    match carry_out(node, who, Deed::new("job.retry", id.to_string()), operation).await? {
        Outcome::MadeAvailable { queue } => {
            node.wake([&queue]);
            Ok(Retried { id, state: JobState::Available, replay_of: None })
        }
        Outcome::Replayed { id: replay, queue, state } => {
            node.wake([&queue]);
            Ok(Retried { id: replay, state, replay_of: Some(id) })
        }
        Outcome::BacklogFull { waiting, limit } => Err(backlog_full(node, found.job.queue, waiting, limit)),
        Outcome::StoreFull { waiting, limit } => Err(store_full(node, &found.job.queue, waiting, limit)),
        Outcome::NotFound => Err(Refusal::NotFound(id)),
        Outcome::NotPossible { state } => {
            let detail = match state {
                JobState::Executing => "it runs already; cancel it first to run it again",
                JobState::Available => "it waits for its turn already",
                _ => "only a scheduled, retryable, quarantined or finished job can be run again",
            };
            Err(Refusal::WrongState { state, detail: detail.to_owned() })
        }
        other => Err(Refusal::Unavailable(other.unexpected())),
    }
}

pub(super) fn backlog_full(node: &Node, queue: String, waiting: u64, limit: u64) -> Refusal {
    let retry_after = node.queues.get(&queue).map(|queue| queue.retry_after(waiting)).unwrap_or_default();
    Refusal::BacklogFull { queue, waiting, limit, retry_after }
}

/// `queue`: where the job was to go, whose rate tells best when there may be room.
pub(super) fn store_full(node: &Node, queue: &str, waiting: u64, limit: u64) -> Refusal {
    let retry_after =
        node.queues.get(queue).map(|queue| queue.retry_after_of(waiting, limit)).unwrap_or_default();
    Refusal::StoreFull { waiting, limit, retry_after }
}
