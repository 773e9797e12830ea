//! `callboard bench jobs`.

use std::{
    collections::HashMap,
    fmt::Write,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use callboard::{
    client::{Client, EventQuery, StreamItem},
    contracts::{
        EventType, Timestamp,
        api::{LogCursor, SubmitJob},
    },
};
use clap::{Args, builder::RangedU64ValueParser};
use serde::Deserialize;
use serde_json::json;
use tokio::{task::JoinSet, time::timeout};
use uuid::Uuid;

use super::{
    super::{
        output::{Failure, Printer},
        progress::Progress,
    },
    continuous,
    http::{Connection, broken, unexpected},
    machine::Machine,
    probe::{Probe, monotonic},
    report::{Drain, Enqueue, Memory, Post, Report, StartLatency},
    server::{DurabilityChoice, Folder, Server},
    statistics::{Percentiles, per_second, round},
};

/// Jobs of one request of the bulk part.
const BATCH: usize = 1000;
/// Connections of the bulk part.
const BULK_CONNECTIONS: usize = 4;
/// How often a server is asked how far it is.
const LOOK: Duration = Duration::from_millis(5);
/// How long a server may be without any progress.
const PATIENCE: Duration = Duration::from_secs(60);

fn count() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=10_000_000)
}

#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    /// Jobs that are enqueued in bulk and drained.
    #[arg(long, default_value_t = 100_000, value_parser = count(), value_name = "N")]
    jobs: usize,
    /// Jobs of the queue that run at a time.
    #[arg(long, default_value_t = 50, value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000), value_name = "N")]
    concurrency: usize,
    /// Jobs that are submitted one at a time to measure how long each takes to start.
    #[arg(long, default_value_t = 1000, value_parser = count(), value_name = "N")]
    latency_jobs: usize,
    /// Jobs that are submitted with a request each.
    #[arg(long, default_value_t = 50_000, value_parser = count(), value_name = "N")]
    post_jobs: usize,
    /// Connections that submit jobs with a request each; several numbers are measured one after the other.
    #[arg(long, default_value = "64", value_delimiter = ',', value_parser = RangedU64ValueParser::<usize>::new().range(1..=4_000), value_name = "N,..")]
    connections: Vec<usize>,
    /// For how many seconds jobs come in while they are run.
    #[arg(long, default_value_t = 15, value_parser = RangedU64ValueParser::<u64>::new().range(1..=3600), value_name = "N")]
    continuous_seconds: u64,
    /// When an answered write is safe: after a power cut, or after the death of the program.
    #[arg(long, value_enum, default_value_t = DurabilityChoice::Full)]
    durability: DurabilityChoice,
    /// Measure on this PostgreSQL database, not on SQLite: postgres://USER:PASSWORD@HOST:5432/DATABASE. Each part makes a
    /// schema of its own there, and drops it.
    #[arg(long, env = "CALLBOARD_BENCH_POSTGRES", hide_env_values = true, value_name = "URL")]
    postgres: Option<String>,
    /// Where the servers' folders are made, and removed again. Its disk is what is measured, so a folder in memory
    /// gives figures that no disk reaches.
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    place: PathBuf,
}

/// Runs all parts, one after the other, each on a server of its own.
pub(super) async fn run(args: &JobsArgs, printer: Printer) -> Result<Report, Failure> {
    let progress = Progress::new(printer, None);
    let say = |text: &str| progress.note(text.to_owned());
    let machine = {
        let folder = Folder::create(&args.place)?;
        Machine::look(&folder.0).map_err(|error| Failure::failed(format!("the disk: {error}")))?
    };
    let start = || Server::start(&args.place, args.postgres.as_deref(), args.concurrency, args.durability);

    let server = start().await?;
    let idle_bytes = server.memory();
    let blockade = Blockade::raise(&server.client, args.concurrency).await?;
    say(&format!("enqueues {} jobs in bulk", args.jobs));
    let bulk_enqueue = enqueue(&server, args.jobs).await?;
    let memory = Memory { idle_bytes, waiting_jobs: args.jobs, waiting_bytes: server.memory() };
    say(&format!("drains {} jobs", args.jobs));
    let drain = drain(&server, args, blockade).await?;
    drop(server);

    say(&format!("starts {} jobs, one at a time", args.latency_jobs));
    let server = start().await?;
    let start_latency = start_latency(&server, args.latency_jobs).await?;
    drop(server);

    let mut post_jobs = Vec::new();
    for &connections in &args.connections {
        say(&format!("posts {} jobs, connections: {connections}", args.post_jobs));
        let server = start().await?;
        Blockade::raise(&server.client, args.concurrency).await?;
        post_jobs.push(post(&server, args.post_jobs, connections).await?);
    }

    let most = args.connections.iter().copied().max().unwrap_or(1);
    say(&format!("posts {} jobs while they run, connections: {most}", args.post_jobs));
    let server = start().await?;
    let post_jobs_while_draining = post(&server, args.post_jobs, most).await?;
    completed(&server.client, args.post_jobs as u64).await?;
    drop(server);

    say(&format!("submits jobs while they run, for {} s", args.continuous_seconds));
    let server = start().await?;
    let continuous = continuous::measure(&server, Duration::from_secs(args.continuous_seconds)).await?;
    drop(server);

    progress.clear();
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        optimised: !cfg!(debug_assertions),
        machine,
        store: if args.postgres.is_some() { "postgres" } else { "sqlite" },
        durability: args.durability.name(),
        bulk_enqueue,
        drain,
        start_latency,
        post_jobs,
        post_jobs_while_draining,
        continuous,
        memory,
    })
}

