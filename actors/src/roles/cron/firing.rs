//! Storing the jobs whose times have come.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use callboard_contracts::{
    JobState, Timestamp,
    api::{CronDefinition, FieldError},
};
use futures_util::future::join_all;
use uuid::Uuid;

use super::{
    super::{
        gateway::check_job,
        node::Node,
        request::{Form, Origin, Refusal},
    },
    secrets,
};
use crate::{
    cron::{self, Firing, Schedule},
    edges::store::{
        Operation, Outcome, StoreError,
        cron::{CalledOff, CronDue, CronOperation, CronOutcome, CronRecord, Fire},
        record::NewJob,
    },
    encryption::{
        fields::SecretFields,
        vault::{SealError, WasSealed},
    },
    jobs::registry::unquoted,
};

/// Entries that are looked at in one go.
const BATCH: usize = 100;
/// When an entry is looked at again whose job could not be stored.
const AGAIN: Duration = Duration::from_secs(1);

/// What became of an entry whose time has come.
enum Fired {
    /// There may be more of its times.
    Went,
    /// Nothing yet: it is to be looked at again later.
    Waits,
    /// This node does not lead any more.
    Ended,
}

/// Stores jobs whose times have come.
#[derive(Default)]
pub(super) struct Firings {
    /// Entries that something is wrong with, and what was said of that.
    wrong: BTreeMap<String, String>,
}

impl Firings {
    /// Stores all that is due. When there is more; `None` also if this node does not lead any more. An entry that something is
    /// wrong with holds up no other.
    pub(super) async fn fire_due(
        &mut self,
        node: &Node,
        leader: u64,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut waiting: BTreeSet<String> = BTreeSet::new();
        loop {
            // Those that must wait stand first.
            let limit = u32::try_from(BATCH + waiting.len()).unwrap_or(u32::MAX);
            let CronDue { entries, next_at } = node.store.cron_due(limit).await?;
            let all = entries.len() < limit as usize;
            let entries = entries.iter().filter(|entry| !waiting.contains(&entry.name));
            // At a time: the store writes what has gathered in one transaction.
            let firing = entries.map(async |entry| (entry.name.clone(), fire(node, leader, entry).await));
            let mut went = false;
            for (name, fired) in join_all(firing).await {
                match self.fired(&name, fired)? {
                    Fired::Went => went = true,
                    Fired::Waits => drop(waiting.insert(name)),
                    Fired::Ended => {
                        node.leads.ended(leader);
                        return Ok(None);
                    }
                }
            }
            // Behind a page of those that wait there may be others.
            if !went && all {
                self.wrong.retain(|name, _| waiting.contains(name));
                let again = (!waiting.is_empty()).then(|| node.store.now().saturating_add(AGAIN));
                return Ok(next_at.into_iter().chain(again).min());
            }
        }
    }

    /// What the store says of this entry alone makes it wait; what it says of itself is an error.
    fn fired(&mut self, name: &str, fired: Result<Fired, StoreError>) -> Result<Fired, StoreError> {
        let error = match fired {
            Err(StoreError::Failed(error)) => error,
            other => return other,
        };
        if self.wrong.get(name) != Some(&error) {
            tracing::error!(entry = name, error, "a job of the cron table cannot be stored, and waits");
            self.wrong.insert(name.to_owned(), error);
        }
        Ok(Fired::Waits)
    }
}

async fn fire(node: &Node, leader: u64, entry: &CronRecord) -> Result<Fired, StoreError> {
    let (name, definition) = (&entry.name, &entry.definition);
    let Some(next) = entry.next else { return Ok(Fired::Waits) };
    // It was checked before it was stored; by another program, perhaps.
    let schedule = Schedule::parse(&definition.expression, &definition.time_zone)
        .map_err(|error| StoreError::Failed(error.to_string()))?;
    let firings = cron::plan(name, definition, &schedule, next.due, node.store.now()).firings;
    if firings.is_empty() {
        // Another program has counted its jitter in another way.
        return Ok(Fired::Waits);
    }
    // Without the key the entry waits for a leader that has it.
    let opened = secrets::opened(&node.vault(), definition);
    let (opened, was) = opened.map_err(|error| StoreError::Failed(format!("its payload: {error}")))?;
    // So it does without one to encrypt with what was encrypted.
    if !was.beside.is_empty() && node.tuned().keys.current().is_none() {
        return Err(StoreError::Failed(format!("its payload: {}", SealError::NoKeyAgain)));
    }
    let definition = &*known_elsewhere(node, &opened).await?;
    for firing in firings {
        let job = with_room(node, job(node, name, (definition, &was), &firing)).await?;
        let (due, missed) = (firing.due, firing.missed);
        let fire = Fire { name: name.clone(), revision: entry.revision, firing, job, leader };
        match node.store.write(Operation::Cron(CronOperation::Fire(Box::new(fire)))).await? {
            Outcome::Cron(CronOutcome::Fired { job, queue, state, called_off }) => {
                let late = due.map(|due| node.store.now().saturating_since(due.fires_at)).unwrap_or_default();
                node.metrics.cron_fired(late);
                tracing::debug!(entry = name, %job, ?late, "a job of the cron table was stored");
                if let Some(CalledOff { lease, queue, .. }) = called_off {
                    node.call_off(lease, &queue);
                }
                if state == JobState::Available {
                    node.wake([&queue]);
                }
            }
            Outcome::Cron(CronOutcome::Skipped { reason }) => {
                if due.is_some() {
                    node.metrics.cron_skipped();
                    tracing::info!(entry = name, reason, "a time of the cron table was passed over");
                }
            }
            // Somebody else was faster, or the entry is another one now.
            Outcome::Cron(CronOutcome::Changed | CronOutcome::NotFound) => return Ok(Fired::Went),
            Outcome::Cron(CronOutcome::Full { reason }) => {
                tracing::debug!(entry = name, reason, "a job of the cron table waits for room");
                return Ok(Fired::Waits);
            }
            Outcome::Cron(CronOutcome::Unavailable(error)) => return Err(error),
            Outcome::NotLeader => return Ok(Fired::Ended),
            other => return Err(other.unexpected()),
        }
        node.metrics.cron_missed(missed);
    }
    Ok(Fired::Went)
}

