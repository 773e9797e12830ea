//! `callboard bench watchers`.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use callboard::contracts::{Timestamp, api::LogCursor};
use clap::{Args, builder::RangedU64ValueParser};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use uuid::Uuid;

use super::{
    super::{
        output::{Failure, Printer},
        progress::Progress,
    },
    histogram::Histogram,
    http::Connection,
    machine::Machine,
    server::{DurabilityChoice, Folder, Server, WATCHERS},
    statistics::{Percentiles, per_second, round},
};

/// Threads that read what the watchers get.
const READERS: usize = 2;
/// Connections that submit.
const SENDERS: u32 = 4;
/// Events of a job that does nothing: created, validated, executed, completed.
const EVENTS: u64 = 4;
/// How often the watchers are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long nothing may come before what is missing is lost.
const PATIENCE: Duration = Duration::from_secs(30);
/// Files that a server and this program need besides connections.
pub(super) const OTHER_FILES: u64 = 500;

#[derive(Debug, Args)]
pub(crate) struct WatchersArgs {
    /// Clients that follow the events.
    #[arg(long, default_value_t = 1000, value_parser = RangedU64ValueParser::<usize>::new().range(1..=WATCHERS as u64), value_name = "N")]
    watchers: usize,
    /// Jobs that are submitted a second, a request each; each has four events, which every watcher gets.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "N")]
    rate: u32,
    /// For how many seconds jobs are submitted.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600), value_name = "N")]
    seconds: u32,
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

/// What `callboard bench watchers` prints. The names are stable.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    optimised: bool,
    machine: Machine,
    store: &'static str,
    durability: &'static str,
    watchers: usize,
    jobs: u64,
    /// What was reached; less than what was asked for if the server did not keep up.
    jobs_per_second: f64,
    /// Of the log, each of which every watcher is to get.
    events: u64,
    deliveries: u64,
    deliveries_per_second: f64,
    /// Events that a watcher did not get, and such as it got again or before an earlier one.
    lost: u64,
    out_of_order: u64,
    /// From when an event was written, which is before its commit, to when a watcher had read it.
    since_written: Percentiles,
    memory: Memory,
}

/// Resident bytes of the server.
#[derive(Debug, Serialize)]
struct Memory {
    idle_bytes: u64,
    /// With all watchers connected, before the first job.
    watched_bytes: u64,
    /// The most while jobs ran.
    most_bytes: u64,
}

/// What the watchers have in common.
#[derive(Default)]
struct Seen {
    connected: AtomicU64,
    deliveries: AtomicU64,
    lost: AtomicU64,
    out_of_order: AtomicU64,
    /// Watchers whose connection broke.
    broken: AtomicU64,
    /// The sum of what each watcher has come to, so that they are at the end when it is.
    positions: AtomicU64,
    times: Histogram,
    stopped: AtomicBool,
}

pub(super) async fn run(args: &WatchersArgs, printer: Printer) -> Result<Report, Failure> {
    let progress = Progress::new(printer, None);
    let machine = {
        let folder = Folder::create(&args.place)?;
        Machine::look(&folder.0).map_err(|error| Failure::failed(format!("the disk: {error}")))?
    };
    allow_files(args.watchers as u64 + OTHER_FILES)?;
    let server = Server::start(&args.place, args.postgres.as_deref(), 50, args.durability).await?;
    let idle_bytes = server.memory();

    progress.note(format!("connects {} watchers", args.watchers));
    let watching = Watching::start(server.address, args.watchers);
    let seen = watching.0.clone();
    until(&seen, "to be connected", |seen| seen.connected.load(Relaxed), args.watchers as u64).await?;
    let watched_bytes = server.memory();
    let began_at = seen.positions.load(Relaxed);

    let jobs = u64::from(args.rate) * u64::from(args.seconds);
    progress.note(format!("submits {jobs} jobs in {} s", args.seconds));
    let began = Instant::now();
    let mut most_bytes = watched_bytes;
    {
        let mut submitting = std::pin::pin!(submit(server.address, args.rate, jobs, SENDERS));
        loop {
            tokio::select! {
                submitted = &mut submitting => break submitted?,
                () = tokio::time::sleep(LOOK) => most_bytes = most_bytes.max(server.memory()),
            }
        }
    }
    let submitted = began.elapsed();
    let wanted = began_at + jobs * EVENTS * args.watchers as u64;
    until(&seen, "to get all events", |seen| seen.positions.load(Relaxed), wanted).await?;
    let watched = began.elapsed();
    most_bytes = most_bytes.max(server.memory());
    progress.clear();
    let number = |number: &AtomicU64| number.load(Relaxed);
    let (lost, out_of_order) = (number(&seen.lost), number(&seen.out_of_order));
    if lost + out_of_order > 0 {
        return Err(Failure::failed(format!("{lost} events were lost, {out_of_order} came out of order")));
    }
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        optimised: !cfg!(debug_assertions),
        machine,
        store: if args.postgres.is_some() { "postgres" } else { "sqlite" },
        durability: args.durability.name(),
        watchers: args.watchers,
        jobs,
        jobs_per_second: round(jobs as f64 / submitted.as_secs_f64()),
        events: jobs * EVENTS,
        deliveries: number(&seen.deliveries),
        deliveries_per_second: per_second(count(number(&seen.deliveries)), watched),
        lost,
        out_of_order,
        since_written: seen.times.percentiles(),
        memory: Memory { idle_bytes, watched_bytes, most_bytes },
    })
}

