//! `callboard bench unique`.

use std::{
    fmt::Write,
    path::PathBuf,
    time::{Duration, Instant},
};

use callboard::contracts::{Timestamp, api::Unique};
use clap::{Args, builder::RangedU64ValueParser};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    super::{
        output::{Failure, Printer},
        progress::Progress,
    },
    http::{Connection, broken, unexpected},
    machine::Machine,
    server::{DurabilityChoice, Folder, Server},
    statistics::{Percentiles, per_second},
};

/// Jobs of one request that fills the store.
const BATCH: u64 = 1000;
/// When the jobs may run: not while this is measured.
const LATER: Duration = Duration::from_secs(30 * 24 * 3600);

#[derive(Debug, Args)]
pub(crate) struct UniqueArgs {
    /// Unique jobs that wait in the store while it is measured, one after the other; from the fewest on.
    #[arg(long, default_value = "0,10000,100000,1000000", value_delimiter = ',', value_parser = RangedU64ValueParser::<u64>::new().range(..=50_000_000), value_name = "N,..")]
    rows: Vec<u64>,
    /// How many jobs of each kind are submitted, with a request each, one after the other.
    #[arg(long, default_value_t = 1000, value_parser = RangedU64ValueParser::<u64>::new().range(1..=1_000_000), value_name = "N")]
    repeat: u64,
    /// When an answered write is safe: after a power cut, or after the death of the program.
    #[arg(long, value_enum, default_value_t = DurabilityChoice::Full)]
    durability: DurabilityChoice,
    /// Measure on this PostgreSQL database, not on SQLite: postgres://USER:PASSWORD@HOST:5432/DATABASE. A schema is made
    /// there, and dropped.
    #[arg(long, env = "CALLBOARD_BENCH_POSTGRES", hide_env_values = true, value_name = "URL")]
    postgres: Option<String>,
    /// Where the server's folder is made, and removed again.
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    place: PathBuf,
}

/// What `callboard bench unique` prints. The names are stable.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    optimised: bool,
    machine: Machine,
    store: &'static str,
    durability: &'static str,
    steps: Vec<Step>,
}

/// What was measured beside so many waiting unique jobs.
#[derive(Debug, Serialize)]
struct Step {
    /// Unique jobs in the store at the beginning.
    rows: u64,
    /// Unique jobs a second while the store was filled up to there, a thousand in a request; 0 if there was nothing to fill.
    filled_per_second: f64,
    /// A job that does not want to be the only one.
    plain: Submissions,
    /// A job whose place is free.
    free: Submissions,
    /// A job whose place is taken: it is refused.
    taken: Submissions,
}

/// Each with a request, over HTTP on loopback, one after the other, from its sending to its answer.
#[derive(Debug, Serialize)]
struct Submissions {
    requests: usize,
    per_second: f64,
    #[serde(flatten)]
    times: Percentiles,
}

pub(super) async fn run(args: &UniqueArgs, printer: Printer) -> Result<Report, Failure> {
    let progress = Progress::new(printer, None);
    let machine = {
        let folder = Folder::create(&args.place)?;
        Machine::look(&folder.0).map_err(|error| Failure::failed(format!("the disk: {error}")))?
    };
    let server = Server::start(&args.place, args.postgres.as_deref(), 1, args.durability).await?;
    let mut connection = Connection::open(server.address).await.map_err(broken)?;
    let mut counts = args.rows.clone();
    counts.sort_unstable();
    let mut steps = Vec::new();
    let later = Timestamp::now().saturating_add(LATER);
    let mut jobs = Jobs { later, stored: 0, asked: 0, unique: Unique::default() };
    for rows in counts {
        progress.note(format!("fills the store up to {rows} unique jobs"));
        let filled_per_second = jobs.fill(&mut connection, rows).await?;
        let rows = jobs.stored;
        progress.note(format!("submits beside {rows} unique jobs"));
        // Once around before it counts, as what is measured first would pay for what is cold.
        for _ in 0..args.repeat.min(100) {
            jobs.plain(&mut connection).await?;
        }
        let mut times: [Vec<Duration>; 3] = Default::default();
        // In turns, so that what else the machine does falls on all three.
        for _ in 0..args.repeat {
            times[0].push(jobs.plain(&mut connection).await?);
            times[1].push(jobs.free(&mut connection).await?);
            times[2].push(jobs.taken(&mut connection).await?);
        }
        let [plain, free, taken] = times.map(Submissions::of);
        steps.push(Step { rows, filled_per_second, plain, free, taken });
    }
    progress.clear();
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        optimised: !cfg!(debug_assertions),
        machine,
        store: if args.postgres.is_some() { "postgres" } else { "sqlite" },
        durability: args.durability.name(),
        steps,
    })
}

/// What is submitted.
struct Jobs {
    later: Timestamp,
    /// Unique jobs so far: their payloads are counted up.
    stored: u64,
    /// Jobs that were refused.
    asked: u64,
    unique: Unique,
}

impl Jobs {
    fn job(&self, payload: u64, unique: bool) -> Value {
        let mut job = json!({ "type": "sleep", "payload": { "ms": payload }, "scheduled_at": self.later });
        if unique {
            job["unique"] = json!(self.unique);
        }
        job
    }

    /// Unique jobs a second, until there are so many.
    async fn fill(&mut self, connection: &mut Connection, rows: u64) -> Result<f64, Failure> {
        let (first, began) = (self.stored, Instant::now());
        while self.stored < rows {
            let end = rows.min(self.stored + BATCH);
            let mut lines = String::new();
            for payload in self.stored..end {
                let _ = writeln!(lines, "{}", self.job(payload, true));
            }
            let answer = connection.post("/api/v1/jobs/batch", "application/x-ndjson", lines.as_bytes());
            let (status, body) = answer.await.map_err(broken)?;
            let answer: Option<Value> = serde_json::from_slice(body).ok();
            if answer.and_then(|answer| answer["accepted"].as_u64()) != Some(end - self.stored) {
                return Err(unexpected(status, body));
            }
            self.stored = end;
        }
        let filled = usize::try_from(self.stored - first).unwrap_or(usize::MAX);
        Ok(if filled == 0 { 0.0 } else { per_second(filled, began.elapsed()) })
    }

    async fn plain(&self, connection: &mut Connection) -> Result<Duration, Failure> {
        submit(connection, &self.job(self.stored, false), 202).await
    }

    async fn free(&mut self, connection: &mut Connection) -> Result<Duration, Failure> {
        let job = self.job(self.stored, true);
        self.stored += 1;
        submit(connection, &job, 202).await
    }

    /// Of one somewhere in the store.
    async fn taken(&mut self, connection: &mut Connection) -> Result<Duration, Failure> {
        self.asked += 1;
        let somewhere = self.asked.wrapping_mul(7919) % self.stored.max(1);
        submit(connection, &self.job(somewhere, true), 409).await
    }
}

async fn submit(connection: &mut Connection, job: &Value, expected: u16) -> Result<Duration, Failure> {
    let body = job.to_string();
    let sent = Instant::now();
    let (status, body) =
        connection.post("/api/v1/jobs", "application/json", body.as_bytes()).await.map_err(broken)?;
    if status == expected { Ok(sent.elapsed()) } else { Err(unexpected(status, body)) }
}

impl Submissions {
    fn of(times: Vec<Duration>) -> Self {
        let (requests, all) = (times.len(), times.iter().sum());
        Submissions { requests, per_second: per_second(requests, all), times: Percentiles::of(times) }
    }
}
