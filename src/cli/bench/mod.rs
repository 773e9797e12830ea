//! `callboard bench`: measures this program on this machine.

mod bus;
#[cfg(feature = "console")]
mod console;
mod continuous;
mod crowd;
mod fleet;
mod histogram;
mod http;
mod jobs;
mod machine;
mod probe;
mod queries;
mod report;
mod schema;
mod server;
mod statistics;
mod terminals;
mod unique;
mod watchers;

use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::output::{Failure, INTERRUPTED, Printer};

#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    /// Measure how fast jobs are accepted, started and done; print the figures as JSON.
    ///
    /// Each part starts a server of its own, in a process of its own and on a new folder, and talks to it over HTTP on
    /// loopback. All jobs that are counted were answered as stored, and all that are drained were seen as completed.
    Jobs(jobs::JobsArgs),
    /// Fill a store with many jobs, and measure how long lists, single jobs and totals take; print the figures as JSON.
    ///
    /// The jobs are the same ones each time, in every state but executing, of eight queues, twenty types and a thousand tags. Before
    /// anything is measured, the first page of every list is compared with what it must be.
    Queries(queries::QueriesArgs),
    /// Measure how soon clients that follow the events get them while jobs run; print the figures as JSON.
    ///
    /// Fails if any of them misses an event or gets one out of order.
    Watchers(watchers::WatchersArgs),
    /// Measure what it costs to be watched by many while jobs run: jobs a second, and the server's memory; print the figures as JSON.
    Crowd(crowd::CrowdArgs),
    /// Measure how fast fleets of workers run jobs on one PostgreSQL; print the figures as JSON.
    ///
    /// For each number of workers a server that runs no jobs, the workers, each a process, and a schema are made. The jobs are
    /// there before they are due; what counts is the time from the first run's beginning to the last one's end.
    Fleet(fleet::FleetArgs),
    /// Measure how fast messages go to and from a RabbitMQ broker, beside the bare client library; print the figures as JSON.
    Bus(bus::BusArgs),
    /// Measure what it costs that jobs are the only ones of their kind, beside ever more of them; print the figures as JSON.
    Unique(unique::UniqueArgs),
    /// Measure how long it takes from a key in the console to what is drawn of it, with many jobs in its list; print the figures
    /// as JSON.
    #[cfg(feature = "console")]
    Console(console::ConsoleArgs),
    /// The server that is measured: `serve`, with the job type `bench-probe`. Ends with its standard input.
    #[command(hide = true)]
    Server(server::ServerArgs),
}

pub(super) async fn run(command: BenchCommand, printer: Printer) -> Result<ExitCode, Failure> {
    match command {
        BenchCommand::Jobs(args) => interruptible(jobs::run(&args, printer), printer).await,
        BenchCommand::Queries(args) => interruptible(queries::run(&args, printer), printer).await,
        BenchCommand::Watchers(args) => interruptible(watchers::run(&args, printer), printer).await,
        BenchCommand::Crowd(args) => interruptible(crowd::run(&args, printer), printer).await,
        BenchCommand::Fleet(args) => interruptible(fleet::run(&args, printer), printer).await,
        BenchCommand::Bus(args) => interruptible(bus::run(&args, printer), printer).await,
        BenchCommand::Unique(args) => interruptible(unique::run(&args, printer), printer).await,
        #[cfg(feature = "console")]
        BenchCommand::Console(args) => interruptible(console::run(&args), printer).await,
        BenchCommand::Server(args) => Box::pin(server::run(&args)).await,
    }
}

/// Measures until it is done or somebody ends it (Ctrl-C, SIGTERM), and prints what was measured.
async fn interruptible<R: Serialize>(
    measuring: impl Future<Output = Result<R, Failure>>,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|error| Failure::failed(error.to_string()))?;
    tokio::select! {
        // First, so that no folder is made before a signal is minded. What it drops takes its folders with it.
        biased;
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(INTERRUPTED)),
        _ = terminate.recv() => Ok(ExitCode::from(INTERRUPTED)),
        done = measuring => {
            printer.document(&done?);
            Ok(ExitCode::SUCCESS)
        }
    }
}
