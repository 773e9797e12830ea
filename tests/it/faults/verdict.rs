//! What a fault has come to, counted again where everything is kept.

use std::{
    collections::{BTreeMap, HashSet},
    thread,
    time::{Duration, Instant},
};

use callboard_testsupport::Database;
use uuid::Uuid;

use super::{
    fleet::{Fleet, SERVERS},
    outsiders::{self, Heard},
    work::Work,
};
use crate::{
    kill_matrix::{load::effects, node::ask},
    server::PATIENCE,
};

/// The events of the old contract, of which a job has each at most once.
const ONCE: [&str; 5] = ["job.created", "job.validated", "job.executed", "job.completed", "job.failed"];

/// Counted over all that was done so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) jobs: usize,
    /// Jobs without a completed attempt, and such as are in no event.
    pub(super) lost: usize,
    /// Jobs with more than one completed attempt, events that are there twice, totals that are not what they count.
    pub(super) doubled: usize,
    /// Attempts after a job's first.
    pub(super) repeated: usize,
    /// Runs of a program after one that was enough: what an outside effect can repeat.
    pub(super) programs: usize,
    pub(super) stale: usize,
    /// Events that came over the broker more often than once.
    pub(super) heard_again: usize,
}

impl Counts {
    pub(super) fn since(self, before: Counts) -> Counts {
        Counts {
            jobs: self.jobs - before.jobs,
            lost: self.lost.saturating_sub(before.lost),
            doubled: self.doubled.saturating_sub(before.doubled),
            repeated: self.repeated.saturating_sub(before.repeated),
            programs: self.programs.saturating_sub(before.programs),
            stale: self.stale.saturating_sub(before.stale),
            heard_again: self.heard_again.saturating_sub(before.heard_again),
        }
    }
}

/// Waits until everything is done and told of everywhere; nobody submits meanwhile.
pub(super) fn settle(work: &Work, fleet: &Fleet<'_>, heard: &Heard) -> Result<(), String> {
    work.ended(&work.jobs())?;
    told(work)?;
    until("all events came over the broker", || {
        let heard = heard.times();
        let missing = work.log.events().iter().filter(|event| !heard.contains_key(&event.id)).count();
        if missing == 0 { Ok(()) } else { Err(format!("{missing} did not")) }
    })?;
    until("Redis has counted all jobs", || {
        let (counted, jobs) = (outsiders::counted(fleet.redis.port()), work.jobs().len() as u64);
        if counted == Some(jobs) { Ok(()) } else { Err(format!("{counted:?} of {jobs}")) }
    })?;
    until("MongoDB has all events", || {
        // It has those of the old contract only.
        let events = work.log.events().iter().filter(|event| ONCE.contains(&&*event.kind)).count() as u64;
        let archived = outsiders::archived(&fleet.mongodb.url())?;
        if archived == events { Ok(()) } else { Err(format!("{archived} of {events}")) }
    })
}

/// Waits until the events tell of all that the totals count.
fn told(work: &Work) -> Result<(), String> {
    const TOTALS: [(&str, &str); 2] = [("totalJobs", "job.created"), ("completedJobs", "job.completed")];
    let address = (0..SERVERS).find_map(|number| work.addresses.of(number)).ok_or("no server is there")?;
    until("the totals are those of the events", || {
        let totals = ask(address, "GET", "/stats", "").ok_or("no answer")?;
        let totals = totals.json();
        let events = work.log.events();
        let count = |kind: &str| events.iter().filter(|event| event.kind == kind).count();
        let same = TOTALS.iter().all(|(total, kind)| totals[*total] == count(kind));
        if same { Ok(()) } else { Err(format!("{totals} and {} events", events.len())) }
    })
}

/// Asks until there is an answer, but not without end.
pub(super) fn until<T>(what: &str, mut done: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let deadline = Instant::now() + 2 * PATIENCE;
    loop {
        match done() {
            Ok(answer) => return Ok(answer),
            Err(why) if Instant::now() > deadline => return Err(format!("waited for this: {what}: {why}")),
            Err(_) => thread::park_timeout(Duration::from_millis(50)),
        }
    }
}

/// Counts all that was done so far.
pub(super) fn count(work: &Work, fleet: &Fleet<'_>, heard: &Heard, problems: &mut Vec<String>) -> Counts {
    let jobs = work.jobs();
    let number = |query: &str| one(&fleet.database, query);
    let stored = number("SELECT count(*) FROM jobs");
    let attempts = number("SELECT count(*) FROM attempts WHERE outcome <> 3");
    let without = number(
        "SELECT count(*) FROM jobs j WHERE NOT EXISTS (SELECT FROM attempts a WHERE a.job = j.id AND a.outcome = 0)",
    );
    let twice = number(
        "SELECT count(*) FROM (SELECT FROM attempts WHERE outcome = 0 GROUP BY job HAVING count(*) > 1) AS twice",
    );
    let mut counts = Counts {
        jobs: jobs.len(),
        lost: without + jobs.len().saturating_sub(stored),
        doubled: twice + stored.saturating_sub(jobs.len()),
        repeated: attempts.saturating_sub(stored),
        stale: fleet.said("came too late"),
        ..Counts::default()
    };
    if counts.lost + counts.doubled > 0 {
        problems.push(format!(
            "{} jobs: {stored} are stored, {without} did not complete, {twice} completed twice",
            jobs.len()
        ));
    }
    let completed = work.log.completed();
    let untold = jobs.iter().filter(|job| !completed.contains(job)).count();
    if untold > 0 {
        counts.lost += untold;
        problems.push(format!("no event says that {untold} jobs have completed"));
    }
    let (mut ids, mut kinds): (HashSet<Uuid>, BTreeMap<(Uuid, String), usize>) = Default::default();
    for event in work.log.events() {
        if !ids.insert(event.id) {
            counts.doubled += 1;
            problems.push(format!("the event {} is there twice", event.id));
        }
        *kinds.entry((event.job, event.kind)).or_default() += 1;
    }
    for ((job, kind), times) in kinds {
        if times > 1 && ONCE.contains(&kind.as_str()) {
            counts.doubled += 1;
            problems.push(format!("{job} has {times} times {kind}"));
        }
    }
    let mut runs: BTreeMap<Uuid, usize> = BTreeMap::new();
    effects(work.folder()).into_iter().for_each(|(job, _)| *runs.entry(job).or_default() += 1);
    counts.programs = runs.values().map(|times| times - 1).sum();
    counts.heard_again = heard.times().values().filter(|times| **times > 1).count();
    problems.extend(work.log.broken());
    counts
}

fn one(database: &Database, query: &str) -> usize {
    database.psql(query).trim().parse().expect("a number")
}
