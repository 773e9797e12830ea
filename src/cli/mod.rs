//! The command line.

mod audit;
mod bench;
mod bulk;
mod completions;
mod config;
mod connection;
#[cfg(feature = "console")]
mod console;
mod cron;
mod dead;
mod demo;
#[cfg(feature = "console")]
mod doctor;
#[cfg(test)]
mod documentation;
mod edges;
mod encryption;
mod jobs;
mod logging;
mod nodes;
mod output;
mod progress;
mod queues;
mod serve;
mod store;
mod style;
mod submit;
mod table;
mod tree;
mod values;
mod worker;
mod workflows;

use std::{path::PathBuf, process::ExitCode};

use callboard::roles::RoleSet;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use connection::Connection;
use output::{Failure, Printer};
use style::ColorChoice;

/// Supervised actors, and a job system that runs on them.
#[derive(Debug, Parser)]
#[command(name = "callboard", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done; 1 a job failed, or something was refused; 2 wrong usage or input; 3 no server answers; 4 the server \
refuses to work (token, not ready); 130 interrupted.";

/// How things are printed.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Global options")]
struct OutputArgs {
    /// Print JSON, for programs: one document, or one object a line for what comes one by one.
    #[arg(long, global = true)]
    json: bool,
    /// Show no progress and no summary; results and errors stay.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// When to use colours; in the automatic case on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve {
        #[command(flatten)]
        args: ServeArgs,
        /// Open the ports of the old system, too: 3000 (gateway), 8080 (read model) and 8000 (metrics), or where the settings
        /// observatory.*_listen say.
        #[arg(long)]
        observatory: bool,
        /// Do only a part of what a server does, and leave the rest to other nodes on the same PostgreSQL store: any of
        /// gateway (takes jobs in, changes things), processor (runs jobs), read-model (answers questions) and leader (may do
        /// what is done once for all), with commas between them.
        #[arg(long, value_name = "ROLES")]
        roles: Option<RoleSet>,
    },
    /// Run jobs, and nothing else, beside servers on the same PostgreSQL store.
    ///
    /// A worker takes no jobs in and answers no questions; its own probes and metrics are at --listen. It may lead the fleet
    /// when no other node does, so that scheduled and lost jobs go on. SIGTERM and Ctrl-C end it in good order: what runs may
    /// finish, the rest is handed back.
    Worker(worker::WorkerArgs),
    /// Run a server with something to see: a small shop whose jobs come in, succeed, fail and panic.
    ///
    /// It needs nothing, stores everything in a folder that is removed at the end, and listens on loopback only.
    Demo(demo::DemoArgs),
    /// Watch a server on the terminal, and change things: jobs, queues, the tree, nodes and all the rest.
    ///
    /// The server is the one that --url or CALLBOARD_URL names; else the first that answers of those at READ_MODEL_URL and GATEWAY_URL,
    /// if they are set, at the address in the lock of the data folder, and at the default address. `?` shows the keys.
    #[cfg(feature = "console")]
    Console(console::ConsoleArgs),
    /// Look whether this machine has what Callboard needs, and say what to do about what is missing.
    #[cfg(feature = "console")]
    Doctor(doctor::DoctorArgs),
    /// Submit jobs, from flags, a file or standard input.
    Submit(submit::SubmitArgs),
    /// Look at jobs, cancel them, run them again.
    #[command(subcommand)]
    Jobs(jobs::JobsCommand),
    /// Submit workflows, steps that wait for each other; look at them, cancel them, resume them.
    #[command(subcommand)]
    Workflows(workflows::WorkflowsCommand),
    /// Show what dead jobs died of and how they differ from a success, run them again with another payload.
    Dead(DeadArgs),
    /// Run many jobs again or call them off, by a filter; show how far that is.
    Bulk(BulkArgs),
    /// Show the queues and what they hold, pause them, let them go on.
    Queues(QueuesArgs),
    /// Show the nodes of the fleet, tell them what to do.
    Nodes(NodesArgs),
    /// Show who has changed what.
    Audit(audit::AuditArgs),
    /// Show the services outside that jobs need, let their jobs wait, let them run again.
    Edges(EdgesArgs),
    /// Show the keys that secret values of jobs are encrypted with, encrypt with another one.
    Encryption(EncryptionArgs),
    /// Show the cron table, change it, try expressions out.
    Cron(CronArgs),
    /// Draw the supervision tree.
    Tree(tree::TreeArgs),
    /// Show the settings and where each comes from, change those of running servers.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Look after the store: its version, its health, copies of it.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Measure this program on this machine.
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Print the completions of a shell.
    Completions(completions::CompletionsArgs),
}

