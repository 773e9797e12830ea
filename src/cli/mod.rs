//! The command line.

mod config;
mod jobs;
mod logging;
mod output;
mod queues;
mod serve;
mod submit;
mod tree;

use std::{path::PathBuf, process::ExitCode};

use callboard::client::{Client, ClientError};
use clap::{Args, Parser, Subcommand, ValueEnum};

use output::{Failure, Printer};

/// Supervised actors, and a job system that runs on them.
#[derive(Debug, Parser)]
#[command(name = "callboard", version, max_term_width = 100)]
struct Cli {
    /// The server's address.
    #[arg(long, global = true, env = "CALLBOARD_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The token to send, if the server asks for one.
    #[arg(long, global = true, env = "CALLBOARD_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve(ServeArgs),
    /// Submit jobs, from flags, a file or standard input.
    Submit(submit::SubmitArgs),
    /// Look at jobs, cancel them, run them again.
    #[command(subcommand)]
    Jobs(jobs::JobsCommand),
    /// Show the queues and what they hold.
    Queues,
    /// Draw the supervision tree.
    Tree(tree::TreeArgs),
    /// Show the settings and where each comes from.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Every key with its value and its source; secrets are masked.
    Show(ServeArgs),
}

/// How a server is set up.
#[derive(Debug, Args)]
struct ServeArgs {
    /// The configuration file [default: callboard.toml, if there is one].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address and port to listen on; port 0 lets the system choose.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The folder of the database.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// A program that `command` jobs may run, by name or absolute path. May be given more than once.
    #[arg(long, value_name = "PROGRAM")]
    allow_program: Vec<String>,
    /// Any other setting. May be given more than once.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// How log lines are written.
    #[arg(long)]
    log: Option<LogChoice>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogChoice {
    Human,
    Json,
}

/// Reads the command line and does what it says. Exit codes: 0 done, 1 something failed, 2 wrong usage, 3 out of time,
/// 4 no server.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let printer = Printer { json: cli.json };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return printer.failure(&Failure::failed(error.to_string())),
    };
    let client = || Client::new(&cli.url, cli.token.clone().map(Into::into)).map_err(Failure::from);
    let done = match cli.command {
        Command::Serve(args) => runtime.block_on(serve::run(&args)),
        Command::Config(ConfigCommand::Show(args)) => config::show(&args, printer),
        Command::Submit(args) => {
            client().and_then(|client| runtime.block_on(submit::run(&client, args, printer)))
        }
        Command::Jobs(command) => {
            client().and_then(|client| runtime.block_on(jobs::run(&client, command, printer)))
        }
        Command::Queues => client().and_then(|client| runtime.block_on(queues::run(&client, printer))),
        Command::Tree(args) => {
            client().and_then(|client| runtime.block_on(tree::run(&client, &args, printer)))
        }
    };
    match done {
        Ok(code) => code,
        Err(failure) => printer.failure(&failure),
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::Url { .. } => 2,
            ClientError::Unreachable { .. } | ClientError::Lost { .. } => 4,
            _ => 1,
        };
        Failure { code, message: error.to_string() }
    }
}
