//! The database is away while three servers work on it: nobody is rescued wrongly, nothing is lost or run twice, and work
//! flows again soon after its return.
//!
//! The short form is away for some seconds with leases to match; `scripts/outage` does it for a minute with the defaults,
//! and writes the table in `docs/job-semantics.md` with `--update`.

use std::{
    collections::{BTreeMap, HashMap},
    thread,
    time::{Duration, Instant},
};

use callboard_testsupport::{Database, PrivatePostgres, Weather, Wire};
use rustix::process::Signal;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    faults::work::{Work, sleep},
    kill_matrix::{
        load::effects,
        node::{Node, ask},
        table,
    },
    server::callboard,
};

const BEGIN: &str = "<!-- outages: begin (scripts/outage --update) -->";
const END: &str = "<!-- outages: end -->";
/// Within this time of the database's return every server must have done work again.
const FLOWS_WITHIN: Duration = Duration::from_secs(10);
const NODES: usize = 3;

/// How the database is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Away {
    Stopped,
    Killed,
    Frozen,
    Cut,
    Dropped,
}

impl Away {
    const ALL: [Away; 5] = [Away::Stopped, Away::Killed, Away::Frozen, Away::Cut, Away::Dropped];

    fn words(self) -> &'static str {
        match self {
            Away::Stopped => "stopped in good order, and started",
            Away::Killed => "killed as by a power cut, and started",
            Away::Frozen => "frozen: connections stay open and nothing answers",
            Away::Cut => "cut off: connections break, and new ones are refused",
            Away::Dropped => "there, but every connection is dropped again and again",
        }
    }
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
struct Times {
    away: Duration,
    settings: &'static [&'static str],
}

const SHORT: Times = Times {
    away: Duration::from_secs(5),
    settings: &[
        "rescuer.session_ttl=2s",
        "rescuer.heartbeat=300ms",
        "rescuer.interval=300ms",
        "store.connect_timeout=1s",
        "store.busy_timeout=1s",
        "store.statement_timeout=2s",
        "store.write_timeout=3s",
    ],
};
/// With the defaults of the server.
const MINUTE: Times = Times { away: Duration::from_secs(60), settings: &[] };

/// What an outage has come to.
#[derive(Debug)]
struct Outcome {
    away: Away,
    time: Duration,
    jobs: usize,
    /// Until a job that was submitted after the return had ended, through each server.
    flowing: Duration,
    attempts: usize,
    problems: Vec<String>,
}

fn start(work: &Work, number: usize, url: &str, times: Times) -> Node {
    let mut command = callboard();
    command.args(["serve", "--data"]).arg(work.folder().join(format!("data-{number}")));
    command.args(["--allow-program", "sh", "--set", &format!("system.node_name=node-{number}")]);
    for setting in ["store.backend=postgres", "queue_defaults.concurrency=16"].iter().chain(times.settings) {
        command.args(["--set", setting]);
    }
    command.env("CALLBOARD__STORE__URL", url);
    Node::start(number, &work.addresses, command, &work.log_of(number))
}

/// Plays one outage.
fn play(away: Away, times: Times) -> Outcome {
    let work = Work::new(NODES);
    let played = work.while_followed(|scope| act(&work, scope, away, times));
    let mut outcome = played.unwrap_or_else(|problem| Outcome {
        away,
        time: times.away,
        jobs: 0,
        flowing: Duration::ZERO,
        attempts: 0,
        problems: vec![problem],
    });
    outcome.problems.extend(work.log.broken());
    if !outcome.problems.is_empty() {
        for number in 0..NODES {
            let log = work.said_by(number);
            let last: Vec<&str> = log.lines().rev().take(40).collect();
            println!("{away:?}: the end of the log of server {number}, newest first:\n{}", last.join("\n"));
        }
    }
    outcome
}