/// What is done with the queues.
#[derive(Debug, Args)]
struct QueuesArgs {
    #[command(subcommand)]
    command: Option<queues::QueuesCommand>,
}

/// What is done with dead jobs.
#[derive(Debug, Args)]
struct DeadArgs {
    #[command(subcommand)]
    command: Option<dead::DeadCommand>,
}

/// What is done in bulk.
#[derive(Debug, Args)]
struct BulkArgs {
    #[command(subcommand)]
    command: Option<bulk::BulkCommand>,
}

/// What is done with the nodes.
#[derive(Debug, Args)]
struct NodesArgs {
    #[command(subcommand)]
    command: Option<nodes::NodesCommand>,
}

/// What is done with the edges.
#[derive(Debug, Args)]
struct EdgesArgs {
    #[command(subcommand)]
    command: Option<edges::EdgesCommand>,
}

/// What is done with the keys of payloads.
#[derive(Debug, Args)]
struct EncryptionArgs {
    #[command(subcommand)]
    command: Option<encryption::EncryptionCommand>,
}

/// What is done with the cron table.
#[derive(Debug, Args)]
struct CronArgs {
    #[command(subcommand)]
    command: Option<cron::CronCommand>,
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

/// Reads the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    // Help and usage errors are printed before the arguments are known as a whole.
    let matches = Cli::command().color(style::asked_for(std::env::args_os()).of_clap()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let OutputArgs { json, quiet, color } = cli.output;
    let printer = Printer { json, quiet, colours: color.holds_for(&std::io::stdout()) };
    match run(cli, printer) {
        Ok(code) => code,
        Err(failure) => printer.failure(&failure),
    }
}

fn run(cli: Cli, printer: Printer) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(error.to_string()))?;
    let client = || cli.connection.client();
    match cli.command {
        Command::Serve { args, observatory, roles } => runtime.block_on(serve::run(args, observatory, roles)),
        Command::Worker(args) => runtime.block_on(worker::run(args)),
        Command::Demo(args) => runtime.block_on(demo::run(args)),
        // It has threads and runtimes of its own.
        #[cfg(feature = "console")]
        Command::Console(args) => console::run(&cli.connection, &args, printer),
        #[cfg(feature = "console")]
        Command::Doctor(args) => runtime.block_on(doctor::run(&cli.connection, &args, printer)),
        Command::Nodes(args) => {
            let command = args.command.unwrap_or(nodes::NodesCommand::List);
            runtime.block_on(nodes::run(&client()?, command, printer))
        }
        Command::Audit(args) => runtime.block_on(audit::run(&client()?, &args, printer)),
        Command::Config(config::ConfigCommand::Show(args)) => config::show(&args, printer),
        Command::Config(config::ConfigCommand::OfServer(command)) => {
            runtime.block_on(config::run(&client()?, command, printer))
        }
        Command::Store(command) => store::run(&command, printer),
        Command::Bench(command) => runtime.block_on(bench::run(command, printer)),
        Command::Completions(args) => completions::run(args),
        Command::Submit(args) => runtime.block_on(submit::run(&cli.connection, args, printer)),
        Command::Jobs(command) => runtime.block_on(jobs::run(&client()?, command, printer)),
        Command::Workflows(command) => runtime.block_on(workflows::run(&client()?, command, printer)),
        Command::Dead(args) => {
            let command = args.command.unwrap_or(dead::DeadCommand::Causes(dead::CausesArgs::default()));
            runtime.block_on(dead::run(&client()?, command, printer))
        }
        Command::Bulk(args) => {
            let command = args.command.unwrap_or(bulk::BulkCommand::List { limit: 50 });
            runtime.block_on(bulk::run(&client()?, command, printer))
        }
        Command::Queues(args) => {
            let command = args.command.unwrap_or(queues::QueuesCommand::List);
            runtime.block_on(queues::run(&client()?, command, printer))
        }
        Command::Edges(args) => {
            let command = args.command.unwrap_or(edges::EdgesCommand::List);
            runtime.block_on(edges::run(&client()?, command, printer))
        }
        Command::Encryption(args) => {
            let command = args.command.unwrap_or(encryption::EncryptionCommand::Status);
            runtime.block_on(encryption::run(&client()?, command, printer))
        }
        Command::Cron(args) => {
            let command = args.command.unwrap_or(cron::CronCommand::List);
            runtime.block_on(cron::run(&client()?, command, printer))
        }
        Command::Tree(args) => runtime.block_on(tree::run(&client()?, &args, printer)),
    }
}
