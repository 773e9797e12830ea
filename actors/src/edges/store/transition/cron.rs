//! What is done to an entry of the cron table, whatever keeps it.

use std::{collections::BTreeMap, time::Duration};

use callboard_contracts::{
    JobState, Timestamp,
    api::{CronFiring, CronOverlap, CronResult, CronSource},
};
use uuid::Uuid;

use crate::edges::store::{
    Outcome,
    cron::{CalledOff, CronOutcome, CronRecord, Fire, NewCron},
    record::NewJob,
};

/// How long a job whose queue is full waits for room before its time is passed over.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is to be written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// Nothing.
    None(CronOutcome),
    /// The entry.
    Write(Box<CronRecord>),
    /// That it is gone.
    Delete,
}

/// Makes an entry, or changes it. `count`: entries that there are.
pub(crate) fn put(
    known: Option<CronRecord>,
    new: &NewCron,
    (source, by): (CronSource, &str),
    count: u32,
    now: Timestamp,
) -> Change {
    let Some(known) = known else {
        if count >= CronRecord::MOST {
            return Change::None(CronOutcome::TooMany { limit: CronRecord::MOST });
        }
        return Change::Write(Box::new(CronRecord {
            name: new.name.clone(),
            definition: new.definition.clone(),
            source,
            set_by: by.to_owned(),
            revision: 1,
            paused_at: None,
            next: new.next,
            last_job: None,
            fired: 0,
            skipped: 0,
            missed: 0,
            firings: Vec::new(),
            created_at: now,
            updated_at: now,
        }));
    };
    if known.source != source {
        return Change::None(CronOutcome::Taken { source: known.source });
    }
    // A node that is given an entry by its configuration has it from then on, and takes it out again.
    let same_owner = source == CronSource::Api || known.set_by == by;
    if known.definition == new.definition && same_owner {
        return Change::None(CronOutcome::Done);
    }
    let waits = known.definition.has_times_of(&new.definition) && known.next.is_some();
    let next = match known.paused_at {
        Some(_) => None,
        None if waits => known.next,
        None => new.next,
    };
    Change::Write(Box::new(CronRecord {
        definition: new.definition.clone(),
        set_by: by.to_owned(),
        revision: known.revision + 1,
        next,
        updated_at: now,
        ..known
    }))
}

/// Takes an entry out that a request has made.
pub(crate) fn delete(known: Option<&CronRecord>) -> Change {
    match known {
        None => Change::None(CronOutcome::NotFound),
        Some(known) if known.source != CronSource::Api => {
            Change::None(CronOutcome::Taken { source: known.source })
        }
        Some(_) => Change::Delete,
    }
}

/// Entries of configurations, each with who has set it, that one does not have which has these.
pub(crate) fn gone(
    known: BTreeMap<String, String>,
    entries: &[NewCron],
    node: &str,
    all: bool,
) -> Vec<String> {
    let stays = |name: &str| entries.iter().any(|entry| entry.name == name);
    let mine = |set_by: &str| all || set_by == node;
    known.into_iter().filter(|(name, by)| !stays(name) && mine(by)).map(|(name, _)| name).collect()
}

/// Pauses an entry.
pub(crate) fn pause(known: Option<CronRecord>, now: Timestamp) -> Change {
    match known {
        None => Change::None(CronOutcome::NotFound),
        Some(known) if known.paused_at.is_some() => Change::None(CronOutcome::Done),
        Some(known) => Change::Write(Box::new(CronRecord {
            paused_at: Some(now),
            next: None,
            revision: known.revision + 1,
            updated_at: now,
            ..known
        })),
    }
}

/// Lets an entry go on.
pub(crate) fn resume(
    known: Option<CronRecord>,
    revision: u64,
    next: Option<crate::cron::DueTime>,
    now: Timestamp,
) -> Change {
    match known {
        None => Change::None(CronOutcome::NotFound),
        Some(known) if known.paused_at.is_none() => Change::None(CronOutcome::Done),
        Some(known) if known.revision != revision => Change::None(CronOutcome::Changed),
        Some(known) => Change::Write(Box::new(CronRecord {
            paused_at: None,
            next,
            revision: known.revision + 1,
            updated_at: now,
            ..known
        })),
    }
}

