//! `callboard bench crowd`.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use callboard::client::Client;
use clap::{Args, builder::RangedU64ValueParser};
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use super::{
    super::{
        output::{Failure, Printer},
        progress::Progress,
    },
    machine::Machine,
    server::{DurabilityChoice, Folder, Server, TERMINALS, WATCHERS},
    statistics::round,
    terminals::Terminals,
    watchers::{OTHER_FILES, allow_files, submit},
};

/// Connections that submit.
const SENDERS: u32 = 16;
/// How often the server's memory is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long those who watch may take to be there.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(crate) struct CrowdArgs {
    /// Clients that watch the live feed, all of it.
    #[arg(long, default_value_t = 500, value_parser = RangedU64ValueParser::<usize>::new().range(0..=WATCHERS as u64), value_name = "N")]
    watchers: usize,
    /// Web terminals with the console in them, which somebody uses.
    #[arg(long, default_value_t = 50, value_parser = RangedU64ValueParser::<usize>::new().range(0..=TERMINALS as u64), value_name = "N")]
    terminals: usize,
    /// Jobs that are submitted a second, a request each.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "N")]
    rate: u32,
    /// For how many seconds jobs run while somebody watches.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=86_400), value_name = "N")]
    seconds: u32,
    /// For how many seconds jobs run while nobody watches, before and after that.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600), value_name = "N")]
    unwatched: u32,
    /// After how many seconds of being watched the memory is to grow no more.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(0..=86_400), value_name = "N")]
    settle: u32,
    /// When an answered write is safe: after a power cut, or after the death of the program.
    #[arg(long, value_enum, default_value_t = DurabilityChoice::Full)]
    durability: DurabilityChoice,
    /// Where the server's folder is made, and removed again.
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    place: PathBuf,
}

/// What `callboard bench crowd` prints. The names are stable.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    optimised: bool,
    machine: Machine,
    durability: &'static str,
    watchers: usize,
    terminals: usize,
    rate: u32,
    unwatched_before: Phase,
    watched: Phase,
    unwatched_after: Phase,
    /// What the terminals were sent.
    terminal_bytes: u64,
    /// Jobs a second while somebody watched, in hundredths of those while nobody did.
    throughput_percent: f64,
    memory: Memory,
}

/// What was done in a time.
#[derive(Debug, Serialize)]
struct Phase {
    seconds: f64,
    completed: u64,
    completed_per_second: f64,
    /// What those who watch have read.
    read_bytes: u64,
}

/// Resident bytes of the server.
#[derive(Debug, Serialize)]
struct Memory {
    idle_bytes: u64,
    /// When the time to settle was over, and at the end.
    settled_bytes: u64,
    end_bytes: u64,
    most_bytes: u64,
    /// The slope of a straight line through what was seen each second in between; none if that were fewer than two.
    #[serde(skip_serializing_if = "Option::is_none")]
    slope_bytes_per_minute: Option<f64>,
}

/// What the watchers have in common.
#[derive(Default)]
struct Seen {
    /// Those that were told all there is.
    there: AtomicU64,
    bytes: AtomicU64,
    broken: AtomicU64,
}

