//! Bulk operations: what becomes of their jobs, and of them.

use std::collections::{BTreeMap, BTreeSet};

use callboard_contracts::{
    Timestamp,
    api::{BulkOutcome, BulkProblem, BulkState, BulkView},
};
use uuid::Uuid;

use super::{
    Changes, JobRow,
    control::{self, Retry},
};
use crate::edges::store::{
    Outcome,
    dead_jobs::{BulkJob, BulkPlan, BulkRecord, BulkStep, BulkStepped, EditNote, NewBulk, jobs_of},
    record::Lease,
};

/// A bulk operation at its beginning. `newest`: the newest job that there is.
pub(crate) fn begin(new: &NewBulk, newest: u64, now: Timestamp) -> BulkRecord {
    let NewBulk {
        id,
        action,
        filter,
        patch,
        fingerprint,
        shown_patch,
        spares_secrets,
        reason,
        by,
        matched,
        at_least,
    } = new.clone();
    BulkRecord {
        id,
        action,
        filter,
        patch,
        fingerprint,
        shown_patch,
        spares_secrets,
        reason,
        by,
        started_at: now,
        newest,
        cursor: newest.saturating_add(1),
        state: BulkState::Running,
        waits_for: None,
        matched,
        at_least,
        outcomes: BTreeMap::new(),
        problems: Vec::new(),
        updated_at: now,
        ended_at: None,
    }
}

/// Whether the operation that is there is the one that is to begin.
pub(crate) fn is_same(known: &BulkRecord, new: &NewBulk) -> bool {
    let same_patch = match (&known.fingerprint, &new.fingerprint) {
        (Some(known), Some(new)) => known == new,
        _ => known.patch == new.patch,
    };
    known.action == new.action
        && known.filter == new.filter
        && same_patch
        && known.reason == new.reason
        && known.by == new.by
}

/// Ends it where it is. Whether that is a change.
pub(crate) fn stop(record: &mut BulkRecord, now: Timestamp) -> bool {
    let running = record.state == BulkState::Running;
    if running {
        end(record, BulkState::Stopped, now);
    }
    running
}

fn end(record: &mut BulkRecord, state: BulkState, now: Timestamp) {
    record.state = state;
    record.waits_for = None;
    record.updated_at = now;
    record.ended_at = Some(now);
}

/// Whether the step is the next one of the operation.
pub(crate) fn is_next(record: &BulkRecord, step: &BulkStep) -> bool {
    record.state == BulkState::Running && record.cursor == step.from
}

/// What is kept with each replay of an operation. It is only shown, so nothing that is secret is in it, encrypted or not.
pub(crate) fn note(record: &BulkRecord) -> EditNote {
    EditNote { patch: record.shown_patch.clone(), reason: record.reason.clone(), by: record.by.clone() }
}

/// The jobs that are to be loaded for a step: those that change, and those that may be there already.
pub(crate) fn concerned(step: &BulkStep) -> impl Iterator<Item = Uuid> {
    step.jobs
        .iter()
        .flat_map(|job| match &job.plan {
            BulkPlan::PassOver | BulkPlan::Count(..) => [None, None],
            BulkPlan::Cancel => [Some(job.id), None],
            BulkPlan::Retry { replay_id, .. } => [Some(job.id), Some(*replay_id)],
        })
        .flatten()
}

/// What a job of a step comes to.
#[derive(Debug, PartialEq)]
pub(crate) enum Act {
    /// It is dealt with.
    Dealt,
    /// It is finished: it is to be stored again, if there is room, and told by [`Stepping::replayed`]; else the step ends with
    /// [`Stepping::waits`].
    Replay(Box<JobRow>),
}

/// A step that is being made.
pub(crate) struct Stepping {
    stepped: BulkStepped,
    queues: BTreeSet<String>,
    waits_for: Option<String>,
}

impl Stepping {
    pub(crate) fn new(record: BulkRecord) -> Self {
        let stepped = BulkStepped { record, queues: Vec::new(), cancels: Vec::new() };
        Stepping { stepped, queues: BTreeSet::new(), waits_for: None }
    }

    /// Does with the next job what is to be done.
    pub(crate) fn act(&mut self, changes: &mut Changes, job: &BulkJob) -> Act {
        let fits = |row: &JobRow| {
            let states = jobs_of(&self.stepped.record.filter).states_that_fit();
            states.is_none_or(|states| states.contains(&row.state))
        };
        let counted = match &job.plan {
            BulkPlan::PassOver => {
                self.dealt_with(job);
                return Act::Dealt;
            }
            BulkPlan::Count(outcome, message) => (*outcome, message.clone()),
            _ if !changes.rows.contains_key(&job.id) => {
                (BulkOutcome::Changed, "it is not there any more".to_owned())
            }
            _ if !changes.rows.get(&job.id).is_some_and(fits) => {
                (BulkOutcome::Changed, "it is in another state by now".to_owned())
            }
            BulkPlan::Cancel => self.answered(job.id, control::cancel(changes, job.id)),
            BulkPlan::Retry { replay_id, .. } => match control::retry(changes, job.id, *replay_id) {
                Retry::Replay(of) => return Act::Replay(of),
                Retry::Decided(outcome) => self.answered(job.id, outcome),
            },
        };
        self.count(job, counted.0, counted.1);
        Act::Dealt
    }