/// The entry, if it is still what whoever fires it has seen, and waits for the time that he says.
pub(crate) fn awaited(known: Option<CronRecord>, fire: &Fire) -> Result<CronRecord, CronOutcome> {
    let known = known.ok_or(CronOutcome::NotFound)?;
    let waits_for = known.next.map(|next| next.due) == Some(fire.firing.from);
    if known.revision == fire.revision && waits_for { Ok(known) } else { Err(CronOutcome::Changed) }
}

/// The job to be stored, if there is to be one. `before`: the state of the job before, if it is still there.
pub(crate) fn job<'f>(
    entry: &CronRecord,
    fire: &'f Fire,
    before: Option<JobState>,
) -> Result<&'f NewJob, Tried> {
    if fire.firing.due.is_none() {
        return Err(Tried::Missed);
    }
    if let (CronOverlap::Skip, Some(state), Some(job)) = (entry.definition.overlap, before, entry.last_job)
        && !state.is_final()
    {
        return Err(Tried::Refused(format!("the job before, {job}, has not ended: it is {state}")));
    }
    fire.job.as_ref().map_err(|why| Tried::Refused(why.clone()))
}

/// What was tried about a time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tried {
    /// Nothing: it was missed.
    Missed,
    /// Nothing, for this reason.
    Refused(String),
    /// To store this job, with this outcome; and what became of the job before, if it was to be cancelled.
    Stored(Uuid, Box<Outcome>, Option<Box<Outcome>>),
}

/// What the entry is then. An error: it stays as it is.
pub(crate) fn settle(
    mut entry: CronRecord,
    fire: &Fire,
    queue: &str,
    tried: Tried,
    now: Timestamp,
) -> Result<(CronRecord, CronOutcome), CronOutcome> {
    let firing = &fire.firing;
    let decided = firing.due.map(|due| decide(due.fires_at, queue, tried, now)).transpose()?;
    entry.next = firing.next;
    if let Some(last) = firing.last_missed.filter(|_| firing.missed > 0) {
        entry.missed = entry.missed.saturating_add(firing.missed);
        let reason = match firing.missed {
            1 => "it was missed".to_owned(),
            missed => format!("{missed} times were missed, this one last"),
        };
        note(&mut entry, last, now, CronResult::Missed, None, Some(reason));
    }
    let (Some(due), Some((outcome, reason))) = (firing.due, decided) else {
        return Ok((entry, CronOutcome::Skipped { reason: "its time was missed".to_owned() }));
    };
    match &outcome {
        CronOutcome::Fired { job, .. } => {
            entry.fired = entry.fired.saturating_add(1);
            entry.last_job = Some(*job);
            note(&mut entry, due.due, now, CronResult::Fired, Some(*job), reason);
        }
        _ => {
            entry.skipped = entry.skipped.saturating_add(1);
            note(&mut entry, due.due, now, CronResult::Skipped, None, reason);
        }
    }
    Ok((entry, outcome))
}

/// What became of a time, and what is said of it. An error: it is tried again.
fn decide(
    fires_at: Timestamp,
    queue: &str,
    tried: Tried,
    now: Timestamp,
) -> Result<(CronOutcome, Option<String>), CronOutcome> {
    let skip = |reason: String| Ok((CronOutcome::Skipped { reason: reason.clone() }, Some(reason)));
    match tried {
        Tried::Missed => skip("its time was missed".to_owned()),
        Tried::Refused(reason) => skip(reason),
        Tried::Stored(job, stored, before) => match full(queue, &stored) {
            Some(reason) if now.saturating_since(fires_at) < PATIENCE => Err(CronOutcome::Full { reason }),
            Some(reason) => skip(reason),
            None => match *stored {
                Outcome::Enqueued { state } | Outcome::Duplicate { state, .. } => {
                    let said = before.as_ref().map(|_| "the job before was cancelled".to_owned());
                    let called_off = match before.map(|before| *before) {
                        Some(Outcome::CancelRequested { lease, queue, session }) => {
                            Some(CalledOff { lease, queue, session })
                        }
                        _ => None,
                    };
                    Ok((CronOutcome::Fired { job, queue: queue.to_owned(), state, called_off }, said))
                }
                _ => skip(format!("another job has the id {job} that this one was to have")),
            },
        },
    }
}