fn act<'s>(
    work: &'s Work,
    scope: &'s thread::Scope<'s, '_>,
    away: Away,
    times: Times,
) -> Result<Outcome, String> {
    let mut postgres = PrivatePostgres::start();
    let database = postgres.database();
    let wire = Wire::to(postgres.port());
    let url = format!("postgres://callboard@{}/{}", wire.address(), database.name());
    let mut nodes: Vec<Node> = (0..NODES).map(|number| start(work, number, &url, times)).collect();
    for node in &mut nodes {
        node.serving()?;
    }
    // Some run from before the outage into it, and some over it.
    let long = [times.away / 2, times.away + Duration::from_secs(2)];
    let long: Vec<Value> = (0..NODES).flat_map(|_| long.map(sleep)).collect();
    work.submit(0, &long)?;
    let busy: Vec<_> = (0..NODES).map(|number| scope.spawn(move || work.keep_busy(number))).collect();
    work.log.until("the work is under way", |events| {
        let begun = |job: &Value| {
            let id = job["id"].as_str().and_then(|id| Uuid::try_parse(id).ok());
            events.iter().any(|event| Some(event.job) == id && event.kind == "job.executed")
        };
        (events.len() > 500 && long.iter().all(begun)).then_some(())
    })?;

    be_away(away, times.away, &mut postgres, &database, &wire);
    let returned = Instant::now();
    for number in 0..NODES {
        work.flows_through(number)?;
    }
    let flowing = returned.elapsed();
    work.end();
    for busy in busy {
        busy.join().map_err(|_| "whoever submits has panicked".to_owned())??;
    }
    let jobs = work.jobs();
    work.ended(&jobs)?;

    let mut outcome =
        Outcome { away, time: times.away, jobs: jobs.len(), flowing, attempts: 0, problems: Vec::new() };
    if flowing > FLOWS_WITHIN {
        outcome.problems.push(format!("work flowed only {flowing:?} after the return"));
    }
    judge(work, &jobs, &mut outcome)?;
    for (number, node) in nodes.iter_mut().enumerate() {
        node.signal(Signal::TERM);
        let status = node.end()?;
        if !status.success() {
            outcome.problems.push(format!("the orderly stop of server {number} ended with {status}"));
        }
    }
    for number in 0..NODES {
        let log = work.said_by(number);
        for word in ["a dead node's attempts were ended", "was taken for dead", "came too late"] {
            if log.contains(word) {
                outcome.problems.push(format!("the log of server {number} says: {word}"));
            }
        }
    }
    Ok(outcome)
}

fn be_away(away: Away, time: Duration, postgres: &mut PrivatePostgres, database: &Database, wire: &Wire) {
    let until = Instant::now() + time;
    // The fault is this very time.
    let pass = || thread::sleep(until.saturating_duration_since(Instant::now()));
    match away {
        Away::Stopped => {
            postgres.stop();
            pass();
            postgres.start_again();
        }
        Away::Killed => {
            postgres.kill();
            pass();
            postgres.start_again();
        }
        Away::Frozen => {
            postgres.freeze();
            pass();
            postgres.thaw();
        }
        Away::Cut => {
            wire.set(Weather { cut: true, ..Weather::default() });
            pass();
            wire.set(Weather::default());
        }
        Away::Dropped => {
            while Instant::now() < until {
                database.disconnect_all();
                thread::sleep(Duration::from_millis(200));
            }
        }
    }
}

/// Each job has one attempt, which has completed; each program has run once; each event is there once.
fn judge(work: &Work, jobs: &[Uuid], outcome: &mut Outcome) -> Result<(), String> {
    let address = work.addresses.of(0).ok_or("server 0 is gone")?;
    let mut runs: HashMap<Uuid, usize> = HashMap::new();
    effects(work.folder()).into_iter().for_each(|(job, _)| *runs.entry(job).or_default() += 1);
    for id in jobs {
        let path = format!("/api/v1/jobs/{id}");
        let job = ask(address, "GET", &path, "").ok_or_else(|| format!("{path}: no answer"))?.json();
        let attempts = job["attempts"].as_array().map_or(0, Vec::len);
        outcome.attempts += attempts;
        let once = job["type"] != "command" || runs.get(id) == Some(&1);
        if job["state"] != "completed" || attempts != 1 || !once {
            outcome.problems.push(format!("ran {:?} times: {job}", runs.get(id)));
        }
    }
    let mut kinds: BTreeMap<(Uuid, String), usize> = BTreeMap::new();
    for event in work.log.events() {
        *kinds.entry((event.job, event.kind)).or_default() += 1;
    }
    let doubled = kinds.iter().filter(|(_, count)| **count > 1);
    outcome.problems.extend(doubled.map(|((job, kind), count)| format!("{job} has {count} times {kind}")));
    Ok(())
}

fn prove(times: Times, kinds: &[Away]) -> Vec<Outcome> {
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let played: Vec<_> = kinds.iter().map(|away| scope.spawn(move || play(*away, times))).collect();
        played.into_iter().map(|played| played.join().expect("no panic")).collect()
    });
    println!("{}", markdown(&outcomes));
    let broken: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.problems.is_empty()).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    outcomes
}

fn markdown(outcomes: &[Outcome]) -> String {
    let mut text = "| the database was | for | jobs | attempts | lost, rescued wrongly, or run twice | all servers at work again after |\n\
                    |---|--:|--:|--:|--:|--:|\n"
        .to_owned();
    for Outcome { away, time, jobs, flowing, attempts, problems } in outcomes {
        text.push_str(&format!(
            "| {} | {} s | {jobs} | {attempts} | {} | {:.1} s |\n",
            away.words(),
            time.as_secs(),
            problems.len(),
            flowing.as_secs_f64()
        ));
    }
    text
}

#[test]
fn the_database_is_away_and_nothing_is_lost_or_rescued_wrongly() {
    prove(SHORT, &Away::ALL);
}

/// `UPDATE_DOCS=1` writes the table.
#[test]
#[ignore = "minutes long: scripts/outage"]
fn the_database_is_away_for_a_minute() {
    let outcomes = prove(MINUTE, &Away::ALL);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        table::write("docs/job-semantics.md", BEGIN, &markdown(&outcomes), END);
    }
}