fn job(job_type: &str) -> SubmitJob {
    SubmitJob { job_type: job_type.to_owned(), id: Some(Uuid::now_v7()), ..SubmitJob::default() }
}

/// Jobs that fill every place of the queue, so that others wait.
struct Blockade(Vec<Uuid>);

impl Blockade {
    async fn raise(client: &Client, places: usize) -> Result<Blockade, Failure> {
        let mut ids = Vec::with_capacity(places);
        for _ in 0..places {
            let mut sleep = job("sleep");
            sleep.payload.insert("ms".to_owned(), json!(3_600_000));
            ids.push(client.submit(sleep).await?.id);
        }
        let all_run = async || {
            let queues = client.queues().await?;
            Ok(queues.iter().map(|queue| queue.executing).sum::<u64>())
        };
        until(places as u64, all_run).await?;
        Ok(Blockade(ids))
    }

    async fn lift(self, client: &Client) -> Result<(), Failure> {
        for id in self.0 {
            client.cancel(id).await?;
        }
        Ok(())
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
            return Err(Failure::failed(format!("the server stands still at {now} of {wanted} jobs")));
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn completed(client: &Client, jobs: u64) -> Result<(), Failure> {
    until(jobs, async || Ok(client.stats().await?.completed_jobs)).await
}

async fn enqueue(server: &Server, jobs: usize) -> Result<Enqueue, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        accepted: usize,
    }
    let mut batches = Vec::new();
    for first in (0..jobs).step_by(BATCH) {
        let count = BATCH.min(jobs - first);
        let mut lines = String::new();
        for _ in 0..count {
            let _ = writeln!(lines, "{}", json!({ "id": Uuid::now_v7(), "type": "noop" }));
        }
        batches.push((count, lines));
    }
    let batches = Arc::new(batches);
    let next = Arc::new(AtomicUsize::new(0));
    let mut senders = JoinSet::new();
    let began = Instant::now();
    for _ in 0..BULK_CONNECTIONS {
        let (batches, next) = (batches.clone(), next.clone());
        let mut connection = Connection::open(server.address).await.map_err(broken)?;
        senders.spawn(async move {
            while let Some((count, lines)) = batches.get(next.fetch_add(1, Relaxed)) {
                let answer = connection.post("/api/v1/jobs/batch", "application/x-ndjson", lines.as_bytes());
                let (status, body) = answer.await.map_err(broken)?;
                let answer: Option<Answer> = serde_json::from_slice(body).ok();
                if answer.is_none_or(|answer| answer.accepted != *count) {
                    return Err(unexpected(status, body));
                }
            }
            Ok(())
        });
    }
    all(senders).await?;
    let time = began.elapsed();
    Ok(Enqueue {
        jobs,
        jobs_per_request: BATCH,
        connections: BULK_CONNECTIONS,
        seconds: round(time.as_secs_f64()),
        jobs_per_second: per_second(jobs, time),
    })
}

async fn all<T: 'static>(mut tasks: JoinSet<Result<T, Failure>>) -> Result<Vec<T>, Failure> {
    let mut done = Vec::with_capacity(tasks.len());
    while let Some(task) = tasks.join_next().await {
        done.push(task.map_err(|error| Failure::failed(error.to_string()))??);
    }
    Ok(done)
}

