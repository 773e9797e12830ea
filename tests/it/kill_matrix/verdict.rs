//! What is left when the work is done, counted again from its parts.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use uuid::Uuid;

use super::{
    load::{self, Kind, LoadJob},
    log::{Event, Log},
    node::ask,
    play::Case,
};
use crate::server::PATIENCE;

/// What a case has come to.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) case: Case,
    /// Jobs that were submitted.
    pub(super) jobs: usize,
    /// Processes that were started.
    pub(super) lives: u64,
    /// Requests that were not answered, and sent again where that makes no second job.
    pub(super) asked: u64,
    /// Attempts of all jobs.
    pub(super) attempts: usize,
    /// Runs of a job's program after one that would have been enough: what an outside effect can repeat.
    pub(super) repeated: usize,
    /// Jobs without their end.
    pub(super) lost: usize,
    /// Results, events and totals that are there more often than once.
    pub(super) doubled: usize,
    /// Writes that came after their lease, and were refused.
    pub(super) stale: u64,
    /// Processes that outlived their server.
    pub(super) orphans: usize,
    /// All that is not as promised.
    pub(super) problems: Vec<String>,
}

impl Row {
    fn new(case: Case) -> Row {
        Row {
            case,
            jobs: 0,
            lives: 0,
            asked: 0,
            attempts: 0,
            repeated: 0,
            lost: 0,
            doubled: 0,
            stale: 0,
            orphans: 0,
            problems: Vec::new(),
        }
    }

    pub(super) fn failed(case: Case, problem: String) -> Row {
        Row { problems: vec![problem], ..Row::new(case) }
    }

    /// Whether everything is as promised.
    pub(super) fn holds(&self) -> bool {
        self.problems.is_empty() && self.lost == 0 && self.doubled == 0 && self.orphans == 0
    }
}

/// What the totals are called, and the events that they count.
const TOTALS: [(&str, &str); 3] =
    [("totalJobs", "job.created"), ("completedJobs", "job.completed"), ("failedJobs", "job.failed")];

/// The states of jobs that have not ended.
const UNENDED: [&str; 5] = ["pending", "scheduled", "available", "executing", "retryable"];

/// Waits until no job waits or runs, the log tells of all that the totals count, and every job has ended: a request that was not
/// answered may have been carried out, and later than any that was.
pub(super) fn settle(
    address: SocketAddr,
    log: &Log,
    all_have_ended: impl Fn(&[Event]) -> bool,
) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Asked first: what is stored, and not told of yet, is seen here.
        let queues = ask(address, "GET", "/api/v1/queues", "").map(|answer| answer.json());
        let at_rest = queues.is_some_and(|queues| {
            let counts =
                queues.as_array().into_iter().flatten().flat_map(|queue| UNENDED.map(|state| &queue[state]));
            counts.into_iter().all(|count| *count == 0)
        });
        let totals = ask(address, "GET", "/stats", "").map(|answer| answer.json()).unwrap_or_default();
        let events = log.events();
        let count = |kind: &str| events.iter().filter(|event| event.kind == kind).count();
        if at_rest
            && all_have_ended(&events)
            && TOTALS.iter().all(|(total, kind)| totals[*total] == count(kind))
        {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("the totals are not those of the {} events: {totals}", events.len()));
        }
        thread::park_timeout(Duration::from_millis(10));
    }
}