    fn answered(&mut self, id: Uuid, outcome: Outcome) -> (BulkOutcome, String) {
        let outcome = match outcome {
            Outcome::Cancelled => BulkOutcome::Cancelled,
            Outcome::CancelRequested { lease: Lease { token, .. }, queue, session } => {
                self.stepped.cancels.push((Lease { id, token }, queue, session));
                BulkOutcome::ToldToEnd
            }
            Outcome::MadeAvailable { queue } => {
                self.queues.insert(queue);
                BulkOutcome::MadeAvailable
            }
            Outcome::Replayed { .. } => BulkOutcome::Replayed,
            Outcome::NotPossible { state } => {
                return (BulkOutcome::NotPossible, format!("the job is {state}"));
            }
            _ => return (BulkOutcome::Changed, "it is not there any more".to_owned()),
        };
        (outcome, String::new())
    }

    /// The job was stored again.
    pub(crate) fn replayed(&mut self, job: &BulkJob, of: &JobRow) {
        self.queues.insert(of.queue.clone());
        self.count(job, BulkOutcome::Replayed, String::new());
    }

    /// There is no room for the next job now.
    pub(crate) fn waits(&mut self, reason: String) {
        self.waits_for = Some(reason);
    }

    fn count(&mut self, job: &BulkJob, outcome: BulkOutcome, message: String) {
        let record = &mut self.stepped.record;
        *record.outcomes.entry(outcome).or_default() += 1;
        if !outcome.is_success() && record.problems.len() < BulkView::MOST_PROBLEMS {
            record.problems.push(BulkProblem { job: job.id, outcome, message });
        }
        self.dealt_with(job);
    }

    fn dealt_with(&mut self, job: &BulkJob) {
        let cursor = &mut self.stepped.record.cursor;
        *cursor = job.sequence.min(*cursor);
    }

    /// What the step has done.
    pub(crate) fn end(self, step: &BulkStep, now: Timestamp) -> BulkStepped {
        let Stepping { mut stepped, queues, waits_for } = self;
        let record = &mut stepped.record;
        record.updated_at = now;
        if step.last && waits_for.is_none() {
            end(record, BulkState::Done, now);
        } else {
            record.waits_for = waits_for;
        }
        stepped.queues = queues.into_iter().collect();
        stepped
    }
}

/// An operation as it is stored.
pub(crate) fn as_json(record: &BulkRecord) -> String {
    // What serialises by derive, with keys that are words, does not fail.
    serde_json::to_string(record).unwrap_or_default()
}

/// Why a step ends early: the queue holds as many waiting jobs as it may.
pub(crate) fn queue_is_full(queue: &str, waiting: u64) -> String {
    format!("room in the queue {queue:?}, in which {waiting} jobs wait")
}

/// Why a step ends early: all queues together hold as many waiting jobs as they may.
pub(crate) fn store_is_full(waiting: u64) -> String {
    format!("room in the queues, in which {waiting} jobs wait together")
}

#[cfg(test)]
mod tests {
    use callboard_contracts::{
        JobState,
        api::{BulkAction, BulkFilter},
    };

    use super::*;
    use crate::edges::store::transition::tests::{JOB, changes, now, row};

    fn record(action: BulkAction, state: Vec<JobState>) -> BulkRecord {
        let new = NewBulk {
            id: Uuid::from_u128(9),
            action,
            filter: BulkFilter { state, ..BulkFilter::default() },
            patch: None,
            fingerprint: None,
            shown_patch: None,
            spares_secrets: false,
            reason: None,
            by: "ci".to_owned(),
            matched: 1,
            at_least: false,
        };
        let record = begin(&new, 50, now());
        assert!(is_same(&record, &new));
        assert!(!is_same(&record, &NewBulk { by: "another".to_owned(), ..new }));
        record
    }

