//! `callboard bench queries`.

mod cases;
mod rows;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use callboard::{contracts::Timestamp, store::Upkeep};
use clap::{Args, builder::RangedU64ValueParser};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    super::{
        output::{Failure, Printer},
        progress::Progress,
    },
    http::{Connection, broken},
    machine::Machine,
    server::{DurabilityChoice, Folder, Ground, Server},
    statistics::{Percentiles, per_second, round},
};
use cases::{PAGE, cases};
use rows::Rows;

/// Pages that a walk through the whole list asks for, evenly spread over it.
const WALK: u64 = 50;

#[derive(Debug, Args)]
pub(crate) struct QueriesArgs {
    /// Jobs that the store is filled with.
    #[arg(long, default_value_t = 1_000_000, value_parser = RangedU64ValueParser::<u64>::new().range(1000..=100_000_000), value_name = "N")]
    rows: u64,
    /// How often each kind of question is asked.
    #[arg(long, default_value_t = 200, value_parser = RangedU64ValueParser::<usize>::new().range(1..=100_000), value_name = "N")]
    repeat: usize,
    /// Fail if the 95th percentile of any kind of question takes longer than this, in milliseconds.
    #[arg(long, value_name = "MS")]
    limit: Option<f64>,
    /// Measure on this PostgreSQL database, not on SQLite: postgres://USER:PASSWORD@HOST:5432/DATABASE. A schema is made
    /// there, and dropped.
    #[arg(long, env = "CALLBOARD_BENCH_POSTGRES", hide_env_values = true, value_name = "URL")]
    postgres: Option<String>,
    /// Where the server's folder is made, and removed again. Ten million jobs take some 5 GB.
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    place: PathBuf,
}

/// What `callboard bench queries` prints. The names are stable.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    optimised: bool,
    machine: Machine,
    store: &'static str,
    rows: u64,
    fill: Fill,
    /// Of a server on the filled store that has nothing to do.
    idle_bytes: u64,
    /// Each over HTTP on loopback, one after the other, from the sending of the request to the end of its answer.
    queries: Vec<Query>,
}

#[derive(Debug, Serialize)]
struct Fill {
    seconds: f64,
    jobs_per_second: f64,
}

#[derive(Debug, Serialize)]
struct Query {
    name: &'static str,
    requests: usize,
    #[serde(flatten)]
    times: Percentiles,
}

/// Fills a store, checks that a server gives the right answers, and measures how long it takes for them.
pub(super) async fn run(args: &QueriesArgs, printer: Printer) -> Result<Report, Failure> {
    let progress = Progress::new(printer, None);
    let machine = {
        let folder = Folder::create(&args.place)?;
        Machine::look(&folder.0).map_err(|error| Failure::failed(format!("the disk: {error}")))?
    };
    let ground = Ground::new(&args.place, args.postgres.as_deref())?;
    let rows = Rows { count: args.rows, now: Timestamp::now() };
    progress.note(format!("fills the store with {} jobs", args.rows));
    let began = Instant::now();
    let settings = ground.settings(args.postgres.as_deref());
    let stop = Stop(Arc::default());
    let stopped = stop.0.clone();
    let filling = tokio::task::spawn_blocking(move || fill(&settings, rows, stopped));
    let totals = filling.await.map_err(|error| Failure::failed(error.to_string()))??;
    let filled = began.elapsed();
    let server = Server::start_on(ground, args.postgres.as_deref(), 1, DurabilityChoice::Full).await?;

    progress.note("checks the answers".to_owned());
    let mut connection = Connection::open(server.address).await.map_err(broken)?;
    check_lists(&mut connection, &rows).await?;
    check_totals(&mut connection, &rows, &totals).await?;

    let mut queries = Vec::new();
    for case in cases() {
        progress.note(format!("asks for jobs by {}", case.name));
        let paths: Vec<String> = case.paths(args.repeat).collect();
        queries.push(measure(&mut connection, case.name, paths).await?);
    }
    progress.note("asks for pages, single jobs and totals".to_owned());
    let deep = walk(&mut connection, args.rows, args.repeat).await?;
    queries.push(measure(&mut connection, "a page anywhere", deep).await?);
    let single = |number: usize| rows.row(number as u64 * 7919 % args.rows).id;
    let jobs = (0..args.repeat).map(|number| format!("/api/v1/jobs/{}", single(number))).collect();
    queries.push(measure(&mut connection, "one job", jobs).await?);
    for (name, path) in [("totals", "/stats"), ("queues", "/api/v1/queues"), ("metrics", "/metrics")] {
        queries.push(measure(&mut connection, name, vec![path.to_owned(); args.repeat]).await?);
    }
    progress.clear();
    if let Some(limit) = args.limit
        && let Some(slow) = queries.iter().find(|query| query.times.p95_ms() > limit)
    {
        let (name, took) = (slow.name, slow.times.p95_ms());
        return Err(Failure::failed(format!("{name}: the 95th percentile is {took} ms, above {limit} ms")));
    }
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        optimised: !cfg!(debug_assertions),
        machine,
        store: if args.postgres.is_some() { "postgres" } else { "sqlite" },
        rows: args.rows,
        fill: Fill {
            seconds: round(filled.as_secs_f64()),
            jobs_per_second: per_second(usize::try_from(args.rows).unwrap_or(usize::MAX), filled),
        },
        idle_bytes: server.memory(),
        queries,
    })
}

/// Stops the filling, which blocks a thread, when nobody waits for it any more.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

