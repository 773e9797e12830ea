//! Signals: stored with their jobs by the gateway, and brought to running attempts by an actor of the node.

use std::{collections::HashMap, sync::Arc};

use callboard_contracts::api::{
    FieldError, JobStateView, MAX_SIGNAL_BYTES, PublishedState, SendSignal, SignalList, SignalSent,
    SignalTaken, SignalView, check_signal_name,
};
use callboard_supervisors::{Actor, Context, StartError};
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::{
    audit::{Deed, carry_out},
    backoff::Backoff,
    condition::Condition,
    node::Node,
    request::{Refusal, SignalJob, Who},
};
use crate::{
    edges::store::{
        Operation, Outcome, StoreError,
        record::Lease,
        signals::{JobStateRecord, NewSignal, PublishedRecord, SignalOperation, SignalOutcome, SignalRecord},
    },
    jobs::signals::{SignalAccess, SignalError, SignalInbox, readable},
};

/// Attempts for which one read asks.
const ATTEMPTS: usize = 1000;
/// Signals that one read gives: no more than 4 MiB of values.
const SIGNALS: u32 = 256;

/// Brings signals to the attempts that listen: at once when a word tells of one, and every heartbeat, since words get lost. It
/// reads for many attempts at a time, and nothing while nobody listens.
pub(crate) struct Signals;

impl Actor for Signals {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.spawn(run(node, cx.path()));
        Ok(Signals)
    }
}

async fn run(node: Arc<Node>, path: String) {
    let mut backoff = Backoff::default();
    // What a generation before this one had taken on is read again.
    node.signals.news_for_all();
    let mut look = Instant::now() + node.config.heartbeat;
    loop {
        let told = node.signals.told();
        tokio::pin!(told);
        told.as_mut().enable();
        match round(&node).await {
            Ok(()) => {
                backoff.reset();
                node.conditions.set(&path, Condition::Ready);
            }
            Err(error) => {
                if node.conditions.set(&path, Condition::Degraded(error.to_string())) {
                    tracing::warn!(%error, "signals cannot be brought to running jobs for now");
                }
                backoff.pause().await;
                node.signals.news_for_all();
                continue;
            }
        }
        if node.signals.is_empty() {
            told.await;
            look = Instant::now() + node.config.heartbeat;
            continue;
        }
        tokio::select! {
            () = told => {}
            () = sleep_until(look) => {
                node.signals.news_for_all();
                look = Instant::now() + node.config.heartbeat;
            }
        }
    }
}

async fn round(node: &Node) -> Result<(), StoreError> {
    let due = node.signals.take_due();
    for some in due.chunks(ATTEMPTS) {
        fill(node, some).await?;
    }
    Ok(())
}

/// Puts into these what is new.
async fn fill(node: &Node, inboxes: &[Arc<SignalInbox>]) -> Result<(), StoreError> {
    loop {
        let wanted: Vec<(Uuid, u32)> =
            inboxes.iter().filter_map(|inbox| Some((inbox.job(), inbox.after()?))).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let found = node.store.signals_after(wanted, SIGNALS).await?;
        let all = found.len() < SIGNALS as usize;
        let mut by_job: HashMap<Uuid, Vec<SignalRecord>> = HashMap::new();
        for (job, record) in found {
            by_job.entry(job).or_default().push(record);
        }
        for inbox in inboxes {
            inbox.put(by_job.get(&inbox.job()).map_or(&[], Vec::as_slice), all);
        }
        if all {
            return Ok(());
        }
    }
}

/// The way of an attempt to its signals in the store.
#[derive(Clone)]
pub(super) struct AttemptSignals {
    pub(super) node: Arc<Node>,
    pub(super) lease: Lease,
}

impl std::fmt::Debug for AttemptSignals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AttemptSignals")
    }
}

impl SignalAccess for AttemptSignals {
    fn acknowledge(&self, number: u32) -> BoxFuture<'static, Result<(), SignalError>> {
        let AttemptSignals { node, lease } = self.clone();
        async move {
            let operation = Operation::Signals(SignalOperation::Acknowledge { lease, number });
            let answer = node.store.write(operation).await;
            match answer.map_err(|error| SignalError::Unavailable(error.to_string()))? {
                Outcome::Signals(SignalOutcome::Acknowledged) => Ok(()),
                Outcome::Stale => Err(SignalError::Stale),
                other => Err(SignalError::Unavailable(other.unexpected().to_string())),
            }
        }
        .boxed()
    }
}