    #[test]
    fn the_same_patch_is_the_same_however_it_is_encrypted() {
        let new = |patch: &str, fingerprint: Option<&str>| NewBulk {
            id: Uuid::from_u128(9),
            action: BulkAction::Retry,
            filter: BulkFilter::default(),
            patch: Some(patch.to_owned()),
            fingerprint: fingerprint.map(str::to_owned),
            shown_patch: Some("{}".to_owned()),
            spares_secrets: false,
            reason: None,
            by: "ci".to_owned(),
            matched: 1,
            at_least: false,
        };
        let known = begin(&new("one", Some("a")), 50, now());
        assert!(is_same(&known, &new("another", Some("a"))));
        assert!(!is_same(&known, &new("one", Some("b"))));
        // Of an earlier version.
        let known = begin(&new("one", None), 50, now());
        assert!(is_same(&known, &new("one", Some("a"))) && !is_same(&known, &new("another", Some("a"))));
    }

    fn job(plan: BulkPlan) -> BulkJob {
        BulkJob { id: JOB, sequence: 7, plan }
    }

    fn again() -> BulkPlan {
        BulkPlan::Retry {
            replay_id: Uuid::from_u128(5),
            event_id: Uuid::from_u128(6),
            max_backlog: 10,
            payload: None,
        }
    }

    fn step(jobs: Vec<BulkJob>, last: bool) -> BulkStep {
        BulkStep { id: Uuid::from_u128(9), from: 51, jobs, last, max_total: 10, leader: 1 }
    }

    #[test]
    fn a_job_that_does_not_fit_any_more_is_left_alone() {
        for (plan, action) in [(again(), BulkAction::Retry), (BulkPlan::Cancel, BulkAction::Cancel)] {
            let before = changes(row(JobState::Available));
            let mut after = before.clone();
            let mut stepping = Stepping::new(record(action, vec![JobState::Discarded]));
            assert_eq!(stepping.act(&mut after, &job(plan)), Act::Dealt);
            assert_eq!(after.rows, before.rows);
            let done = stepping.end(&step(vec![], false), now()).record;
            assert_eq!(done.outcomes, BTreeMap::from([(BulkOutcome::Changed, 1)]));
            assert_eq!((done.cursor, done.state, done.problems.len()), (7, BulkState::Running, 1));
        }
    }

    #[test]
    fn a_job_that_came_to_fit_later_is_passed_over() {
        let before = changes(row(JobState::Discarded));
        let mut after = before.clone();
        let mut stepping = Stepping::new(record(BulkAction::Retry, vec![JobState::Discarded]));
        assert_eq!(stepping.act(&mut after, &job(BulkPlan::PassOver)), Act::Dealt);
        assert_eq!(after.rows, before.rows);
        let done = stepping.end(&step(vec![], false), now()).record;
        assert_eq!((done.cursor, done.outcomes.len(), done.problems.len()), (7, 0, 0));
    }

    #[test]
    fn each_job_is_counted_and_a_running_one_is_to_be_told() {
        let mut running = changes(row(JobState::Executing));
        let mut stepping = Stepping::new(record(BulkAction::Cancel, vec![]));
        stepping.act(&mut running, &job(BulkPlan::Cancel));
        let done = stepping.end(&step(vec![], true), now());
        assert_eq!(done.record.outcomes, BTreeMap::from([(BulkOutcome::ToldToEnd, 1)]));
        assert_eq!((done.cancels.len(), done.record.problems.len()), (1, 0));
        assert_eq!((done.record.state, done.record.ended_at), (BulkState::Done, Some(now())));

        let mut waiting = changes(row(JobState::Retryable));
        let mut stepping = Stepping::new(record(BulkAction::Retry, vec![JobState::Retryable]));
        stepping.act(&mut waiting, &job(again()));
        let done = stepping.end(&step(vec![], true), now());
        assert_eq!(done.queues, ["q"]);
        assert_eq!(done.record.outcomes, BTreeMap::from([(BulkOutcome::MadeAvailable, 1)]));
    }

    #[test]
    fn a_step_that_finds_no_room_goes_on_where_it_was() {
        let mut dead = changes(row(JobState::Discarded));
        let mut stepping = Stepping::new(record(BulkAction::Retry, vec![JobState::Discarded]));
        assert!(matches!(stepping.act(&mut dead, &job(again())), Act::Replay(_)));
        stepping.waits("room".to_owned());
        let step = step(vec![job(again())], true);
        let waits = stepping.end(&step, now()).record;
        assert_eq!(
            (waits.cursor, waits.state, waits.waits_for.as_deref()),
            (51, BulkState::Running, Some("room"))
        );
        assert!(is_next(&waits, &step));
        let mut stepping = Stepping::new(waits);
        let Act::Replay(of) = stepping.act(&mut dead, &job(again())) else { panic!("it is finished") };
        stepping.replayed(&job(again()), &of);
        let mut done = stepping.end(&step, now()).record;
        assert_eq!((done.cursor, done.state, done.waits_for.as_deref()), (7, BulkState::Done, None));
        assert!(!is_next(&done, &step) && !stop(&mut done, now()));
    }
}