async fn drain(server: &Server, args: &JobsArgs, blockade: Blockade) -> Result<Drain, Failure> {
    let client = &server.client;
    let before = log_position(client).await?;
    let began = Instant::now();
    blockade.lift(client).await?;
    // The one that told the position is run as well.
    completed(client, args.jobs as u64 + 1).await?;
    let time = began.elapsed();
    let after = log_position(client).await?;
    Ok(Drain {
        jobs: args.jobs,
        concurrency: args.concurrency,
        seconds: round(time.as_secs_f64()),
        jobs_per_second: per_second(args.jobs, time),
        events: after - before,
    })
}

/// Where the log is, told by the first event of a new job.
async fn log_position(client: &Client) -> Result<u64, Failure> {
    let id = client.submit(job("noop")).await?.id;
    let after = Some(LogCursor { epoch: 1, position: 0 });
    let mut events = client.events(EventQuery { after, job: Some(id) });
    let position = async {
        while let Some(item) = events.next().await {
            if let StreamItem::Event(record) = item? {
                let cursor: Option<LogCursor> = record.cursor.parse().ok();
                return cursor.ok_or_else(|| Failure::failed("an event without a place in the log"));
            }
        }
        Err(Failure::failed("the event stream ended"))
    };
    let position = timeout(PATIENCE, position).await;
    Ok(position.map_err(|_| Failure::failed("a new job has no event"))??.position)
}

async fn start_latency(server: &Server, jobs: usize) -> Result<StartLatency, Failure> {
    let client = &server.client;
    let mut connection = Connection::open(server.address).await.map_err(broken)?;
    let mut events = client.events(EventQuery::default());
    // Opened before the first job is submitted, so that no end is missed.
    events.next().await;
    let mut sent = HashMap::with_capacity(jobs);
    for _ in 0..jobs {
        let id = Uuid::now_v7();
        let body = json!({ "id": id, "type": <Probe as callboard::jobs::Job>::TYPE }).to_string();
        let at = monotonic();
        let answer = connection.post("/api/v1/jobs", "application/json", body.as_bytes()).await;
        let (status, body) = answer.map_err(broken)?;
        if status != 202 {
            return Err(unexpected(status, body));
        }
        sent.insert(id, at);
        let ended = async {
            while let Some(item) = events.next().await {
                match item? {
                    StreamItem::Event(record)
                        if record.event.event_type == EventType::Completed
                            && record.event.payload.get("id") == Some(&json!(id)) =>
                    {
                        return Ok(());
                    }
                    _ => {}
                }
            }
            Err(Failure::failed("the event stream ended"))
        };
        timeout(PATIENCE, ended).await.map_err(|_| Failure::failed(format!("job {id} did not end")))??;
    }
    let mut times = Vec::with_capacity(jobs);
    for (id, at) in sent {
        let began = client.job(id).await?.result.and_then(|result| result.as_u64());
        let began = began.ok_or_else(|| Failure::failed(format!("job {id} does not say when it began")))?;
        times.push(Duration::from_nanos(began).saturating_sub(at));
    }
    Ok(StartLatency { jobs, times: Percentiles::of(times) })
}

async fn post(server: &Server, jobs: usize, at_once: usize) -> Result<Post, Failure> {
    let left = Arc::new(AtomicUsize::new(jobs));
    let mut connections = Vec::with_capacity(at_once);
    for _ in 0..at_once {
        connections.push(Connection::open(server.address).await.map_err(broken)?);
    }
    let mut senders = JoinSet::new();
    let began = Instant::now();
    for mut connection in connections {
        let left = left.clone();
        senders.spawn(async move {
            let mut times = Vec::new();
            while left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
                let body = json!({
                    "id": Uuid::now_v7(), "type": "noop", "status": "PENDING", "createdAt": Timestamp::now(),
                });
                let sent = Instant::now();
                let answer = connection.post("/jobs", "application/json", body.to_string().as_bytes()).await;
                let (status, body) = answer.map_err(broken)?;
                if status != 202 {
                    return Err(unexpected(status, body));
                }
                times.push(sent.elapsed());
            }
            Ok(times)
        });
    }
    let times = all(senders).await?.concat();
    let time = began.elapsed();
    Ok(Post {
        jobs,
        connections: at_once,
        seconds: round(time.as_secs_f64()),
        jobs_per_second: per_second(jobs, time),
        times: Percentiles::of(times),
    })
}