/// Stores a signal, and tells the attempt that runs.
pub(super) async fn send(node: &Node, who: &Who, request: SignalJob) -> Result<SignalSent, Refusal> {
    let SignalJob { id: job, signal: SendSignal { id, name, value } } = request;
    if let Err(problem) = check_signal_name(&name) {
        let error = FieldError { pointer: "/name".to_owned(), message: problem.to_string() };
        return Err(Refusal::Invalid(vec![error]));
    }
    let value = value.to_string();
    if value.len() > MAX_SIGNAL_BYTES {
        return Err(Refusal::SignalTooLarge { size: value.len(), limit: MAX_SIGNAL_BYTES });
    }
    if let Err(error) = readable(&value) {
        let error = FieldError { pointer: "/value".to_owned(), message: error.to_string() };
        return Err(Refusal::Invalid(vec![error]));
    }
    let id = id.unwrap_or_else(Uuid::now_v7);
    let deed = Deed::new("job.signal", job.to_string()).with(json!({ "signal": id, "name": name }));
    let signal = NewSignal { job, id, name, value, by: who.name.clone() };
    let operation = Operation::Signals(SignalOperation::Send(Box::new(signal)));
    let sent = |number, state, duplicate| Ok(SignalSent { id, job, number, state, duplicate });
    match carry_out(node, who, deed, operation).await? {
        Outcome::Signals(SignalOutcome::Stored { number, state, .. }) => {
            node.signals.news(job);
            sent(number, state, false)
        }
        // The answer to the first may have been lost before anybody was told.
        Outcome::Signals(SignalOutcome::Duplicate { number, state }) => {
            node.signals.news(job);
            sent(number, state, true)
        }
        Outcome::Signals(SignalOutcome::OtherSignal) => Err(Refusal::OtherSignal(id)),
        Outcome::Signals(SignalOutcome::TooMany { signals, bytes }) => {
            Err(Refusal::TooManySignals { signals, bytes })
        }
        Outcome::Signals(SignalOutcome::Outside) => Err(Refusal::SignalOutside),
        Outcome::NotFound => Err(Refusal::NotFound(job)),
        Outcome::NotPossible { state } => {
            let detail = "only a job that has not ended takes signals".to_owned();
            Err(Refusal::WrongState { state, detail })
        }
        other => Err(Refusal::Unavailable(other.unexpected())),
    }
}

/// All signals of a job.
pub(super) async fn list(node: &Node, job: Uuid) -> Result<Option<SignalList>, StoreError> {
    let Some(records) = node.store.signals(job).await? else { return Ok(None) };
    let signals = records.into_iter().map(view).collect::<Result<_, _>>()?;
    Ok(Some(SignalList { signals }))
}

fn view(record: SignalRecord) -> Result<SignalView, StoreError> {
    Ok(SignalView {
        value: json_of("signal", &record.value)?,
        id: record.id,
        number: record.number,
        name: record.name,
        by: record.by,
        at: record.at,
        taken: record.taken.map(|(attempt, at)| SignalTaken { attempt, at }),
        acknowledged_at: record.acknowledged_at,
    })
}

/// What a job shows.
pub(super) async fn job_state(node: &Node, id: Uuid) -> Result<Option<JobStateView>, StoreError> {
    let Some(record) = node.store.job_state(id).await? else { return Ok(None) };
    let JobStateRecord { state, attempt, published } = record;
    let published = published.map(self::published).transpose()?;
    Ok(Some(JobStateView { id, state, attempt, published }))
}

/// What a run shows.
pub(super) fn published(record: PublishedRecord) -> Result<PublishedState, StoreError> {
    let PublishedRecord { attempt, at, value } = record;
    Ok(PublishedState { attempt, at, value: json_of("state", &value)? })
}

fn json_of(what: &str, text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Corrupt(format!("a {what} of a job is no JSON: {error}")))
}