/// Judges a case whose jobs have all ended. An error when somebody does not answer.
pub(super) fn judge(
    case: Case,
    address: SocketAddr,
    log: &Log,
    submitted: &[LoadJob],
    folder: &Path,
) -> Result<Row, String> {
    let mut row = Row { jobs: submitted.len(), ..Row::new(case) };
    let get = |path: &str| ask(address, "GET", path, "").ok_or_else(|| format!("{path}: no answer"));
    let events = log.events();
    let effects = load::effects(folder);
    let mut created: BTreeSet<Uuid> = submitted.iter().map(|job| job.id).collect();
    created.extend(events.iter().map(|event| event.job));

    events_happened_once(&events, &mut row);
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    for id in &created {
        let kind = submitted.iter().find(|job| job.id == *id).map(|job| job.kind);
        let answer = get(&format!("/api/v1/jobs/{id}"))?;
        if answer.status == 404 && kind == Some(Kind::Endless) && case.failpoint.name.starts_with("prune") {
            // It is deleted, and counted for good.
            *ends.entry("cancelled".to_owned()).or_default() += 1;
            continue;
        }
        let job = answer.json();
        let state = job["state"].as_str().unwrap_or("none").to_owned();
        // What is run again is a dead job, which dies again.
        let expected = kind.map_or("discarded", Kind::end);
        if state != expected {
            row.lost += 1;
            row.problems.push(format!("{kind:?} is {state} and not {expected}: {job}"));
        }
        *ends.entry(state).or_default() += 1;
        let runs = effects.iter().filter(|(job, _)| job == id);
        let runs: Vec<u64> = runs.map(|(_, attempt)| *attempt).collect();
        one_job(*id, kind, &job, &runs, &mut row);
    }

    let totals = get("/stats")?.json();
    let count = |kind: &str| events.iter().filter(|event| event.kind == kind).count();
    for (total, kind) in TOTALS {
        if totals[total] != count(kind) {
            row.doubled += 1;
            row.problems.push(format!("{total} is not the {} events {kind}: {totals}", count(kind)));
        }
    }
    let queues = get("/api/v1/queues")?.json();
    for state in
        ["pending", "scheduled", "available", "executing", "retryable", "completed", "cancelled", "discarded"]
    {
        let queues = queues.as_array().into_iter().flatten();
        let total: u64 = queues.map(|queue| queue[state].as_u64().unwrap_or(0)).sum();
        let counted = ends.get(state).copied().unwrap_or(0);
        if total != counted {
            row.doubled += 1;
            row.problems.push(format!("{total} jobs are said to be {state}, and {counted} are"));
        }
    }
    Ok(row)
}

/// Contract events at most once each, an end exactly once and last, no event twice.
fn events_happened_once(events: &[Event], row: &mut Row) {
    let mut ids = BTreeSet::new();
    let mut by_job: BTreeMap<Uuid, Vec<&str>> = BTreeMap::new();
    for event in events {
        if !ids.insert(event.id) {
            row.doubled += 1;
            row.problems.push(format!("the event {} is there twice", event.id));
        }
        by_job.entry(event.job).or_default().push(&event.kind);
    }
    for (job, kinds) in by_job {
        for kind in ["job.created", "job.validated", "job.executed", "job.completed", "job.failed"] {
            let times = kinds.iter().filter(|one| **one == kind).count();
            if times > 1 {
                row.doubled += 1;
                row.problems.push(format!("{job} has {times} times {kind}: {kinds:?}"));
            }
        }
        let ends = |kind: &&str| matches!(*kind, "job.completed" | "job.failed");
        if kinds.first() != Some(&"job.created") || kinds.iter().position(ends) != Some(kinds.len() - 1) {
            row.problems
                .push(format!("{job} does not begin with its creation and end with its end: {kinds:?}"));
        }
    }
}

/// A job as it is kept: its attempts, its result, and the runs of its program.
fn one_job(id: Uuid, kind: Option<Kind>, job: &Value, runs: &[u64], row: &mut Row) {
    let attempts: Vec<&Value> = job["attempts"].as_array().into_iter().flatten().collect();
    row.attempts += attempts.len();
    let outcomes = |outcome: &str| attempts.iter().filter(|attempt| attempt["outcome"] == outcome).count();
    let completed = outcomes("completed");
    if completed > 1 || (kind.is_some_and(|kind| kind.end() == "completed") && completed != 1) {
        row.doubled += 1;
        row.problems.push(format!("{id} has completed {completed} times: {job}"));
    }
    // Attempts that were handed back do not count.
    let counted = attempts.len() - outcomes("released");
    let ran = !(attempts.is_empty() && job["state"] == "cancelled");
    if ran && job["attempt"].as_u64() != Some(counted as u64) {
        row.problems.push(format!("{id} does not have {counted} attempts: {job}"));
    }
    if kind == Some(Kind::Noop) {
        return;
    }
    let needed = if kind == Some(Kind::Flaky) { 2 } else { 1 };
    row.repeated += runs.len().saturating_sub(needed);
    for attempt in runs.iter().collect::<BTreeSet<_>>() {
        let times = runs.iter().filter(|run| *run == attempt).count();
        let known = attempts.iter().filter(|one| one["attempt"] == *attempt).count();
        if times > known {
            row.problems.push(format!(
                "{id} ran {times} times as its attempt {attempt}, of which {known} are known: {job}"
            ));
        }
    }
    if completed == 1 && (runs.is_empty() || job["result"]["exit_code"] != 0) {
        row.problems.push(format!("{id} is completed without its run or its result: {job}"));
    }
}
