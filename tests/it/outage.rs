//! The database is away while three servers work on it: nobody is rescued wrongly, nothing is lost or run twice, and work
//! flows again soon after its return.
//!
//! The short form is away for some seconds with leases to match; `scripts/outage` does it for a minute with the defaults,
//! and writes the table in `docs/job-semantics.md` with `--update`.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use callboard_testsupport::{Database, PrivatePostgres};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    kill_matrix::{
        load::effects,
        log::Log,
        node::{Addresses, Node, ask},
        table,
    },
    server::PATIENCE,
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

/// Passes connections on to the database until they are cut.
struct Wire {
    address: SocketAddr,
    cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    over: Arc<AtomicBool>,
}

impl Wire {
    fn to(port: u16) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let wire = Wire { address, cut: Arc::default(), open: Arc::default(), over: Arc::default() };
        let (cut, open, over) = (wire.cut.clone(), wire.open.clone(), wire.over.clone());
        thread::spawn(move || {
            for client in listener.incoming() {
                if over.load(SeqCst) {
                    return;
                }
                let (false, Ok(client)) = (cut.load(SeqCst), client) else { continue };
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
                    thread::spawn(move || pass_on(from, to));
                }
                open.lock().expect("no panic").extend([client, server]);
            }
        });
        wire
    }

    fn cut(&self, cut: bool) {
        self.cut.store(cut, SeqCst);
        for stream in self.open.lock().expect("no panic").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        self.cut(true);
        // Wakes whoever accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16 * 1024];
    let mut pass = || -> io::Result<usize> {
        let read = from.read(&mut bytes)?;
        to.write_all(&bytes[..read])?;
        Ok(read)
    };
    while matches!(pass(), Ok(1..)) {}
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// Three servers on a database, and whoever keeps them busy.
struct Fleet {
    folder: TempDir,
    addresses: Addresses,
    log: Log,
    /// Every job that was submitted, or is about to be.
    jobs: Mutex<Vec<Uuid>>,
    over: AtomicBool,
}

impl Fleet {
    fn start(&self, number: usize, url: &str, times: Times) -> Node {
        let name = format!("system.node_name=node-{number}");
        let data = self.folder.path().join(format!("data-{number}")).display().to_string();
        let mut arguments = vec!["--data".to_owned(), data, "--allow-program".to_owned(), "sh".to_owned()];
        let ours = ["store.backend=postgres", "queue_defaults.concurrency=16", &name];
        for setting in ours.iter().chain(times.settings) {
            arguments.extend(["--set".to_owned(), (*setting).to_owned()]);
        }
        let environment = [("CALLBOARD__STORE__URL".to_owned(), url.to_owned())];
        Node::start(number, &self.addresses, &arguments, &environment, &self.log_of(number))
    }

    fn log_of(&self, number: usize) -> std::path::PathBuf {
        self.folder.path().join(format!("{number}.log"))
    }

    /// Submits these through one server, again and again until they are accepted.
    fn submit(&self, number: usize, jobs: &[Value]) -> Result<(), String> {
        let ids = jobs.iter().filter_map(|job| Uuid::try_parse(job["id"].as_str()?).ok());
        self.jobs.lock().expect("no panic").extend(ids);
        let body = json!({ "jobs": jobs }).to_string();
        let deadline = Instant::now() + 2 * PATIENCE;
        while Instant::now() < deadline {
            let answer = self
                .addresses
                .of(number)
                .and_then(|address| ask(address, "POST", "/api/v1/jobs/batch", &body));
            if answer.is_some_and(|answer| answer.status == 200 && answer.json()["refused"] == 0) {
                return Ok(());
            }
            thread::park_timeout(Duration::from_millis(50));
        }
        Err(format!("server {number} has not accepted jobs within {:?}", 2 * PATIENCE))
    }

    /// Keeps one server busy until it is over.
    fn keep_busy(&self, number: usize) -> Result<(), String> {
        while !self.over.load(SeqCst) {
            self.submit(
                number,
                &[noop(), noop(), sleep(Duration::from_millis(30)), program(self.folder.path())],
            )?;
            // The load: not as fast as it goes.
            thread::park_timeout(Duration::from_millis(100));
        }
        Ok(())
    }

    fn ended(&self, ids: &[Uuid]) -> Result<(), String> {
        self.log.until("jobs have ended", |events| {
            let ended: HashSet<Uuid> =
                events.iter().filter(|event| event.kind == "job.completed").map(|event| event.job).collect();
            ids.iter().all(|id| ended.contains(id)).then_some(())
        })
    }
}

fn noop() -> Value {
    json!({ "id": Uuid::now_v7(), "type": "noop" })
}

fn sleep(time: Duration) -> Value {
    json!({ "id": Uuid::now_v7(), "type": "sleep", "payload": { "ms": time.as_millis() as u64 } })
}

/// Leaves a line that nobody can take back.
fn program(folder: &Path) -> Value {
    let script = r#"echo "$CALLBOARD_JOB_ID $CALLBOARD_ATTEMPT" >> "$1/effects""#;
    json!({
        "id": Uuid::now_v7(), "type": "command",
        "payload": { "program": "sh", "args": ["-c", script, "sh", folder] },
    })
}

/// Plays one outage.
fn play(away: Away, times: Times) -> Outcome {
    let fleet = Fleet {
        folder: TempDir::new().expect("a folder"),
        addresses: Addresses::default(),
        log: Log::default(),
        jobs: Mutex::default(),
        over: AtomicBool::new(false),
    };
    let played = thread::scope(|scope| {
        let done = Done(&fleet);
        let mut turn = 0;
        let fleet = done.0;
        scope.spawn(move || {
            fleet.log.follow(|| {
                turn += 1;
                fleet.addresses.of(turn % NODES)
            });
        });
        act(fleet, scope, away, times)
    });
    let mut outcome = played.unwrap_or_else(|problem| Outcome {
        away,
        time: times.away,
        jobs: 0,
        flowing: Duration::ZERO,
        attempts: 0,
        problems: vec![problem],
    });
    outcome.problems.extend(fleet.log.broken());
    if !outcome.problems.is_empty() {
        for number in 0..NODES {
            let log = fs::read_to_string(fleet.log_of(number)).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(40).collect();
            println!("{away:?}: the end of the log of server {number}, newest first:\n{}", last.join("\n"));
        }
    }
    outcome
}

/// Ends what goes on beside, whatever happens.
struct Done<'f>(&'f Fleet);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, SeqCst);
        self.0.log.close();
    }
}