/// The definition with what other nodes know of the job's type, if this one has no handler for it.
async fn known_elsewhere<'d>(
    node: &Node,
    definition: &'d CronDefinition,
) -> Result<Cow<'d, CronDefinition>, StoreError> {
    if node.registry.knows(&definition.job.job_type) {
        return Ok(Cow::Borrowed(definition));
    }
    let known = node.store.job_types().await?;
    let Some(known) = known.into_iter().find(|known| known.job_type == definition.job.job_type) else {
        return Ok(Cow::Borrowed(definition));
    };
    let mut definition = definition.clone();
    let timeout_ms = u64::try_from(known.timeout.as_millis()).unwrap_or(u64::MAX);
    definition.job.queue.get_or_insert(known.queue);
    definition.job.max_attempts.get_or_insert(known.max_attempts);
    definition.job.timeout_ms.get_or_insert(timeout_ms);
    Ok(Cow::Owned(definition))
}

/// The job with the limit of its queue, if other nodes serve that.
async fn with_room(node: &Node, job: Result<NewJob, String>) -> Result<Result<NewJob, String>, StoreError> {
    let Ok(mut job) = job else { return Ok(job) };
    if node.queues.contains_key(&job.queue) {
        return Ok(Ok(job));
    }
    let queues = node.store.queues().await?;
    Ok(match queues.into_iter().find(|(queue, _)| queue.name == job.queue) {
        Some((queue, _)) => {
            job.max_backlog = queue.max_backlog;
            Ok(job)
        }
        None => Err(format!("there is no queue {:?} on any node", job.queue)),
    })
}

/// The job for the time, or why there can be none.
fn job(
    node: &Node,
    name: &str,
    definition: (&CronDefinition, &WasSealed),
    firing: &Firing,
) -> Result<NewJob, String> {
    let due = firing.due.ok_or_else(|| "its time was missed".to_owned())?;
    let id = cron::job_id(name, due.due);
    make(node, Form::Cron, name, definition, (id, due.due)).map_err(|refusal| refusal.to_string())
}

/// The job of an entry for this time, under this id. What was encrypted in the entry is so in the job, and is not told.
pub(super) fn make(
    node: &Node,
    form: Form,
    name: &str,
    (definition, was): (&CronDefinition, &WasSealed),
    (id, due): (Uuid, Timestamp),
) -> Result<NewJob, Refusal> {
    let submission = definition.job.submission(id, name, due, &definition.time_zone);
    let value = serde_json::to_value(submission).map_err(|error| StoreError::Failed(error.to_string()))?;
    let origin = Origin { correlation_id: id, trace: None };
    let submitted = was.any.then(|| value.get("payload").cloned()).flatten().unwrap_or_default();
    let secret = if was.any { SecretFields::whole() } else { SecretFields::default() };
    let told = |error: FieldError| match error.pointer.starts_with("/payload") {
        true => in_the_job(unquoted(error, &secret)),
        false => in_the_job(error),
    };
    let mut job = check_job(node, form, value, origin).map_err(|refusal| match refusal {
        Refusal::Invalid(errors) => Refusal::Invalid(errors.into_iter().map(told).collect()),
        other => other,
    })?;
    secrets::seal_again(&node.vault(), &mut job, &submitted, was)?;
    Ok(job)
}

fn in_the_job(error: FieldError) -> FieldError {
    FieldError { pointer: format!("/job{}", error.pointer), ..error }
}