pub(super) async fn run(args: &CrowdArgs, printer: Printer) -> Result<Report, Failure> {
    let progress = Progress::new(printer, None);
    let machine = {
        let folder = Folder::create(&args.place)?;
        Machine::look(&folder.0).map_err(|error| Failure::failed(format!("the disk: {error}")))?
    };
    allow_files((args.watchers + args.terminals) as u64 + OTHER_FILES)?;
    let server = Server::start(&args.place, None, 50, args.durability).await?;
    let idle_bytes = server.memory();
    let seen = Arc::<Seen>::default();
    progress.note(format!("runs jobs for {} s while nobody watches", args.unwatched));
    let unwatched_before = phase(&server, args.rate, args.unwatched, &seen, &mut |_| {}).await?;

    progress.note(format!("has {} watchers come", args.watchers));
    let mut watchers = JoinSet::new();
    for _ in 0..args.watchers {
        let (address, seen) = (server.address, seen.clone());
        watchers.spawn(async move {
            if watch(address, &seen).await.is_err() {
                seen.broken.fetch_add(1, Relaxed);
            }
        });
    }
    let terminals = Terminals::open(server.address, args.terminals);
    let began = Instant::now();
    while seen.there.load(Relaxed) < args.watchers as u64 || terminals.drawn() < args.terminals as u64 {
        check(&seen)?;
        terminals.check()?;
        if began.elapsed() > PATIENCE {
            let (there, drawn) = (seen.there.load(Relaxed), terminals.drawn());
            return Err(Failure::failed(format!(
                "{there} of {} watchers were told something, and {drawn} of {} terminals show something",
                args.watchers, args.terminals
            )));
        }
        tokio::time::sleep(LOOK / 10).await;
    }

    progress.note(format!("runs jobs for {} s while they watch", args.seconds));
    let mut samples: Vec<(f64, f64)> = Vec::new();
    let watched = phase(&server, args.rate, args.seconds, &seen, &mut |at| {
        samples.push((at.as_secs_f64(), server.memory() as f64));
    })
    .await?;
    check(&seen)?;
    terminals.check()?;
    let (end_bytes, terminal_bytes) = (server.memory(), terminals.bytes());
    drop(terminals);
    watchers.shutdown().await;
    progress.note(format!("runs jobs for {} s while nobody watches", args.unwatched));
    let unwatched_after = phase(&server, args.rate, args.unwatched, &seen, &mut |_| {}).await?;
    progress.clear();

    let most_bytes = samples.iter().fold(end_bytes, |most, (_, bytes)| most.max(*bytes as u64));
    samples.retain(|(at, _)| *at >= f64::from(args.settle));
    let settled_bytes = samples.first().map_or(end_bytes, |(_, bytes)| *bytes as u64);
    let before_and_after = (unwatched_before.completed + unwatched_after.completed) as f64
        / (unwatched_before.seconds + unwatched_after.seconds);
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        optimised: !cfg!(debug_assertions),
        machine,
        durability: args.durability.name(),
        watchers: args.watchers,
        terminals: args.terminals,
        rate: args.rate,
        terminal_bytes,
        throughput_percent: round(watched.completed_per_second / before_and_after * 100.0),
        unwatched_before,
        watched,
        unwatched_after,
        memory: Memory {
            idle_bytes,
            settled_bytes,
            end_bytes,
            most_bytes,
            slope_bytes_per_minute: slope(&samples).map(|slope| round(slope * 60.0)),
        },
    })
}

fn check(seen: &Seen) -> Result<(), Failure> {
    match seen.broken.load(Relaxed) {
        0 => Ok(()),
        broken => Err(Failure::failed(format!("the connections of {broken} watchers broke"))),
    }
}

/// Submits jobs for a time, and calls `look` about once a second with the time that has passed.
async fn phase(
    server: &Server,
    rate: u32,
    seconds: u32,
    seen: &Seen,
    look: &mut dyn FnMut(Duration),
) -> Result<Phase, Failure> {
    let completed = async |client: &Client| Ok::<_, Failure>(client.stats().await?.completed_jobs);
    let (before, read_before) = (completed(&server.client).await?, seen.bytes.load(Relaxed));
    let began = Instant::now();
    let jobs = u64::from(rate) * u64::from(seconds);
    let mut submitting = std::pin::pin!(submit(server.address, rate, jobs, SENDERS));
    loop {
        tokio::select! {
            submitted = &mut submitting => break submitted?,
            () = tokio::time::sleep(LOOK) => look(began.elapsed()),
        }
    }
    let after = completed(&server.client).await?;
    let (seconds, completed) = (began.elapsed().as_secs_f64(), after - before);
    Ok(Phase {
        seconds: round(seconds),
        completed,
        completed_per_second: round(completed as f64 / seconds),
        read_bytes: seen.bytes.load(Relaxed) - read_before,
    })
}

/// Watches the feed until the connection breaks, which it does not by itself.
async fn watch(server: SocketAddr, seen: &Seen) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(server).await?;
    let head = format!("GET /api/v1/feed HTTP/1.1\r\nhost: {server}\r\naccept: text/event-stream\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut buffer = vec![0; 16 * 1024];
    let mut told = false;
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        seen.bytes.fetch_add(read as u64, Relaxed);
        // The head alone is no frame.
        if !told && buffer[..read].windows(6).any(|part| part == b"data: ") {
            told = true;
            seen.there.fetch_add(1, Relaxed);
        }
    }
}

/// The slope of the straight line that is nearest to these points.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let slope = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>() / spread;
    slope.is_finite().then_some(slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_nearest_line() {
        assert_eq!(slope(&[]), None);
        assert_eq!(slope(&[(1.0, 2.0)]), None);
        assert_eq!(slope(&[(0.0, 5.0), (1.0, 7.0), (2.0, 9.0)]), Some(2.0));
        assert_eq!(slope(&[(0.0, 0.0), (1.0, 3.0), (2.0, 0.0)]), Some(0.0));
    }
}