fn act<'s>(
    fleet: &'s Fleet,
    scope: &'s thread::Scope<'s, '_>,
    away: Away,
    times: Times,
) -> Result<Outcome, String> {
    let mut postgres = PrivatePostgres::start();
    let database = postgres.database();
    let wire = Wire::to(postgres.port());
    let url = format!("postgres://callboard@{}/{}", wire.address, database.name());
    let mut nodes: Vec<Node> = (0..NODES).map(|number| fleet.start(number, &url, times)).collect();
    for node in &mut nodes {
        node.serving()?;
    }
    // Some run from before the outage into it, and some over it.
    let long = [times.away / 2, times.away + Duration::from_secs(2)];
    let long: Vec<Value> = (0..NODES).flat_map(|_| long.map(sleep)).collect();
    fleet.submit(0, &long)?;
    let busy: Vec<_> = (0..NODES).map(|number| scope.spawn(move || fleet.keep_busy(number))).collect();
    fleet.log.until("the work is under way", |events| {
        let begun = |job: &Value| {
            let id = job["id"].as_str().and_then(|id| Uuid::try_parse(id).ok());
            events.iter().any(|event| Some(event.job) == id && event.kind == "job.executed")
        };
        (events.len() > 500 && long.iter().all(begun)).then_some(())
    })?;

    be_away(away, times.away, &mut postgres, &database, &wire);
    let returned = Instant::now();
    for number in 0..NODES {
        let fresh = [noop(), program(fleet.folder.path())];
        fleet.submit(number, &fresh)?;
        let ids: Vec<Uuid> =
            fresh.iter().filter_map(|job| Uuid::try_parse(job["id"].as_str()?).ok()).collect();
        fleet.ended(&ids)?;
    }
    let flowing = returned.elapsed();
    fleet.over.store(true, SeqCst);
    for busy in busy {
        busy.join().map_err(|_| "whoever submits has panicked".to_owned())??;
    }
    let jobs = fleet.jobs.lock().expect("no panic").clone();
    fleet.ended(&jobs)?;

    let mut outcome =
        Outcome { away, time: times.away, jobs: jobs.len(), flowing, attempts: 0, problems: Vec::new() };
    if flowing > FLOWS_WITHIN {
        outcome.problems.push(format!("work flowed only {flowing:?} after the return"));
    }
    judge(fleet, &jobs, &mut outcome)?;
    for (number, node) in nodes.iter_mut().enumerate() {
        node.signal(Signal::TERM);
        let status = node.end()?;
        if !status.success() {
            outcome.problems.push(format!("the orderly stop of server {number} ended with {status}"));
        }
    }
    for number in 0..NODES {
        let log = fs::read_to_string(fleet.log_of(number)).unwrap_or_default();
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
            wire.cut(true);
            pass();
            wire.cut(false);
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
fn judge(fleet: &Fleet, jobs: &[Uuid], outcome: &mut Outcome) -> Result<(), String> {
    let address = fleet.addresses.of(0).ok_or("server 0 is gone")?;
    let mut runs: HashMap<Uuid, usize> = HashMap::new();
    effects(fleet.folder.path()).into_iter().for_each(|(job, _)| *runs.entry(job).or_default() += 1);
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
    for event in fleet.log.events() {
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
        table::write(BEGIN, &markdown(&outcomes), END);
    }
}
