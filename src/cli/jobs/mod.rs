//! `callboard jobs …`.

mod change;
pub(super) mod list;
mod logs;
pub(super) mod selection;
mod show;
mod signal;
mod types;

use std::process::ExitCode;

use callboard::client::Client;
use clap::Subcommand;

use super::output::{Failure, Printer};

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub(super) enum JobsCommand {
    /// List jobs, newest first.
    List(list::ListArgs),
    /// Show a job with its attempts.
    Show(show::ShowArgs),
    /// Show what the attempts of a job have said, also while they run.
    Logs(logs::LogsArgs),
    /// Send a signal to a job: a word that it waits for, such as an approval.
    Signal(signal::SignalArgs),
    /// Show the signals of a job, who has sent them, and what became of them.
    Signals(signal::OfJob),
    /// Show the state that a running job shows of itself.
    State(signal::OfJob),
    /// Call jobs off.
    Cancel(selection::Selection),
    /// Run waiting jobs now, and finished ones again as new jobs.
    Retry(selection::Selection),
    /// Show the job types that the server handles, or one with its schemas.
    Types(types::TypesArgs),
}

pub(super) async fn run(
    client: &Client,
    command: JobsCommand,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    match command {
        JobsCommand::List(args) => list::run(client, args, printer).await,
        JobsCommand::Show(args) => show::run(client, &args, printer).await,
        JobsCommand::Logs(args) => logs::run(client, &args, printer).await,
        JobsCommand::Signal(args) => signal::send(client, args, printer).await,
        JobsCommand::Signals(of) => signal::list(client, &of, printer).await,
        JobsCommand::State(of) => signal::state(client, &of, printer).await,
        JobsCommand::Cancel(selection) => change::cancel(client, selection, printer).await,
        JobsCommand::Retry(selection) => change::retry(client, selection, printer).await,
        JobsCommand::Types(args) => types::run(client, &args, printer).await,
    }
}
