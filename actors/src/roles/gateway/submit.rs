//! Taking jobs in.

use std::collections::BTreeSet;

use callboard_contracts::{JobState, Timestamp, api::Submitted};
use serde_json::Value;
use tokio::task::yield_now;
use uuid::Uuid;

use super::{
    super::{
        node::Node,
        request::{Refusal, Submit, SubmitOnce, SubmittedOnce, submitted},
    },
    backlog_full, check, secrets, store_full,
    submissions::Submissions,
};
use crate::{
    edges::store::{
        KeyedAnswer, Operation, Outcome, StoreError,
        record::{KeyedJobs, NewJob},
    },
    failpoint,
};

/// Jobs that are checked before others on the thread have their turn.
const CHECKED_AT_ONCE: usize = 32;

/// Stores the good jobs of a request.
pub(super) async fn submit(node: &Node, request: Submit) -> Vec<Result<Submitted, Refusal>> {
    let mut operations = Vec::with_capacity(request.jobs.len());
    let mut seen = Submissions::of(node, request.origin);
    let checked: Vec<Result<Sent, Refusal>> = check_all(node, request, &mut seen)
        .await
        .into_iter()
        .map(|checked| {
            checked.map(|job| {
                let sent = Sent::of(&job);
                operations.push(Operation::Enqueue(Box::new(job)));
                sent
            })
        })
        .collect();
    let storing = seen.store(operations.len());
    let written = if operations.is_empty() { Ok(Vec::new()) } else { node.store.write_all(operations).await };
    storing.end(written.as_ref().err());
    let results = match written {
        Ok(results) => results,
        Err(error) => {
            let answers: Vec<_> = checked.into_iter().map(|one| one.and(Err(error.clone().into()))).collect();
            seen.end(&answers);
            return answers;
        }
    };
    let mut results = results.into_iter();
    let mut news = News::of(node);
    let answers = checked.into_iter().map(|one| {
        let sent = one?;
        let unanswered = || Err(StoreError::Failed("it gave no answer about this job".to_owned()));
        let outcome = results.next().unwrap_or_else(unanswered)?;
        news.note(&sent, &outcome);
        answer(node, sent.id, sent.event_id, sent.queue, outcome)
    });
    let answers: Vec<_> = answers.collect();
    seen.end(&answers);
    news.tell();
    answers
}

/// Stores the good jobs of a request, once for its key. What was refused is kept beside the jobs, so that the whole
/// answer can be given again.
pub(super) async fn submit_once(node: &Node, request: SubmitOnce) -> Result<SubmittedOnce, Refusal> {
    let SubmitOnce { submit, mut key } = request;
    key.fingerprint = secrets::request_fingerprint(node, &node.vault(), &submit.jobs, key.fingerprint);
    let (mut jobs, mut refused) = (Vec::new(), Vec::new());
    let mut seen = Submissions::of(node, submit.origin);
    for (index, checked) in check_all(node, submit, &mut seen).await.into_iter().enumerate() {
        match checked {
            Ok(job) => jobs.push(job),
            Err(refusal) => refused.push((index, refusal)),
        }
    }
    let sent: Vec<Sent> = jobs.iter().map(Sent::of).collect();
    let note = serde_json::to_string(&refused).map_err(|error| StoreError::Failed(error.to_string()))?;
    // Also when there is nothing to store: the request may have been answered before the settings changed.
    let operation = Operation::EnqueueOnce(Box::new(KeyedJobs { key, jobs, note }));
    let storing = seen.store(sent.len());
    let written = node.store.write(operation).await;
    storing.end(written.as_ref().err());
    let written = match written {
        Ok(Outcome::EnqueuedOnce { answers, note, replayed }) => Ok((answers, note, replayed)),
        Ok(Outcome::KeyTaken) => Err(Refusal::KeyTaken),
        Ok(other) => Err(Refusal::Unavailable(other.unexpected())),
        Err(error) => Err(error.into()),
    };
    let (stored, note, replayed) = written.inspect_err(|refusal| seen.refuse(refusal))?;
    if !replayed {
        let mut news = News::of(node);
        sent.iter().zip(&stored).for_each(|(sent, stored)| news.note(sent, &stored.outcome));
        news.tell();
    }
    let refused: Vec<(usize, Refusal)> = serde_json::from_str(&note)
        .map_err(|error| StoreError::Corrupt(format!("refusals that were kept cannot be read: {error}")))?;
    let answers = in_order(node, stored, refused);
    // What was answered before was seen then, in the spans of then.
    if !replayed {
        seen.end(&answers);
    }
    Ok(SubmittedOnce { answers, replayed })
}

