//! The actor of one running attempt.

use std::{rc::Rc, sync::Arc, time::Instant};

use callboard_contracts::{Timestamp, api::ErrorKind};
use callboard_supervisors::{Actor, ChildSpec, Context, MailboxSpec, Restart, Shutdown, StartError};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tracing::Instrument;

use super::{
    attempt::{Attempt, EndReason},
    ending::Ending,
    key_waits::KeyWait,
};
use crate::{
    edges::{
        store::record::{ClaimedJob, Lease},
        telemetry::SpanKind,
    },
    encryption::{
        OpenError,
        envelope::{self, MARK, Part},
        vault::SealError,
    },
    failpoint,
    jobs::{
        JobContext, context,
        journal::{Journal, JournalArgs},
        registry::{RunError, bounded},
        retry,
        signals::{SignalInbox, Signals},
    },
    roles::{node::Node, request::Origin, signals::AttemptSignals, workflows::AttemptSteps},
};

/// Runs one attempt, tells how it ended, and is gone. A panic of the job is a crash of this actor, of which the producer
/// hears as its supervisor does; what else happens to the job it says itself.
pub(crate) struct JobActor {
    attempt: Arc<Attempt>,
    done: Rc<Notify>,
}

#[derive(Clone)]
pub(crate) struct JobArgs {
    node: Arc<Node>,
    attempt: Arc<Attempt>,
}

/// The name of an attempt's actor. It ends in the token, which no other attempt has.
fn name(attempt: &Attempt) -> String {
    format!("{}#{}", attempt.job.id, attempt.job.token)
}

/// The token of the attempt whose actor has this name.
pub(crate) fn token(name: &str) -> Option<u64> {
    name.rsplit_once('#')?.1.parse().ok()
}

/// The specification of an attempt's actor.
pub(crate) fn job(node: &Arc<Node>, attempt: &Arc<Attempt>) -> ChildSpec<JobActor> {
    // It ends by itself within the grace; a little more, so that it is not killed while it says so.
    let patience = node.config.cancel_grace + std::time::Duration::from_secs(1);
    ChildSpec::new(name(attempt), JobArgs { node: node.clone(), attempt: attempt.clone() })
        .restart(Restart::Temporary)
        .shutdown(Shutdown::Timeout(patience))
        .mailbox(MailboxSpec::bounded(1))
}

impl Actor for JobActor {
    type Args = JobArgs;

    async fn start(args: JobArgs, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let JobArgs { node, attempt } = args;
        let done = Rc::new(Notify::new());
        let actor = JobActor { attempt: attempt.clone(), done: done.clone() };
        let run = async move {
            let ending = run(&node, &attempt).await;
            failpoint!("run.after");
            node.report(&attempt, ending);
            failpoint!("run.reported");
            done.notify_one();
        };
        cx.spawn_then(run, |(), _, cx| cx.stop());
        Ok(actor)
    }

    /// The attempt is handed back, unless it comes to its end within the grace.
    async fn stopping(&mut self, _: &mut Context<Self>) {
        if !self.attempt.is_reported() {
            self.attempt.end(EndReason::NodeStops);
            self.done.notified().await;
        }
    }
}

async fn run(node: &Arc<Node>, attempt: &Arc<Attempt>) -> Ending {
    let job = &attempt.job;
    let Some(job_type) = node.registry.get(&job.job_type) else {
        let message = format!("no handler for job type {:?} on node {:?}", job.job_type, node.name);
        return Ending::failed(ErrorKind::Failed, message);
    };
    let vault = node.vault();
    let payload = match vault.open_text(&job.job_type, Part::Payload, &job.payload) {
        Ok(payload) => payload.into_owned(),
        Err(error) => return unopened(node, job, &error),
    };
    failpoint!("run.begin");
    let started_at = node.store.now();
    let span = node.config.telemetry.open(SpanKind::Consumer, job.trace, job.correlation_id);
    let trace = span.context();
    attempt.begin(started_at);
    attempt.begin_span(span);
    node.metrics.began(&job.queue, &job.job_type);
    node.outcomes.started(attempt);
    let span = tracing::info_span!(
        "job", traceId = trace.trace_id(), spanId = trace.span_id(),
        parentSpanId = job.trace.map(|parent| parent.span_id()), jobId = %job.id, attempt = job.attempt, correlationId = %job.correlation_id, queue = job.queue,
        "type" = job.job_type
    );
    let journal = journal(node, job, attempt.lease(), started_at);
    attempt.keep_journal(&journal);
    let inbox = SignalInbox::new(attempt.lease(), node.signals.clone());
    attempt.keep_signals(&inbox);
    let cx = JobContext::new(context::Inner {
        id: job.id,
        queue: job.queue.clone(),
        attempt: job.attempt,
        max_attempts: job.max_attempts,
        correlation_id: job.correlation_id,
        created_at: job.created_at,
        started_at,
        node: node.name.clone(),
        cancelled: attempt.cancelled.clone(),
        states: node.registry.states().clone(),
        trace,
        partition_key: job.partition_key.clone(),
        metadata: job.metadata.clone(),
        journal,
        steps: Arc::new(AttemptSteps {
            node: node.clone(),
            lease: attempt.lease(),
            origin: Origin { correlation_id: job.correlation_id, trace: Some(trace) },
        }),
        signals: Signals {
            inbox,
            access: Arc::new(AttemptSignals { node: node.clone(), lease: attempt.lease() }),
        },
    });
    let work = async {
        failpoint!("run.before");
        let run = cx.clone().within(node.registry.run(job_type, &payload, cx));
        #[cfg(feature = "failpoints")]
        let run = failpoint::pending("run.during", run);
        run.await
    };
    end_of(node, attempt, work).instrument(span).await
}