/// Each watcher is a connection here and one of the server, which has the same limit as this process.
pub(super) fn allow_files(wanted: u64) -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    raised.map_err(|error| {
        Failure::failed(format!(
            "{wanted} files are needed at a time, and may not be had ({error}): ulimit -n"
        ))
    })
}

/// Waits until the number is reached. As long as it grows there is hope.
async fn until(seen: &Seen, what: &str, number: impl Fn(&Seen) -> u64, wanted: u64) -> Result<(), Failure> {
    let (mut best, mut since) = (0, Instant::now());
    loop {
        let now = number(seen);
        if now >= wanted {
            return Ok(());
        }
        if now > best {
            (best, since) = (now, Instant::now());
        }
        let broken = seen.broken.load(Relaxed);
        if broken > 0 || since.elapsed() > PATIENCE {
            return Err(Failure::failed(format!(
                "the watchers are at {now} of {wanted}, and were {what}; the connections of {broken} broke"
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Watchers on threads of their own. Dropped, they stop.
struct Watching(Arc<Seen>);

impl Watching {
    fn start(server: SocketAddr, count: usize) -> Watching {
        let seen = Arc::<Seen>::default();
        for reader in 0..READERS {
            let seen = seen.clone();
            let watchers = (reader..count).step_by(READERS).count();
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                match runtime {
                    Ok(runtime) => runtime.block_on(read(server, watchers, &seen)),
                    Err(_) => _ = seen.broken.fetch_add(1, Relaxed),
                }
            });
        }
        Watching(seen)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.stopped.store(true, Relaxed);
    }
}

async fn read(server: SocketAddr, watchers: usize, seen: &Arc<Seen>) {
    let mut all = JoinSet::new();
    for _ in 0..watchers {
        let seen = seen.clone();
        all.spawn(async move {
            if watch(server, &seen).await.is_err() {
                seen.broken.fetch_add(1, Relaxed);
            }
        });
    }
    while !seen.stopped.load(Relaxed) {
        tokio::time::sleep(LOOK).await;
    }
}

/// Follows the events until the connection breaks, which it does not by itself.
async fn watch(server: SocketAddr, seen: &Seen) -> io::Result<()> {
    let mut stream = TcpStream::connect(server).await?;
    let head = format!("GET /api/v1/events HTTP/1.1\r\nhost: {server}\r\naccept: text/event-stream\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    let mut at: Option<u64> = None;
    loop {
        line.clear();
        if lines.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The server sends an event as one chunk, so that no line is cut by a chunk's end.
        if let Some(cursor) = line.strip_prefix("id: ") {
            let cursor: Option<LogCursor> = cursor.trim_end().parse().ok();
            let position = cursor.ok_or(io::ErrorKind::InvalidData)?.position;
            match at {
                None => {
                    seen.connected.fetch_add(1, Relaxed);
                    seen.positions.fetch_add(position, Relaxed);
                    at = Some(position);
                }
                Some(before) if position > before => {
                    seen.lost.fetch_add(position - before - 1, Relaxed);
                    seen.positions.fetch_add(position - before, Relaxed);
                    at = Some(position);
                }
                Some(_) => _ = seen.out_of_order.fetch_add(1, Relaxed),
            }
        } else if let Some(data) = line.strip_prefix("data: ") {
            let written = data.split_once("\"occurredAt\":\"").and_then(|(_, rest)| rest.split_once('"'));
            if let Some(written) = written.and_then(|(text, _)| text.parse::<Timestamp>().ok()) {
                seen.times.add(Timestamp::now().saturating_since(written));
                seen.deliveries.fetch_add(1, Relaxed);
            }
        }
    }
}

/// Submits jobs at this rate, over so many connections.
pub(super) async fn submit(
    server: SocketAddr,
    rate: u32,
    jobs: u64,
    connections: u32,
) -> Result<(), Failure> {
    let broken = |error: io::Error| Failure::failed(format!("the server's connection: {error}"));
    let mut senders = JoinSet::new();
    for sender in 0..u64::from(connections.min(rate)) {
        let all = u64::from(connections.min(rate));
        let mine = jobs / all + u64::from(sender < jobs % all);
        let mut connection = Connection::open(server).await.map_err(broken)?;
        let mut turns = interval(Duration::from_secs_f64(all as f64 / f64::from(rate)));
        // What could not be sent in time is sent as soon as it can be, so that the rate holds.
        turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
        senders.spawn(async move {
            for _ in 0..mine {
                turns.tick().await;
                let body = json!({ "id": Uuid::now_v7(), "type": "noop" }).to_string();
                let answer = connection.post("/api/v1/jobs", "application/json", body.as_bytes()).await;
                let (status, body) = answer.map_err(broken)?;
                if status != 202 {
                    let body = String::from_utf8_lossy(body);
                    return Err(Failure::failed(format!("the server answered {status}: {body}")));
                }
            }
            Ok(())
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent.map_err(|error| Failure::failed(error.to_string()))??;
    }
    Ok(())
}