/// The answers in the order of the request, of which `refused` has the places.
fn in_order(
    node: &Node,
    stored: Vec<KeyedAnswer>,
    refused: Vec<(usize, Refusal)>,
) -> Vec<Result<Submitted, Refusal>> {
    let mut answers = Vec::with_capacity(stored.len() + refused.len());
    let mut stored = stored
        .into_iter()
        .map(|KeyedAnswer { id, event_id, queue, outcome }| answer(node, id, event_id, queue, outcome));
    for (place, refusal) in refused {
        answers.extend(stored.by_ref().take(place.saturating_sub(answers.len())));
        answers.push(Err(refusal));
    }
    answers.extend(stored);
    answers
}

async fn check_all(node: &Node, request: Submit, seen: &mut Submissions<'_>) -> Vec<Result<NewJob, Refusal>> {
    failpoint!("submit.received");
    let Submit { form, jobs, origin } = request;
    let mut checked = Vec::with_capacity(jobs.len());
    for (index, value) in jobs.into_iter().enumerate() {
        if index > 0 && index % CHECKED_AT_ONCE == 0 {
            yield_now().await;
        }
        let job_type = value.get("type").and_then(Value::as_str).unwrap_or_default();
        node.metrics.submitted(job_type);
        let origin = seen.begin(job_type, origin);
        checked.push(check::check(node, form, value, origin));
    }
    checked
}

/// A job that was sent to the store.
struct Sent {
    id: Uuid,
    event_id: Uuid,
    queue: String,
    scheduled_at: Option<Timestamp>,
}

impl Sent {
    fn of(job: &NewJob) -> Self {
        let NewJob { id, event_id, queue, scheduled_at, .. } = job;
        Sent { id: *id, event_id: *event_id, queue: queue.clone(), scheduled_at: *scheduled_at }
    }
}

/// What the other roles are to hear of jobs that were stored.
struct News<'n> {
    node: &'n Node,
    awake: BTreeSet<String>,
}

impl<'n> News<'n> {
    fn of(node: &'n Node) -> Self {
        News { node, awake: BTreeSet::new() }
    }

    fn note(&mut self, sent: &Sent, outcome: &Outcome) {
        let (Outcome::Enqueued { state } | Outcome::EnqueuedInstead { state, .. }) = outcome else { return };
        self.node.metrics.accepted();
        match (state, sent.scheduled_at) {
            (JobState::Available, _) if !self.awake.contains(&sent.queue) => {
                self.awake.insert(sent.queue.clone());
            }
            (JobState::Scheduled, Some(at)) => self.node.due.note(at),
            _ => {}
        }
    }

    fn tell(self) {
        failpoint!("submit.answer.before");
        self.node.wake(&self.awake);
    }
}

fn answer(
    node: &Node,
    id: Uuid,
    event_id: Uuid,
    queue: String,
    outcome: Outcome,
) -> Result<Submitted, Refusal> {
    match submitted(id, event_id, outcome) {
        Ok(answer) => answer,
        Err(Outcome::BacklogFull { waiting, limit }) => Err(backlog_full(node, queue, waiting, limit)),
        Err(Outcome::StoreFull { waiting, limit }) => Err(store_full(node, &queue, waiting, limit)),
        Err(other) => Err(Refusal::Unavailable(other.unexpected())),
    }
}
