//! `callboard bench fleet`.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use callboard::{
    client::{Client, JobQuery},
    contracts::{
        Timestamp,
        api::{NodeState, SubmitMany},
    },
};
use clap::{Args, builder::RangedU64ValueParser};
use serde::Serialize;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::{
    super::{
        output::{Failure, Printer},
        progress::Progress,
    },
    machine::Machine,
    schema::Schema,
    server::Folder,
    statistics::{per_second, round},
};

/// What a process says once it can be reached.
const LISTENING: &str = "listening on http://";
/// Jobs of one request.
const BATCH: usize = 1000;
/// How often it is asked how far the fleet is.
const LOOK: Duration = Duration::from_millis(50);
/// How long a fleet may be without any progress.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long before they are due jobs are submitted, and a thousand of them more.
const AHEAD: Duration = Duration::from_secs(3);
const AHEAD_A_BATCH: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(crate) struct FleetArgs {
    /// Workers; several numbers are measured one after the other.
    #[arg(long, default_value = "1,2,4", value_delimiter = ',', value_parser = RangedU64ValueParser::<usize>::new().range(1..=64), value_name = "N,..")]
    workers: Vec<usize>,
    /// How long a job takes that is not a no-op.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=60_000), value_name = "MS")]
    job_ms: u64,
    /// Such jobs.
    #[arg(long, default_value_t = 2000, value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000), value_name = "N")]
    jobs: usize,
    /// No-op jobs; 0: none.
    #[arg(long, default_value_t = 20_000, value_parser = RangedU64ValueParser::<usize>::new().range(0..=1_000_000), value_name = "N")]
    noop_jobs: usize,
    /// Jobs that run at once on each worker.
    #[arg(long, default_value_t = 10, value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000), value_name = "N")]
    concurrency: usize,
    /// The PostgreSQL database: postgres://USER:PASSWORD@HOST:5432/DATABASE. Each part makes a schema of its own there, and
    /// drops it.
    #[arg(long, env = "CALLBOARD_BENCH_POSTGRES", hide_env_values = true, value_name = "URL")]
    postgres: String,
    /// Where the processes' folders are made, and removed again.
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    place: PathBuf,
}

/// What `callboard bench fleet` prints. The names are stable.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FleetReport {
    version: &'static str,
    /// Whether the program was built with optimisations; figures of one that was not mean nothing.
    optimised: bool,
    machine: Machine,
    job_ms: u64,
    /// Jobs that run at once on each worker.
    concurrency: usize,
    sleeping: Vec<Part>,
    no_op: Vec<Part>,
}

/// From the first run's beginning to the last one's end.
#[derive(Clone, Copy, Debug, Serialize)]
struct Part {
    workers: usize,
    jobs: usize,
    seconds: f64,
    jobs_per_second: f64,
    /// Against the first part of its kind.
    times_the_first: f64,
}

/// Runs all parts, one after the other, each with a schema and processes of its own.
pub(super) async fn run(args: &FleetArgs, printer: Printer) -> Result<FleetReport, Failure> {
    let progress = Progress::new(printer, None);
    let machine = {
        let folder = Folder::create(&args.place)?;
        Machine::look(&folder.0).map_err(|error| Failure::failed(format!("the disk: {error}")))?
    };
    let mut sleeping: Vec<Part> = Vec::new();
    let mut no_op: Vec<Part> = Vec::new();
    for &workers in &args.workers {
        for (parts, jobs, job) in [
            (&mut sleeping, args.jobs, json!({ "type": "sleep", "payload": { "ms": args.job_ms } })),
            (&mut no_op, args.noop_jobs, json!({ "type": "noop" })),
        ] {
            if jobs == 0 {
                continue;
            }
            progress.note(format!("runs {jobs} jobs of type {}, workers: {workers}", job["type"]));
            let time = measure(args, workers, jobs, &job).await?;
            let jobs_per_second = per_second(jobs, time);
            let first = parts.first().map_or(jobs_per_second, |first| first.jobs_per_second);
            let times_the_first = round(jobs_per_second / first);
            let seconds = round(time.as_secs_f64());
            parts.push(Part { workers, jobs, seconds, jobs_per_second, times_the_first });
        }
    }
    progress.clear();
    Ok(FleetReport {
        version: env!("CARGO_PKG_VERSION"),
        optimised: !cfg!(debug_assertions),
        machine,
        job_ms: args.job_ms,
        concurrency: args.concurrency,
        sleeping,
        no_op,
    })
}