/// A payload that stays encrypted. Without its key the job waits, and no attempt is spent: another node may have it, and this one may
/// get it. What is damaged is so for ever.
fn unopened(node: &Node, job: &ClaimedJob, error: &OpenError) -> Ending {
    if error.is_about_keys() {
        let KeyWait { pause, say } =
            node.key_waits.missed(&node.tuned().keys, error, Instant::now(), retry::random());
        if say {
            tracing::warn!(
                jobId = %job.id, "type" = job.job_type, %error,
                "a job waits for the key of its payload; of others that wait for it no more is said for a minute"
            );
        }
        node.metrics.key_missing(&job.queue);
        return Ending::Snoozed(pause);
    }
    Ending::fatal(ErrorKind::InvalidPayload, format!("the payload cannot be read: {error}"))
}

/// What the run will say of itself.
fn journal(node: &Arc<Node>, job: &ClaimedJob, lease: Lease, started_at: Timestamp) -> Arc<Journal> {
    let store = node.store.clone();
    let metrics = node.metrics.clone();
    Journal::new(JournalArgs {
        lease,
        started_at,
        queue: job.queue.clone(),
        job_type: job.job_type.clone(),
        limits: node.tuned().log_limits,
        inbox: Arc::downgrade(&node.inbox),
        budget: node.inbox.budget.clone(),
        clock: Box::new(move || store.now()),
        counters: Box::new(move |queue, job_type| metrics.log_lines(queue, job_type)),
    })
}

/// Runs `work` to its end, to the end of its time, or to that of the grace after somebody wants it to end.
async fn end_of(
    node: &Arc<Node>,
    attempt: &Arc<Attempt>,
    work: impl Future<Output = Result<Option<String>, RunError>>,
) -> Ending {
    let mut work = std::pin::pin!(work);
    let limit = attempt.job.timeout;
    let timed_out = tokio::select! {
        biased;
        result = &mut work => return ending(node, attempt, result),
        () = attempt.cancelled.cancelled() => false,
        () = sleep(limit) => true,
    };
    if timed_out {
        attempt.cancelled.cancel();
    }
    let grace = node.config.cancel_grace;
    let result = timeout(grace, &mut work).await;
    let dropped = match result {
        Ok(_) => String::new(),
        Err(_) => format!("; it did not end within {grace:?} and was dropped"),
    };
    match (attempt.end_reason(), result) {
        // Whoever finishes in spite of it has finished.
        (Some(_), Ok(Ok(result))) => ending(node, attempt, Ok(result)),
        (Some(EndReason::Cancelled), Ok(Err(error))) => Ending::cancelled(message(node, attempt, error)),
        (Some(EndReason::Cancelled), Err(_)) => Ending::cancelled(format!("cancelled{dropped}")),
        (Some(_), _) => Ending::Released,
        (None, _) => Ending::failed(ErrorKind::TimedOut, format!("took longer than {limit:?}{dropped}")),
    }
}

fn ending(node: &Node, attempt: &Attempt, result: Result<Option<String>, RunError>) -> Ending {
    let limit = node.tuned().max_result;
    match result {
        Ok(Some(result)) if result.len() > limit => {
            let message = format!("the result has {} bytes; {limit} are allowed", result.len());
            Ending::fatal(ErrorKind::Failed, message)
        }
        Ok(result) => match result.as_deref().and_then(envelope::forged) {
            // Another attempt would give the same; and whoever could decide what is decrypted could have another's secret shown.
            Some(problem) => Ending::fatal(ErrorKind::Failed, bounded(format!("the result: {problem}"))),
            None => kept(node, attempt, result),
        },
        Err(error) => match attempt.end_reason() {
            Some(EndReason::Cancelled) => Ending::cancelled(message(node, attempt, error)),
            Some(_) => Ending::Released,
            None => match error {
                RunError::Job(error) => Ending::of_job(error),
                RunError::Payload(_) => {
                    Ending::fatal(ErrorKind::InvalidPayload, message(node, attempt, error))
                }
                RunError::Output(_) => Ending::fatal(ErrorKind::Failed, message(node, attempt, error)),
            },
        },
    }
}

/// With this result, if it can be kept.
fn kept(node: &Node, attempt: &Attempt, result: Option<String>) -> Ending {
    match sealed(node, &attempt.job.job_type, result) {
        Ok(result) => Ending::Completed(result),
        // It would be so again.
        Err(SealError::Unreadable) => {
            Ending::fatal(ErrorKind::Failed, format!("the result cannot be kept: {}", SealError::Unreadable))
        }
        Err(problem) => Ending::failed(ErrorKind::Failed, format!("the result cannot be kept: {problem}")),
    }
}

/// The result as it is stored.
fn sealed(node: &Node, job_type: &str, result: Option<String>) -> Result<Option<String>, SealError> {
    let vault = node.vault();
    if vault.secrets.of(job_type).is_none() {
        return Ok(result);
    }
    result.map(|result| vault.seal_text(job_type, Part::Result, result)).transpose()
}

/// What the error says.
fn message(node: &Node, attempt: &Attempt, error: RunError) -> String {
    let job = &attempt.job;
    match error {
        // What is wrong with a payload that has secrets may quote them. What is encrypted in it was one when it was stored.
        RunError::Payload(_) if job.payload.contains(MARK) || node.vault().has_secrets(&job.job_type) => {
            "the payload does not fit the job type (it has secret values, so nothing of it is shown)"
                .to_owned()
        }
        RunError::Job(error) => error.into_parts().0,
        RunError::Payload(problem) => format!("the payload does not fit the job type: {problem}"),
        RunError::Output(problem) => format!("the result cannot be written as JSON: {problem}"),
    }
}