/// Says of an outcome what is full.
fn full(queue: &str, stored: &Outcome) -> Option<String> {
    match stored {
        Outcome::BacklogFull { waiting, limit } => {
            Some(format!("the queue {queue:?} is full: {waiting} jobs wait, and {limit} may"))
        }
        Outcome::StoreFull { waiting, limit } => {
            Some(format!("all queues together are full: {waiting} jobs wait, and {limit} may"))
        }
        _ => None,
    }
}

/// The entry after somebody had a job of it stored; the error: none was.
pub(crate) fn ran(
    mut entry: CronRecord,
    job: &NewJob,
    stored: Outcome,
    now: Timestamp,
) -> Result<(CronRecord, CronOutcome), CronOutcome> {
    if let Some(reason) = full(&job.queue, &stored) {
        return Err(CronOutcome::Full { reason });
    }
    let fired = |state| CronOutcome::Fired { job: job.id, queue: job.queue.clone(), state, called_off: None };
    match stored {
        Outcome::Enqueued { state } => {
            entry.last_job = Some(job.id);
            note(&mut entry, now, now, CronResult::ByHand, Some(job.id), None);
            Ok((entry, fired(state)))
        }
        // Asked again, since the first answer was lost.
        Outcome::Duplicate { state, .. } => Err(fired(state)),
        other => Err(CronOutcome::Unavailable(other.unexpected())),
    }
}

fn note(
    entry: &mut CronRecord,
    due: Timestamp,
    at: Timestamp,
    result: CronResult,
    job_id: Option<Uuid>,
    reason: Option<String>,
) {
    entry.firings.insert(0, CronFiring { due, at, result, job_id, reason });
    entry.firings.truncate(CronRecord::FIRINGS);
}

/// The job before, if it is to make room for the new one.
pub(crate) fn replaces(entry: &CronRecord, before: Option<JobState>, stored: &Outcome) -> Option<Uuid> {
    let replaces = entry.definition.overlap == CronOverlap::Replace
        && matches!(stored, Outcome::Enqueued { .. })
        && before.is_some_and(|state| !state.is_final());
    entry.last_job.filter(|_| replaces)
}

/// JSON text of what always has one.
pub(crate) fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("its maps have text for keys, and nothing of it refuses")
}

/// A stored source.
pub(crate) fn source_of(text: &str) -> CronSource {
    match text {
        "configuration" => CronSource::Configuration,
        _ => CronSource::Api,
    }
}

/// For the audit trail, in words.
pub(crate) fn words(outcome: &CronOutcome) -> String {
    match outcome {
        CronOutcome::Done | CronOutcome::Synced { .. } => "done".to_owned(),
        CronOutcome::NotFound => "refused: there is none".to_owned(),
        CronOutcome::Taken { source } => format!("refused: it comes from the {}", source.as_str()),
        CronOutcome::TooMany { limit } => format!("refused: there are {limit} entries"),
        CronOutcome::Changed => "refused: it was changed meanwhile".to_owned(),
        CronOutcome::Fired { job, .. } => format!("stored as {job}"),
        CronOutcome::Skipped { reason } => format!("passed over: {reason}"),
        CronOutcome::Full { reason } => format!("refused: {reason}"),
        CronOutcome::Unavailable(error) => format!("refused: {error}"),
    }
}
