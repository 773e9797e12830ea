//! `callboard bench`: measures this program on this machine.

mod http;
mod jobs;
mod machine;
mod probe;
mod report;
mod schema;
mod server;
mod statistics;

use std::process::ExitCode;

use clap::Subcommand;

use super::output::{Failure, INTERRUPTED, Printer};

#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    /// Measure how fast jobs are accepted, started and done; print the figures as JSON.
    ///
    /// Each part starts a server of its own, in a process of its own and on a new folder, and talks to it over HTTP on
    /// loopback. All jobs that are counted were answered as stored, and all that are drained were seen as completed.
    Jobs(jobs::JobsArgs),
    /// The server that is measured: `serve`, with the job type `bench-probe`. Ends with its standard input.
    #[command(hide = true)]
    Server(server::ServerArgs),
}

pub(super) async fn run(command: BenchCommand, printer: Printer) -> Result<ExitCode, Failure> {
    match command {
        BenchCommand::Jobs(args) => {
            tokio::select! {
                // First, so that no folder is made before Ctrl-C is minded. What it drops takes its folders with it.
                biased;
                _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(INTERRUPTED)),
                done = jobs::run(&args, printer) => {
                    printer.document(&done?);
                    Ok(ExitCode::SUCCESS)
                }
            }
        }
        BenchCommand::Server(args) => server::run(&args).await,
    }
}