type Totals = std::collections::BTreeMap<(&'static str, callboard::contracts::JobState), u64>;

/// Through the same door as any other export, so that the rows are what the store itself would have written.
fn fill(
    settings: &callboard::config::Settings,
    rows: Rows,
    stopped: Arc<AtomicBool>,
) -> Result<Totals, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::failed(format!("the store cannot be filled: {error}"));
    let upkeep = Upkeep::new(settings).map_err(|error| failed(&error))?;
    let head = {
        // What an export begins with is for the store to say.
        let folder = Folder::create(&settings.data.dir)?;
        let mut empty = settings.clone();
        empty.data.dir = folder.0.clone();
        empty.store.backend = callboard::config::StoreBackend::Sqlite;
        empty.store.url = None;
        let empty = Upkeep::new(&empty).map_err(|error| failed(&error))?;
        empty.migrate().map_err(|error| failed(&error))?;
        let mut lines = Vec::new();
        empty.export(false, &mut lines, &mut |_| {}).map_err(|error| failed(&error))?;
        let first = lines.split(|byte| *byte == b'\n').next().unwrap_or_default();
        serde_json::from_slice::<Value>(first).map_err(|error| failed(&error))?
    };
    let totals = rows.totals();
    let counts = upkeep
        .import(&mut rows.export(&head, &totals, stopped), &mut |_| {})
        .map_err(|error| failed(&error))?;
    if counts.jobs != rows.count {
        return Err(failed(&format!("{} jobs of {} are there", counts.jobs, rows.count)));
    }
    Ok(totals)
}

async fn get(connection: &mut Connection, path: &str) -> Result<Value, Failure> {
    let (status, body) = connection.get(path).await.map_err(broken)?;
    match serde_json::from_slice(body) {
        Ok(body) if status == 200 => Ok(body),
        _ => Err(wrong(path, &format!("it is answered {status}: {}", String::from_utf8_lossy(body)))),
    }
}

fn wrong(path: &str, what: &str) -> Failure {
    let what: String = what.chars().take(1000).collect();
    Failure::failed(format!("GET {path}: {what}"))
}

/// Every list begins with the jobs that it must.
async fn check_lists(connection: &mut Connection, rows: &Rows) -> Result<(), Failure> {
    for case in cases() {
        for (path, expected) in case.answers(rows) {
            let list = get(connection, &path).await?;
            let found: Option<Vec<Uuid>> = list["jobs"].as_array().map(|jobs| {
                jobs.iter().filter_map(|job| Uuid::try_parse(job["id"].as_str()?).ok()).collect()
            });
            if found.as_ref() != Some(&expected) {
                return Err(wrong(&path, &format!("there are {found:?}, and not {expected:?}")));
            }
        }
    }
    Ok(())
}

async fn check_totals(connection: &mut Connection, rows: &Rows, totals: &Totals) -> Result<(), Failure> {
    let stats = get(connection, "/stats").await?;
    let of = |wanted: &dyn Fn(callboard::contracts::JobState) -> bool| -> u64 {
        totals.iter().filter(|((_, state), _)| wanted(*state)).map(|(_, count)| count).sum()
    };
    let completed = of(&|state| state == callboard::contracts::JobState::Completed);
    let failed = of(&|state| state.is_final()) - completed;
    if (&stats["completedJobs"], &stats["failedJobs"]) != (&completed.into(), &failed.into()) {
        return Err(wrong("/stats", &format!("{stats}, and not {completed} and {failed}")));
    }
    let queues = get(connection, "/api/v1/queues").await?;
    for ((queue, state), count) in totals {
        let found = queues["queues"].as_array().or(queues.as_array());
        let found = found.and_then(|all| all.iter().find(|found| found["name"] == *queue));
        if found.map(|found| &found[state.as_str()]) != Some(&Value::from(*count)) {
            return Err(wrong("/api/v1/queues", &format!("{queue} has not {count} jobs {state}: {queues}")));
        }
    }
    let last = rows.row(rows.count - 1);
    let place = format!("/api/v1/jobs/{}", last.id);
    let job = get(connection, &place).await?;
    if job["state"] != last.state.as_str() || job["queue"] != last.queue {
        return Err(wrong(&place, &job.to_string()));
    }
    Ok(())
}

/// Paths of pages that are spread over the whole list, by cursors as the list itself gives them.
async fn walk(connection: &mut Connection, rows: u64, count: usize) -> Result<Vec<String>, Failure> {
    let first = get(connection, &format!("/api/v1/jobs?limit={PAGE}")).await?;
    let newest = first["next_cursor"].as_str().and_then(|cursor| cursor.parse::<u64>().ok());
    // A cursor is the place of the page's last job.
    let newest = newest.filter(|at| at.abs_diff(rows) <= rows.min(PAGE as u64 + 1));
    let newest = newest.ok_or_else(|| wrong("/api/v1/jobs", "its cursor is no place among the jobs"))?;
    let places = (1..=WALK).map(|part| (newest * part / WALK).max(1)).rev();
    let paths: Vec<String> = places.map(|at| format!("/api/v1/jobs?limit={PAGE}&cursor={at}")).collect();
    Ok(paths.into_iter().cycle().take(count).collect())
}

async fn measure(
    connection: &mut Connection,
    name: &'static str,
    paths: Vec<String>,
) -> Result<Query, Failure> {
    let mut times: Vec<Duration> = Vec::with_capacity(paths.len());
    for path in &paths {
        let sent = Instant::now();
        let (status, body) = connection.get(path).await.map_err(broken)?;
        times.push(sent.elapsed());
        if status != 200 {
            return Err(wrong(path, &format!("it is answered {status}: {}", String::from_utf8_lossy(body))));
        }
    }
    Ok(Query { name, requests: paths.len(), times: Percentiles::of(times) })
}