/// One fleet: a server that runs no jobs, and so many workers. The jobs are there, and the workers too, before any is due.
async fn measure(
    args: &FleetArgs,
    workers: usize,
    jobs: usize,
    job: &serde_json::Value,
) -> Result<Duration, Failure> {
    // Dropped in reverse: the processes first.
    let schema = Schema::new(&args.postgres)?;
    let folder = Folder::create(&args.place)?;
    let start = |name: &str, arguments: Vec<String>| {
        Process::start(args, &schema, &folder, name.to_owned(), arguments)
    };
    let (server, address) =
        start("server", ["serve", "--roles", "gateway,read-model,leader"].map(str::to_owned).into()).await?;
    let client = Client::new(&format!("http://{address}"), None)?;
    let mut fleet = vec![server];
    for number in 0..workers {
        let concurrency = args.concurrency.to_string();
        let arguments = ["worker", "--concurrency", &concurrency].map(str::to_owned).into();
        fleet.push(start(&format!("worker-{number}"), arguments).await?.0);
    }
    until(workers as u64, async || {
        let nodes = client.nodes().await?;
        let ready =
            |node: &&callboard::contracts::api::NodeView| node.capacity > 0 && node.state == NodeState::Ready;
        Ok(nodes.iter().filter(ready).count() as u64)
    })
    .await?;
    let ahead = AHEAD + AHEAD_A_BATCH * u32::try_from(jobs.div_ceil(BATCH)).unwrap_or(u32::MAX);
    let due = Timestamp::now().saturating_add(ahead);
    for first in (0..jobs).step_by(BATCH) {
        let count = BATCH.min(jobs - first);
        let one = || {
            let mut job = job.clone();
            job["id"] = json!(Uuid::now_v7());
            job["scheduled_at"] = json!(due);
            job
        };
        let answer = client.submit_many(SubmitMany { jobs: (0..count).map(|_| one()).collect() }).await?;
        if answer.accepted != count {
            return Err(Failure::failed("the server refused jobs"));
        }
    }
    if Timestamp::now() >= due {
        return Err(Failure::failed("the jobs were due before all were there: measure fewer"));
    }
    until(jobs as u64, async || Ok(client.stats().await?.completed_jobs)).await?;
    let query = JobQuery { limit: Some(1000), ..JobQuery::default() };
    let mut pages = client.job_pages(query);
    let (mut began, mut ended) = (None, None);
    while let Some(page) = pages.next().await? {
        for job in page {
            began = began.into_iter().chain(job.started_at).min();
            ended = ended.into_iter().chain(job.finished_at).max();
        }
    }
    drop(fleet);
    match (began, ended) {
        (Some(began), Some(ended)) => Ok(ended.saturating_since(began)),
        _ => Err(Failure::failed("no job says when it ran")),
    }
}

/// Asks until the number is reached. As long as it grows there is hope.
async fn until(wanted: u64, mut ask: impl AsyncFnMut() -> Result<u64, Failure>) -> Result<(), Failure> {
    let (mut best, mut since) = (0, Instant::now());
    loop {
        let now = ask().await?;
        if now >= wanted {
            return Ok(());
        }
        if now > best {
            (best, since) = (now, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            return Err(Failure::failed(format!("the fleet stands still at {now} of {wanted}")));
        }
        sleep(LOOK).await;
    }
}

/// A process of the fleet, which is dead once this is dropped.
struct Process(Child);

impl Process {
    /// Starts it, and says where it listens.
    async fn start(
        args: &FleetArgs,
        schema: &Schema,
        folder: &Folder,
        name: String,
        arguments: Vec<String>,
    ) -> Result<(Process, String), Failure> {
        let failed = |error: std::io::Error| Failure::failed(format!("{name} cannot be started: {error}"));
        let log = folder.0.join(format!("{name}.log"));
        let child = Command::new(std::env::current_exe().map_err(failed)?)
            .args(arguments)
            .args(["--listen", "127.0.0.1:0", "--set", "store.backend=postgres"])
            .args(["--set", &format!("store.schema={}", schema.name())])
            .args(["--set", &format!("system.node_name={name}")])
            .arg("--data")
            .arg(folder.0.join(&name))
            // Not among the arguments, which everybody on the machine can see.
            .env("CALLBOARD__STORE__URL", &args.postgres)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        let mut process = Process(child);
        let mut said = String::new();
        if let Some(stdout) = process.0.stdout.take() {
            BufReader::new(stdout).read_line(&mut said).await.map_err(failed)?;
        }
        match said.trim().strip_prefix(LISTENING) {
            Some(address) => Ok((process, address.to_owned())),
            None => {
                let log = fs::read_to_string(log).unwrap_or_default();
                Err(Failure::failed(format!("{name} did not start: {}", log.trim())))
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only a dead process writes nothing more into its folder and its schema, which go next.
        let _ = self.0.start_kill();
        let began = std::time::Instant::now();
        while matches!(self.0.try_wait(), Ok(None)) && began.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
